"""A box around the object at a point: windows of several sizes are cut, and the best is taken.

Good is an object whose outline runs along strong edges and stays clear of the window's sides. Of
those that are almost as good as the best, the smallest is taken.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, bounding_box
from inpaintcli.objects.segment.grabcut import cut
from inpaintcli.objects.segment.prompts import Prompt, outside, rgb8

WINDOWS = (0.12, 0.22, 0.4, 0.7)
"""Of the photo's shorter side: the sides of the windows around the point."""
SIDE = 160
"""Pixels: the side of a window that is cut."""
FRAME = 0.08
"""Of a window: its sides, which are the surroundings'."""
ALMOST = 0.85
"""Of the best score: what is almost as good."""
MARGIN = 0.1
"""Of the object found: what the box leaves around it."""


def box_around_point(pixels: NDArray[Any], prompt: Prompt) -> Box:
    """The box of the object at the prompt's point.

    Args:
        pixels: uint8 or uint16 (h, w, 1 or 3), the photo.
        prompt: with a point.

    Raises:
        MaskMismatchError: the prompt has no point.
    """
    height, width = pixels.shape[:2]
    if prompt.point is None:
        raise outside(prompt.name, (height, width))
    found = [_tried(pixels, prompt.point, share) for share in WINDOWS]
    least = ALMOST * max(score for score, _ in found)
    box = next((box for score, box in found if score >= least), found[-1][1])
    return box.grown(round(MARGIN * max(box.size)) + 2, height, width)


def _tried(pixels: NDArray[Any], point: tuple[int, int], share: float) -> tuple[float, Box]:
    """The object found in a window around a point: how good it is, and its box."""
    height, width = pixels.shape[:2]
    half = max(12, round(share * min(height, width) / 2))
    row, column = point
    window = Box(row, column, row + 1, column + 1).grown(half, height, width)
    scale = min(1.0, SIDE / max(window.size))
    size = (max(8, round(window.width * scale)), max(8, round(window.height * scale)))
    small = cv2.resize(rgb8(pixels[window.slices]), size, interpolation=cv2.INTER_AREA)
    rgb = np.asarray(small, np.uint8)
    y, x = np.indices(rgb.shape[:2])
    centre = ((row - window.top) * scale, (column - window.left) * scale)
    distance = np.hypot(y - centre[0], x - centre[1])
    frame = max(2, round(FRAME * max(size)))
    allowed = np.zeros(rgb.shape[:2], np.bool_)
    allowed[frame:-frame, frame:-frame] = True
    part = _part_at(cut(rgb, allowed, distance <= max(2.0, 0.06 * max(size))), distance)
    extent = bounding_box(part)
    if extent is None:
        return -1.0, window
    inside = Box(
        window.top + round(extent.top / scale),
        window.left + round(extent.left / scale),
        window.top + round(extent.bottom / scale),
        window.left + round(extent.right / scale),
    )
    return _score(rgb, part, allowed), inside


def _part_at(found: Mask, distance: NDArray[np.float64]) -> Mask:
    """The connected part of what was found that is nearest to the point."""
    if not found.any():
        return found
    _, labels = cv2.connectedComponents(found.astype(np.uint8), connectivity=4)
    nearest = int(np.argmin(np.where(found, distance, np.inf)))
    return np.asarray(labels == labels.ravel()[nearest], np.bool_)


def _score(rgb: NDArray[np.uint8], part: Mask, allowed: Mask) -> float:
    """The mean edge under a part's outline, in levels; less where that is a side of the window.

    A part of few pixels counts less: every speck has a strong edge.
    """
    kernel = np.ones((3, 3), np.uint8)
    outline = part & (cv2.erode(part.astype(np.uint8), kernel) == 0)
    free = outline & (cv2.erode(allowed.astype(np.uint8), kernel) > 0)
    levels = cv2.GaussianBlur(rgb, (0, 0), 1.0).astype(np.float32)
    edges = np.hypot(cv2.Sobel(levels, cv2.CV_32F, 1, 0), cv2.Sobel(levels, cv2.CV_32F, 0, 1)) / 8
    strength = edges.max(axis=2)
    weight = min(1.0, float(part.mean()) / 0.05)
    clear = int(free.sum()) / max(1, int(outline.sum()))
    return weight * clear**2 * float(strength[free].mean()) if clear else 0.0
