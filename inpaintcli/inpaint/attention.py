"""Where a model with attention looked: its offsets, tile by tile, as a picture in colours.

The colour wheel is that of optical flow (Baker et al. 2007, the Middlebury benchmark): hue is the
direction, saturation the distance, white is a pixel that looked at itself, as every known one did.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from inpaintcli_engines.base import TensorSpec
from numpy.typing import NDArray

from inpaintcli.errors import UsageError
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Tile

OUTPUT = "attention"
"""The output that says so: (n, 2, h, w), rows down and columns to the right, in pixels."""

_STRETCHES = ((15, 1, 1), (6, 0, -1), (4, 2, 1), (11, 1, -1), (13, 0, 1), (6, 2, -1))
"""Red to yellow, green, cyan, blue, magenta, red: hues, the channel that changes, up or down."""
Floats = NDArray[np.float32]


class AttentionMap:
    """The way from every pixel of a photo to where the model looked for it, in the photo's pixels.

    `begin` gives it the photo's size, `take` what one tile says, `picture` shows it.
    """

    def __init__(self) -> None:
        self.way: Floats = np.zeros((0, 0, 2), np.float32)

    def begin(self, height: int, width: int) -> None:
        """A photo of this size, of which no pixel looks elsewhere yet."""
        self.way = np.zeros((height, width, 2), np.float32)

    def take(self, offsets_chw: Floats, tile: Tile) -> None:
        """Take in what the model says of one tile.

        Args:
            offsets_chw: (2, H, W) over the model's input, in its pixels.
            tile: as the model was shown it.
        """
        box, scale = tile.box, tile.scale
        height, width = (max(1, round(side * scale)) for side in (box.height, box.width))
        # The model's input was mirrored on at its far ends: what lies there is a known pixel too.
        rows = _unmirrored(offsets_chw[0, :height, :width], np.arange(height)[:, None], height)
        columns = _unmirrored(offsets_chw[1, :height, :width], np.arange(width), width)
        way = np.stack([rows * (box.height / height), columns * (box.width / width)], 2)
        if (height, width) != (box.height, box.width):
            way = cv2.resize(way, (box.width, box.height), interpolation=cv2.INTER_NEAREST)
        np.copyto(self.way[box.slices], way, where=tile.target[..., None])

    def picture(self) -> Picture:
        """The map in colours, 8-bit RGB; the longest way in it is the most saturated."""
        return Picture(in_colours(self.way))


def check_outputs(model: str, outputs: Iterable[TensorSpec]) -> None:
    """Make sure that a model says where it looks.

    Raises:
        UsageError: it does not.
    """
    if not any(spec.name == OUTPUT for spec in outputs):
        raise UsageError(
            f"The model '{model}' does not say where it looks: there is no map to write.",
            hint="--attention-map needs a model of the family 'contextual': pass --model.",
        )


def in_colours(way: Floats) -> NDArray[np.uint8]:
    """Offsets (h, w, 2), rows and columns, as RGB (h, w, 3).

    Right is red, down yellow, left a greenish blue, up violet.
    """
    distance = np.hypot(way[..., 0], way[..., 1])
    saturation = distance / max(float(distance.max(initial=0)), 1e-6)
    wheel = _wheel()
    turn = np.arctan2(way[..., 0], way[..., 1]) / (2 * np.pi) % 1
    place = turn * len(wheel)
    low = np.floor(place).astype(int) % len(wheel)
    share = (place % 1)[..., None]
    hue = (1 - share) * wheel[low] + share * wheel[(low + 1) % len(wheel)]
    rgb = np.rint(255 * (1 - saturation[..., None] * (1 - hue)))
    return np.asarray(rgb, np.uint8)


def _unmirrored(offsets: Floats, start: NDArray[np.int64], side: int) -> Floats:
    """Offsets from `start` that lead beyond `side`, led back to the pixel that was mirrored."""
    there = start + offsets
    period = 2 * side
    folded = there % period
    return np.asarray(np.minimum(folded, period - 1 - folded) - start, np.float32)


def _wheel() -> Floats:
    """The hues of the wheel, (55, 3) in 0..1, from red on."""
    colours = []
    rgb = np.array([1.0, 0.0, 0.0])
    for count, changing, direction in _STRETCHES:
        for step in range(count):
            colour = rgb.copy()
            colour[changing] += direction * step / count
            colours.append(colour)
        rgb[changing] += direction
    return np.array(colours, np.float32)
