"""Finds where contours of a photo run into a hole: positions, directions and colours beside them.

Line segments are found by LSD (Grompone von Gioi et al. 2010, "LSD: A fast line segment detector
with a false detection control"), in lightness and in colour. Just before the hole each is fitted
again, to the steepest gradient: a contour is continued as straight as this fit. Positions are
(x, y) in pixels, masks bool.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.pyramid import Bools, Floats

Points = NDArray[np.float64]

MIN_LENGTH = 6
"""Pixels of a contour that must be known before the hole."""
MAX_GAP = 10
"""Pixels between the end of a line segment and the hole, at most."""
FIT_LENGTH = 40
"""Pixels before the hole that the direction of a contour is fitted to."""
PROBES = 9
"""Points along a segment at which the distance to the hole is looked up, before a closer look."""
MAX_ENDS = 1000
"""Where there are more, those of the longest contours are taken: it bounds the time."""


@dataclass(frozen=True, eq=False)
class ContourEnds:
    """Ends of contours of the known picture at a hole; n of them, those of the longest first.

    position: (n, 2) x and y, on the hole's boundary.
    direction: (n, 2) unit vectors into the hole.
    length: (n) pixels of contour before the boundary.
    side_colours: (n, 2, channels) mean colours beside it, first on the side of its `normal`.
    noise: (n) standard deviation of the colours of a side.
    """

    position: Points
    direction: Points
    length: Points
    side_colours: Points
    noise: Points

    def __len__(self) -> int:
        return len(self.position)

    def moved(self, number: int, position: Points, direction: Points) -> Self:
        """With another position and direction of one end."""
        positions, directions = self.position.copy(), self.direction.copy()
        positions[number], directions[number] = position, direction
        return replace(self, position=positions, direction=directions)

    def contrast(self) -> Points:
        """(n): mean difference between the two sides."""
        difference = np.abs(self.side_colours[:, 0] - self.side_colours[:, 1])
        return np.asarray(difference.mean(1), np.float64)


@dataclass(frozen=True, eq=False)
class _End:
    position: Points
    direction: Points
    length: float
    side_colours: Points
    noise: float


def find_contour_ends(picture: Floats, known: Bools) -> ContourEnds:
    """Ends of the contours of a picture where its known part ends.

    Args:
        picture: (h, w, 1 or 3) float32 in 0 to 255.
        known: (h, w) bool, True where the picture is known.
    """
    unknown: Floats = (~known).astype(np.float32)
    near = np.asarray(cv2.dilate(unknown, np.ones((3, 3))) > 0, np.bool_)
    clear = (~near).astype(np.uint8)
    distance = np.asarray(cv2.distanceTransform(clear, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)
    found = chain.from_iterable(
        islice(_Plane(shades, near, distance, picture, unknown).ends(), MAX_ENDS)
        for shades in _planes(picture)
    )
    ends = sorted(found, key=lambda end: -end.length)[:MAX_ENDS]
    return ContourEnds(
        np.array([end.position for end in ends]).reshape(-1, 2),
        np.array([end.direction for end in ends]).reshape(-1, 2),
        np.array([end.length for end in ends]),
        np.array([end.side_colours for end in ends]).reshape(-1, 2, picture.shape[2]),
        np.array([end.noise for end in ends]),
    )


def normal(unit: Points) -> Points:
    """(..., 2) vectors turned by a quarter, from x to y."""
    return np.stack([-unit[..., 1], unit[..., 0]], axis=-1)


def mask_at(mask: Bools, positions: Points) -> tuple[Bools, Bools]:
    """(n), (n): whether a mask is True at (n, 2) positions; whether they are in the picture."""
    height, width = mask.shape
    x, y = np.rint(positions).astype(int).T
    inside = np.asarray((x >= 0) & (y >= 0) & (x < width) & (y < height), np.bool_)
    found = inside.copy()
    found[inside] = mask[y[inside], x[inside]]
    return found, inside


def sample(picture: Floats, positions: Points) -> Floats:
    """(..., channels): a picture (h, w) or (h, w, channels), interpolated at positions (..., 2)."""
    x, y = (
        np.ascontiguousarray(positions[..., axis].reshape(-1, 1), np.float32) for axis in (0, 1)
    )
    found = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(*positions.shape[:-1], -1)


def _planes(picture: Floats) -> Iterator[NDArray[np.uint8]]:
    """(h, w) each: lightness and, for edges between colours of one lightness, two of colour."""
    rounded = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    if picture.shape[2] == 1:
        yield np.ascontiguousarray(rounded[..., 0])
        return
    yield np.asarray(cv2.cvtColor(rounded, cv2.COLOR_RGB2GRAY), np.uint8)
    _, *colours = cv2.split(np.asarray(cv2.cvtColor(rounded, cv2.COLOR_RGB2Lab)))
    yield from (np.asarray(colour, np.uint8) for colour in colours)


@dataclass(frozen=True, eq=False)
class _Plane:
    """One plane of a picture, and which part of it is known.

    shades: (h, w), the plane. near: (h, w) True where it is unknown, and one pixel around.
    distance: (h, w) pixels from inside, within 2 %. picture: (h, w, channels). unknown: (h, w) 1
    where it is, else 0.
    """

    shades: NDArray[np.uint8]
    near: Bools
    distance: Floats
    picture: Floats
    unknown: Floats

    def ends(self) -> Iterator[_End]:
        """Ends of contours, those of the longest segments first."""
        smooth = np.asarray(cv2.GaussianBlur(self.shades, (0, 0), 1.0), np.float32)
        found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(self.shades)[0]
        segments: Points = np.zeros((0, 4)) if found is None else np.asarray(found, np.float64)
        segments = segments.reshape(-1, 2, 2)
        lengths = np.hypot(*(segments[:, 1] - segments[:, 0]).T)
        segments, lengths = (a[lengths >= MIN_LENGTH] for a in (segments, lengths))
        likely = self._may_reach_unknown(segments, lengths)
        segments, lengths = segments[likely], lengths[likely]
        for number in np.argsort(-lengths, kind="stable"):
            yield from self._ends_of(smooth, *segments[number])

    def _may_reach_unknown(self, segments: Points, lengths: Points) -> Bools:
        """(n): False for segments that are too far from the unknown part, as most are."""
        half = (segments[:, 1] - segments[:, 0]) * (0.5 + MAX_GAP / lengths)[:, None]
        along = np.linspace(-1, 1, PROBES)[:, None, None]
        last = np.array(self.distance.shape[::-1]) - 1
        x, y = np.rint(np.clip(segments.mean(1) + along * half, 0, last)).astype(int).T
        between = np.hypot(*half.T) / (PROBES - 1)
        return np.asarray((self.distance[y, x] <= 1.05 * between[:, None] + 2).any(1), np.bool_)

    def _ends_of(self, smooth: Floats, start: Points, end: Points) -> Iterator[_End]:
        """Where a segment, extended by MAX_GAP, leaves the known picture."""
        length = math.dist(start, end)
        unit = (end - start) / length
        steps = np.arange(-MAX_GAP, length + MAX_GAP + 0.5)
        hit, inside = mask_at(self.near, start + unit * steps[:, None])
        known = inside & ~hit
        for first, last in _runs(known) if hit.any() else ():
            run = steps[first:last]
            run = run[(run >= 0) & (run <= length)]
            if run.size < MIN_LENGTH:
                continue
            offsets, strength = _offsets(smooth, start, unit, run)
            for end_step, beyond, sign in ((first, first - 1, -1), (last - 1, last, 1)):
                local = np.abs(run - steps[end_step]) <= FIT_LENGTH
                size = int(np.count_nonzero(local))
                if not (0 <= beyond < steps.size and hit[beyond]) or size < MIN_LENGTH:
                    continue
                shift, slope = fitted_line(run[local], offsets[local], strength[local])
                position = (
                    start
                    + unit * steps[end_step]
                    + normal(unit) * (shift + slope * steps[end_step])
                )
                direction = sign * (unit + slope * normal(unit)) / math.hypot(1, slope)
                sides = self._sides(position, direction, size)
                if sides is not None:
                    yield _End(position, direction, last - first, *sides)

    def _sides(
        self, position: Points, direction: Points, length: int
    ) -> tuple[Points, float] | None:
        """Mean colours 2 to 5 pixels to either side, and their deviation; None if too few known."""
        back = direction * np.arange(1, min(12, length))[:, None, None]
        means, deviations = [], []
        for sign in (1, -1):
            positions = position - back + sign * normal(direction) * np.arange(2, 6)[:, None]
            clear = sample(self.unknown, positions)[..., 0] < 0.01
            if np.count_nonzero(clear) < 5:
                return None
            colours = sample(self.picture, positions)[clear].astype(np.float64)
            means.append(colours.mean(0))
            deviations.append(colours.std(0).mean())
        return np.stack(means), float(np.mean(deviations))


def _runs(mask: Bools) -> list[tuple[int, int]]:
    """First and one past the last of each run of True."""
    changes = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [(int(first), int(last)) for first, last in changes.reshape(-1, 2)]


def _offsets(smooth: Floats, start: Points, unit: Points, run: Points) -> tuple[Points, Points]:
    """(n), (n): sideways offset of the steepest gradient from a segment, by step; its strength."""
    beside = np.arange(-2, 2.01, 0.5)
    positions = start + unit * run[:, None, None] + normal(unit) * beside[:, None]
    values = sample(smooth, positions)[..., 0].astype(np.float64)
    power = np.square(values[:, 2:] - values[:, :-2]) + 1e-3
    strength = power.sum(1)
    return (power * beside[1:-1]).sum(1) / strength, strength


def fitted_line(x: Points, y: Points, weights: Points) -> tuple[float, float]:
    """Value at 0 and slope of the line through points, by weighted least squares."""
    middle_x, middle_y = np.average(x, weights=weights), np.average(y, weights=weights)
    spread = np.average(np.square(x - middle_x), weights=weights)
    slope = np.average((x - middle_x) * (y - middle_y), weights=weights) / max(spread, 1e-6)
    return float(middle_y - slope * middle_x), float(slope)
