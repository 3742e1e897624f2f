"""What a pattern shows in a hole, as a start for patch synthesis.

Cells are warped to squares of one size; those in the hole become means of the known ones, the
nearest counting most, and are warped back. That is blurred where cells differ, but window stands
over window, in the perspective of the plane; patches give it the texture of the photo.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.lattice import Lattice, Pattern
from inpaintcli.texture.pyramid import Bools, Floats

LEAST_SIDE = 4.0
"""Pixels of a cell's side; smaller cells are not drawn."""
SIDES = (8, 64)
"""Least and most samples along a cell's side."""
MOST_SAMPLES = 1_000_000
MOST_CELLS = 3000
NEARNESS = 1.5
"""The weight of a known cell falls with its distance to the power of twice this."""
RIM = 4.0
"""Pixels from the rim over which the given start becomes what is drawn."""


def drawn(start: Floats, hole: Bools, known: Bools, pattern: Pattern) -> Floats:
    """A start with a pattern in the hole, as far as the pattern is certain.

    Args:
        start: (h, w, 1 or 3).
        hole: (h, w) bool, True where the pattern may be drawn.
        known: (h, w) bool, True where `start` is the photo.
        pattern: of the photo.
    """
    rows, columns = np.indices(hole.shape, np.float64)
    places = np.stack([columns, rows], axis=2)
    lattice = pattern.lattice
    seen = (pattern.certainty > 0.5) & (lattice.cell_areas(places) > LEAST_SIDE**2)
    target, source = hole & seen, known & seen
    if not (target.any() and source.any()):
        return start
    coordinates = lattice.coordinates(places)
    both = coordinates[target | source]
    first, last = np.floor(both.min(0)).astype(int), np.floor(both.max(0)).astype(int)
    counts = last - first + 1
    if counts.prod() > MOST_CELLS:
        return start
    side = _side(lattice.cell_areas(places[target]), int(counts.prod()))
    cells, clear = _cells(start, source, lattice, first, counts, side)
    filled = _filled(cells, clear, counts)
    grid = filled.reshape(counts[1], counts[0], side, side, -1).transpose(0, 2, 1, 3, 4)
    flat = np.ascontiguousarray(grid.reshape(counts[1] * side, counts[0] * side, -1))
    at = np.nan_to_num((coordinates - first) * side - 0.5).clip(-9, 30000).astype(np.float32)
    values = cv2.remap(flat, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    values = values.reshape(start.shape)  # OpenCV drops a single channel
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    weight = (pattern.certainty * np.clip(depth / RIM, 0, 1))[target][:, None]
    answer = start.copy()
    answer[target] += weight * (values[target] - answer[target])
    return answer


def _side(areas: NDArray[np.float64], count: int) -> int:
    """Samples along a cell's side: as many as pixels, about."""
    wanted = min(math.sqrt(float(np.median(areas))), math.sqrt(MOST_SAMPLES / count))
    return int(np.clip(wanted, *SIDES))


def _cells(
    picture: Floats,
    source: Bools,
    lattice: Lattice,
    first: NDArray[np.int_],
    counts: NDArray[np.int_],
    side: int,
) -> tuple[Floats, Floats]:
    """(n, side^2, c) cells, row after row of them; (n, side^2) 1 where they are known."""
    steps = (np.arange(counts.max() * side) + 0.5) / side
    u, v = np.meshgrid(steps[: counts[0] * side], steps[: counts[1] * side])
    at = lattice.places(np.stack([u, v], axis=2) + first)
    at = np.nan_to_num(at, nan=-9.0).clip(-9, 30000).astype(np.float32)
    pixels = cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.remap(
        source.astype(np.float32), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    shape = (counts[1], side, counts[0], side)
    clear = (share > 0.99).astype(np.float32).reshape(shape).transpose(0, 2, 1, 3)
    cells = pixels.reshape(*shape, -1).transpose(0, 2, 1, 3, 4)
    count = int(counts.prod())
    return (
        np.ascontiguousarray(cells.reshape(count, side * side, -1)),
        np.ascontiguousarray(clear.reshape(count, side * side)),
    )


def _filled(cells: Floats, clear: Floats, counts: NDArray[np.int_]) -> Floats:
    """(n, side^2, c): the mean of the known cells, by nearness; the cell itself counts most."""
    row, column = np.divmod(np.arange(int(counts.prod())), counts[0])
    useful = np.asarray(clear.any(1))
    away = (row[:, None] - row[useful]) ** 2 + (column[:, None] - column[useful]) ** 2
    weights = ((0.25 + away) ** -NEARNESS).astype(np.float32)
    total = np.maximum(weights @ clear[useful], 1e-6)
    channels = cells.shape[2]
    summed = [weights @ (cells[useful, :, c] * clear[useful]) for c in range(channels)]
    return np.asarray(np.stack(summed, axis=2) / total[..., None], np.float32)
