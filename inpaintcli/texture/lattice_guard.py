"""Whether a pattern holds: known cells are foretold from others and compared with what they are.

Each known cell is hidden, with all that are nearer to it than a hole's cells are to known ones, and
foretold from the rest. A lattice that is wrong, or only nearly right, or a photo that has no
pattern foretells nothing.
"""

import cv2
import numpy as np

from inpaintcli.texture.lattice_cells import cell_grid, visible
from inpaintcli.texture.lattice_planes import Plane
from inpaintcli.texture.pyramid import Bools, Floats

LOCAL = 0.25
"""Sigma of what counts as around a pixel, in cells."""
LEAST_KNOWN = 0.5
"""Of a hidden cell's samples."""
FALL = 1.5
"""The weight of a known cell falls with its distance to the power of twice this."""


def explained(detail: Floats, known: Bools, region: Bools, plane: Plane, away: float) -> float:
    """Share of the known detail that is foretold from cells more than `away` cells apart.

    Args:
        detail: (h, w), of local mean 0.
        known: (h, w).
        region: (h, w) bool, where the pattern is said to hold.
        plane: the pattern.
        away: cells.

    Returns:
        1 less the squared error over the square: at most 1; 0 where nothing can be foretold.
    """
    source = known & region & visible(plane.lattice, known.shape)
    grid = cell_grid(plane.lattice, source)
    if grid is None:
        return 0.0
    cells, clear = grid.cut(detail[..., None], source)
    apart = grid.squared_distances()
    weights = np.where(apart > away**2, np.maximum(apart, 1) ** np.float32(-FALL), 0)
    means, total = grid.means(cells, clear, weights.astype(np.float32))
    hidden = clear * (total > 1e-6) * (clear.mean(1) >= LEAST_KNOWN)[:, None]
    power = float((hidden * np.square(cells[..., 0])).sum())
    if not power:
        return 0.0
    return 1 - float((hidden * np.square(means[..., 0] - cells[..., 0])).sum()) / power


def explained_locally(
    detail: Floats, known: Bools, region: Bools, plane: Plane
) -> tuple[Floats, Bools]:
    """Where a pattern foretells what is known: as `explained`, over about a cell around a pixel.

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
    foretold, there = both[..., 0], known & (both[..., 1] > 0.99) & grid.covers(known.shape)
    sigma = LOCAL * float(np.sqrt(abs(np.linalg.det(plane.lattice.steps))))
    error, power = (
        cv2.GaussianBlur(np.where(there, np.square(values), 0).astype(np.float32), (0, 0), sigma)
        for values in (detail - foretold, detail)
    )
    share = 1 - error / np.maximum(power, 1e-6)
    return np.asarray(share, np.float32), np.asarray(there & (power > 1e-3), np.bool_)
