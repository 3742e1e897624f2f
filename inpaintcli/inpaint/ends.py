"""Where contours of a photo run into a hole: places, directions and the colours beside them.

Line segments are found by LSD (Grompone von Gioi et al. 2010, "LSD: A fast line segment detector
with a false detection control"), in lightness and in colour, and fitted to the steepest slope once
more before the hole: what is drawn on from there is as straight as the fit. Places are (x, y) in
pixels, masks bool.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.pyramid import Bools, Floats

Points = NDArray[np.float64]

LEAST_LENGTH = 6
"""Pixels of a contour to be seen before the hole."""
BEFORE = 10
"""Pixels before the hole, at most, where a contour may be lost sight of."""
LOCAL = 40
"""Pixels before the hole that tell where a contour heads."""
LOOKS = 9
"""Places along a contour where it is asked how far the hole is, before it is looked at closely."""
MOST_ENDS = 1000
"""The longest contours are taken where there are more: it bounds the time."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Where contours of the known picture run into a hole; n of them, those of the longest first.

    at: (n, 2) x and y, on the rim. heading: (n, 2) unit vectors into the hole. length: (n) pixels
    of contour before the rim. sides: (n, 2, channels) mean colours beside it, first on the side of
    the heading's `normal`. noise: (n) their standard deviation.
    """

    at: Points
    heading: Points
    length: Points
    sides: Points
    noise: Points

    def __len__(self) -> int:
        return len(self.at)

    def contrast(self) -> Points:
        """(n): mean difference between the two sides."""
        return np.asarray(np.abs(self.sides[:, 0] - self.sides[:, 1]).mean(1), np.float64)


@dataclass(frozen=True, eq=False)
class _End:
    at: Points
    heading: Points
    length: float
    sides: Points
    noise: float


def find_ends(picture: Floats, known: Bools) -> Ends:
    """Ends of the contours of a picture, (h, w, 1 or 3) in 0 to 255, at the rim of the known."""
    unknown: Floats = (~known).astype(np.float32)
    near = np.asarray(cv2.dilate(unknown, np.ones((3, 3))) > 0, np.bool_)
    clear = (~near).astype(np.uint8)
    away = np.asarray(cv2.distanceTransform(clear, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)
    found = chain.from_iterable(
        islice(_Plane(shades, near, away, picture, unknown).ends(), MOST_ENDS)
        for shades in _planes(picture)
    )
    ends = sorted(found, key=lambda end: -end.length)[:MOST_ENDS]
    return Ends(
        np.array([end.at for end in ends]).reshape(-1, 2),
        np.array([end.heading for end in ends]).reshape(-1, 2),
        np.array([end.length for end in ends]),
        np.array([end.sides for end in ends]).reshape(-1, 2, picture.shape[2]),
        np.array([end.noise for end in ends]),
    )


def normal(unit: Points) -> Points:
    """(..., 2) vectors turned by a quarter, from x to y."""
    return np.stack([-unit[..., 1], unit[..., 0]], axis=-1)


def looked_up(mask: Bools, places: Points) -> tuple[Bools, Bools]:
    """(n), (n): whether a mask is True at (n, 2) places; whether they are in the picture."""
    height, width = mask.shape
    x, y = np.rint(places).astype(int).T
    there = np.asarray((x >= 0) & (y >= 0) & (x < width) & (y < height), np.bool_)
    found = there.copy()
    found[there] = mask[y[there], x[there]]
    return found, there


def sampled(picture: Floats, places: Points) -> Floats:
    """(..., channels): a picture, (h, w) or (h, w, channels), at (..., 2) places."""
    x, y = (np.ascontiguousarray(places[..., axis].reshape(-1, 1), np.float32) for axis in (0, 1))
    found = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(*places.shape[:-1], -1)


def _planes(picture: Floats) -> Iterator[NDArray[np.uint8]]:
    """(h, w) each: lightness, and two of colour, for things as light as what is behind them."""
    rounded = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    if picture.shape[2] == 1:
        yield np.ascontiguousarray(rounded[..., 0])
        return
    yield np.asarray(cv2.cvtColor(rounded, cv2.COLOR_RGB2GRAY), np.uint8)
    _, *colours = cv2.split(np.asarray(cv2.cvtColor(rounded, cv2.COLOR_RGB2Lab)))
    yield from (np.asarray(colour, np.uint8) for colour in colours)


@dataclass(frozen=True, eq=False)
class _Plane:
    """One plane of a picture, and what is known of it.

    near: True where it is unknown, and one pixel around. away: pixels from there, within 2 %.
    unknown: 1 where it is, else 0.
    """

    shades: NDArray[np.uint8]
    near: Bools
    away: Floats
    picture: Floats
    unknown: Floats

    def ends(self) -> Iterator[_End]:
        """Those of the longest segments first."""
        smooth = np.asarray(cv2.GaussianBlur(self.shades, (0, 0), 1.0), np.float32)
        found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(self.shades)[0]
        segments: Points = np.zeros((0, 4)) if found is None else np.asarray(found, np.float64)
        segments = segments.reshape(-1, 2, 2)
        lengths = np.hypot(*(segments[:, 1] - segments[:, 0]).T)
        segments, lengths = (a[lengths >= LEAST_LENGTH] for a in (segments, lengths))
        likely = self._may_come_near(segments, lengths)
        segments, lengths = segments[likely], lengths[likely]
        for number in np.argsort(-lengths, kind="stable"):
            yield from self._ends_of(smooth, *segments[number])

    def _may_come_near(self, segments: Points, lengths: Points) -> Bools:
        """(n): False for segments that are too far from what is unknown; most are."""
        half = (segments[:, 1] - segments[:, 0]) * (0.5 + BEFORE / lengths)[:, None]
        along = np.linspace(-1, 1, LOOKS)[:, None, None]
        last = np.array(self.away.shape[::-1]) - 1
        x, y = np.rint(np.clip(segments.mean(1) + along * half, 0, last)).astype(int).T
        between = np.hypot(*half.T) / (LOOKS - 1)
        return np.asarray((self.away[y, x] <= 1.05 * between[:, None] + 2).any(1), np.bool_)

    def _ends_of(self, smooth: Floats, start: Points, end: Points) -> Iterator[_End]:
        """Where a segment, or what it goes on to, comes out of the known picture."""
        length = math.dist(start, end)
        unit = (end - start) / length
        steps = np.arange(-BEFORE, length + BEFORE + 0.5)
        hit, there = looked_up(self.near, start + unit * steps[:, None])
        seen = there & ~hit
        for first, last in _runs(seen) if hit.any() else ():
            run = steps[first:last]
            run = run[(run >= 0) & (run <= length)]
            if run.size < LEAST_LENGTH:
                continue
            offsets, strength = _offsets(smooth, start, unit, run)
            for rim, beyond, sign in ((first, first - 1, -1), (last - 1, last, 1)):
                local = np.abs(run - steps[rim]) <= LOCAL
                size = int(np.count_nonzero(local))
                if not (0 <= beyond < steps.size and hit[beyond]) or size < LEAST_LENGTH:
                    continue
                shift, slope = _line(run[local], offsets[local], strength[local])
                at = start + unit * steps[rim] + normal(unit) * (shift + slope * steps[rim])
                heading = sign * (unit + slope * normal(unit)) / math.hypot(1, slope)
                beside = self._beside(at, heading, size)
                if beside is not None:
                    yield _End(at, heading, last - first, *beside)

    def _beside(self, at: Points, heading: Points, length: int) -> tuple[Points, float] | None:
        """Mean colours, 2 to 5 pixels to either side, and their deviation; None where too few."""
        back = heading * np.arange(1, min(12, length))[:, None, None]
        sides, noises = [], []
        for sign in (1, -1):
            places = at - back + sign * normal(heading) * np.arange(2, 6)[:, None]
            clear = sampled(self.unknown, places)[..., 0] < 0.01
            if np.count_nonzero(clear) < 5:
                return None
            colours = sampled(self.picture, places)[clear].astype(np.float64)
            sides.append(colours.mean(0))
            noises.append(colours.std(0).mean())
        return np.stack(sides), float(np.mean(noises))


def _runs(mask: Bools) -> list[tuple[int, int]]:
    """First and one past the last of each run of True."""
    changes = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [(int(first), int(last)) for first, last in changes.reshape(-1, 2)]


def _offsets(smooth: Floats, start: Points, unit: Points, run: Points) -> tuple[Points, Points]:
    """(n), (n): how far beside a segment the steepest slope is, at each step; its strength."""
    beside = np.arange(-2, 2.01, 0.5)
    places = start + unit * run[:, None, None] + normal(unit) * beside[:, None]
    values = sampled(smooth, places)[..., 0].astype(np.float64)
    power = np.square(values[:, 2:] - values[:, :-2]) + 1e-3
    strength = power.sum(1)
    return (power * beside[1:-1]).sum(1) / strength, strength


def _line(x: Points, y: Points, weights: Points) -> tuple[float, float]:
    """Value at 0 and slope of the line through points, by weighted least squares."""
    middle_x, middle_y = np.average(x, weights=weights), np.average(y, weights=weights)
    spread = np.average(np.square(x - middle_x), weights=weights)
    slope = np.average((x - middle_x) * (y - middle_y), weights=weights) / max(spread, 1e-6)
    return float(middle_y - slope * middle_x), float(slope)
