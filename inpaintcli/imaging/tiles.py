"""Cuts a hole into tiles for the model, makes its input, and scales its output back.

A tile is a box of the photo around a target (the pixels to fill), at a scale. The cost is
proportional to the holes, not to the photo; a tile is never larger than `TileSizes.max_side`
working pixels a side, so memory is bounded. The scale depends on the local thickness of the hole:
where it is thinner than `TileSizes.max_thickness` the model works at full resolution; where it is
thicker the box is scaled down until the hole is that thin. Tiles of thick parts come first; what
one tile has filled is known to the next, so that they join without a seam. Specks of dust have
small tiles of their own, of one size, which the model fills many at a time.

Pure functions over arrays. Masks are bool, True in the hole.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.regions import Bools, Box, Floats, bounding_box, hole_depth, opened

SPECK_SIDE = 16
"""Pixels: longest side of a speck's bounding box."""
SPECK_CONTEXT = 12
"""Pixels: least margin around specks in a tile of theirs."""
SPECK_TILE = 64
"""Pixels: least side of a tile of specks; those that fit into it with their margin share it."""


@dataclass(frozen=True, kw_only=True)
class TileSizes:
    """How holes are cut into tiles, in working pixels (after scaling).

    The defaults are those of the default model; `benchmarks/context.py` measures quality and cost
    over thickness and context.

    max_thickness: a thicker hole is scaled down to this.
    context: margin around a target, in thicknesses of the hole.
    min_context: least margin.
    max_side: longest side of a tile, before rounding up.
    size_multiple: the sides of the model's input are multiples of this.
    one_hole: holes that lie apart have tiles of their own, even near each other.
    """

    max_thickness: int = 96
    context: float = 0.5
    min_context: int = 48
    max_side: int = 512
    size_multiple: int = 16
    one_hole: bool = False


@dataclass(frozen=True, eq=False)
class Tile:
    """One call of the model.

    box: what the model sees, in the photo. scale: of the model's input, at most 1. target: bool, of
    the box's size, True on the hole pixels that this tile fills. independent: whether it may be
    filled together with others of its kind, without knowing what they are filled with.
    """

    box: Box
    scale: float
    target: Bools
    independent: bool = False


def plan_tiles(mask: Bools, sizes: TileSizes) -> list[Tile]:
    """Cut a hole into tiles, thick parts first; every hole pixel is the target of one tile.

    Args:
        mask: (h, w) bool, True in the hole.
        sizes: of the tiles.
    """
    outer = bounding_box(mask)
    if outer is None:
        return []
    height, width = mask.shape
    frame = outer.grown(1, height, width)  # one known pixel around, where there is one
    levels = _scale_levels(mask[frame.slices], sizes.max_thickness)
    tiles: list[Tile] = []
    for level in range(int(levels.max()), 0, -1):
        for part in _groups(levels == level, level, sizes):
            cut = _tiles_or_specks if level == 1 else _tiles
            tiles += cut(part, frame, mask.shape, level, sizes)
    # Last, and side by side: the thick parts that specks may lie near are known by then.
    return sorted(tiles, key=lambda tile: tile.independent)


def _tiles_or_specks(
    part: tuple[Box, Bools], frame: Box, shape: tuple[int, ...], level: int, sizes: TileSizes
) -> list[Tile]:
    """The tiles of one group: `_tiles`, or small ones for its specks where those are cheaper."""
    box, target = part
    grouped = list(_tiles(part, frame, shape, level, sizes))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        target.astype(np.uint8), connectivity=8
    )
    small = np.asarray((stats[:, 2:4] <= SPECK_SIDE).all(axis=1), np.bool_)
    small[0] = False
    if not small.any():
        return grouped
    cells = np.zeros(count, np.int64)
    cells[small] = 1 + _shared(stats[small, :4].astype(np.int64), SPECK_TILE - 2 * SPECK_CONTEXT)
    tiles = _speck_tiles(cells[labels], part, frame, shape, sizes)
    inner = bounding_box(rest := target & (cells[labels] == 0))
    if inner is not None:
        remaining = (inner.moved(box.top, box.left), rest[inner.slices])
        tiles += _tiles(remaining, frame, shape, level, sizes)
    return tiles if _cost(tiles) <= _cost(grouped) else grouped


def _shared(boxes: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Numbers of boxes (n, 4: x, y, width, height) from 0, the same for those in one square.

    From top to bottom, each box that has no square yet takes that square of this side, with the
    box's top as its own, that holds the most of the others. As few squares as can be had cheaply.
    """
    order = np.argsort(boxes[:, 1], kind="stable")
    left, top = boxes[order, 0], boxes[order, 1]
    right, bottom = left + boxes[order, 2], top + boxes[order, 3]
    numbers = np.full(len(boxes), -1, np.int64)
    count = 0
    for first in range(len(order)):
        if numbers[order[first]] >= 0:
            continue
        band = np.arange(first, np.searchsorted(top, top[first] + side))
        near = (left[band] > right[first] - side - 1) & (right[band] <= left[first] + side)
        fits = near & (bottom[band] <= top[first] + side) & (numbers[order[band]] < 0)
        band = band[fits]
        starts = left[band][left[band] <= left[first]]
        inside = (left[band] >= starts[:, None]) & (right[band] <= starts[:, None] + side)
        numbers[order[band[inside[inside.sum(axis=1).argmax()]]]] = count
        count += 1
    return numbers


def _speck_tiles(
    cells: NDArray[np.int64],
    part: tuple[Box, Bools],
    frame: Box,
    shape: tuple[int, ...],
    sizes: TileSizes,
) -> list[Tile]:
    """A tile for the specks of each cell; `cells` (h, w) numbers them from 1, 0 elsewhere."""
    side = _rounded_up(SPECK_TILE, sizes.size_multiple)
    top, left = part[0].top + frame.top, part[0].left + frame.left
    pixels = np.flatnonzero(cells)
    pixels = pixels[np.argsort(cells.ravel()[pixels], kind="stable")]
    ends = np.flatnonzero(np.diff(cells.ravel()[pixels])) + 1
    tiles = []
    for members in np.split(pixels, ends):
        y, x = np.unravel_index(members, cells.shape)
        extent = Box(int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1)
        box = extent.moved(top, left).grown(SPECK_CONTEXT, *shape[:2])
        box = _widened(box, shape, 1.0, side)
        wanted = np.zeros(box.size, np.bool_)
        wanted[y + top - box.top, x + left - box.left] = True
        tiles.append(Tile(box, 1.0, wanted, independent=True))
    return tiles


def _cost(tiles: list[Tile]) -> float:
    """Working pixels of some tiles."""
    return sum(tile.box.height * tile.box.width * tile.scale**2 for tile in tiles)


def _scale_levels(mask: Bools, max_thickness: int) -> NDArray[np.uint8]:
    """Scale level of each hole pixel, by the local thickness of the hole; 0 where known.

    Level k is a hole 2**(k-2) to 2**(k-1) times `max_thickness` thick, level 1 anything thinner.
    Local thickness is that of the morphological opening: the diameter of the largest disk inside
    the hole that covers the pixel, found with distance transforms (Hildebrand and Ruegsegger 1997).
    """
    depth = hole_depth(mask)
    levels = mask.astype(np.uint8)
    level, radius = 2, max_thickness / 2
    while (thick := opened(mask, depth, radius)).any():
        levels[thick] = level
        level, radius = level + 1, radius * 2
    return levels


def _groups(mask: Bools, level: int, sizes: TileSizes) -> Iterator[tuple[Box, Bools]]:
    """Groups of hole pixels whose contexts do not overlap, each with its box.

    Found on a mask that is scaled down by a quarter of the least context, so that thousands of
    specks cost no more than one.
    """
    cell = max(1, sizes.min_context // 4) * 2 ** (level - 1)
    coarse = _any_in_cells(mask, cell)
    reach = 3 if sizes.one_hole else 9  # 9: 4 cells each way, one context
    near = cv2.dilate(coarse, np.ones((reach, reach), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for label in range(1, count):
        x, y, w, h = (int(v) for v in stats[label, :4])
        window = Box(y * cell, x * cell, (y + h) * cell, (x + w) * cell)
        window = window.grown(0, *mask.shape)
        inside = (labels[y : y + h, x : x + w] == label).astype(np.uint8)
        inside = np.repeat(np.repeat(inside, cell, 0), cell, 1)[: window.height, : window.width]
        part = mask[window.slices] & (inside > 0)
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
    part: tuple[Box, Bools], frame: Box, shape: tuple[int, ...], level: int, sizes: TileSizes
) -> Iterator[Tile]:
    """The tiles of one group: one where it fits, else a grid of those that hold a target."""
    box, target = part
    thickness = _thickness(target)
    scale = min(1.0, sizes.max_thickness / thickness) if level > 1 else 1.0
    margin = math.ceil(max(sizes.min_context / scale, sizes.context * thickness))
    room = max(min(64, sizes.max_side // 8), math.floor(sizes.max_side / scale) - 2 * margin)
    for cut in _cuts(box.height, box.width, room):
        inner = bounding_box(target[cut.slices])
        if inner is None:
            continue
        inner = inner.moved(cut.top, cut.left)
        extent = inner.moved(box.top + frame.top, box.left + frame.left)
        whole = _widened(extent.grown(margin, *shape[:2]), shape, scale, sizes.size_multiple)
        wanted = np.zeros((whole.height, whole.width), np.bool_)
        wanted[extent.moved(-whole.top, -whole.left).slices] = target[inner.slices]
        yield Tile(whole, scale, wanted)


def _thickness(target: Bools) -> float:
    """Twice the largest distance from a hole pixel to the outside of the group."""
    padded = np.pad(target, 1)
    return max(1.0, 2 * float(hole_depth(padded).max()) - 1)


def _cuts(height: int, width: int, room: int) -> Iterator[Box]:
    """Split (height, width) evenly into boxes of at most room x room."""
    rows = np.linspace(0, height, math.ceil(height / room) + 1).round().astype(int)
    columns = np.linspace(0, width, math.ceil(width / room) + 1).round().astype(int)
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            yield Box(int(top), int(left), int(bottom), int(right))


def _widened(box: Box, shape: tuple[int, ...], scale: float, multiple: int) -> Box:
    """The box grown to the size that its working size, rounded up to `multiple`, has room for."""
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
    """The model's input for a box: a picture in [-1, 1] and its hole.

    Scaling down averages known pixels only, so that nothing of the hole's old content leaks across
    its boundary. Sides are padded to the multiple by mirroring.

    Args:
        pixels: (h, w, 3) float32 in [-1, 1].
        unknown: (h, w) bool, True where the picture must not be used.
        scale: at most 1.
        multiple: the sides of the result are multiples of this.

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
    """The array with rows and columns added at its ends by mirroring (any number of them)."""
    widths = [(0, bottom), (0, right)] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, widths, mode="symmetric")


def model_output(filled: Floats, box: Box, scale: float) -> Floats:
    """The model's output, rgb_hwc (H, W, 3), at the box's own size (box.height, box.width, 3)."""
    if scale >= 1:
        return filled[: box.height, : box.width]
    height, width = (max(1, round(side * scale)) for side in (box.height, box.width))
    part = np.ascontiguousarray(filled[:height, :width])
    size = (box.width, box.height)
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.float32)
