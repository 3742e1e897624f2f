"""Boxes, bounding boxes and connected regions of holes.

Pure functions over arrays. Masks are bool, True in the hole.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows `top` to `bottom` - 1, columns `left` to `right` - 1."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """The box as an index into (h, w, ...) arrays."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int, height: int, width: int) -> Self:
        """The box with `margin` pixels more on every side, clipped to a picture of this size."""
        return type(self)(
            max(0, self.top - margin),
            max(0, self.left - margin),
            min(height, self.bottom + margin),
            min(width, self.right + margin),
        )

    def moved(self, y: int, x: int) -> Self:
        """The box shifted by `y` rows and `x` columns."""
        return type(self)(self.top + y, self.left + x, self.bottom + y, self.right + x)


@dataclass(frozen=True, eq=False)
class Region:
    """A connected part of a hole in its surroundings.

    box: of the part and its margin, in the photo. mask: bool, of the box's size, True in the part.
    """

    box: Box
    mask: Bools


def bounding_box(mask: Bools) -> Box | None:
    """The smallest box with all True pixels in, or None when there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    return Box(top, int(columns[0]), bottom, int(columns[-1]) + 1)


def thick_regions(
    mask: Bools, min_thickness: float, margin_for: Callable[[float], int]
) -> list[Region]:
    """The connected components of the parts of a mask that are at least `min_thickness` thick.

    Args:
        mask: (h, w) bool, True in the hole.
        min_thickness: local thickness in pixels; scratches that cross a thick part are left out.
        margin_for: gives the margin around a part, in pixels, for its thickness in pixels.
    """
    outer = bounding_box(mask)
    if outer is None:
        return []
    frame = outer.grown(1, *mask.shape)
    inside = mask[frame.slices]
    depth = hole_depth(inside)
    thick = opened(inside, depth, min_thickness / 2)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        thick.astype(np.uint8), connectivity=8
    )
    found: list[Region] = []
    for label in range(1, count):
        x, y, w, h = (int(v) for v in stats[label, :4])
        box = Box(y, x, y + h, x + w)
        part = labels[box.slices] == label
        thickness = 2 * float(depth[box.slices][part].max())
        extent = box.moved(frame.top, frame.left)
        whole = extent.grown(margin_for(thickness), *mask.shape)
        target = np.zeros((whole.height, whole.width), np.bool_)
        target[extent.moved(-whole.top, -whole.left).slices] = part
        found.append(Region(whole, target))
    return found


def hole_depth(mask: Bools) -> Floats:
    """(h, w) float32: Euclidean distance of each hole pixel to the nearest known pixel.

    Without any known pixel, the longest possible distance in such a picture.
    """
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.minimum(distance, np.float32(math.hypot(*mask.shape)), dtype=np.float32)


def opened(mask: Bools, depth: Floats, radius: float) -> Bools:
    """Morphological opening of a mask by disks of `radius`, corners kept.

    The dilation's disks are half as large again as the erosion's, so that the corners of a
    rectangle stay with its middle.

    Args:
        mask: (h, w) bool, True in the hole.
        depth: its `hole_depth`.
        radius: in pixels.
    """
    core = depth > radius
    if not core.any():
        return core
    distance = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(mask & (distance <= 1.5 * radius), np.bool_)
