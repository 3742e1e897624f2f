"""Takes the seams out of what patches make.

Where two patches meet that show things in a different light there is a step that neither of them
shows. So pixels get, besides their colour, the steps to their neighbours, as the patches that lie
over both show them; and the hole becomes the picture that has these steps while it stays near the
voted colours: the least sum of

    (I(q) - I(p) - step(p, q))^2 over neighbours, + (I(p) - voted(p))^2 / reach^2 over pixels,

a screened Poisson equation (Bhat et al. 2008, "Fourier analysis of the 2D screened Poisson equation
for gradient domain problems"), as in Darabi et al. 2012, "Image melding", which does it after every
vote; here it is done once, after the last: docs/log.md. A step that the start has too, as at the
edge of a thing, stays.

Imports Numba, so `inpaintcli.texture.synthesis` imports it only when a hole is to be filled.
"""

import math
from functools import partial

import numpy as np

from inpaintcli.texture.canvas import Canvas
from inpaintcli.texture.compiled import Call, kernel
from inpaintcli.texture.patchmatch import Positions, Scalar
from inpaintcli.texture.pyramid import Bools, Floats

SWEEPS = 3
"""Of the solver, for each pixel of reach: 0.7 of 255 off at most in a hole of 260 px, 0.05 in the
mean."""
LEAST_STRIP = 8192
"""Pixels: a sweep over fewer takes less time than to start a thread."""


def meld(canvas: Canvas, hole: Bools, reach: float) -> None:
    """Take out the seams of a level's present picture, in place; colours may overshoot.

    Args:
        canvas: a level that was voted for.
        hole: (h, w) of that level.
        reach: pixels over which a step is spread.
    """
    scene = canvas.scene
    screen = 1 / reach**2
    aims = _aims(canvas, _starts(hole), screen)
    over = 2 / (1 + math.sqrt(1 - (4 / (4 + screen)) ** 2))  # the fastest, after Young 1954
    y, x = np.nonzero(hole)
    places = np.asarray(y * scene.width + x, np.int32)
    halves = [places[(y + x) % 2 == colour] for colour in (0, 1)]
    for _ in range(round(SWEEPS * reach)):
        for half in halves:
            work = partial(settle, scene.picture, aims, half, scene.width, screen=screen, over=over)
            canvas.in_strips(half.size, work, least=LEAST_STRIP)


def _starts(hole: Bools) -> Positions:
    """(k): pixels of the hole, and those that have one to the right or below."""
    near = hole.copy()
    near[:, :-1] |= hole[:, 1:]
    near[:-1] |= hole[1:]
    return np.flatnonzero(near).astype(np.int32)


def _aims(canvas: Canvas, starts: Positions, screen: float) -> Floats:
    """(3 n): right sides of the equations, where there is hole."""
    aims = canvas.scene.picture.reshape(-1, 3) * np.float32(screen)
    for ahead, step in zip((1, canvas.shape[1]), canvas.steps(starts), strict=True):
        inside = starts + ahead < len(aims)  # a step out of the last column is 0
        aims[starts] -= step
        aims[starts[inside] + ahead] += step[inside]
    return aims.ravel()


@kernel
def settle(
    picture: Floats,
    aims: Floats,
    places: Positions,
    width: Scalar,
    strip: tuple[int, int],
    screen: Scalar,
    over: Scalar,
) -> None:
    """Half a sweep of successive over-relaxation: pixels move towards where their neighbours ask.

    Solves (screen + neighbours) x pixel - sum of neighbours = aim, a screened Poisson equation.

    Args:
        picture: (3 n) is changed at the places.
        aims: (3 n) right sides of the equations.
        places: (k) positions, no two of them neighbours: those of one colour of a chequerboard, so
            that the order does not matter.
        width: columns of the picture.
        strip: first of `places`, and the one after the last.
        screen: weight of a pixel's own value.
        over: 1 to go all the way, up to 2 to go further.
    """
    row, size = 3 * width, picture.size
    for n in range(strip[0], strip[1]):
        first = 3 * places[n]
        left, right = first % row > 0, (first + 3) % row > 0
        above, below = first >= row, first + row < size
        share = np.float32(over) / (np.float32(screen) + np.float32(left + right + above + below))
        if left and right and above and below:
            for at in range(first, first + 3):
                asked = aims[at] + picture[at - 3] + picture[at + 3]
                asked += picture[at - row] + picture[at + row]
                picture[at] += share * asked - np.float32(over) * picture[at]
            continue
        for at in range(first, first + 3):
            asked = aims[at]
            if left:
                asked += picture[at - 3]
            if right:
                asked += picture[at + 3]
            if above:
                asked += picture[at - row]
            if below:
                asked += picture[at + row]
            picture[at] += share * asked - np.float32(over) * picture[at]


def calls() -> list[Call]:
    """The kernel, with arguments of the types that it gets."""
    zeros, centre = np.zeros(27, np.float32), np.array([4], np.int32)
    return [(settle, (zeros, zeros.copy(), centre, 3, (0, 1), 1.0, 1.0))]
