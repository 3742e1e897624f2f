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
from inpaintcli.imaging.regions import Box, hole_depth
from inpaintcli.texture.lattice import MIN_CERTAINTY, Pattern
from inpaintcli.texture.pyramid import Floats

MIN_WINDOW = 512
"""Least side of a window, in pixels of the photo ..."""
WINDOWS = 3
"""... and least share of the photo's longer side, as so many to a side."""

SURE = 0.5
"""A pattern that predicts so much of the known detail and, divided by the number of cells, ..."""
FEW_CELLS = 12.0
"""... so much besides, is used, if a known piece of the photo, filled with it, comes out ..."""
MAX_SURE_ERROR = 0.95
"""... at most so far from the truth, as a share of that without it."""
TRIAL_CELLS = 12.0
"""A weaker one of so many cells is used ..."""
MAX_TRIAL_ERROR = 0.72
"""... where the piece comes out so much nearer. Without a trial they did harm: nine photos of
scenes in which one was found had P 86.5 with them, 78.2 without (branches, windows half seen)."""
MANY_CELLS = 40.0
MAX_ERROR_OF_FEW = 0.6
"""With fewer cells than that, so much: two of 100 photos had one that passed by less, and came out
worse by 0.9 and 1.6 dB."""
MAX_ELONGATION = 4.0
"""Of a cell, the longer step over the shorter: stripes on calm water, 13 times as long as wide,
were taken for a pattern that predicts 84 %, and cost 11 dB."""


class Window:
    """A part of a photo and its patterns, which are looked for when they are first wanted."""

    def __init__(self, box: Box, pixels: NDArray[Any], known: Mask, threads: int) -> None:
        """Take a part `box` of a photo, see `PatternSearch`."""
        self.box, self._threads = box, threads
        self._pixels, self._known = pixels[box.slices], known[box.slices]
        self._patterns: list[Pattern] | None = None
        self._lock = threading.Lock()

    def patterns(self) -> list[Pattern]:
        """In pixels of the window; may be called from several threads."""
        from inpaintcli.texture.lattice_patterns import find_patterns  # imports Numba

        with self._lock:
            if self._patterns is None:
                unit = np.float32(255 / np.iinfo(self._pixels.dtype).max)
                picture = self._pixels.astype(np.float32) * unit
                found = find_patterns(picture, self._known, self._threads)
                self._patterns = [each for each in found if _serves(picture, self._known, each)]
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
    threads: to work with in a window.
    """

    pixels: NDArray[Any]
    known: Mask
    threads: int = 1
    _windows: list[Window] = field(default_factory=list)

    def window(self, box: Box) -> Window:
        """A window around a part and its context: one there is already, if it holds the part."""
        for window in self._windows:
            if _holds(window.box, box):
                return window
        side = max(MIN_WINDOW, -(-max(self.known.shape) // WINDOWS))
        top, bottom = _stretched(box.top, box.bottom, side, self.known.shape[0])
        left, right = _stretched(box.left, box.right, side, self.known.shape[1])
        box = Box(top, left, bottom, right)
        self._windows.append(Window(box, self.pixels, self.known, self.threads))
        return self._windows[-1]


def _serves(picture: Floats, known: Mask, pattern: Pattern) -> bool:
    """Whether a pattern is to be used in a hole."""
    from inpaintcli.texture.lattice_trial import trial_error

    if _elongation(pattern) > MAX_ELONGATION:
        return False
    is_sure = pattern.predicted >= SURE + FEW_CELLS / pattern.cells
    if not is_sure and pattern.cells < TRIAL_CELLS:
        return False
    error = trial_error(picture, known, pattern, 2 * float(hole_depth(~known).max()))
    if is_sure:
        return error is None or error <= MAX_SURE_ERROR
    most = MAX_TRIAL_ERROR if pattern.cells >= MANY_CELLS else MAX_ERROR_OF_FEW
    return error is not None and error <= most


def _elongation(pattern: Pattern) -> float:
    """The longer step of a pattern over the shorter."""
    first, second = np.hypot(*pattern.lattice.steps)
    return float(max(first, second) / max(min(first, second), 1e-6))


def _holds(window: Box, box: Box) -> bool:
    rows = window.top <= box.top and box.bottom <= window.bottom
    return rows and window.left <= box.left and box.right <= window.right


def _stretched(first: int, last: int, side: int, length: int) -> tuple[int, int]:
    """A range made at least `side` long around its middle, within `length`."""
    side = min(max(side, last - first), length)
    first = min(max(0, (first + last - side) // 2), length - side)
    return first, first + side
