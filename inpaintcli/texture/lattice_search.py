"""Where a picture repeats itself: masked autocorrelation in windows, and the steps of a lattice.

Each window is taken as if it were seen frontally; `lattice_planes` finds the perspective from
there. The autocorrelation counts known pixels only (Padfield 2012, "Masked object registration in
the Fourier domain", for pictures of mean 0); peaks that are whole multiples of two steps make a
lattice, as in Liu, Collins and Tsin 2004, "A computational model for periodic pattern perception
based on frieze and wallpaper groups", section 3.
"""

import itertools
from concurrent.futures import Executor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.pyramid import Bools, Floats

Points = NDArray[np.float64]

LEAST_STEP = 7.0
"""Pixels; finer patterns are seen by patches as they are."""
LEAST_OVERLAP = 0.15
"""Of a window's known pixels, for a shift to count."""
PEAKS = 14
"""The highest are tried."""
MULTIPLES: list[tuple[float, float]] = [
    (1, 0),
    (0, 1),
    (1, 1),
    (1, -1),
    (2, 0),
    (0, 2),
    (2, 1),
    (1, 2),
    (2, -1),
    (1, -2),
]
HALVES = [(0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, -0.5)]
LEAST_SINE = 0.34
"""Of the angle between two steps."""
SMALL_STEP = 0.2
"""What a step costs for each window side of its length: in a perfect pattern, twice a step is as
good as the step."""
MIN_SIDE = 32
"""Pixels of a window's sides."""
MIN_KNOWN = 0.3
"""Of a window."""


@dataclass(frozen=True, eq=False)
class Seed:
    """A lattice in a window.

    centre: (2) x and y of the window. side: of the window, in pixels. steps: (2, 2), the columns
    are the steps in pixels. score: how much more alike cells are than halves of them.
    """

    centre: Points
    side: float
    steps: Points
    score: float


def normalised(picture: Floats, known: Bools, sigma: float) -> Floats:
    """(h, w): grey without its local mean, in local deviations; 0 where unknown."""
    share: Floats = known.astype(np.float32)
    weights = np.maximum(cv2.GaussianBlur(share, (0, 0), sigma), 1e-3)
    mean = cv2.GaussianBlur(picture * share, (0, 0), sigma) / weights
    detail = (picture - mean) * share
    power = cv2.GaussianBlur(np.square(detail), (0, 0), sigma) / weights
    usual = float(detail[known].std()) if known.any() else 0.0
    return np.asarray(detail / np.sqrt(power + (0.2 * usual) ** 2 + 1e-6), np.float32)


def autocorrelation(detail: Floats, known: Bools) -> Floats:
    """(2 h, 2 w): correlation of a window with itself, shift (0, 0) in the middle; -1 unknown."""
    height, width = detail.shape
    size = (cv2.getOptimalDFTSize(2 * height), cv2.getOptimalDFTSize(2 * width))
    share = known.astype(np.float32)
    mean = float((detail * share).sum() / max(share.sum(), 1))
    product = _self_product((detail - np.float32(mean)) * share, size)
    overlap = _full_overlap(known.shape, size) if known.all() else _self_product(share, size)
    power = product[0, 0] / max(overlap[0, 0], 1)
    usual = overlap > LEAST_OVERLAP * overlap[0, 0]
    surface = np.where(usual, product / np.maximum(overlap * power, 1e-6), -1)
    surface = np.roll(surface, (height, width), axis=(0, 1))
    return np.asarray(surface[: 2 * height, : 2 * width], np.float32)


def _self_product(values: Floats, size: tuple[int, int]) -> Floats:
    """Correlation with itself, cyclic in `size` rows and columns.

    By OpenCV: NumPy takes three times as long.
    """
    padded = np.zeros(size, np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    spectrum = cv2.dft(padded, nonzeroRows=values.shape[0])
    power = cv2.mulSpectrums(spectrum, spectrum, 0, conjB=True)
    return np.asarray(cv2.idft(power, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT), np.float32)


def _full_overlap(shape: tuple[int, ...], size: tuple[int, int]) -> Floats:
    """What `_self_product` gives for ones of this shape: pixels that two shifted windows share."""
    rows, columns = (_shared(length, side) for length, side in zip(shape, size, strict=True))
    return np.asarray(np.outer(rows, columns), np.float32)


def _shared(length: int, side: int) -> NDArray[np.intp]:
    """(side): how many of `length` places are shared after a shift, cyclic in `side`."""
    shift = np.arange(side)
    return np.maximum(np.maximum(length - shift, length - (side - shift)), 0)


def peaks(surface: Floats, count: int = PEAKS) -> Points:
    """(k, 2): shifts of the highest peaks, one of each pair of opposite ones."""
    height, width = (side // 2 for side in surface.shape)
    highest = cv2.dilate(surface, np.ones((5, 5)))
    found = (surface >= highest) & (surface > 0.05)
    found[:height] = False
    found[height, :width] = False
    y, x = np.nonzero(found)
    shifts = np.stack([x - width, y - height], axis=1).astype(np.float64)
    far = np.hypot(*shifts.T) >= LEAST_STEP
    lengths = np.hypot(*shifts.T)[far] / np.sqrt(height * width)
    order = np.argsort(SMALL_STEP * lengths - surface[y, x][far], kind="stable")[:count]
    return np.asarray(shifts[far][order], np.float64)


def best_basis(surface: Floats) -> tuple[Points, float]:
    """(2, 2) steps as columns and their score; a score of -1 without peaks."""
    shifts = peaks(surface)
    pairs = np.array(list(itertools.combinations(range(len(shifts)), 2)), int).reshape(-1, 2)
    bases = shifts[pairs].transpose(0, 2, 1)  # (n, 2, 2)
    lengths = np.hypot(bases[:, 0], bases[:, 1])
    sine = np.abs(np.linalg.det(bases)) / np.maximum(lengths.prod(1), 1e-9)
    bases, lengths = bases[sine >= LEAST_SINE], lengths[sine >= LEAST_SINE]
    if not len(bases):
        return np.eye(2), -1.0
    whole = _heights(surface, bases, MULTIPLES, reach=1)
    half = _heights(surface, bases, HALVES, reach=0)
    side = np.sqrt(surface.size) / 2
    score = whole - np.maximum(half, 0) - SMALL_STEP * lengths.mean(1) / side
    best = int(np.argmax(score))
    return reduced(bases[best]), float(score[best])


def _heights(
    surface: Floats, bases: Points, multiples: list[tuple[float, float]], reach: int
) -> Points:
    """(n): mean heights at multiples of bases (n, 2, 2), weighted by 1 / length.

    `reach` is how far beside a multiple its peak may be.
    """
    height, width = surface.shape
    top = cv2.dilate(surface, np.ones((2 * reach + 1, 2 * reach + 1))) if reach else surface
    shifts = bases @ np.array(multiples, np.float64).T  # (n, 2, m)
    x = np.rint(shifts[:, 0]).astype(int) + width // 2
    y = np.rint(shifts[:, 1]).astype(int) + height // 2
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    values = np.where(inside, top[np.where(inside, y, 0), np.where(inside, x, 0)], -1)
    weights = (values > -1) / np.maximum(np.hypot(shifts[:, 0], shifts[:, 1]), 1)
    total = weights.sum(1)
    return np.asarray((values * weights).sum(1) / np.maximum(total, 1e-9), np.float64)


def reduced(steps: Points) -> Points:
    """The two shortest steps of the same lattice (Lagrange), as columns, pointing right or down."""
    first, second = steps[:, 0], steps[:, 1]
    for _ in range(20):
        if float(second @ second) < float(first @ first):
            first, second = second, first
        times = round(float(first @ second) / max(float(first @ first), 1e-9))
        if not times:
            break
        second = second - times * first
    if abs(first[0]) < abs(first[1]):
        first, second = second, first
    first, second = first * np.sign(first[0] or 1), second * np.sign(second[1] or 1)
    return np.stack([first, second], axis=1)


def seeds(detail: Floats, known: Bools, least_score: float, pool: Executor) -> list[Seed]:
    """Lattices of windows of several sizes, the best first; the windows' work is done in `pool`."""
    height, width = known.shape
    whole = max(height, width)
    windows = [
        (side, top, left)
        for side in (whole, whole // 2, whole // 3)
        if side >= MIN_SIDE
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]
    found = pool.map(lambda window: _seed(detail, known, *window), windows)
    scored = [seed for seed in found if seed is not None and seed.score >= least_score]
    return sorted(scored, key=lambda seed: -seed.score)


def _seed(detail: Floats, known: Bools, side: int, top: int, left: int) -> Seed | None:
    """The lattice of a window; None where too little of it is known."""
    inside = slice(top, top + side), slice(left, left + side)
    here = known[inside]
    if here.mean() < MIN_KNOWN or min(here.shape) < MIN_SIDE:
        return None
    steps, score = best_basis(autocorrelation(detail[inside], here))
    y, x = np.nonzero(here)
    centre = np.array([left + x.mean(), top + y.mean()])
    return Seed(centre, float(min(side, *here.shape)), steps, score)


def _starts(length: int, side: int) -> list[int]:
    """Where windows of `side` begin that overlap by half."""
    if side >= length:
        return [0]
    count = 1 + -(-(length - side) // (side // 2))
    return [round(n * (length - side) / (count - 1)) for n in range(count)]
