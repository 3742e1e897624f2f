"""The patterns of a photo around a hole: found, checked, each with its region."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import cv2
import numpy as np

from inpaintcli.texture.lattice import Pattern
from inpaintcli.texture.lattice_guard import explained_locally, predicted
from inpaintcli.texture.lattice_planes import Plane, SmoothedPicture, grown
from inpaintcli.texture.lattice_search import Seed, normalised, seeds
from inpaintcli.texture.pyramid import Bools, Floats, grey

WORKING_SIDE = 384
MAX_PATTERNS = 3
SEEDS = 10
"""The best ones are tried ..."""
MIN_SEED_SCORE = 0.28
"""... and none below: of 58 photos of facades and tilings, none with a useful pattern was lost by
that, and half of 50 other photos need no further search."""
FRUITLESS = 7
"""So many that lead to nothing end the search."""
TRIALS = 3
"""So many that may be used are compared."""
PLAIN = 0.5
"""A lattice that predicts so much of half of the picture is not compared with others."""
MIN_CELLS = 6.0
MIN_SCORE = 0.3
"""Mean margin of a region, see `lattice_planes.Plane`."""
MIN_ACROSS = 0.1
"""The same from cells that are not in one line with the hidden one."""
MIN_LOCAL = 0.2
"""The same around a pixel, for it to be in the pattern."""
INSIDE = 2.0
"""How much more a pixel counts that is in the pattern than one that is not."""
BAND = 0.4
"""How far around a hole a pattern has to be for it to be in the hole, in cells."""
EDGE = 0.1
"""Sigma of the edge of a region, in cells."""
MIN_PREDICTED = 0.2
FEW_CELLS = 1.2
"""Share of the known detail that is to be predicted for a pattern to be used: at least, and what is
asked for besides, divided by the number of cells: a few are alike by chance."""


def find_patterns(picture: Floats, known: Bools, threads: int = 1) -> list[Pattern]:
    """Patterns of a picture, the one with the most cells first.

    Args:
        picture: (h, w, 1 or 3); content where it is not known is ignored.
        known: (h, w) bool.
        threads: to work with; the patterns do not depend on it.
    """
    scale = min(1.0, WORKING_SIDE / max(known.shape))
    size = tuple(max(1, round(side * scale)) for side in known.shape[::-1])
    small = cv2.resize(grey(picture), size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    seen = np.asarray(share > 0.99, np.bool_)
    detail = normalised(np.asarray(small, np.float32), seen, 16.0)
    with ThreadPoolExecutor(threads) as pool:
        planes = _planes(detail, seen, pool, threads)
    return [
        _pattern(plane, share, _certainty(detail, seen, plane), known.shape, scale)
        for plane, share in planes
    ]


def _planes(
    detail: Floats, known: Bools, pool: Executor, at_a_time: int
) -> list[tuple[Plane, float]]:
    """Lattices that hold in different parts of a picture; the share that each predicts."""
    free = known.copy()
    chosen: list[tuple[Plane, float]] = []
    picture = SmoothedPicture(detail, known)
    waiting = seeds(detail, known, MIN_SEED_SCORE, pool)[:SEEDS]
    while waiting and len(chosen) < MAX_PATTERNS:
        best, tried = _best_plane(_checked_planes(picture, free, waiting, pool, at_a_time), free)
        if best is None:
            break
        chosen.append(best)
        free &= ~closed(best[0])
        waiting = [seed for seed in waiting if seed not in tried and _is_in(free, seed)]
    return chosen


def _checked_planes(
    picture: SmoothedPicture, free: Bools, waiting: list[Seed], pool: Executor, at_a_time: int
) -> Iterator[tuple[Plane | None, float, Seed]]:
    """The lattice of each seed, and the share that it predicts, 0 where it is not to be used."""

    def checked(seed: Seed) -> tuple[Plane | None, float, Seed]:
        plane = grown(picture, free, seed)
        return plane, _checked(picture, plane) if plane is not None else 0.0, seed

    for first in range(0, len(waiting), at_a_time):
        yield from list(pool.map(checked, waiting[first : first + at_a_time]))


def _best_plane(
    planes: Iterable[tuple[Plane | None, float, Seed]], free: Bools
) -> tuple[tuple[Plane, float] | None, list[Seed]]:
    """The best of the first few lattices, and the seeds that lead to none or to this one."""
    found: list[tuple[Plane, float, Seed]] = []
    tried: list[Seed] = []
    for plane, share, seed in planes:
        if plane is None or not share:
            tried.append(seed)
            if len(tried) == FRUITLESS and not found:
                break
            continue
        found.append((plane, share, seed))
        if len(found) == TRIALS or (share > PLAIN and plane.region.sum() > 0.5 * free.sum()):
            break
    if not found:
        return None, tried
    plane, share, seed = max(found, key=lambda each: each[1] * float(each[0].region.sum()))
    return (plane, share), [*tried, seed]


def _checked(picture: SmoothedPicture, plane: Plane) -> float:
    """Share of the detail that a lattice predicts; 0 where it is not to be used."""
    if plane.cells < MIN_CELLS or plane.score < MIN_SCORE:
        return 0.0
    share, least = predicted(picture.detail, picture.known, closed(plane), plane)
    enough = share >= MIN_PREDICTED + FEW_CELLS / plane.cells and least >= MIN_ACROSS
    return share if enough else 0.0


def _is_in(mask: Bools, seed: Seed) -> bool:
    return bool(mask[tuple(seed.centre.astype(int)[::-1])])


def closed(plane: Plane) -> Bools:
    """(h, w): the region without holes smaller than a cell."""
    side = int(np.sqrt(abs(np.linalg.det(plane.lattice.steps)))) | 1
    kernel = np.ones((side, side), np.uint8)
    filled = cv2.morphologyEx(plane.region.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return np.asarray(filled > 0, np.bool_)


def _certainty(detail: Floats, known: Bools, plane: Plane) -> Floats:
    """(h, w): how certain it is that a pixel is in a pattern: what is seen goes on into the hole.

    What is in the pattern counts more than what is not, which may be a sign on the wall.
    """
    region = closed(plane)
    share, there = explained_locally(detail, known, region, plane)
    inside = np.where(there, share > MIN_LOCAL, region).astype(np.float32)
    cell = float(np.sqrt(abs(np.linalg.det(plane.lattice.steps))))
    away = cv2.distanceTransform(known.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    near = (there | np.isfinite(plane.margin)) & known & (away < BAND * cell)
    measured = near.astype(np.float32)
    weight, support = (
        cv2.GaussianBlur(values, (0, 0), EDGE * cell)
        for values in (measured * (1 + (INSIDE - 1) * inside), measured * INSIDE * inside)
    )
    weight, support = (np.asarray(values * near, np.float32) for values in (weight, support))
    extended = spread(support, weight)
    certainty = np.where(known & ~near, inside, np.clip((extended - 0.3) / 0.2, 0, 1))
    return np.asarray(certainty, np.float32)


def spread(sums: Floats, weights: Floats) -> Floats:
    """(h, w): means that are known by sums and weights at some pixels, everywhere.

    By the inverse cube of the distance, about: blurred over 1, 2, 4... pixels, each time at half
    the weight.
    """
    height, width = weights.shape
    both = np.dstack([sums, weights]).astype(np.float32)
    total = np.zeros_like(both)
    share, small = 1.0, both
    while min(small.shape[:2]) >= 2:
        blurred = cv2.GaussianBlur(small, (0, 0), 1.0, borderType=cv2.BORDER_CONSTANT)
        total += share * cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
        size = ((small.shape[1] + 1) // 2, (small.shape[0] + 1) // 2)
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.float32)
        share /= 2
    return np.asarray(total[..., 0] / np.maximum(total[..., 1], 1e-12), np.float32)


def _pattern(
    plane: Plane, share: float, certainty: Floats, shape: tuple[int, ...], scale: float
) -> Pattern:
    """In the picture's own pixels."""
    full = cv2.resize(certainty, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return Pattern(
        plane.lattice.scaled(1 / scale), np.asarray(full, np.float32), share, plane.cells
    )
