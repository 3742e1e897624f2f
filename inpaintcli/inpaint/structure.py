"""Patterns of a photo for the parts of its hole: looked for in windows, each once.

Parts that lie near each other share a window, so that a photo with many holes is searched no more
than its own area, about.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box
from inpaintcli.texture.lattice import MIN_CERTAINTY, Pattern

MIN_WINDOW = 512
"""Least side of a window, in pixels of the photo ..."""
WINDOWS = 3
"""... and least share of the photo's longer side, as so many to a side."""

MIN_PREDICTED = 0.5
"""Least share of known detail that a pattern predicts, and, divided by the number of cells, ..."""
FEW_CELLS = 12.0
"""... what is asked for besides. Weaker patterns did harm: nine photos of scenes in which one was
found had P 86.5 with them, 78.2 without (a horizon, thin branches, windows half seen)."""


class Window:
    """A part of a photo and its patterns, which are looked for when they are first wanted."""

    def __init__(self, box: Box, pixels: NDArray[Any], known: Mask) -> None:
        """Take a part `box` of a photo, see `PatternSearch`."""
        self.box = box
        self._pixels, self._known = pixels[box.slices], known[box.slices]
        self._patterns: list[Pattern] | None = None
        self._lock = threading.Lock()

    def patterns(self) -> list[Pattern]:
        """In pixels of the window; may be called from several threads."""
        from inpaintcli.texture.lattice_patterns import find_patterns  # imports Numba

        with self._lock:
            if self._patterns is None:
                unit = np.float32(255 / np.iinfo(self._pixels.dtype).max)
                found = find_patterns(self._pixels.astype(np.float32) * unit, self._known)
                self._patterns = [pattern for pattern in found if _is_sure(pattern)]
            return self._patterns

    def around(self, box: Box, hole: Mask, scale: float) -> list[Pattern]:
        """Patterns that a part of the hole is in.

        Args:
            box: of the part and its context, within the window.
            hole: (h, w) bool, the part in a picture of the box times `scale`.
            scale: at most 1.

        Returns:
            In pixels of the scaled box.
        """
        corner = np.array([box.left - self.box.left, box.top - self.box.top], np.float64)
        inside = box.moved(-self.box.top, -self.box.left).slices
        cut = [pattern.cut(corner, inside, scale, hole.shape) for pattern in self.patterns()]
        return [pattern for pattern in cut if (pattern.certainty[hole] >= MIN_CERTAINTY).any()]


@dataclass(frozen=True, eq=False)
class PatternSearch:
    """The patterns of a photo, by windows.

    pixels: (h, w, 1 or 3) uint8 or uint16; only known ones are looked at. known: (h, w) bool.
    """

    pixels: NDArray[Any]
    known: Mask
    _windows: list[Window] = field(default_factory=list)

    def window(self, box: Box) -> Window:
        """A window around a part and its context: one there is already, if it holds the part."""
        for window in self._windows:
            if _holds(window.box, box):
                return window
        side = max(MIN_WINDOW, -(-max(self.known.shape) // WINDOWS))
        top, bottom = _stretched(box.top, box.bottom, side, self.known.shape[0])
        left, right = _stretched(box.left, box.right, side, self.known.shape[1])
        self._windows.append(Window(Box(top, left, bottom, right), self.pixels, self.known))
        return self._windows[-1]


def _is_sure(pattern: Pattern) -> bool:
    return pattern.predicted >= MIN_PREDICTED + FEW_CELLS / pattern.cells


def _holds(window: Box, box: Box) -> bool:
    rows = window.top <= box.top and box.bottom <= window.bottom
    return rows and window.left <= box.left and box.right <= window.right


def _stretched(first: int, last: int, side: int, length: int) -> tuple[int, int]:
    """A range made at least `side` long around its middle, within `length`."""
    side = min(max(side, last - first), length)
    first = min(max(0, (first + last - side) // 2), length - side)
    return first, first + side
