"""From prompts to the mask of the objects, with the errors of a search that found none."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import Box, bounding_box
from inpaintcli.objects.segment.point_box import box_around_point
from inpaintcli.objects.segment.prompts import Prompt, box_of, question_of
from inpaintcli.objects.segment.segmenter import Segmenter

LEAST_SHARE = 0.01
"""Of the box: an object that covers less was not found."""
MOST_SHARE = 0.995
"""Of the box: what covers more is the box itself."""
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
    _check(found, question.allowed, prompt)
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


def _check(found: Mask, allowed: Mask, prompt: Prompt) -> None:
    """Refuse an answer that is nothing or everything.

    Raises:
        ObjectNotFoundError: it is.
    """
    share = float(found.sum()) / float(allowed.sum())
    if share < LEAST_SHARE:
        raise ObjectNotFoundError(
            f"No object was found in {prompt.name}.",
            hint="Draw the box closer around the object, or outline it with --polygon.",
        )
    extent = bounding_box(found)
    if share > MOST_SHARE and extent is not None and extent.size == found.shape:
        raise ObjectNotFoundError(
            f"No edge of an object was found in {prompt.name}: all of it looks alike.",
            hint="Leave some background in the box, or fill the box itself with fill --box.",
        )
