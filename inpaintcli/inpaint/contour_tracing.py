"""Follows a contour back from a hole, to know how long and how straight it is.

A contour that is to be continued far needs its direction better than the pixels just before the
hole tell it, and a reason to believe that it goes on: it was straight for as long. Positions are
(x, y) in pixels, masks bool.
"""

from dataclasses import dataclass

import numpy as np

from inpaintcli.inpaint.contour_ends import (
    ContourEnds,
    Points,
    fitted_line,
    mask_at,
    normal,
    sample,
)
from inpaintcli.texture.pyramid import Bools, Floats

BLOCK = 16
"""Pixels that a contour is followed at a time."""
BESIDE = np.arange(-4, 4.01, 0.5)
"""Pixels beside a line at which its surroundings are looked at."""
MIN_CONTRAST = 0.5
"""Of a block, as a share of that at the hole: with less the contour has ended."""
ROUNDS = 3
"""Of measuring a line's offsets beside it and moving it there."""


@dataclass(frozen=True, eq=False)
class Trace:
    """A contour as a straight line, from a hole backwards.

    position: (2), where the line meets the hole. direction: (2), unit vector into the hole.
    length: pixels that it was followed. bend: by how much the half next to the hole turns from the
    whole, in pixels for each pixel.
    """

    position: Points
    direction: Points
    length: int
    bend: float


def trace_back(picture: Floats, known: Bools, ends: ContourEnds, number: int) -> Trace:
    """Follow an end's contour back into the known part, as far as it is there.

    Args:
        picture: (h, w, 1 or 3) float32 in 0 to 255.
        known: (h, w) bool, True where the picture is known.
        ends: from `find_contour_ends`.
        number: of the end.

    Returns:
        The line that fits all of it; of length 0 where it cannot be followed.
    """
    first, second = ends.side_colours[number]
    across = (first - second) / max(float(np.linalg.norm(first - second)), 1e-6)
    contrast = float(np.linalg.norm(first - second))
    line = Trace(ends.position[number], ends.direction[number], 0, 0.0)
    while True:
        steps = np.arange(1.0, line.length + BLOCK + 1)
        if not _is_clear(known, _places(line, steps[-BLOCK:])):
            break
        profiles = _profiles(picture, across, line, steps)
        jump = profiles[-BLOCK:, -4:].mean(1) - profiles[-BLOCK:, :4].mean(1)
        if np.median(jump) < MIN_CONTRAST * contrast:
            break
        line = _moved(line, steps, profiles)
    for _ in range(ROUNDS if line.length else 0):
        steps = np.arange(1.0, line.length + 1)
        line = _moved(line, steps, _profiles(picture, across, line, steps))
    return line


def _places(line: Trace, steps: Points) -> Points:
    """(steps, beside, 2): positions along a line, backwards, and beside it."""
    beside = normal(line.direction) * BESIDE[:, None]
    return np.asarray(line.position - line.direction * steps[:, None, None] + beside)


def _is_clear(known: Bools, places: Points) -> bool:
    found, _ = mask_at(known, places.reshape(-1, 2))
    return bool(found.mean() > 0.9)


def _profiles(picture: Floats, across: Points, line: Trace, steps: Points) -> Points:
    """(steps, beside): colours beside a line, as far as they differ like the two sides do."""
    return np.asarray(sample(picture, _places(line, steps)) @ across)


def _moved(line: Trace, steps: Points, profiles: Points) -> Trace:
    """The line through the steepest rises near a line, and how long it is then."""
    rise = np.square(np.maximum(profiles[:, 2:] - profiles[:, :-2], 0)) + 1e-3
    strength = rise.sum(1)
    offsets = rise @ BESIDE[1:-1] / strength
    shift, slope = fitted_line(-steps, offsets, strength)
    half = steps <= max(BLOCK, len(steps) // 2)
    _, near = fitted_line(-steps[half], offsets[half], strength[half])
    side = normal(line.direction)
    direction = line.direction + slope * side
    return Trace(
        line.position + shift * side,
        direction / np.linalg.norm(direction),
        len(steps),
        abs(near - slope),
    )
