"""Continues contours of the photo through a hole: what is straight on both sides goes on between.

A network that was trained briefly knows that a window's frame continues behind the hole, but draws
it as a blur; and patches, which follow the network, make it ragged. So two ends of contours at the
boundary of the hole are joined where one continues the other and the colours on both their sides
agree, as level lines are in Masnou and Morel 1998, "Level lines based disocclusion"; the colours
beside them are carried along the join, which bends if it has to (a cubic Hermite curve). A long
contour that the hole follows to the border of the photo is continued straight to there.

The result is the initial fill of patch synthesis, which gives it the texture of the photo: a band,
opaque on the contour, fading to the network's fill. The bounds are measured on photos of the
training set. Corners, and contours that end within the hole, are not drawn: most would be further
from the truth than the network's blur.

Pure functions over arrays; positions are (x, y) in pixels, masks bool.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.regions import bounding_box
from inpaintcli.inpaint.contour_ends import (
    ContourEnds,
    find_contour_ends,
    normal,
    sample,
)
from inpaintcli.inpaint.contour_joins import Join, find_joins
from inpaintcli.texture.pyramid import Bools, Floats

MAX_THICKNESS = 256.0
"""Thickness of a hole, in pixels, above which contours are found at a smaller scale."""
MARGIN = 72
"""Pixels of photo around a hole that contours are found in, at that scale."""
BORDER_MARGIN = 320
"""The same around a hole at the border of the photo, where it tells how straight a contour is."""
HALF_WIDTH = 0.25
"""Half the width of the band that is drawn, for each pixel of a join's length."""
HALF_WIDTH_RANGE = (6, 24)
"""Least and most of that, in pixels."""
PROFILE_LENGTH = 10
"""Pixels before the hole whose mean colours are carried along the join."""


def continue_contours(filled: Floats, hole: Bools, known: Bools) -> tuple[Floats, int]:
    """Continue the contours around a hole through its blurred fill.

    Args:
        filled: (h, w, 1 or 3) float32 in 0 to 255: the picture, the hole filled.
        hole: (h, w) bool, True where contours may be drawn.
        known: (h, w) bool, True where the picture is known. Contours may lead through pixels that
            are neither, and are not drawn there. The hole touches the border of these arrays only
            where the photo ends.

    Returns:
        The picture with the contours, unchanged outside the hole, and their number.
    """
    window = _window(hole)
    if window is None:
        return filled, 0
    inside, scale = window
    size = hole[inside].shape[::-1]
    smaller = size if scale == 1 else tuple(max(1, round(side * scale)) for side in size)
    picture = _resized(filled[inside], smaller, cv2.INTER_AREA)
    target, source = (
        _resized(mask[inside][..., None], smaller, cv2.INTER_AREA)[..., 0] > 0.5
        for mask in (hole, known)
    )
    ends = find_contour_ends(picture, source)
    ends, joins = find_joins(picture, target, source, ends)
    if not joins:
        return filled, 0
    change = _drawn(picture, target, source, ends, joins) - picture
    answer = filled.copy()
    answer[inside] += _resized(change, size, cv2.INTER_CUBIC) * hole[inside][..., None]
    return np.clip(answer, 0, 255, out=answer), len(joins)


def _window(hole: Bools) -> tuple[tuple[slice, slice], float] | None:
    """The part of a picture that contours are found in, and its scale; None without a hole."""
    box = bounding_box(hole)
    if box is None:
        return None
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    scale = min(1.0, MAX_THICKNESS / max(1.0, 2 * float(depth.max())))
    height, width = hole.shape
    at_border = 0 in (box.top, box.left) or box.bottom == height or box.right == width
    margin = BORDER_MARGIN if at_border else MARGIN
    return box.grown(math.ceil(margin / scale), *hole.shape).slices, scale


def _resized(pixels: NDArray[Any], size: tuple[int, ...], interpolation: int) -> Floats:
    """(h, w, c) to a size of (w, h); OpenCV drops a single channel."""
    if size == pixels.shape[1::-1]:
        return pixels.astype(np.float32)
    resized = cv2.resize(pixels.astype(np.float32), (size[0], size[1]), interpolation=interpolation)
    return np.asarray(resized, np.float32).reshape(size[1], size[0], pixels.shape[2])


def _drawn(
    picture: Floats, hole: Bools, known: Bools, ends: ContourEnds, joins: list[Join]
) -> Floats:
    """The picture with the joins; between two joins, the nearer one counts."""
    unknown: Floats = (~known).astype(np.float32)
    nearest = np.where(hole, np.float32(np.inf), np.float32(-1))
    colours, weight = picture.copy(), np.zeros(hole.shape, np.float32)
    for join in joins:
        band = _band(ends, join, hole.shape)
        distance = np.abs(band.across)
        nearer = band.within & (distance < nearest[band.slices])
        found, certainty = _band_colours(picture, unknown, ends, join, band)
        opacity = np.square(1 - np.square(np.minimum(distance / np.float32(band.half_width), 1)))
        np.copyto(nearest[band.slices], distance, where=nearer)
        np.copyto(colours[band.slices], found, where=nearer[..., None])
        np.copyto(weight[band.slices], certainty * opacity, where=nearer)
    return picture + weight[..., None] * (colours - picture)


@dataclass(frozen=True, eq=False)
class _Band:
    """Coordinates along and across a join.

    slices: of the picture. along: (h, w) 0 at the first end to 1 at the other. across: (h, w)
    signed pixels from the contour, to the side of its normal. half_width: in pixels. within: (h, w)
    bool, True in the band.
    """

    slices: tuple[slice, slice]
    along: Floats
    across: Floats
    half_width: int
    within: Bools


def _band(ends: ContourEnds, join: Join, shape: tuple[int, ...]) -> _Band:
    """The band of a join: coordinates of the straight line, bent by the curve."""
    first, direction = ends.position[join.first], ends.direction[join.first]
    last = first + direction * join.length if join.second is None else ends.position[join.second]
    unit = (last - first) / join.length
    half = int(np.clip(HALF_WIDTH * join.length, *HALF_WIDTH_RANGE))
    low = np.floor(np.minimum(first, last)).astype(int) - half - 2
    high = np.ceil(np.maximum(first, last)).astype(int) + half + 3
    (left, top), (right, bottom) = np.maximum(low, 0), np.minimum(high, shape[::-1])
    y, x = np.indices((bottom - top, right - left), np.float32)
    x, y = x + np.float32(left - first[0]), y + np.float32(top - first[1])
    along = x * np.float32(unit[0]) + y * np.float32(unit[1])
    across = y * np.float32(unit[0]) - x * np.float32(unit[1])
    share = np.clip(along / np.float32(join.length), 0, 1)
    if join.second is not None:
        side = normal(unit)
        slopes = [v @ side / (v @ unit) for v in (direction, ends.direction[join.second])]
        across -= np.float32(join.length) * _hermite(share, *map(float, slopes))
    within = (along > -2) & (along < join.length + 2) & (np.abs(across) < half)
    return _Band((slice(top, bottom), slice(left, right)), share, across, half, within)


def _hermite(share: Floats, first: float, last: float) -> Floats:
    """Sideways offset of a cubic Hermite curve over a length of 1, by its slopes at the ends."""
    rest = share - 1
    return np.asarray(share * rest * (np.float32(first) * rest + np.float32(last) * share))


def _band_colours(
    picture: Floats, unknown: Floats, ends: ContourEnds, join: Join, band: _Band
) -> tuple[Floats, Floats]:
    """Colours of a band (h, w, channels), and their certainty (h, w), 0 to 1.

    Interpolated between the profiles across the contour before and after the hole.
    """
    profiles = [_profile(picture, unknown, ends, join.first, band.half_width)]
    shares = [np.ones_like(band.along)]
    if join.second is not None:
        colours, known = _profile(picture, unknown, ends, join.second, band.half_width)
        profiles.append((colours[::-1], known[::-1]))  # its direction is the opposite one
        shares = [1 - band.along, band.along]
    rows = np.clip(band.across + band.half_width, 0, 2 * band.half_width)
    total: Floats = np.zeros((*rows.shape, picture.shape[2]), np.float32)
    certainty: Floats = np.zeros(rows.shape, np.float32)
    for (colours, known), share in zip(profiles, shares, strict=True):
        weight = share * _interpolated(known, rows) + np.float32(1e-6)
        total += weight[..., None] * _interpolated(colours, rows)
        certainty += weight
    return total / certainty[..., None], np.minimum(2 * certainty, 1)


def _profile(
    picture: Floats, unknown: Floats, ends: ContourEnds, end: int, half: int
) -> tuple[Floats, Floats]:
    """(2 half + 1, channels) mean colours across an end; (2 half + 1) 0 to 1, how well known."""
    direction = ends.direction[end]
    back = direction * np.arange(1, min(PROFILE_LENGTH, ends.length[end]))[:, None, None]
    positions = ends.position[end] - back + normal(direction) * np.arange(-half, half + 1)[:, None]
    clear = (sample(unknown, positions)[..., 0] < 0.01).astype(np.float32)
    count = clear.sum(0)
    total = (sample(picture, positions) * clear[..., None]).sum(0)
    return total / np.maximum(count, 1)[:, None], np.minimum(count / 3, 1)


def _interpolated(values: Floats, rows: Floats) -> Floats:
    """Rows of an array, linearly interpolated."""
    low = np.floor(rows).astype(int)
    high = np.minimum(low + 1, len(values) - 1)
    rest = (rows - low).reshape(*rows.shape, *[1] * (values.ndim - 1)).astype(np.float32)
    return np.asarray(values[low] + rest * (values[high] - values[low]), np.float32)
