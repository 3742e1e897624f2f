"""From prompts to the mask of the objects, with the errors of a search that found none."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.objects.segment.point_box import box_around_point
from inpaintcli.objects.segment.prompts import Prompt, Question, box_of, question_of
from inpaintcli.objects.segment.segmenter import Segmenter

LEAST_SHARE, LEAST = 0.01, 16
"""Of the box, and pixels: an object that covers less was not found."""
MOST_SHARE = 0.995
"""Of the box: what covers more is the box itself, unless there is an edge along its sides."""
EDGE = 5.0
"""Levels of 255 a pixel: the gradient along the outline of an object that fills its box."""
RIM, RIM_SHARE = 0.05, 0.9
"""Of the box's shorter side, and of what was found: an object that is so near to the sides, with
nothing in the middle, is the surroundings."""
SPECK, GAP = 0.002, 0.02
"""Of the object: parts, and gaps in it, that are smaller are noise."""


class ObjectNotFoundError(MaskMismatchError):
    """A segmenter found no object where one should be; exit code 4."""


def segment_objects(picture: Picture, prompts: Sequence[Prompt], segmenter: Segmenter) -> Mask:
    """The pixels of all objects that the prompts name.

    Args:
        picture: as displayed.
        prompts: one an object.
        segmenter: from `open_segmenter`.

    Returns:
        (h, w) bool, True on the objects; not grown over soft edges.

    Raises:
        ObjectNotFoundError: for one prompt nothing, or everything, was found.
        EngineError: a network failed.
    """
    mask = np.zeros((picture.height, picture.width), np.bool_)
    for prompt in prompts:
        crop, found = _segment(picture, prompt, segmenter)
        mask[crop.slices] |= found
    return mask


def _segment(picture: Picture, prompt: Prompt, segmenter: Segmenter) -> tuple[Box, Mask]:
    """The object of one prompt: a crop of the photo, and the mask in it."""
    box = box_of(prompt)
    if box is None:
        box = _box_of_point(picture, prompt, segmenter)
    question, crop = question_of(picture.pixels, prompt, box, segmenter.margin)
    found = _tidied((segmenter.likelihood(question) > 0.5) & question.allowed)
    if question.point is not None:
        found = _part_at(found, question.point)
    _check_found(found, question, prompt)
    return crop, found


def _box_of_point(picture: Picture, prompt: Prompt, segmenter: Segmenter) -> Box:
    """The box in which the object at a point is searched for, perhaps all of the photo."""
    if segmenter.takes_points:
        return Box(0, 0, picture.height, picture.width)
    return box_around_point(picture.pixels, prompt)


def _tidied(mask: Mask) -> Mask:
    """Without specks, and without small gaps."""
    area = float(mask.sum())
    return ~_large_parts(~_large_parts(mask, max(4.0, SPECK * area)), max(4.0, GAP * area))


def _large_parts(mask: Mask, least: float) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    large: NDArray[np.bool_] = stats[:, cv2.CC_STAT_AREA] >= least
    large[0] = False
    return np.asarray(large[labels], np.bool_)


def _part_at(mask: Mask, point: tuple[int, int]) -> Mask:
    """The connected part at a point; all parts where the point is in none."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels == labels[point], np.bool_) if mask[point] else mask


def _check_found(found: Mask, question: Question, prompt: Prompt) -> None:
    """Refuse an answer that is nothing, everything, or only what lies along the sides.

    Raises:
        ObjectNotFoundError: it is.
    """
    allowed, area = question.allowed, float(found.sum())
    share = area / float(allowed.sum())
    if area < LEAST or (share < LEAST_SHARE and question.point is None):
        raise ObjectNotFoundError(
            f"No object was found in {prompt.name}.",
            hint="Draw the box closer around the object, or outline it with --polygon.",
        )
    if share > MOST_SHARE and not _has_edge(question.rgb, allowed):
        raise ObjectNotFoundError(
            f"No edge of an object was found in {prompt.name}: all of it looks alike.",
            hint="Leave some background in the box, or fill the box itself with fill --box.",
        )
    if _is_only_rim(found, allowed):
        raise ObjectNotFoundError(
            f"Only the sides of {prompt.name} were found, nothing in its middle.",
            hint="Draw the box closer around the object, or outline it with --polygon.",
        )


def _has_edge(rgb: NDArray[np.uint8], mask: Mask) -> bool:
    """Whether the photo has an edge along the outline of a mask, as far as that is in the photo."""
    kernel = np.ones((3, 3), np.uint8)
    part = mask.astype(np.uint8)
    outline = cv2.dilate(part, kernel) != cv2.erode(part, kernel)
    if not outline.any():
        return False
    levels = rgb.astype(np.float32)
    across, down = (cv2.Sobel(levels, cv2.CV_32F, *axis, scale=0.125) for axis in ((1, 0), (0, 1)))
    return bool(np.hypot(across, down).max(axis=2)[outline].mean() >= EDGE)


def _is_only_rim(found: Mask, allowed: Mask) -> bool:
    depth = cv2.distanceTransform(
        np.pad(allowed, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5
    )[1:-1, 1:-1]
    rim = allowed & (depth <= 2 * RIM * float(depth.max()))
    return float((found & rim).sum()) > RIM_SHARE * float(found.sum())
