"""Mask edits drawn at the photo's full size, without anti-aliasing.

The page sends strokes and shapes as coordinates, not as pixels: a few bytes whatever the size of
the photo, and one rasteriser, so that what is filled does not depend on the browser.

Coordinates are in pixels of the photo as displayed; pixel (0, 0) covers [0, 1) x [0, 1). Boxes and
polygons are those of `masks/drawing.py`; strokes are drawn by OpenCV, as a stroke of a wide brush
over a large photo covers millions of pixels.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.masks import dilate
from inpaintcli.imaging.picture import Mask
from inpaintcli.masks.drawing import draw_polygon, draw_rectangle
from inpaintcli.ui.edits import Edit

_SHIFT = 4
"""Fractional bits of OpenCV's coordinates."""
StoredMask = Callable[[str], Mask]
"""The mask that was stored for an edit, by the edit's id."""


def drawn(mask: Mask, edit: Edit, stored: StoredMask) -> Mask:
    """The mask (h, w), True in the hole, after a mask edit; the old one stays as it is."""
    shape = _shape(edit, mask.shape, stored)
    if shape is not None:
        return mask & ~shape if edit.values["erase"] else mask | shape
    return _CHANGES[edit.kind](mask, edit)


def _shape(edit: Edit, size: tuple[int, ...], stored: StoredMask) -> Mask | None:
    """What an edit adds or erases; None where it changes the mask as a whole."""
    if edit.kind == "mask":
        return stored(edit.id)
    if edit.kind not in _SHAPES:
        return None
    canvas = np.zeros(size, np.uint8)
    _SHAPES[edit.kind](canvas, edit)
    return canvas.view(np.bool_)


def _draw_stroke(canvas: NDArray[np.uint8], edit: Edit) -> None:
    """The area that a disk covers on its path; its radius changes linearly between points."""
    points = edit.values["points"]
    for x, y, radius in points:
        centre = _fixed([(x, y)])[0]
        size = max(1, round(radius * (1 << _SHIFT)))
        cv2.circle(canvas, centre.tolist(), size, 1, cv2.FILLED, cv2.LINE_8, _SHIFT)
    for start, end in pairwise(points):
        sides = _tangents(start, end)
        if sides:
            cv2.fillConvexPoly(canvas, _fixed(sides), 1, cv2.LINE_8, _SHIFT)


def _tangents(start: Sequence[float], end: Sequence[float]) -> list[tuple[float, float]]:
    """The four points where the outer tangents of two circles touch them; none if one is inside."""
    (x0, y0, r0), (x1, y1, r1) = start, end
    distance = math.hypot(x1 - x0, y1 - y0)
    if distance <= abs(r0 - r1):
        return []
    direction = math.atan2(y1 - y0, x1 - x0)
    turn = math.acos((r0 - r1) / distance)
    left, right = direction + turn, direction - turn
    return [
        (x0 + r0 * math.cos(left), y0 + r0 * math.sin(left)),
        (x1 + r1 * math.cos(left), y1 + r1 * math.sin(left)),
        (x1 + r1 * math.cos(right), y1 + r1 * math.sin(right)),
        (x0 + r0 * math.cos(right), y0 + r0 * math.sin(right)),
    ]


def _draw_polygon(canvas: NDArray[np.uint8], edit: Edit) -> None:
    draw_polygon(canvas.view(np.bool_), np.asarray(edit.values["points"], np.float64))


def _draw_box(canvas: NDArray[np.uint8], edit: Edit) -> None:
    x, y, width, height = edit.values["box"]
    draw_rectangle(canvas.view(np.bool_), x, y, x + width, y + height)


def _fixed(points: Sequence[Sequence[float]]) -> NDArray[np.int32]:
    """Points (n, 2) as OpenCV wants them: pixel centres at whole numbers, in fixed point."""
    scaled = (np.asarray(points, np.float64) - 0.5) * (1 << _SHIFT)
    return np.rint(scaled).astype(np.int32)


def _enclosed(mask: Mask, _edit: Edit) -> Mask:
    """With all that the hole encloses: what cannot be reached from the photo's border."""
    padded = np.pad(mask, 1).astype(np.uint8)
    cv2.floodFill(padded, None, (0, 0), 2)
    return np.asarray(padded[1:-1, 1:-1] != 2, np.bool_)


def _shrunk(mask: Mask, edit: Edit) -> Mask:
    """Without all pixels within a distance of the hole's edge; the photo's border is none."""
    return np.asarray(~dilate(~mask, edit.values["pixels"]), np.bool_)


_SHAPES = {"stroke": _draw_stroke, "polygon": _draw_polygon, "box": _draw_box}
_CHANGES: dict[str, Callable[[Mask, Edit], Mask]] = {
    "enclose": _enclosed,
    "invert": lambda mask, _: ~mask,
    "clear": lambda mask, _: np.zeros_like(mask),
    "grow": lambda mask, edit: dilate(mask, edit.values["pixels"]),
    "shrink": _shrunk,
}
