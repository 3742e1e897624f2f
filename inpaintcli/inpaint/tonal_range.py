"""Stretches narrow ranges of 16-bit photos for the model, and brings its fill back.

10 or 12 bits in a file of 16, dark linear pictures and thermal ones use a small part of the range.
The model and every threshold of the pipeline are made for photos that use most of it; so they see
a linear stretch of the range that the photo has around its holes.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask

Uint16s = NDArray[np.uint16]
WIDE = 0.5
"""Share of the full range from which a photo is left as it is."""
CELL = 64
"""Pixels: known pixels in squares of this side at and beside a hole are looked at."""
OUTLIERS = 0.1
"""Percent of the looked-at samples at either end that may lie outside the range."""
MARGIN = 0.1
"""Of the range, added at either end: a fill may be a little darker or lighter."""
_TOP = 65535


@dataclass(frozen=True)
class TonalRange:
    """The samples from `low` to `high`, 16 bits, which the model sees as 0 to 65535."""

    low: float
    high: float

    def stretched(self, pixels: Uint16s) -> Uint16s:
        """(h, w, c) uint16: the range brought to 0 to 65535, what lies outside cut off."""
        scale = np.float32(_TOP / (self.high - self.low))
        shifted = (pixels.astype(np.float32) - np.float32(self.low)) * scale
        return np.asarray(np.clip(np.rint(shifted), 0, _TOP), np.uint16)

    def restored(self, pixels: Uint16s) -> Uint16s:
        """The inverse of `stretched`."""
        scale = np.float32((self.high - self.low) / _TOP)
        samples = pixels.astype(np.float32) * scale + np.float32(self.low)
        return np.asarray(np.clip(np.rint(samples), 0, _TOP), np.uint16)


def narrow_range(pixels: NDArray[Any], hole: Mask, known: Mask) -> TonalRange | None:
    """The range of a photo around its holes; None where it is wide, or the photo has 8 bits.

    Args:
        pixels: (h, w, 1 or 3) uint8 or uint16.
        hole: (h, w) bool, True in the hole.
        known: (h, w) bool, True where the pixels may be looked at.
    """
    if pixels.dtype != np.uint16:
        return None
    samples = pixels[_around(hole) & known]
    if not samples.size:
        return None
    ends = np.percentile(samples, (OUTLIERS, 100 - OUTLIERS))
    low, high = (float(end) for end in ends)
    margin = max(MARGIN * (high - low), 1.0)
    if high - low + 2 * margin >= WIDE * _TOP:
        return None
    return TonalRange(max(0.0, low - margin), min(float(_TOP), high + margin))


def _around(hole: Mask) -> Mask:
    """(h, w) bool: True in the squares that hold a hole pixel and in their eight neighbours."""
    height, width = hole.shape
    rows = np.add.reduceat(hole, np.arange(0, height, CELL), axis=0, dtype=np.int32)
    cells = np.add.reduceat(rows, np.arange(0, width, CELL), axis=1) > 0
    near = cv2.dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.repeat(np.repeat(near, CELL, 0), CELL, 1)[:height, :width]
