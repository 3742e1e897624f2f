"""Whether a pattern holds: known cells are predicted from others and compared with what they are.

Each known cell is hidden, with all that are nearer to it than a hole's cells are to known ones, and
predicted from the rest. A lattice that is wrong, or only nearly right, or a photo that has no
pattern predicts nothing.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from inpaintcli.texture.lattice_cells import CellGrid, cell_grid, visible
from inpaintcli.texture.lattice_planes import Plane
from inpaintcli.texture.pyramid import Bools, Floats

AWAY = (0.5, 1.5)
"""Distances in cells, within which a cell's neighbours are hidden with it."""
DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))
"""Of lines, by what is the same along them: rows, columns, and the two diagonals."""
LOCAL = 0.25
"""Sigma of what counts as around a pixel, in cells."""
LEAST_KNOWN = 0.5
"""Of a hidden cell's samples."""
FALL = 1.5
"""The weight of a known cell falls with its distance to the power of twice this."""


def predicted(detail: Floats, known: Bools, region: Bools, plane: Plane) -> tuple[float, float]:
    """Shares of the known detail that cells predict: 1 less the squared error over the square.

    Args:
        detail: (h, w), of local mean 0.
        known: (h, w).
        region: (h, w) bool, where the pattern is said to hold.
        plane: the pattern.

    Returns:
        From all other cells and from those that are no neighbours, the mean of the two; the least
        share from cells that do not lie in one line with the hidden one, for lines of four
        directions: a horizon or a wire predicts itself along its line, and is no pattern. At most
        1; 0 where nothing can be predicted.
    """
    source = known & region & visible(plane.lattice, known.shape)
    grid = cell_grid(plane.lattice, source)
    if grid is None:
        return 0.0, 0.0
    hidden = _Hidden(grid, *grid.cut(detail[..., None], source))
    apart = grid.squared_distances()
    row, column = np.divmod(np.arange(len(grid)), grid.counts[0])
    rows, columns = row[:, None] - row, column[:, None] - column
    others = [hidden.share(apart > away**2) for away in AWAY]
    lines = [hidden.share(a * rows + b * columns != 0) for a, b in DIRECTIONS]
    return float(np.mean(others)), min(lines)


@dataclass(frozen=True, eq=False)
class _Hidden:
    """Cells, each to be predicted from others: see CellGrid.cut."""

    grid: CellGrid
    cells: Floats
    clear: Floats

    def share(self, allowed: Bools) -> float:
        """What is predicted from cells that are allowed (n, n: of a row the columns)."""
        apart = np.maximum(self.grid.squared_distances(), 1)
        weights = np.where(allowed, apart ** np.float32(-FALL), 0).astype(np.float32)
        means, total = self.grid.means(self.cells, self.clear, weights)
        counted = self.clear * (total > 1e-6) * (self.clear.mean(1) >= LEAST_KNOWN)[:, None]
        values = self.cells[..., 0]
        power = float((counted * np.square(values)).sum())
        error = float((counted * np.square(means[..., 0] - values)).sum())
        return 1 - error / power if power else 0.0


def explained_locally(
    detail: Floats, known: Bools, region: Bools, plane: Plane
) -> tuple[Floats, Bools]:
    """Where a pattern predicts what is known: as `predicted`, over about a cell around a pixel.

    Returns:
        (h, w) at most 1; (h, w) bool, True where it is measured.
    """
    source = known & region & visible(plane.lattice, known.shape)
    grid = cell_grid(plane.lattice, source)
    if grid is None:
        return np.zeros(known.shape, np.float32), np.zeros(known.shape, np.bool_)
    cells, clear = grid.cut(detail[..., None], source)
    apart = grid.squared_distances()
    weights = np.where(apart > 0, np.maximum(apart, 1) ** np.float32(-FALL), 0)
    means, total = grid.means(cells, clear, weights.astype(np.float32))
    both = grid.put(np.concatenate([means, (total > 1e-6)[..., None]], axis=2), known.shape)
    values, there = both[..., 0], known & (both[..., 1] > 0.99) & grid.covers(known.shape)
    sigma = LOCAL * float(np.sqrt(abs(np.linalg.det(plane.lattice.steps))))
    error, power = (
        cv2.GaussianBlur(np.where(there, np.square(part), 0).astype(np.float32), (0, 0), sigma)
        for part in (detail - values, detail)
    )
    share = 1 - error / np.maximum(power, 1e-6)
    return np.asarray(share, np.float32), np.asarray(there & (power > 1e-3), np.bool_)
