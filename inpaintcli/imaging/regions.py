"""Where the holes are, what the model sees of them, and how its answer goes back.

A mask is cut into `Tile`s: a target (the pixels to fill) and a box of the photo around it, at a
scale. Cost follows the holes, not the photo; a tile is never larger than `Sizes.tile` working
pixels a side, so memory is bounded. Scale follows the local thickness of the hole: where it is
thinner than `Sizes.thickness` the model works at full resolution, where it is thicker the box is
scaled down until the hole is that thin. Tiles come thick parts first; what one has filled is known
to the next, so that they join without a seam.

Pure functions over arrays: no files, no model. Masks are bool, True in the hole.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

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
    def slices(self) -> tuple[slice, slice]:
        """The box as an index into (h, w, ...) arrays."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int, height: int, width: int) -> Self:
        """The box with `margin` more on every side, cut at the picture's border."""
        return type(self)(
            max(0, self.top - margin),
            max(0, self.left - margin),
            min(height, self.bottom + margin),
            min(width, self.right + margin),
        )

    def moved(self, y: int, x: int) -> Self:
        """The box shifted by `y` rows and `x` columns."""
        return type(self)(self.top + y, self.left + x, self.bottom + y, self.right + x)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How holes are cut, in working pixels (after scaling).

    Thickness and context are the shipped model's; `benchmarks/context.py` measures quality and
    cost over both.
    """

    thickness: int = 96  # a thicker hole is scaled down to this
    context: float = 0.5  # margin around a target, in thicknesses of the hole ...
    least_context: int = 48  # ... and at least this
    tile: int = 512  # longest side of what the model sees at once, before rounding up
    multiple: int = 16  # sides of the model's input are multiples of this


@dataclass(frozen=True, eq=False)
class Tile:
    """One call of the model: look at `box` scaled by `scale`, fill `target`.

    `target` is a bool array of the box's size: the hole pixels that this tile is to fill.
    """

    box: Box
    scale: float
    target: Bools


def bounding_box(mask: Bools) -> Box | None:
    """The smallest box with all True pixels in, or None when there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    return Box(top, int(columns[0]), bottom, int(columns[-1]) + 1)


def plan(mask: Bools, sizes: Sizes) -> list[Tile]:
    """Cut a mask into tiles, thick parts first.

    Every hole pixel is the target of exactly one tile.

    Args:
        mask: (h, w) bool, True in the hole.
        sizes: of the tiles.
    """
    outer = bounding_box(mask)
    if outer is None:
        return []
    height, width = mask.shape
    frame = outer.grown(1, height, width)  # one known pixel around, where there is one
    levels = _levels(mask[frame.slices], sizes.thickness)
    tiles: list[Tile] = []
    for level in range(int(levels.max()), 0, -1):
        for part in _groups(levels == level, level, sizes):
            tiles += _tiles(part, frame, mask.shape, level, sizes)
    return tiles


def regions(mask: Bools, least: float, margin: Callable[[float], int]) -> list[Tile]:
    """The parts of a mask that are locally at least `least` thick, at full resolution.

    Args:
        mask: (h, w) bool, True in the hole.
        least: thickness in pixels; scratches that cross a thick part are left out.
        margin: how much to see around a part, in pixels, by its thickness in pixels.

    Returns:
        One tile of scale 1 for each connected part, its target the part's pixels.
    """
    outer = bounding_box(mask)
    if outer is None:
        return []
    frame = outer.grown(1, *mask.shape)
    inside = mask[frame.slices]
    depth = _distance(inside)
    thick = _opened(inside, depth, least / 2)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        thick.astype(np.uint8), connectivity=8
    )
    found: list[Tile] = []
    for label in range(1, count):
        x, y, w, h = (int(v) for v in stats[label, :4])
        box = Box(y, x, y + h, x + w)
        part = labels[box.slices] == label
        thickness = 2 * float(depth[box.slices][part].max())
        place = box.moved(frame.top, frame.left)
        seen = place.grown(margin(thickness), *mask.shape)
        target = np.zeros((seen.height, seen.width), np.bool_)
        target[place.moved(-seen.top, -seen.left).slices] = part
        found.append(Tile(seen, 1.0, target))
    return found


def _levels(mask: Bools, thickness: int) -> NDArray[np.uint8]:
    """Scale level of each hole pixel, by the local thickness of the hole; 0 where known.

    Level k is a hole 2**(k-2) to 2**(k-1) times `thickness` thick, level 1 anything thinner.
    Local thickness is that of the morphological opening: the largest disk inside the hole that
    reaches the pixel, found with distance transforms (Hildebrand and Ruegsegger 1997). The disks
    are taken half as large again, so that the corners of a rectangle stay with its middle.
    """
    depth = _distance(mask)
    levels = mask.astype(np.uint8)
    level, radius = 2, thickness / 2
    while (thick := _opened(mask, depth, radius)).any():
        levels[thick] = level
        level, radius = level + 1, radius * 2
    return levels


def _opened(mask: Bools, depth: Floats, radius: float) -> Bools:
    """The parts of a mask that hold disks of `radius`, with their corners; `depth` from the rim."""
    core = depth > radius
    if not core.any():
        return core
    reach = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(mask & (reach <= 1.5 * radius), np.bool_)


def _distance(mask: Bools) -> Floats:
    """Euclidean distance of each hole pixel to the nearest known pixel.

    Without any known pixel, the longest that a distance in such a picture can be.
    """
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.minimum(distance, np.float32(math.hypot(*mask.shape)), dtype=np.float32)


def _groups(mask: Bools, level: int, sizes: Sizes) -> Iterator[tuple[Box, Bools]]:
    """Parts of a mask so far apart that their contexts do not meet, each with its box.

    Found on a mask shrunk by the smallest margin there is, so that thousands of specks cost no
    more than one.
    """
    cell = max(1, sizes.least_context // 4) * 2 ** (level - 1)
    coarse = _any_in_cells(mask, cell)
    near = cv2.dilate(coarse, np.ones((9, 9), np.uint8))  # 4 cells each way: one context
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for label in range(1, count):
        x, y, w, h = (int(v) for v in stats[label, :4])
        window = Box(y * cell, x * cell, (y + h) * cell, (x + w) * cell)
        window = window.grown(0, *mask.shape)
        mine = (labels[y : y + h, x : x + w] == label).astype(np.uint8)
        mine = np.repeat(np.repeat(mine, cell, 0), cell, 1)[: window.height, : window.width]
        part = mask[window.slices] & (mine > 0)
        box = bounding_box(part)
        if box is not None:
            yield box.moved(window.top, window.left), part[box.slices]


def _any_in_cells(mask: Bools, cell: int) -> NDArray[np.uint8]:
    """1 for each cell x cell square that holds a True pixel: (ceil(h / cell), ceil(w / cell))."""
    height, width = mask.shape
    rows = np.add.reduceat(mask, np.arange(0, height, cell), axis=0, dtype=np.int32)
    cells = np.add.reduceat(rows, np.arange(0, width, cell), axis=1)
    return (cells > 0).astype(np.uint8)


def _tiles(
    part: tuple[Box, Bools], frame: Box, shape: tuple[int, ...], level: int, sizes: Sizes
) -> Iterator[Tile]:
    """The tiles of one group: one where it fits, else a grid of those that hold a target."""
    box, target = part
    thickness = _thickness(target)
    scale = min(1.0, sizes.thickness / thickness) if level > 1 else 1.0
    margin = math.ceil(max(sizes.least_context / scale, sizes.context * thickness))
    room = max(64, math.floor(sizes.tile / scale) - 2 * margin)
    for cut in _cuts(box.height, box.width, room):
        inner = bounding_box(target[cut.slices])
        if inner is None:
            continue
        inner = inner.moved(cut.top, cut.left)
        place = inner.moved(box.top + frame.top, box.left + frame.left)
        seen = _widened(place.grown(margin, *shape[:2]), shape, scale, sizes.multiple)
        wanted = np.zeros((seen.height, seen.width), np.bool_)
        wanted[place.moved(-seen.top, -seen.left).slices] = target[inner.slices]
        yield Tile(seen, scale, wanted)


def _thickness(target: Bools) -> float:
    """Twice the largest distance from a hole pixel to the outside of the group."""
    padded = np.pad(target, 1)
    return max(1.0, 2 * float(_distance(padded).max()) - 1)


def _cuts(height: int, width: int, room: int) -> Iterator[Box]:
    """Split (height, width) evenly into boxes of at most room x room."""
    rows = np.linspace(0, height, math.ceil(height / room) + 1).round().astype(int)
    columns = np.linspace(0, width, math.ceil(width / room) + 1).round().astype(int)
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            yield Box(int(top), int(left), int(bottom), int(right))


def _widened(box: Box, shape: tuple[int, ...], scale: float, multiple: int) -> Box:
    """The box grown by what rounding its working size up to `multiple` leaves room for."""
    height, width = shape[:2]
    rows = _span(box.top, box.bottom, height, scale, multiple)
    columns = _span(box.left, box.right, width, scale, multiple)
    return Box(rows[0], columns[0], rows[1], columns[1])


def _span(low: int, high: int, limit: int, scale: float, multiple: int) -> tuple[int, int]:
    wanted = math.floor(_rounded_up((high - low) * scale, multiple) / scale)
    wanted = min(limit, max(wanted, high - low))
    low = min(max(0, low - (wanted - (high - low)) // 2), limit - wanted)
    return low, low + wanted


def _rounded_up(length: float, multiple: int) -> int:
    return max(1, math.ceil(round(length, 6) / multiple)) * multiple


def model_input(
    pixels: NDArray[Any], unknown: Bools, scale: float, multiple: int
) -> tuple[Floats, Floats]:
    """What the model sees of a box: a picture in [-1, 1] and its hole.

    Scaling down averages known pixels only, so that nothing of the hole's old content leaks out
    over its rim. Sides are brought up to the multiple by mirroring.

    Args:
        pixels: (h, w, 3) float32 in [-1, 1].
        unknown: (h, w), True where the picture is not to be looked at.
        scale: at most 1.
        multiple: of the model's sides.

    Returns:
        rgb_hwc (H, W, 3), 0 in the hole, and the hole (H, W), 1 inside, both float32.
    """
    known = (~unknown).astype(np.float32)
    rgb: Floats = pixels * known[..., None]
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in (rgb.shape[1], rgb.shape[0]))
        share = np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_AREA), np.float32)
        known = (share >= 0.5).astype(np.float32)
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.float32)
        rgb *= (known / np.maximum(share, 0.5))[..., None]
    height, width = known.shape
    bottom = _rounded_up(height, multiple) - height
    right = _rounded_up(width, multiple) - width
    if bottom or right:
        rgb = _mirrored(rgb, bottom, right)
        known = _mirrored(known, bottom, right)
    return rgb, 1 - known


def _mirrored(array: Floats, bottom: int, right: int) -> Floats:
    """The array with rows and columns mirrored on at its far ends (any number of them)."""
    how = [(0, bottom), (0, right)] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, how, mode="symmetric")


def model_output(filled: Floats, box: Box, scale: float) -> Floats:
    """The model's answer at the box's own size: rgb_hwc (box.height, box.width, 3)."""
    if scale >= 1:
        return filled[: box.height, : box.width]
    height, width = (max(1, round(side * scale)) for side in (box.height, box.width))
    part = np.ascontiguousarray(filled[:height, :width])
    size = (box.width, box.height)
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.float32)
