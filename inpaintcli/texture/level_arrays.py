"""What the kernels of patch synthesis work on: the arrays of a pyramid level, and its field.

Positions are flat: y * width + x. The position of a patch is that of its centre.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int32]
Floats = NDArray[np.float32]


class LevelArrays(NamedTuple):
    """Arrays of one pyramid level, flat: n pixels in rows of `width`."""

    picture: Floats  # (3 n + 3): colours; in the hole those of the current estimate; see `padded`
    features: Floats  # (FEATURES n): compared besides colours, see `patch_features`
    usable: NDArray[np.bool_]  # (n): True at centres of source patches: those wholly known
    target_index: Positions  # (n): index of the target patch centred here, -1 for none
    width: int
    repeat_costs: Floats  # (n): added to the distance of a source patch that is used too often
    spacing: int  # pixels from one target patch to the next, in rows and in columns
    phases: Floats  # (PHASES n): place in a pattern, see `lattice_phases`; empty without patterns


def padded(rgb: Floats) -> Floats:
    """(h, w, 3) -> flat, and one pixel more: the kernels read a pixel beyond a patch's rows."""
    return np.pad(rgb.ravel(), (0, 3))


def unpadded(picture: Floats, shape: tuple[int, int]) -> Floats:
    """A padded picture as (h, w, 3), a view."""
    return picture[:-3].reshape(*shape, 3)


class NearestNeighbourField(NamedTuple):
    """The source patch of each of m target patches, those that overlap the hole."""

    targets: Positions  # (m): positions in raster order
    sources: Positions  # (m): positions of the best source patches so far
    costs: Floats  # (m): distances of the two patches, sums of squared differences
    confidence: Floats  # (m): weight of the patch's votes
    bias: Floats  # (3 m): added to the source's colours
