"""The patterns of a photo around a hole: found, checked, each with its region."""

import cv2
import numpy as np

from inpaintcli.texture.lattice import Pattern
from inpaintcli.texture.lattice_planes import Plane, grown
from inpaintcli.texture.lattice_search import Seed, normalised, seeds
from inpaintcli.texture.pyramid import Bools, Floats, grey, pull_push

WORKING_SIDE = 384
MAX_PATTERNS = 3
SEEDS = 10
TRIALS = 3
MIN_CELLS = 6.0
MIN_SCORE = 0.3


def find_patterns(picture: Floats, known: Bools) -> list[Pattern]:
    """Patterns of a picture, the one with the most cells first.

    Args:
        picture: (h, w, 1 or 3); content where it is not known is ignored.
        known: (h, w) bool.
    """
    scale = min(1.0, WORKING_SIDE / max(known.shape))
    size = tuple(max(1, round(side * scale)) for side in known.shape[::-1])
    small = cv2.resize(grey(picture), size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    seen = np.asarray(share > 0.99, np.bool_)
    detail = normalised(np.asarray(small, np.float32), seen, 16.0)
    planes = _planes(detail, seen)
    return _patterns(planes, seen, known, scale)


def _planes(detail: Floats, known: Bools) -> list[Plane]:
    """Lattices that hold in different parts of a picture."""
    free = known.copy()
    chosen: list[Plane] = []
    waiting = seeds(detail, known)[:SEEDS]
    while waiting and len(chosen) < MAX_PATTERNS:
        best, tried = _best_plane(detail, known, free, waiting)
        if best is None:
            break
        chosen.append(best)
        free &= ~closed(best)
        waiting = [seed for seed in waiting if seed not in tried and _is_in(free, seed)]
    return chosen


def _best_plane(
    detail: Floats, known: Bools, free: Bools, waiting: list[Seed]
) -> tuple[Plane | None, list[Seed]]:
    """The strongest of the first few lattices, and the seeds that lead to none or to this one."""
    found: list[tuple[Plane, Seed]] = []
    tried: list[Seed] = []
    for seed in waiting:
        plane = grown(detail, known, free, seed)
        if plane is None or plane.cells < MIN_CELLS or plane.score < MIN_SCORE:
            tried.append(seed)
            continue
        found.append((plane, seed))
        if len(found) == TRIALS or plane.score > 0.6 and plane.region.sum() > 0.5 * free.sum():
            break
    if not found:
        return None, tried
    best, seed = max(found, key=lambda each: each[0].strength)
    return best, [*tried, seed]


def _is_in(mask: Bools, seed: Seed) -> bool:
    return bool(mask[tuple(seed.centre.astype(int)[::-1])])


def closed(plane: Plane) -> Bools:
    """(h, w): the region without holes smaller than a cell."""
    side = int(np.sqrt(abs(np.linalg.det(plane.lattice.steps)))) | 1
    kernel = np.ones((side, side), np.uint8)
    filled = cv2.morphologyEx(plane.region.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return np.asarray(filled > 0, np.bool_)


def _patterns(planes: list[Plane], seen: Bools, known: Bools, scale: float) -> list[Pattern]:
    return [_pattern(plane, seen, known, scale) for plane in planes]


def _pattern(plane: Plane, seen: Bools, known: Bools, scale: float) -> Pattern:
    cell = float(np.sqrt(abs(np.linalg.det(plane.lattice.steps))))
    measured = (seen & np.isfinite(plane.margin)).astype(np.float32)
    inside = closed(plane).astype(np.float32)
    # what is in a pattern speaks louder than what is not: it may be a sign on the wall
    weight = cv2.GaussianBlur(measured * (1 + 2 * inside), (0, 0), 0.3 * cell)
    support = cv2.GaussianBlur(measured * 3 * inside, (0, 0), 0.3 * cell)
    share = np.asarray(support / np.maximum(weight, 1e-3), np.float32)
    extended = pull_push(share[..., None], weight * measured)[..., 0]
    certainty = np.clip((extended - 0.3) / 0.2, 0, 1)
    full = cv2.resize(certainty, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return Pattern(plane.lattice.scaled(1 / scale), np.asarray(full, np.float32), plane.score, plane.cells)
