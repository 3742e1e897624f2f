"""Which pixels differ, and whether the hole explains it; of JPEG files by their coefficients."""

import importlib.util
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.formats.webp import WebpEncoding
from inpaintcli.imaging.picture import Mask, Picture, displayed, stored
from inpaintcli.verification.report import Box, PixelChanges

NEAR = 17
"""Pixels around a hole that coding JPEG anew may change where files are compared by values: the
rest of a unit of 16 pixels, and one that decoders smooth over."""


def compare_pixels(
    before: Picture, after: Picture, data: tuple[bytes, bytes], hole: Mask | None
) -> PixelChanges:
    """Compare two pictures of the same size and depth.

    Args:
        before: the photo.
        after: what was made of it.
        data: their files.
        hole: (h, w), True where they may differ; None where everywhere.
    """
    if _are_jpeg(before, after) and before.origin.orientation == after.origin.orientation:
        found = _by_coefficients(data, hole, before.origin.orientation)
        if found is not None:
            return found
    differ = np.asarray((before.pixels != after.pixels).any(axis=2), np.bool_)
    if before.alpha is not None or after.alpha is not None:
        differ |= np.asarray(_alpha(before) != _alpha(after), np.bool_)
    near = hole
    if hole is not None and _are_jpeg(before, after):
        kernel = np.ones((2 * NEAR + 1,) * 2, np.uint8)
        near = np.asarray(cv2.dilate(hole.astype(np.uint8), kernel)).astype(np.bool_)
    outside = differ & ~near if near is not None else np.zeros_like(differ)
    return PixelChanges(
        "values", int(differ.sum()), box_of(differ), int(outside.sum()), box_of(outside)
    )


def box_of(mask: Mask) -> Box | None:
    """The smallest box around all that is True."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def is_lossy(picture: Picture) -> bool:
    """Whether a picture's file codes pixels with loss."""
    encoding = picture.origin.encoding
    if isinstance(encoding, WebpEncoding):
        return not encoding.lossless
    return picture.origin.format == "JPEG"


def _are_jpeg(before: Picture, after: Picture) -> bool:
    return before.origin.format == after.origin.format == "JPEG"


def _alpha(picture: Picture) -> NDArray[Any]:
    """The alpha, also of an opaque picture."""
    if picture.alpha is not None:
        return picture.alpha
    most = np.iinfo(picture.pixels.dtype).max
    return np.full(picture.pixels.shape[:2], most, picture.pixels.dtype)


def _by_coefficients(
    data: tuple[bytes, bytes], hole: Mask | None, orientation: int
) -> PixelChanges | None:
    """The units (MCUs) whose coefficients differ; None where that cannot be told."""
    if importlib.util.find_spec("numba") is None:
        return None
    from inpaintcli.imaging.jpeg_blocks import checking
    from inpaintcli.imaging.jpeg_blocks.coefficients import read_coefficients
    from inpaintcli.imaging.jpeg_blocks.structure import SIDE, NotBlockwiseError
    from inpaintcli.imaging.jpeg_blocks.transform import any_sampled

    try:
        one, two = (read_coefficients(each) for each in data)
    except NotBlockwiseError:
        return None
    structure = one.structure
    if not checking.is_same_coding(structure, two.structure):
        return None
    planes = range(len(structure.components))
    touched = tuple((one.plane(n) != two.plane(n)).any(axis=2) for n in planes)
    units = checking.touched_units(structure, touched)
    down, across = (SIDE * factor for factor in structure.most)
    outside = np.zeros_like(units)
    if hole is not None:
        outside = units & ~any_sampled(stored(hole, orientation), down, across)
    boxes = []
    for mask in (units, outside):
        pixels = mask.repeat(down, axis=0).repeat(across, axis=1)
        boxes.append(box_of(displayed(pixels[: structure.height, : structure.width], orientation)))
    return PixelChanges("coefficients", int(units.sum()), boxes[0], int(outside.sum()), boxes[1])
