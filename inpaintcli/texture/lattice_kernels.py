"""Compiled kernels of the search for lattices: how a picture differs from itself, some cells on.

Pictures are (h, w) float32, points (n, 2) float64 x and y relative to a lattice's origin. A lattice
is six numbers: two steps (a_x, a_y, b_x, b_y) in pixels of the plane seen frontally, and the two of
its horizon, as in `lattice.Lattice`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaintcli.kernels.numba_kernels import Call, kernel

Scalar = Any
"""A number in a kernel: Numba finds out of which type."""
Floats = NDArray[np.float32]
Points = NDArray[np.float64]
NEAREST = 1e-3
"""Least depth, 1 at the origin and 0 at the horizon, that is still seen."""
MIN_SHARE = 0.25
"""Of the surroundings, that must be known for a correlation."""
MIN_POWER = 1e-3
"""Of the detail there: next to none is like anything."""


class Comparison(NamedTuple):
    """What is compared with itself, and where."""

    picture: Floats  # (h, w): smooth; 0 where unknown
    known: NDArray[np.bool_]  # (h, w)
    origin: Points  # (2): x and y
    shifts: Points  # (k, 2): in cells
    points: Points  # (n, 2): places
    weights: Points  # (n): what each counts


@kernel
def _moved(lattice: Points, x: Scalar, y: Scalar, i: Scalar, j: Scalar) -> tuple[Any, Any, Any]:
    """Where a point is after i and j cells, and its depth there: 0 beyond the horizon."""
    depth = 1 + lattice[4] * x + lattice[5] * y
    if depth < NEAREST:
        return 0.0, 0.0, 0.0
    flat_x = x / depth + i * lattice[0] + j * lattice[2]
    flat_y = y / depth + i * lattice[1] + j * lattice[3]
    there = 1 - lattice[4] * flat_x - lattice[5] * flat_y
    if there < NEAREST:
        return 0.0, 0.0, 0.0
    return flat_x / there, flat_y / there, there


@kernel
def _sampled(
    picture: Floats, known: NDArray[np.bool_], x: Scalar, y: Scalar
) -> tuple[Any, Any, Any, Any]:
    """Value and slopes between four pixels, and whether all are known."""
    height, width = picture.shape
    left, top = int(np.floor(x)), int(np.floor(y))
    if left < 0 or top < 0 or left + 1 >= width or top + 1 >= height:
        return 0.0, 0.0, 0.0, False
    right, down = x - left, y - top
    a, b = picture[top, left], picture[top, left + 1]
    c, d = picture[top + 1, left], picture[top + 1, left + 1]
    slope_x = (1 - down) * (b - a) + down * (d - c)
    slope_y = (1 - right) * (c - a) + right * (d - b)
    value = (1 - down) * (a + right * (b - a)) + down * (c + right * (d - c))
    whole = known[top, left] and known[top, left + 1]
    whole = whole and known[top + 1, left] and known[top + 1, left + 1]
    return value, slope_x, slope_y, whole


@kernel
def alike(
    picture: Floats,
    known: NDArray[np.bool_],
    origin: Points,
    lattice: Points,
    shifts: Points,
    corner: tuple[int, int],
    stride: Scalar,
    moments: Floats,
) -> None:
    """Products of a part of a picture with the picture some cells on.

    Args:
        picture: 0 where unknown.
        known: (h, w).
        origin: (2) x and y.
        lattice: (6).
        shifts: (k, 2) in cells.
        corner: row and column where the part begins.
        stride: every so many rows and columns are looked at.
        moments: (k, rows, columns, 4) is set: product, both squares, and 1; all 0 where one of the
            two is unknown.
    """
    moments[:] = 0
    for row in range(moments.shape[1]):
        for column in range(moments.shape[2]):
            y, x = corner[0] + row * stride, corner[1] + column * stride
            if not known[y, x]:
                continue
            here = picture[y, x]
            for n in range(shifts.shape[0]):
                moved_x, moved_y, depth = _moved(
                    lattice, x - origin[0], y - origin[1], shifts[n, 0], shifts[n, 1]
                )
                there, _, _, whole = _sampled(
                    picture, known, moved_x + origin[0], moved_y + origin[1]
                )
                if depth > 0 and whole:
                    moments[n, row, column, 0] = here * there
                    moments[n, row, column, 1] = here * here
                    moments[n, row, column, 2] = there * there
                    moments[n, row, column, 3] = 1


@kernel
def upper_half(moments: Floats, means: Floats, least: Scalar, correlation: Floats) -> None:
    """The mean of the higher half of the correlations under several shifts.

    Args:
        moments: (k, rows, columns, 4), from `alike`.
        means: the same, averaged over the surroundings of each place.
        least: shifts of which enough must be known.
        correlation: (rows, columns) is set; NaN where fewer are.
    """
    found = np.zeros(moments.shape[0], np.float32)
    for row in range(moments.shape[1]):
        for column in range(moments.shape[2]):
            count = 0
            for n in range(moments.shape[0]):
                product, one, other, share = means[n, row, column]
                power = np.sqrt(max(one * other, np.float32(0)))
                if moments[n, row, column, 3] > 0 and share > MIN_SHARE and power > MIN_POWER:
                    value, at = product / power, count
                    while at > 0 and found[at - 1] < value:
                        found[at] = found[at - 1]
                        at -= 1
                    found[at] = value
                    count += 1
            half = (count + 1) // 2
            total = np.float32(0)
            for n in range(half):
                total += found[n]
            correlation[row, column] = total / half if count >= least else np.float32(np.nan)


@kernel
def _derivatives(
    lattice: Points,
    point: tuple[Any, Any],
    moved: tuple[Any, Any, Any],
    slopes: tuple[Any, Any],
    shift: Points,
    row: Points,
) -> None:
    """How the value at a moved point changes with the lattice: `row` (6) is set.

    A point x is moved to x' = z' / (1 - l z') with z' = x / (1 + l x) + i a + j b.
    """
    x, y = point
    moved_x, moved_y, there = moved
    depth = 1 + lattice[4] * x + lattice[5] * y
    across = slopes[0] * moved_x + slopes[1] * moved_y
    flat_x = (slopes[0] + across * lattice[4]) / there
    flat_y = (slopes[1] + across * lattice[5]) / there
    before = (flat_x * x + flat_y * y) / (depth * depth)
    row[0], row[1] = shift[0] * flat_x, shift[0] * flat_y
    row[2], row[3] = shift[1] * flat_x, shift[1] * flat_y
    row[4] = across * moved_x - before * x
    row[5] = across * moved_y - before * y


@kernel
def normal_equations(
    compared: Comparison, lattice: Points, tolerance: Scalar, matrix: Points, vector: Points
) -> Scalar:
    """Gauss-Newton's equations for the lattice under which the picture is most like itself.

    Differences count by the Geman-McClure function.

    Args:
        compared: what and where.
        lattice: (6).
        tolerance: a difference that counts for half of the most.
        matrix: (6, 6) is set.
        vector: (6) is set: what the lattice is to change by is the solution, negated.

    Returns:
        The weighted mean of the differences, 0 to 1.
    """
    picture, origin = compared.picture, compared.origin
    matrix[:] = 0
    vector[:] = 0
    row = np.zeros(6)
    total, count = 0.0, 0.0
    bound = tolerance * tolerance
    for n in range(compared.points.shape[0]):
        x, y = compared.points[n, 0], compared.points[n, 1]
        here = picture[round(y + origin[1]), round(x + origin[0])]
        for k in range(compared.shifts.shape[0]):
            shift = compared.shifts[k]
            moved = _moved(lattice, x, y, shift[0], shift[1])
            value, slope_x, slope_y, whole = _sampled(
                picture, compared.known, moved[0] + origin[0], moved[1] + origin[1]
            )
            if moved[2] <= 0 or not whole:
                continue
            difference = value - here
            robust = bound / (bound + difference * difference)
            weight = compared.weights[n] * robust * robust
            _derivatives(lattice, (x, y), moved, (slope_x, slope_y), shift, row)
            for p in range(6):
                vector[p] += weight * row[p] * difference
                for q in range(6):
                    matrix[p, q] += weight * row[p] * row[q]
            total += compared.weights[n] * (1 - robust)
            count += compared.weights[n]
    return total / max(count, 1e-9)


def warm_up_calls() -> list[Call]:
    """The kernels that are called from Python, with arguments of the types that they get."""
    picture, known = np.zeros((4, 4), np.float32), np.ones((4, 4), np.bool_)
    origin, lattice = np.zeros(2), np.array([1.0, 0, 0, 1, 0, 0])
    shifts, points = np.zeros((1, 2)), np.zeros((1, 2))
    moments = np.zeros((1, 2, 2, 4), np.float32)
    compared = Comparison(picture, known, origin, shifts, points, np.ones(1))
    return [
        (alike, (picture, known, origin, lattice, shifts, (0, 0), 2, moments)),
        (upper_half, (moments, moments.copy(), 1, np.zeros((2, 2), np.float32))),
        (normal_equations, (compared, lattice, 1.0, np.zeros((6, 6)), np.zeros(6))),
    ]
