"""A pattern of a photo: a lattice in a plane, seen frontally or in perspective.

A facade, a tiling, a fence repeats itself by two steps. In the photo the plane may be seen at a
slant: a homography takes a pixel to lattice coordinates (u, v), which grow by 1 from one cell to
the next. The fractional parts of u and v, the phases, say where in its cell a pixel lies, in the
hole as well as outside.

Places are (x, y) in pixels. Arrays only.
"""

from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

MIN_CERTAINTY = 0.5
"""Of a pixel that is taken to be in a pattern."""
STRIP = 64
"""Rows that phases are computed of at a time."""
LEAST_DEPTH = 1e-3
"""1 at the origin of a lattice, 0 at the horizon; what is less is not seen."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A lattice in a plane.

    A pixel x, relative to `origin`, is z = x / (1 + horizon . x) in the plane as it would be seen
    frontally, and steps @ (u, v) = z.

    origin: (2) x and y of a pixel with u = v = 0. steps: (2, 2), its columns the two steps in
    pixels at the origin. horizon: (2), per pixel; 0 for a plane seen frontally; where
    1 + horizon . x is 0 or less the plane is not seen.
    """

    origin: Points
    steps: Points
    horizon: Points

    def coordinates(self, places: Points) -> Points:
        """(..., 2) u and v of pixels (..., 2); NaN where the plane is not seen."""
        flat = self._flattened(places - self.origin)
        return np.asarray(flat @ np.linalg.inv(self.steps).T, np.float64)

    def places(self, coordinates: Points) -> Points:
        """(..., 2) the pixels of u and v (..., 2); NaN beyond the horizon."""
        flat = coordinates @ self.steps.T
        depth = 1 - flat @ self.horizon
        depth = np.where(depth > LEAST_DEPTH, depth, np.nan)
        return np.asarray(self.origin + flat / depth[..., None], np.float64)

    def cell_areas(self, places: Points) -> Points:
        """(...) how many pixels a cell has around pixels (..., 2); 0 where the plane is not seen.

        The Jacobian of a homography falls with the third power of the depth.
        """
        depth = np.maximum(1 + (places - self.origin) @ self.horizon, 0)
        return np.asarray(abs(np.linalg.det(self.steps)) * depth**3, np.float64)

    def scaled(self, factor: float) -> Self:
        """The same lattice in a picture `factor` times as large; pixel centres are kept."""
        origin = (self.origin + 0.5) * factor - 0.5
        return type(self)(origin, self.steps * factor, self.horizon / factor)

    def phases(self, shape: tuple[int, ...], step: float = 1.0) -> NDArray[np.float32]:
        """(h, w, 4): cos and sin of 2 pi u, then of 2 pi v, for pixels of `step` pixels each."""
        answer = np.zeros((*shape, 4), np.float32)
        for top in range(0, shape[0], STRIP):  # double precision for all at once takes much memory
            strip = answer[top : top + STRIP]
            rows, columns = np.indices(strip.shape[:2], np.float64)
            places = (np.stack([columns, rows + top], axis=2) + 0.5) * step - 0.5
            turns = np.nan_to_num(2 * np.pi * self.coordinates(places))
            strip[..., 0::2] = np.cos(turns)
            strip[..., 1::2] = np.sin(turns)
        return answer

    def _flattened(self, places: Points) -> Points:
        depth = 1 + places @ self.horizon
        depth = np.where(depth > LEAST_DEPTH, depth, np.nan)
        return np.asarray(places / depth[..., None], np.float64)


@dataclass(frozen=True, eq=False)
class Pattern:
    """A lattice and where in a picture it holds.

    certainty: (h, w) float32, 0 to 1: how certain it is that a pixel belongs to it, in the hole as
    well as outside. predicted: share of the detail of known cells that other cells predict, at most
    1. cells: how many cells are known, about.
    """

    lattice: Lattice
    certainty: NDArray[np.float32]
    predicted: float
    cells: float

    def cut(
        self,
        corner: Points,
        inside: tuple[slice, slice],
        scale: float,
        shape: tuple[int, ...],
    ) -> Self:
        """The pattern in a part of the picture, scaled by at most 1.

        corner: x and y of the part. inside: the part. shape: (h, w) of the result.
        """
        lattice = replace(self.lattice, origin=self.lattice.origin - corner).scaled(scale)
        certainty = self.certainty[inside]
        if certainty.shape != shape[:2]:
            resized = cv2.resize(certainty, shape[1::-1], interpolation=cv2.INTER_AREA)
            certainty = np.asarray(resized, np.float32)
        return replace(self, lattice=lattice, certainty=certainty)
