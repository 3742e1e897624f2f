"""Shapes drawn into masks: a pixel belongs to a shape where its centre does.

Coordinates are (x, y) in pixels from the picture's upper left corner, so that the centre of the
first pixel is (0.5, 0.5). What lies outside the picture is cut off.
"""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box

Points = NDArray[np.float64]
"""(n, 2): x and y of each point."""
CROSSINGS_AT_ONCE = 4_000_000
"""Crossings of edges and rows that are held in memory; a polygon of 10,000 points may have more."""


def pixels_within(low: float, high: float, side: int) -> tuple[int, int]:
    """The first pixel whose centre is in [low, high), and the one after the last."""
    first = min(max(math.ceil(low - 0.5), 0), side)
    return first, max(first, min(math.ceil(high - 0.5), side))


def region_within(left: float, top: float, right: float, bottom: float, mask: Mask) -> Box:
    """The pixels of a mask whose centres lie between these sides; perhaps none."""
    first_row, last_row = pixels_within(top, bottom, mask.shape[0])
    first_column, last_column = pixels_within(left, right, mask.shape[1])
    return Box(first_row, first_column, last_row, last_column)


def draw_rectangle(mask: Mask, left: float, top: float, right: float, bottom: float) -> None:
    """Set the pixels of a rectangle."""
    mask[region_within(left, top, right, bottom, mask).slices] = True


def draw_polygon(mask: Mask, points: Points) -> None:
    """Set the pixels inside a polygon by the even-odd rule; it is closed from last to first point.

    A pixel is inside where the ray from its centre to the left crosses an odd number of edges.
    """
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    region = region_within(left, top, right, bottom, mask)
    if not region.height or not region.width:
        return
    toggles = np.zeros((region.height, region.width + 1), np.uint8)
    start, end = points, np.roll(points, -1, axis=0)
    rows = np.clip(np.ceil(np.stack([start[:, 1], end[:, 1]]) - 0.5), region.top, region.bottom)
    first, last = rows.min(axis=0).astype(np.int64), rows.max(axis=0).astype(np.int64)
    for part in _parts(last - first):
        _toggle(toggles, region, (start[part], end[part]), (first[part], last[part]))
    inside = np.bitwise_xor.accumulate(toggles, axis=1)[:, :-1]
    mask[region.slices] |= inside.astype(np.bool_)


def _parts(counts: NDArray[np.int64]) -> list[slice]:
    """Slices of edges that have together about CROSSINGS_AT_ONCE crossings."""
    number = np.cumsum(counts) // CROSSINGS_AT_ONCE
    ends = [*np.flatnonzero(np.diff(number)) + 1, len(counts)]
    return [slice(low, high) for low, high in zip([0, *ends[:-1]], ends, strict=True)]


def _toggle(
    toggles: NDArray[np.uint8],
    region: Box,
    edges: tuple[Points, Points],
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Flip, in each row, the first pixel to the right of every crossing with an edge."""
    (start, end), (first, last) = edges, rows
    counts = last - first
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    (xa, ya), (xb, yb) = start[edge].T, end[edge].T
    x = xa + (row + 0.5 - ya) * (xb - xa) / (yb - ya)
    column = np.clip(np.ceil(x - 0.5), region.left, region.right).astype(np.int64) - region.left
    np.bitwise_xor.at(toggles, (row - region.top, column), np.uint8(1))


def draw_ellipse(
    mask: Mask, centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0
) -> None:
    """Set the pixels of an ellipse.

    Args:
        mask: where to draw.
        centre: x and y.
        radii: along its own first and second axis.
        angle: from the x axis to the first axis, in radians, clockwise as seen.
    """
    x, y = centre
    if min(radii) <= 0:
        return
    cos, sin = math.cos(angle), math.sin(angle)
    half_width = math.hypot(radii[0] * cos, radii[1] * sin)
    half_height = math.hypot(radii[0] * sin, radii[1] * cos)
    region = region_within(x - half_width, y - half_height, x + half_width, y + half_height, mask)
    rows = np.arange(region.top, region.bottom)[:, None] + 0.5 - y
    columns = np.arange(region.left, region.right)[None] + 0.5 - x
    along = (columns * cos + rows * sin) / radii[0]
    across = (rows * cos - columns * sin) / radii[1]
    mask[region.slices] |= along**2 + across**2 <= 1


def draw_line(mask: Mask, points: Points, width: float) -> None:
    """Set the pixels of a line through points, `width` wide, with round ends."""
    radius = width / 2
    for x, y in points:
        draw_ellipse(mask, (x, y), (radius, radius))
    for start, end in pairwise(points):
        along = end - start
        length = math.hypot(along[0], along[1])
        if length:
            side = np.array([-along[1], along[0]]) * (radius / length)
            draw_polygon(mask, np.stack([start + side, end + side, end - side, start - side]))
