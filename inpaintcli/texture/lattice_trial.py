"""Whether a pattern serves: a known piece of the photo is filled with and without it, and compared.

What cells predict of each other says little of what patch synthesis makes of it: a horizon predicts
itself, and is filled as well without a pattern; knitting predicts little, and is not.
"""

import cv2
import numpy as np

from inpaintcli.texture.lattice import MIN_CERTAINTY, Pattern
from inpaintcli.texture.lattice_drawing import drawn
from inpaintcli.texture.pyramid import Bools, Floats, pull_push
from inpaintcli.texture.synthesis import TooFewPatchesError, synthesize

HALF_SIDE = 48
"""Pixels of half the side of a piece, at most; larger ones are scaled down ..."""
LEAST_CELL = 8.0
"""... as long as a cell's side has so many."""
LEAST_HALF = 12
"""Pixels; and at least half a cell: smaller pieces show no pattern."""
CONTEXT = 64
"""Pixels of the photo around a piece, besides twice its half side."""
TOLERANCE = 1.0
"""Sigma in pixels of the blur before pieces are compared: a pattern may be off by a little."""


def trial_error(picture: Floats, known: Bools, pattern: Pattern, thickness: float) -> float | None:
    """Mean error of a piece filled with a pattern, as a share of that without.

    Args:
        picture: (h, w, 1 or 3); content where it is not known is ignored.
        known: (h, w) bool.
        pattern: of the picture.
        thickness: of the hole, in pixels: the piece is no larger.

    Returns:
        Below 1 where the pattern serves; None where the pattern has no known piece large enough.
    """
    y, x, half = _place(known, pattern, thickness)
    cell = float(np.sqrt(pattern.lattice.cell_areas(np.array([[x, y]], np.float64))[0]))
    if half < max(LEAST_HALF, 0.5 * cell):
        return None
    reach = 2 * half + CONTEXT
    top, left = max(0, y - reach), max(0, x - reach)
    inside = slice(top, y + reach), slice(left, x + reach)
    piece = np.zeros(known.shape, np.bool_)
    piece[y - half : y + half, x - half : x + half] = True
    scale = min(1.0, max(HALF_SIDE / half, LEAST_CELL / cell))
    size = tuple(round(side * scale) for side in known[inside].shape[::-1])
    truth = _resized(picture[inside], size)
    source = _resized((known & ~piece)[inside].astype(np.float32)[..., None], size)[..., 0] > 0.99
    hole = _resized(piece[inside].astype(np.float32)[..., None], size)[..., 0] > 0.5
    corner = np.array([left, top], np.float64)
    cut = pattern.cut(corner, inside, scale, hole.shape)
    try:
        without, with_it = (_error(truth, hole, source, used) for used in ([], [cut]))
    except TooFewPatchesError:
        return None
    return with_it / max(without, 1e-6)


def _place(known: Bools, pattern: Pattern, thickness: float) -> tuple[int, int, int]:
    """Row and column of the middle of a known piece deep in a pattern, and half of its side."""
    there = (known & (pattern.certainty >= MIN_CERTAINTY)).astype(np.uint8)
    bordered = cv2.copyMakeBorder(there, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(bordered, cv2.DIST_C, cv2.DIST_MASK_3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(y), int(x), int(min(thickness / 2, 0.8 * depth[y, x]))


def _error(truth: Floats, hole: Bools, source: Bools, patterns: list[Pattern]) -> float:
    """Of a piece that is filled from a smooth start, in the picture's units."""
    smooth = pull_push(truth * source[..., None], source.astype(np.float32))
    start = np.where(hole[..., None], smooth, truth)
    for pattern in patterns:
        start = drawn(start, hole, source, pattern)
    filled = synthesize(start, start, hole, source=source, patterns=patterns, threads=1).pixels
    one, other = (cv2.GaussianBlur(each, (0, 0), TOLERANCE) for each in (filled, truth))
    return float(np.abs(one - other)[hole].mean())


def _resized(pixels: Floats, size: tuple[int, ...]) -> Floats:
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32).reshape(size[1], size[0], -1)
