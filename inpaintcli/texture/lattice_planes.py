"""From the steps of a window to a lattice in perspective, and where in the picture it holds.

A window's steps are grown: the window widens, and each time steps and horizon are fitted so that
the picture is most like itself some cells on (Lucas and Kanade's alignment, with the picture as its
own template; Baker and Matthews 2004, section 2), with what differs too much counting little. So a
pattern is followed from where it is plain to as far as it goes, as Hays et al. 2006 ("Discovering
texture regularity as a higher-order correspondence problem") and Park et al. 2009 ("Deformed
lattice detection in real-world images") follow deformed ones cell by cell; here all cells keep to
one homography.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture import lattice_kernels
from inpaintcli.texture.lattice import Lattice
from inpaintcli.texture.lattice_search import Seed
from inpaintcli.texture.pyramid import Bools, Floats

Points = NDArray[np.float64]

NEAR = np.array([(1, 0), (0, 1), (1, 1), (1, -1)], np.float64)
FAR = np.array([(2, 0), (0, 2), (2, 1), (1, 2), (2, -1), (1, -2), (3, 0), (0, 3)], np.float64)
AROUND = np.concatenate([NEAR, -NEAR])
BETWEEN = np.array([(0.5, 0), (0, 0.5), (0.5, 0.5), (0.5, -0.5)], np.float64)
BETWEEN = np.concatenate([BETWEEN, -BETWEEN])
GROWTH = 1.6
"""Factor by which a window widens."""
POINTS = 800
"""Places where a picture is compared with itself, about."""
TOLERANCE = 0.8
"""Difference that counts for half of the most, in standard deviations."""
STRIDE = 4
"""Pixels between the places where correlations are measured."""
GROWING_STRIDE = 8
"""The same while a window widens: that they are measured roughly is enough to go on from."""
LEAST_NEIGHBOURS = 3
LEAST_MARGIN = 0.2
"""By which whole cells are more alike than half cells where a lattice holds."""
BLUR = 0.1
"""Of the picture, in steps of the lattice."""
COARSEST_BLUR = 4.0
SCALES = np.array([1, 1, 1, 1, 1e-3, 1e-3])
"""Of what is fitted: a horizon, per pixel, is small."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A lattice and where it holds.

    margin: (h, w) how much more alike whole cells are than halves, at most 1. region: (h, w) bool,
    where it holds. score: the mean margin there. cells: how many cells the region has, about.
    """

    lattice: Lattice
    margin: Floats
    region: Bools
    score: float
    cells: float


def grown(picture: "SmoothedPicture", free: Bools, seed: Seed) -> Plane | None:
    """The lattice of a window, fitted to as much of the picture as it holds in.

    Args:
        picture: to be looked at.
        free: (h, w) bool, False where another lattice holds.
        seed: the window.

    Returns:
        None where it does not even hold in its window.
    """
    fit = _Fit(picture, free, seed.centre)
    known = picture.known
    lattice = np.array([*seed.steps.T.ravel(), 0.0, 0.0])
    half, whole = seed.side / 2, float(max(known.shape))
    weights = free.astype(np.float32)
    while True:
        lattice = fit.fitted(lattice, NEAR, half, weights)
        stride = STRIDE if half == seed.side / 2 else GROWING_STRIDE
        margin = fit.margins(lattice, min(half * GROWTH, whole), stride)
        if half == seed.side / 2 and not _holds(margin, known & free, seed):
            return None
        weights = np.clip(4 * np.nan_to_num(margin), 0.02, 1).astype(np.float32)
        if half >= whole:
            break
        half *= GROWTH
    lattice = fit.fitted(lattice, np.concatenate([NEAR, FAR]), whole, weights)
    margin = fit.margins(lattice, whole)
    region = np.asarray((margin > LEAST_MARGIN) & known & free, np.bool_)
    if not region.any():
        return None
    steps = lattice[:4].reshape(2, 2).T.copy()
    return Plane(
        Lattice(seed.centre, steps, lattice[4:].copy()),
        margin,
        region,
        float(margin[region].mean()),
        _cells(region, seed.centre, lattice),
    )


def _holds(margin: Floats, known: Bools, seed: Seed) -> bool:
    inside = _square(known.shape, seed.centre, seed.side / 2)
    here = known[inside] & np.isfinite(margin[inside])
    return bool(here.any() and (margin[inside][here] > LEAST_MARGIN).mean() > 0.25)


def _square(shape: tuple[int, ...], centre: Points, half: float) -> tuple[slice, slice]:
    left, top = (max(0, int(c - half)) for c in centre)
    right, bottom = int(centre[0] + half) + 1, int(centre[1] + half) + 1
    return slice(top, min(shape[0], bottom)), slice(left, min(shape[1], right))


@dataclass(frozen=True, eq=False)
class SmoothedPicture:
    """A picture, and the same blurred, each blur made once.

    detail: (h, w), from `lattice_search.normalised`. known: (h, w).
    """

    detail: Floats
    known: Bools
    _blurred: dict[float, Floats] = field(default_factory=dict)

    def blurred(self, sigma: float) -> Floats:
        """By about `sigma` pixels; of standard deviation 1; 0 where unknown."""
        sigma = round(sigma * 4) / 4
        if sigma not in self._blurred:
            self._blurred[sigma] = smooth(self.detail, self.known, sigma)
        return self._blurred[sigma]


@dataclass(frozen=True, eq=False)
class _Fit:
    """What lattices around one origin are fitted to."""

    picture: SmoothedPicture
    free: Bools
    origin: Points

    def fitted(self, lattice: Points, shifts: Points, half: float, weights: Floats) -> Points:
        """Fitted in a square around the origin: a smooth picture first."""
        points = self._points(half)
        x, y = np.rint(points + self.origin).astype(int).T
        here = weights[y, x].astype(np.float64)
        step = float(min(np.hypot(*lattice[:2]), np.hypot(*lattice[2:4])))
        sigma = float(np.clip(BLUR * step, 1, COARSEST_BLUR))
        picture = self.picture.blurred(sigma)
        compared = lattice_kernels.Comparison(
            picture, self.picture.known, self.origin, shifts, points, here
        )
        return _solved(compared, lattice)

    def margins(self, lattice: Points, half: float, stride: int = STRIDE) -> Floats:
        """(h, w): see Plane; 0 outside of a square around the origin."""
        inside = _square(self.free.shape, self.origin, half)
        margin = np.zeros(self.free.shape, np.float32)
        margin[inside] = margins(self.picture, self.origin, lattice, inside, stride)
        margin[~self.free] = 0
        return margin

    def _points(self, half: float) -> Points:
        """(n, 2) known pixels of a square around the origin, relative to it; about POINTS."""
        inside = _square(self.free.shape, self.origin, half)
        wanted = (self.picture.known & self.free)[inside]
        stride = max(1, int(np.sqrt(np.count_nonzero(wanted) / POINTS)))
        y, x = np.nonzero(wanted[::stride, ::stride])
        corner = np.array([inside[1].start, inside[0].start])
        places = corner + stride * np.stack([x, y], axis=1).astype(np.float64)
        return np.asarray(places - self.origin, np.float64)


def margins(
    picture: SmoothedPicture,
    origin: Points,
    lattice: Points,
    inside: tuple[slice, slice],
    stride: int = STRIDE,
) -> Floats:
    """(rows, columns) of a part: how much more it is like the picture whole cells on than half.

    NaN where too little is known to say.
    """
    whole, half = (
        _mean_correlation(picture, origin, lattice, shifts, inside, stride)
        for shifts in (AROUND, BETWEEN)
    )
    margin = whole - np.maximum(half, 0)
    height, width = (part.stop - part.start for part in inside)
    return np.asarray(np.repeat(np.repeat(margin, stride, 0), stride, 1)[:height, :width])


def _mean_correlation(
    picture: SmoothedPicture,
    origin: Points,
    lattice: Points,
    shifts: Points,
    inside: tuple[slice, slice],
    stride: int,
) -> Floats:
    """(rows / stride, columns / stride): correlation over about a cell with the picture shifted.

    The mean of the higher half of the shifts: at the edge of a pattern only half of the neighbours
    belong to it. NaN where too little is known.
    """
    size = tuple(-(-(part.stop - part.start) // stride) for part in inside)
    moments = np.zeros((len(shifts), *size, 4), np.float32)
    corner = inside[0].start, inside[1].start
    lattice_kernels.alike(
        picture.detail, picture.known, origin, lattice, shifts, corner, stride, moments
    )
    area = abs(lattice[0] * lattice[3] - lattice[1] * lattice[2])
    side = max(3, int(np.sqrt(area) / stride) | 1)
    means = np.stack([cv2.blur(every, (side, side)) for every in moments])
    correlation = np.zeros(size, np.float32)
    lattice_kernels.upper_half(moments, means, LEAST_NEIGHBOURS, correlation)
    return correlation


def smooth(detail: Floats, known: Bools, sigma: float) -> Floats:
    """A blurred picture of standard deviation 1; 0 where unknown."""
    share = known.astype(np.float32)
    weights = np.maximum(cv2.GaussianBlur(share, (0, 0), sigma), 1e-3)
    blurred = cv2.GaussianBlur(detail * share, (0, 0), sigma) / weights * share
    return np.asarray(blurred / max(float(blurred[known].std()), 1e-6), np.float32)


def _solved(compared: lattice_kernels.Comparison, lattice: Points, rounds: int = 5) -> Points:
    """Gauss-Newton with Levenberg's damping."""
    matrix, vector = np.zeros((6, 6)), np.zeros(6)
    best, best_cost, damping = lattice, np.inf, 1e-3
    scaled, side = matrix, vector
    step = np.zeros(6)
    for _ in range(rounds):
        trial = best - step
        cost = lattice_kernels.normal_equations(compared, trial, TOLERANCE, matrix, vector)
        if cost < best_cost:
            best, best_cost = trial, cost
            scaled, side = matrix * np.outer(SCALES, SCALES), vector * SCALES
            damping = max(damping / 4, 1e-6)
        else:
            damping *= 16
        usual = np.trace(scaled) / 6 + 1e-9
        step = SCALES * np.linalg.solve(scaled + damping * usual * np.eye(6), side)
    return np.asarray(best, np.float64)


def _cells(region: Bools, origin: Points, lattice: Points) -> float:
    y, x = np.nonzero(region)
    depth = 1 + (x - origin[0]) * lattice[4] + (y - origin[1]) * lattice[5]
    area = abs(lattice[0] * lattice[3] - lattice[1] * lattice[2])
    return float((1 / np.maximum(depth, 0.05) ** 3).sum() / max(area, 1e-9))
