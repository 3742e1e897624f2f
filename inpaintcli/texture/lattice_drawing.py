"""What a pattern shows in a hole, as a start for patch synthesis.

Cells in the hole become means of the known ones, the nearest counting most. That is blurred where
cells differ, but window stands over window, in the perspective of the plane; patches give it the
texture of the photo.
"""

import cv2
import numpy as np

from inpaintcli.texture.lattice import MIN_CERTAINTY, Pattern
from inpaintcli.texture.lattice_cells import cell_grid, visible
from inpaintcli.texture.pyramid import Bools, Floats

NEARNESS = 1.5
"""The weight of a known cell falls with its distance to the power of twice this."""
OWN = 0.25
"""The squared distance of a cell to itself, in cells, as it counts."""
RIM = 4.0
"""Pixels from the boundary over which the given start becomes what is drawn."""


def drawn(start: Floats, hole: Bools, known: Bools, pattern: Pattern) -> Floats:
    """A start with a pattern in the hole, as far as the pattern is certain.

    Args:
        start: (h, w, 1 or 3).
        hole: (h, w) bool, True where the pattern may be drawn.
        known: (h, w) bool, True where `start` is the photo.
        pattern: of the photo.
    """
    seen = (pattern.certainty >= MIN_CERTAINTY) & visible(pattern.lattice, hole.shape)
    target, source = hole & seen, known & seen
    grid = cell_grid(pattern.lattice, target | source)
    if grid is None or not (target.any() and source.any()):
        return start
    cells, clear = grid.cut(start, source)
    weights = (OWN + grid.squared_distances()) ** np.float32(-NEARNESS)
    values = grid.put(grid.means(cells, clear, weights)[0], hole.shape)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    weight = (pattern.certainty * np.clip(depth / RIM, 0, 1))[target][:, None]
    answer = start.copy()
    answer[target] += weight * (values[target] - answer[target])
    return answer
