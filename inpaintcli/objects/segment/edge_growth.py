"""A mask grown over what is left of an object around it: blur, scaling, the rings of JPEG.

How far is measured: in each part of the mask's edge the mean colour is taken as a function of the
distance from the mask. Means along the edge leave out the texture of both sides, so that what
remains is the passage from the object's colour to that of its surroundings.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import bounding_box

Floats = NDArray[np.float32]
LEAST = 2
"""Pixels that every edge is grown by: lenses and scaling leave no edge that is harder."""
REACH = 0.06
"""Of the object's longer side: how far its edge may reach."""
MOST = 32
"""Pixels: as REACH."""
FAINT = 0.06
"""Of the step from the object's colour to the surroundings': what is less is no longer seen."""
CELLS = 8
"""Parts of the edge, along the object's longer side, that are measured each on its own."""


def grown_over_soft_edges(pixels: NDArray[Any], mask: Mask) -> Mask:
    """The mask with the soft edge of its object.

    Args:
        pixels: uint8 or uint16 (h, w, 1 or 3), the photo.
        mask: (h, w) bool, True on one object.

    Returns:
        (h, w) bool; holds the mask.
    """
    box = bounding_box(mask)
    if box is None:
        return mask
    reach = round(min(MOST, max(3 * LEAST, REACH * max(box.size))))
    inside = box.grown(2 * reach + 2, *mask.shape).slices
    part = mask[inside]
    edge = _Edge.of(part, max(16, max(box.size) // CELLS))
    width = _width(pixels[inside], edge, reach)
    grown = mask.copy()
    grown[inside] |= edge.distance <= width
    return grown


@dataclass(frozen=True, eq=False)
class _Edge:
    """distance: (h, w) to the mask, negative inside. cell: (h, w), the nearest part of the edge."""

    distance: Floats
    cell: NDArray[np.intp]
    cells: int

    @classmethod
    def of(cls, mask: Mask, side: int) -> "_Edge":
        """Distances to a mask, and the squares of `side` pixels that its edge runs through."""
        outer, of_outside = _to_nearest(mask)
        inner, of_inside = _to_nearest(~mask)
        distance = np.where(mask, 1 - inner, outer)
        rows, columns = (-(-length // side) for length in mask.shape)
        y, x = np.indices(mask.shape)
        square = (y // side) * columns + x // side
        cell = np.where(
            mask, _looked_up(of_inside, ~mask, square), _looked_up(of_outside, mask, square)
        )
        return cls(np.asarray(distance, np.float32), cell, rows * columns)


def _to_nearest(mask: Mask) -> tuple[Floats, NDArray[np.int32]]:
    """The distance to the nearest True pixel, and that pixel's label."""
    distance, labels = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    return np.asarray(distance, np.float32), np.asarray(labels, np.int32)


def _looked_up(labels: NDArray[np.int32], mask: Mask, square: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each pixel the square of its nearest True pixel."""
    of_label = np.zeros(int(labels.max()) + 1, np.intp)
    of_label[labels[mask]] = square[mask]
    return of_label[labels]


def _width(pixels: NDArray[Any], edge: _Edge, reach: int) -> float:
    """The distance beyond which the mean colours along a mask are those of the surroundings."""
    colours, count = _profiles(pixels, edge, reach)
    weight = np.minimum(count[:, :reach].sum(1), count[:, 2 * reach :].sum(1))
    known = weight > 0
    if not known.any():
        return LEAST
    colours, count, weight = colours[known], count[known], weight[known]
    ours = _mean(colours, count, slice(0, reach - LEAST))
    theirs = _mean(colours, count, slice(2 * reach, None))
    step = (ours - theirs) * weight[:, None]
    size = float((step * (ours - theirs)).sum())
    ring = colours[:, reach : 2 * reach + 1] - theirs[:, None]
    seen = count[:, reach : 2 * reach + 1] > 0
    share = (ring * step[:, None]).sum(-1) * seen
    shares = share.sum(0) / max(size, 1e-6)
    # A share that no longer falls is the surroundings' own change of colour.
    flat = np.append(shares[:-2] - shares[2:] < FAINT / 2, [True, True])
    beyond = np.flatnonzero((shares <= FAINT) | flat)
    return float(max(LEAST, beyond[0]))


def _profiles(
    pixels: NDArray[Any], edge: _Edge, reach: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean colours (cells, rings, channels), and how many pixels each is the mean of.

    Ring `reach` is the mask's own last pixels, the next one touches it.
    """
    rings = 3 * reach + 1
    ring = np.rint(edge.distance).astype(np.intp) + reach
    near = (ring >= 0) & (ring < rings)
    index = edge.cell[near] * rings + ring[near]
    count = np.bincount(index, minlength=edge.cells * rings).astype(np.float64)
    sums = [
        np.bincount(index, plane[near], minlength=edge.cells * rings)
        for plane in np.moveaxis(pixels, 2, 0)
    ]
    means = np.stack(sums, axis=-1) / np.maximum(count, 1)[:, None]
    return means.reshape(edge.cells, rings, -1), count.reshape(edge.cells, rings)


def _mean(
    colours: NDArray[np.float64], count: NDArray[np.float64], rings: slice
) -> NDArray[np.float64]:
    """(cells, channels): the mean colour of some rings."""
    weight = count[:, rings, None]
    return np.asarray((colours[:, rings] * weight).sum(1) / np.maximum(weight.sum(1), 1))
