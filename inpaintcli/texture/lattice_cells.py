"""The cells of a pattern, warped to squares of one size: a plane seen frontally.

Arrays only; a grid of `counts` (columns, rows) cells is numbered row after row.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.lattice import Lattice
from inpaintcli.texture.pyramid import Bools, Floats

Points = NDArray[np.float64]

LEAST_SIDE = 4.0
"""Pixels of a cell's side; smaller cells are passed over."""
MOST_CELLS = 3000
MOST_SAMPLES = 1_000_000
SIDES = (6, 64)
"""Least and most samples along a cell's side."""


@dataclass(frozen=True, eq=False)
class CellGrid:
    """Which cells there are.

    lattice: of the pattern. first: (2) u and v of the first cell. counts: (2) columns and rows.
    side: samples along a cell's side.
    """

    lattice: Lattice
    first: NDArray[np.int_]
    counts: NDArray[np.int_]
    side: int

    def __len__(self) -> int:
        return int(self.counts.prod())

    def cut(self, picture: Floats, source: Bools) -> tuple[Floats, Floats]:
        """(n, side^2, c) cells of (h, w, c); (n, side^2) 1 where they are in `source` (h, w)."""
        columns, rows = self.counts * self.side
        u, v = np.meshgrid(
            (np.arange(columns) + 0.5) / self.side, (np.arange(rows) + 0.5) / self.side
        )
        at = self.lattice.places(np.stack([u, v], axis=2) + self.first)
        pixels = _sampled(picture, at, cv2.BORDER_REPLICATE)
        share = _sampled(source.astype(np.float32)[..., None], at, cv2.BORDER_CONSTANT)
        shape = (self.counts[1], self.side, self.counts[0], self.side)
        clear = (share > 0.99).astype(np.float32).reshape(shape).transpose(0, 2, 1, 3)
        cells = pixels.reshape(*shape, -1).transpose(0, 2, 1, 3, 4)
        cell = self.side * self.side
        return (
            np.ascontiguousarray(cells.reshape(len(self), cell, -1)),
            np.ascontiguousarray(clear.reshape(len(self), cell)),
        )

    def put(self, cells: Floats, shape: tuple[int, ...]) -> Floats:
        """(h, w, c): cells (n, side^2, c) as they are seen in the picture."""
        grid = cells.reshape(self.counts[1], self.counts[0], self.side, self.side, -1)
        rows, columns = self.counts[::-1] * self.side
        flat = np.ascontiguousarray(grid.transpose(0, 2, 1, 3, 4).reshape(rows, columns, -1))
        at = (self.lattice.coordinates(places_of(shape)) - self.first) * self.side - 0.5
        return _sampled(flat, at, cv2.BORDER_REPLICATE)

    def covers(self, shape: tuple[int, ...]) -> Bools:
        """(h, w): which pixels lie in one of the cells."""
        inside = self.lattice.coordinates(places_of(shape)) - self.first
        return np.asarray(((inside >= 0) & (inside < self.counts)).all(2), np.bool_)

    def means(self, cells: Floats, clear: Floats, weights: Floats) -> tuple[Floats, Floats]:
        """(n, side^2, c), (n, side^2): weighted means of the known cells; the weights' sums.

        `weights` are (n, n): what one cell (column) counts for another (row).
        """
        useful = np.asarray(clear.any(1))
        weights = np.ascontiguousarray(weights[:, useful])
        total = weights @ clear[useful]
        summed = [weights @ (cells[useful, :, c] * clear[useful]) for c in range(cells.shape[2])]
        mean = np.stack(summed, axis=2) / np.maximum(total, 1e-6)[..., None]
        return np.asarray(mean, np.float32), np.asarray(total, np.float32)

    def squared_distances(self) -> Floats:
        """(n, n): between cells, in cells."""
        row, column = np.divmod(np.arange(len(self)), self.counts[0])
        away = (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2
        return np.asarray(away, np.float32)


def visible(lattice: Lattice, shape: tuple[int, ...]) -> Bools:
    """(h, w): where cells are at least LEAST_SIDE large."""
    return np.asarray(lattice.cell_areas(places_of(shape)) > LEAST_SIDE**2, np.bool_)


def cell_grid(lattice: Lattice, where: Bools) -> CellGrid | None:
    """The cells that cover a part of the picture (h, w); None for none, or too many."""
    if not where.any():
        return None
    places = places_of(where.shape)[where]
    coordinates = lattice.coordinates(places)
    first = np.floor(coordinates.min(0)).astype(int)
    counts = np.floor(coordinates.max(0)).astype(int) - first + 1
    count = int(counts.prod())
    if count > MOST_CELLS:
        return None
    wanted = min(
        np.sqrt(float(np.median(lattice.cell_areas(places)))), np.sqrt(MOST_SAMPLES / count)
    )
    return CellGrid(lattice, first, counts, int(np.clip(wanted, *SIDES)))


def places_of(shape: tuple[int, ...]) -> Points:
    """(h, w, 2): x and y of each pixel."""
    rows, columns = np.indices(shape[:2], np.float64)
    return np.stack([columns, rows], axis=2)


def _sampled(picture: Floats, places: Points, border: int) -> Floats:
    """(h, w, c): a picture between its pixels; what is not seen is far outside of it."""
    x, y = np.moveaxis(np.nan_to_num(places, nan=-999.0).clip(-999, 30000), 2, 0).astype(np.float32)
    values = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(values, np.float32).reshape(*x.shape, picture.shape[2])
