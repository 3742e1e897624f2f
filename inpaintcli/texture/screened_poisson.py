"""Removes the seams between patches by gradient-domain blending.

Where two patches of different brightness meet there is a step that neither of them has. So pixels
get, besides their colour, the differences to their neighbours, as the patches over both have them;
and the hole becomes the picture that has these differences while it stays near the voted colours:
the minimum of the sum of

    (I(q) - I(p) - difference(p, q))^2 over neighbours, + (I(p) - voted(p))^2 / reach^2 over pixels,

a screened Poisson equation (Bhat et al. 2008, "Fourier analysis of the 2D screened Poisson equation
for gradient domain problems"). Darabi et al. 2012, "Image melding", do it after every vote; here it
is done once, after the last, as more gained nothing. A step that the initial fill has too, as at
the edge of an object, stays.

Imports Numba, so `inpaintcli.texture.synthesis` imports it only when a hole is to be filled.
"""

import math
from functools import partial

import numpy as np

from inpaintcli.kernels.numba_kernels import Call, kernel
from inpaintcli.texture.level_solver import LevelSolver
from inpaintcli.texture.patchmatch import Positions, Scalar
from inpaintcli.texture.pyramid import Bools, Floats

SWEEPS = 3
"""Of the solver, for each pixel of reach: 0.7 of 255 off at most in a hole of 260 px, 0.05 in the
mean."""
MIN_STRIP = 8192
"""Pixels: a sweep over fewer takes less time than to start a thread."""


def remove_seams(solver: LevelSolver, hole: Bools, reach: float) -> None:
    """Remove the seams of a level's current picture, in place; colours may overshoot.

    Args:
        solver: of a level, after its last vote.
        hole: (h, w) bool, True in the hole of that level.
        reach: pixels over which a step is spread.
    """
    picture, width = solver.picture(3).reshape(-1), solver.shape[1]
    screening = 1 / reach**2
    right_sides = _right_sides(solver, _pair_starts(hole), screening)
    # The fastest relaxation factor, after Young 1954.
    relaxation = 2 / (1 + math.sqrt(1 - (4 / (4 + screening)) ** 2))
    y, x = np.nonzero(hole)
    positions = np.asarray(y * width + x, np.int32)
    halves = [positions[(y + x) % 2 == colour] for colour in (0, 1)]
    for _ in range(round(SWEEPS * reach)):
        for half in halves:
            work = partial(
                relax,
                picture,
                right_sides,
                half,
                width,
                screening=screening,
                relaxation=relaxation,
            )
            solver.in_strips(half.size, work, min_strip=MIN_STRIP)


def _pair_starts(hole: Bools) -> Positions:
    """(k): pixels of the hole, and those that have one to the right or below."""
    near = hole.copy()
    near[:, :-1] |= hole[:, 1:]
    near[:-1] |= hole[1:]
    return np.flatnonzero(near).astype(np.int32)


def _right_sides(solver: LevelSolver, starts: Positions, screening: float) -> Floats:
    """(3 n): right sides of the equations, valid in the hole."""
    right_sides = solver.picture(3).reshape(-1, 3) * np.float32(screening)
    for offset, gradient in zip((1, solver.shape[1]), solver.gradients(starts), strict=True):
        inside = starts + offset < len(right_sides)  # beyond the last column the gradient is 0
        right_sides[starts] -= gradient
        right_sides[starts[inside] + offset] += gradient[inside]
    return right_sides.ravel()


@kernel
def relax(
    picture: Floats,
    right_sides: Floats,
    positions: Positions,
    width: Scalar,
    strip: tuple[int, int],
    screening: Scalar,
    relaxation: Scalar,
) -> None:
    """Half a sweep of red-black successive over-relaxation.

    Solves (screening + neighbours) x pixel - sum of neighbours = right side, a screened Poisson
    equation.

    Args:
        picture: (3 n) is changed at the positions.
        right_sides: (3 n) of the equations.
        positions: (k), no two of them neighbours: those of one colour of a chequerboard, so that
            the order does not matter.
        width: columns of the picture.
        strip: index of the first of `positions` to work on, and the one after the last.
        screening: weight of a pixel's own value.
        relaxation: factor, 1 for Gauss-Seidel, up to 2 for over-relaxation.
    """
    row, size = 3 * width, picture.size
    for n in range(strip[0], strip[1]):
        first = 3 * positions[n]
        left, right = first % row > 0, (first + 3) % row > 0
        above, below = first >= row, first + row < size
        share = np.float32(relaxation) / (
            np.float32(screening) + np.float32(left + right + above + below)
        )
        if left and right and above and below:
            for at in range(first, first + 3):
                total = right_sides[at] + picture[at - 3] + picture[at + 3]
                total += picture[at - row] + picture[at + row]
                picture[at] += share * total - np.float32(relaxation) * picture[at]
            continue
        for at in range(first, first + 3):
            total = right_sides[at]
            if left:
                total += picture[at - 3]
            if right:
                total += picture[at + 3]
            if above:
                total += picture[at - row]
            if below:
                total += picture[at + row]
            picture[at] += share * total - np.float32(relaxation) * picture[at]


def warm_up_calls() -> list[Call]:
    """The kernel, with arguments of the types that it gets: compiles it when called."""
    zeros, centre = np.zeros(27, np.float32), np.array([4], np.int32)
    return [(relax, (zeros, zeros.copy(), centre, 3, (0, 1), 1.0, 1.0))]
