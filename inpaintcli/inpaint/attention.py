"""The map of a model's attention offsets, as a picture in colours.

The colour wheel is that of optical flow (Baker et al. 2007, the Middlebury benchmark): hue is the
direction, saturation the distance; white is an offset of 0, as every known pixel has.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from inpaintcli_engines.base import TensorSpec
from numpy.typing import NDArray

from inpaintcli.errors import UsageError
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.tiles import Tile

OUTPUT = "attention"
"""The model's output (n, 2, h, w): offset of each pixel to the one that it attended to most, rows
down and columns to the right, in pixels of its input."""

_SECTORS = ((15, 1, 1), (6, 0, -1), (4, 2, 1), (11, 1, -1), (13, 0, 1), (6, 2, -1))
"""Sectors of the wheel, red to yellow, green, cyan, blue, magenta, red: number of hues, the channel
that changes, and whether it rises or falls."""
Floats = NDArray[np.float32]


class AttentionMap:
    """Attention offsets of a photo: (h, w, 2) float32, rows and columns, in the photo's pixels.

    `begin` sets the photo's size, `add_tile` adds one tile's offsets, `picture` renders them.
    """

    def __init__(self) -> None:
        self.offsets: Floats = np.zeros((0, 0, 2), np.float32)

    def begin(self, height: int, width: int) -> None:
        """Start with offsets of 0 for a photo of this size."""
        self.offsets = np.zeros((height, width, 2), np.float32)

    def add_tile(self, offsets_chw: Floats, tile: Tile) -> None:
        """Set the offsets of one tile's target.

        Args:
            offsets_chw: (2, H, W), the model's output for the tile, in pixels of its input.
            tile: the tile.
        """
        box, scale = tile.box, tile.scale
        height, width = (max(1, round(side * scale)) for side in (box.height, box.width))
        # The input is padded by mirroring: an offset into the padding means the mirrored pixel.
        rows = _unmirrored(offsets_chw[0, :height, :width], np.arange(height)[:, None], height)
        columns = _unmirrored(offsets_chw[1, :height, :width], np.arange(width), width)
        offsets = np.stack([rows * (box.height / height), columns * (box.width / width)], 2)
        if (height, width) != (box.height, box.width):
            offsets = cv2.resize(offsets, (box.width, box.height), interpolation=cv2.INTER_NEAREST)
        np.copyto(self.offsets[box.slices], offsets, where=tile.target[..., None])

    def picture(self) -> Picture:
        """The map in colours, 8-bit RGB; the longest offset is fully saturated."""
        return Picture(offsets_in_colours(self.offsets))


def check_outputs(model: str, outputs: Iterable[TensorSpec]) -> None:
    """Check that a model has attention offsets.

    Raises:
        UsageError: it has not.
    """
    if not any(spec.name == OUTPUT for spec in outputs):
        raise UsageError(
            f"The model '{model}' has no attention offsets: there is no map to write.",
            hint="--attention-map needs a model of the family 'contextual': pass --model.",
        )


def offsets_in_colours(offsets: Floats) -> NDArray[np.uint8]:
    """Offsets (h, w, 2), rows and columns, as RGB (h, w, 3).

    Right is red, down yellow, left a greenish blue, up violet.
    """
    distance = np.hypot(offsets[..., 0], offsets[..., 1])
    saturation = distance / max(float(distance.max(initial=0)), 1e-6)
    wheel = _wheel()
    turn = np.arctan2(offsets[..., 0], offsets[..., 1]) / (2 * np.pi) % 1
    position = turn * len(wheel)
    low = np.floor(position).astype(int) % len(wheel)
    share = (position % 1)[..., None]
    hue = (1 - share) * wheel[low] + share * wheel[(low + 1) % len(wheel)]
    rgb = np.rint(255 * (1 - saturation[..., None] * (1 - hue)))
    return np.asarray(rgb, np.uint8)


def _unmirrored(offsets: Floats, positions: NDArray[np.int64], side: int) -> Floats:
    """Offsets from `positions`; those beyond `side` are turned back to the mirrored pixel."""
    ends = positions + offsets
    period = 2 * side
    folded = ends % period
    return np.asarray(np.minimum(folded, period - 1 - folded) - positions, np.float32)


def _wheel() -> Floats:
    """The hues of the wheel, (55, 3) in 0 to 1, starting with red."""
    colours = []
    rgb = np.array([1.0, 0.0, 0.0])
    for count, changing, direction in _SECTORS:
        for step in range(count):
            colour = rgb.copy()
            colour[changing] += direction * step / count
            colours.append(colour)
        rgb[changing] += direction
    return np.array(colours, np.float32)
