"""Carries contours of the photo through a hole: what is straight on both sides goes on between.

A network that was trained briefly knows that a window's frame goes on behind what is taken out, but
draws it as a blur; and patches, which follow the network, make a ragged thing of it. So two ends of
contours at the rim of the hole are joined where one continues the other and the colours on both
their sides agree, as level lines are in Masnou and Morel 1998, "Level lines based disocclusion";
what is beside them is carried along the join, which bends if it has to (a cubic Hermite curve). A
long contour that the hole follows to the border of the photo goes straight on to there.

What is drawn is a start for the texture pass, which gives it the texture of the photo: a band, full
on the contour, fading to what the network has. The bounds are measured on photos of the training
set: docs/log.md. Corners and ends that stop somewhere in the hole are not drawn: most would be
further from the truth than the network's blur.

Pure functions over arrays; places are (x, y) in pixels, masks bool.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.regions import bounding_box
from inpaintcli.inpaint.ends import (
    LEAST_LENGTH,
    Ends,
    Points,
    find_ends,
    looked_up,
    normal,
    sampled,
)
from inpaintcli.texture.pyramid import Bools, Floats

WIDEST = 256.0
"""Thickness of a hole, in pixels, from which on contours are looked for on a smaller scale."""
MARGIN = 72
"""Pixels of photo around a hole that are looked at, on that scale."""
LEAST_CONTRAST = 3.0
"""Of 255, between the two sides of a contour."""
MOST_ANGLE = math.radians(25)
"""Between where an end heads and the straight line to the other."""
BEND = (1.4, 0.035)
"""How far a join may swing out: pixels, and pixels for each of its length."""
UNLIKE = (8.0, 0.35, 0.6)
"""How far the colours of two ends may differ: of 255, and as a share of their contrast, and of the
deviation beside them."""
LONG = 0.07
"""What a join costs for each length of the shorter contour that it spans."""
UNCLEAR = 5e-5
"""What it costs for each pixel of its length and each level of the deviation beside its ends: in
leaves, lines continue each other by chance."""
MOST_LENGTH = 80.0
"""Pixels; longer contours count as so long."""
MOST_LENGTHS = 8.0
"""Of the shorter contour, that a join may span."""
MOST_COST = 1.6
"""Of a join: swing and difference in colours, as shares of what each may be, and the rest."""
LEAST_INSIDE = 0.8
"""Share of a join's length that is in the hole."""
SAME = 2.0
"""Pixels between the ends of two joins that are one."""
BORDER_LENGTH = 40.0
BORDER_CONTRAST = 5.0
BORDER_LENGTHS = 0.75
"""Least pixels and contrast of a contour that goes on to the border of the photo; lengths of it
that it may go."""
WIDTH = 0.25
"""Half the width of what is drawn, for each pixel of a join's length..."""
WIDTHS = (6, 24)
"""... in pixels, at least and at most."""
ALONG = 10
"""Pixels before the hole whose mean is carried on."""


@dataclass(frozen=True)
class Join:
    """A contour through a hole: from an end to another one, or to the border of the photo.

    first, second: numbers of ends; the second is None at the border. gap: length of the straight
    line in pixels.
    """

    first: int
    second: int | None
    gap: float


def continued(start: Floats, hole: Bools, known: Bools) -> tuple[Floats, int]:
    """A start with the contours around the hole carried through it.

    Args:
        start: (h, w, 1 or 3) in 0 to 255: a smooth fill.
        hole: (h, w) bool, True where contours may be drawn.
        known: (h, w) bool, True where the picture is known. Contours may lead through what is
            neither, and are not drawn there. The hole touches the border of these arrays only where
            the photo ends.

    Returns:
        The start with them, unchanged outside the hole, and how many there are.
    """
    window = _window(hole)
    if window is None:
        return start, 0
    inside, scale = window
    size = hole[inside].shape[::-1]
    smaller = size if scale == 1 else tuple(max(1, round(side * scale)) for side in size)
    picture = _resized(start[inside], smaller, cv2.INTER_AREA)
    target, seen = (
        _resized(mask[inside][..., None], smaller, cv2.INTER_AREA)[..., 0] > 0.5
        for mask in (hole, known)
    )
    ends = find_ends(picture, seen)
    joins = join(ends, ~seen, target)
    if not joins:
        return start, 0
    change = _drawn(picture, target, seen, ends, joins) - picture
    answer = start.copy()
    answer[inside] += _resized(change, size, cv2.INTER_CUBIC) * hole[inside][..., None]
    return np.clip(answer, 0, 255, out=answer), len(joins)


def _window(hole: Bools) -> tuple[tuple[slice, slice], float] | None:
    """The part of a picture that is looked at, and its scale; None without a hole."""
    box = bounding_box(hole)
    if box is None:
        return None
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    scale = min(1.0, WIDEST / max(1.0, 2 * float(depth.max())))
    return box.grown(math.ceil(MARGIN / scale), *hole.shape).slices, scale


def _resized(pixels: NDArray[Any], size: tuple[int, ...], how: int) -> Floats:
    """(h, w, c) to a size of (w, h); OpenCV drops a single channel."""
    if size == pixels.shape[1::-1]:
        return pixels.astype(np.float32)
    resized = cv2.resize(pixels.astype(np.float32), (size[0], size[1]), interpolation=how)
    return np.asarray(resized, np.float32).reshape(size[1], size[0], pixels.shape[2])


# ---- which end continues which


def join(ends: Ends, unknown: Bools, hole: Bools) -> list[Join]:
    """Joins between ends, the best first, then to the border; each end is used once, none crossed.

    Args:
        ends: from `find_ends`.
        unknown: (h, w) bool, where joins may lead.
        hole: (h, w) bool, where they may lead to the border.
    """
    cost, gap = _costs(ends)
    pairs = np.argwhere(cost <= MOST_COST)
    free = np.ones(len(ends), np.bool_)
    joins: list[Join] = []
    drawn: Points = np.zeros((0, 2, 2))
    for first, second in pairs[np.argsort(cost[tuple(pairs.T)], kind="stable")]:
        if not (free[first] and free[second]):
            continue
        line = ends.at[[first, second]]
        if _share(unknown, line) >= LEAST_INSIDE and not _clashes(line, drawn):
            free[[first, second]] = False
            joins.append(Join(int(first), int(second), float(gap[first, second])))
            drawn = np.concatenate([drawn, line[None]])
    plain = (ends.length >= BORDER_LENGTH) & (ends.contrast() > BORDER_CONTRAST)
    for end in map(int, np.flatnonzero(free & plain)):
        way = _to_border(ends, end, hole)
        if way is not None:
            line = np.stack([ends.at[end], ends.at[end] + way * ends.heading[end]])
            if not _clashes(line, drawn):
                joins.append(Join(end, None, way))
                drawn = np.concatenate([drawn, line[None]])
    return joins


def _costs(ends: Ends) -> tuple[Points, Points]:
    """(n, n), (n, n): what the join of two ends costs, above the diagonal; how long it is."""
    ways = ends.at[None] - ends.at[:, None]
    gap = np.hypot(ways[..., 0], ways[..., 1])
    units = ways / np.maximum(gap, 1e-9)[..., None]
    angles = np.arccos(np.clip((units * ends.heading[:, None]).sum(2), -1, 1))
    shorter = np.minimum(ends.length[:, None], ends.length[None])
    contrasts, noises = ends.contrast(), ends.noise
    contrast = np.minimum(contrasts[:, None], contrasts[None])
    noise = np.maximum(noises[:, None], noises[None])
    unlike = np.abs(ends.sides[:, None] - ends.sides[None, :, ::-1]).mean((2, 3))
    swing = gap * np.sin(np.minimum((angles + angles.T) / 2, np.pi / 2))
    cost = (
        swing / (BEND[0] + BEND[1] * gap)
        + unlike / (UNLIKE[0] + UNLIKE[1] * contrast + UNLIKE[2] * noise)
        + LONG * gap / np.clip(shorter, 1, MOST_LENGTH)
        + UNCLEAR * gap * noise
    )
    possible = (np.maximum(angles, angles.T) < MOST_ANGLE) & (contrast > LEAST_CONTRAST)
    possible &= (gap >= LEAST_LENGTH) & (gap <= MOST_LENGTHS * shorter)
    return np.where(np.triu(possible, 1), cost, np.inf), gap


def _share(mask: Bools, line: Points) -> float:
    """Of a line's length, but for its ends, that is in a mask."""
    length = math.dist(*line)
    steps = np.arange(2, length - 1)[:, None] / length
    found, _ = looked_up(mask, line[0] + (line[1] - line[0]) * steps)
    return float(found.mean())


def _clashes(line: Points, others: Points) -> bool:
    """Whether a line, (2, 2), crosses one of the others, (n, 2, 2), or is one of them.

    A contour that both lightness and colour show has two ends on each side.
    """
    a, b = line
    c, d = others[:, 0], others[:, 1]
    ways = np.hypot(*np.moveaxis(others[:, None] - np.stack([[a, b], [b, a]]), -1, 0))
    if (ways.max(2) < SAME).any():
        return True

    def side(p: Points, q: Points, r: Points) -> Points:
        u, v = q - p, r - p
        return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0], np.float64)

    apart = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    return bool(apart.any())


def _to_border(ends: Ends, end: int, hole: Bools) -> float | None:
    """Pixels to where an end would leave the photo; None where it leaves the hole before."""
    steps = np.arange(2, sum(hole.shape))
    found, there = looked_up(hole, ends.at[end] + ends.heading[end] * steps[:, None])
    way = int(np.argmin(found))
    if found[way] or there[way] or way + 2 > BORDER_LENGTHS * ends.length[end] or way < 4:
        return None
    return float(way + 1)


# ---- what is drawn


def _drawn(picture: Floats, hole: Bools, known: Bools, ends: Ends, joins: list[Join]) -> Floats:
    """The picture with the joins; where two are near, the nearer one counts."""
    unknown: Floats = (~known).astype(np.float32)
    nearest = np.where(hole, np.float32(np.inf), np.float32(-1))
    colours, weight = picture.copy(), np.zeros(hole.shape, np.float32)
    for one in joins:
        band = _band(ends, one, hole.shape)
        far = np.abs(band.beside)
        nearer = band.within & (far < nearest[band.place])
        shown, sure = _shown(picture, unknown, ends, one, band)
        fading = np.square(1 - np.square(np.minimum(far / np.float32(band.half), 1)))
        np.copyto(nearest[band.place], far, where=nearer)
        np.copyto(colours[band.place], shown, where=nearer[..., None])
        np.copyto(weight[band.place], sure * fading, where=nearer)
    return picture + weight[..., None] * (colours - picture)


@dataclass(frozen=True, eq=False)
class _Band:
    """Where a join is drawn.

    place: slices of the picture. along: (h, w) 0 at the first end to 1 at the other. beside: (h, w)
    pixels from the contour, to the side of its normal. half: of its width. within: (h, w) bool.
    """

    place: tuple[slice, slice]
    along: Floats
    beside: Floats
    half: int
    within: Bools


def _band(ends: Ends, one: Join, shape: tuple[int, ...]) -> _Band:
    """Pixels in the frame of the straight line, from which the curve bends away."""
    first, heading = ends.at[one.first], ends.heading[one.first]
    last = first + heading * one.gap if one.second is None else ends.at[one.second]
    unit = (last - first) / one.gap
    half = int(np.clip(WIDTH * one.gap, *WIDTHS))
    low = np.floor(np.minimum(first, last)).astype(int) - half - 2
    high = np.ceil(np.maximum(first, last)).astype(int) + half + 3
    (left, top), (right, bottom) = np.maximum(low, 0), np.minimum(high, shape[::-1])
    y, x = np.indices((bottom - top, right - left), np.float32)
    x, y = x + np.float32(left - first[0]), y + np.float32(top - first[1])
    along = x * np.float32(unit[0]) + y * np.float32(unit[1])
    beside = y * np.float32(unit[0]) - x * np.float32(unit[1])
    share = np.clip(along / np.float32(one.gap), 0, 1)
    if one.second is not None:
        across = normal(unit)
        slopes = [end @ across / (end @ unit) for end in (heading, ends.heading[one.second])]
        beside -= np.float32(one.gap) * _hermite(share, *map(float, slopes))
    within = (along > -2) & (along < one.gap + 2) & (np.abs(beside) < half)
    return _Band((slice(top, bottom), slice(left, right)), share, beside, half, within)


def _hermite(share: Floats, first: float, last: float) -> Floats:
    """How far to the side a cubic curve is, on a way of 1, with these slopes at its ends."""
    rest = share - 1
    return np.asarray(share * rest * (np.float32(first) * rest + np.float32(last) * share))


def _shown(
    picture: Floats, unknown: Floats, ends: Ends, one: Join, band: _Band
) -> tuple[Floats, Floats]:
    """(h, w, channels), (h, w): what is across a contour before and after the hole; how sure it is.

    Mixed by the way between the two.
    """
    profiles = [_profile(picture, unknown, ends, one.first, band.half)]
    shares = [np.ones_like(band.along)]
    if one.second is not None:
        colours, seen = _profile(picture, unknown, ends, one.second, band.half)
        profiles.append((colours[::-1], seen[::-1]))  # it heads the other way
        shares = [1 - band.along, band.along]
    rows = np.clip(band.beside + band.half, 0, 2 * band.half)
    total: Floats = np.zeros((*rows.shape, picture.shape[2]), np.float32)
    sure: Floats = np.zeros(rows.shape, np.float32)
    for (colours, seen), share in zip(profiles, shares, strict=True):
        weight = share * _between(seen, rows) + np.float32(1e-6)
        total += weight[..., None] * _between(colours, rows)
        sure += weight
    return total / sure[..., None], np.minimum(2 * sure, 1)


def _profile(
    picture: Floats, unknown: Floats, ends: Ends, end: int, half: int
) -> tuple[Floats, Floats]:
    """(2 half + 1, channels), (2 half + 1): mean colours across an end; how well they are known."""
    heading = ends.heading[end]
    back = heading * np.arange(1, min(ALONG, ends.length[end]))[:, None, None]
    places = ends.at[end] - back + normal(heading) * np.arange(-half, half + 1)[:, None]
    clear = (sampled(unknown, places)[..., 0] < 0.01).astype(np.float32)
    count = clear.sum(0)
    total = (sampled(picture, places) * clear[..., None]).sum(0)
    return total / np.maximum(count, 1)[:, None], np.minimum(count / 3, 1)


def _between(values: Floats, rows: Floats) -> Floats:
    """Rows of an array at places between them."""
    low = np.floor(rows).astype(int)
    high = np.minimum(low + 1, len(values) - 1)
    rest = (rows - low).reshape(*rows.shape, *[1] * (values.ndim - 1)).astype(np.float32)
    return np.asarray(values[low] + rest * (values[high] - values[low]), np.float32)
