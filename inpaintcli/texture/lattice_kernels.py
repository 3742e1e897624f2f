"""Compiled kernels of the search for lattices: how a picture differs from itself, some cells on.

Pictures are (h, w) float32, points (n, 2) float64 x and y relative to a lattice's origin. A lattice
is six numbers: two steps (a_x, a_y, b_x, b_y) in pixels of the plane seen frontally, and the two of
its horizon, as in `lattice.Lattice`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.numba_kernels import Call, kernel

Scalar = Any
"""A number in a kernel: Numba finds out of which type."""
Floats = NDArray[np.float32]
Points = NDArray[np.float64]
NEAREST = 1e-3
"""Least depth, 1 at the origin and 0 at the horizon, that is still seen."""


@kernel
def _moved(lattice: Points, x: Scalar, y: Scalar, i: Scalar, j: Scalar) -> tuple[Any, Any, Any]:
    """Where a point is after i and j cells, and its depth there; a depth of 0 beyond the horizon."""
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
def alike(
    picture: Floats,
    known: NDArray[np.bool_],
    origin: Points,
    lattice: Points,
    shifts: Points,
    stride: Scalar,
    moments: Floats,
) -> None:
    """Products of a picture with itself some cells on.

    Args:
        picture: 0 where unknown.
        known: (h, w).
        origin: (2) x and y.
        lattice: (6).
        shifts: (k, 2) in cells.
        stride: every so many rows and columns are looked at.
        moments: (k, h / stride, w / stride, 4) is set: product, both squares, and 1; all 0 where
            one of the two is unknown.
    """
    height, width = picture.shape
    for n in range(shifts.shape[0]):
        for row in range(moments.shape[1]):
            for column in range(moments.shape[2]):
                moments[n, row, column, :] = 0
                y, x = row * stride, column * stride
                if not known[y, x]:
                    continue
                moved_x, moved_y, depth = _moved(
                    lattice, x - origin[0], y - origin[1], shifts[n, 0], shifts[n, 1]
                )
                moved_x += origin[0]
                moved_y += origin[1]
                left, top = int(np.floor(moved_x)), int(np.floor(moved_y))
                if depth == 0 or left < 0 or top < 0 or left + 1 >= width or top + 1 >= height:
                    continue
                if not (
                    known[top, left]
                    and known[top, left + 1]
                    and known[top + 1, left]
                    and known[top + 1, left + 1]
                ):
                    continue
                right, down = moved_x - left, moved_y - top
                there = (1 - down) * (
                    (1 - right) * picture[top, left] + right * picture[top, left + 1]
                ) + down * (
                    (1 - right) * picture[top + 1, left] + right * picture[top + 1, left + 1]
                )
                here = picture[y, x]
                moments[n, row, column, 0] = here * there
                moments[n, row, column, 1] = here * here
                moments[n, row, column, 2] = there * there
                moments[n, row, column, 3] = 1


@kernel
def normal_equations(
    picture: Floats,
    known: NDArray[np.bool_],
    origin: Points,
    lattice: Points,
    shifts: Points,
    points: Points,
    weights: Points,
    tolerance: Scalar,
    matrix: Points,
    vector: Points,
) -> Scalar:
    """Gauss-Newton's equations for the lattice under which the picture is most like itself.

    Differences count by the Geman-McClure function with `tolerance`.

    Args:
        picture: smooth; 0 where unknown.
        known: (h, w).
        origin: (2) x and y.
        lattice: (6).
        shifts: (k, 2) in cells.
        points: (n, 2).
        weights: (n).
        tolerance: a difference that counts for half of the most.
        matrix: (6, 6) is set.
        vector: (6) is set: what the lattice is to change by is the solution, negated.

    Returns:
        The weighted mean of the differences, 0 to 1.
    """
    height, width = picture.shape
    matrix[:] = 0
    vector[:] = 0
    row = np.zeros(6)
    total, count = 0.0, 0.0
    bound = tolerance * tolerance
    for n in range(points.shape[0]):
        x, y = points[n, 0], points[n, 1]
        depth = 1 + lattice[4] * x + lattice[5] * y
        if weights[n] <= 0 or depth < NEAREST:
            continue
        at_x, at_y = int(x + origin[0]), int(y + origin[1])
        here = picture[at_y, at_x]
        for k in range(shifts.shape[0]):
            i, j = shifts[k, 0], shifts[k, 1]
            moved_x, moved_y, there = _moved(lattice, x, y, i, j)
            place_x, place_y = moved_x + origin[0], moved_y + origin[1]
            left, top = int(np.floor(place_x)), int(np.floor(place_y))
            if there == 0 or left < 0 or top < 0 or left + 1 >= width or top + 1 >= height:
                continue
            if not (known[top, left] and known[top + 1, left + 1]):
                continue
            right, down = place_x - left, place_y - top
            a, b = picture[top, left], picture[top, left + 1]
            c, d = picture[top + 1, left], picture[top + 1, left + 1]
            slope_x = (1 - down) * (b - a) + down * (d - c)
            slope_y = (1 - right) * (c - a) + right * (d - b)
            value = (1 - down) * ((1 - right) * a + right * b) + down * (
                (1 - right) * c + right * d
            )
            difference = value - here
            square = difference * difference
            robust = bound / (bound + square)
            weight = weights[n] * robust * robust
            # x' = z' / (1 - l z') with z' = x / (1 + l x) + i a + j b
            across = slope_x * moved_x + slope_y * moved_y
            flat_x = (slope_x + across * lattice[4]) / there
            flat_y = (slope_y + across * lattice[5]) / there
            before = (flat_x * x + flat_y * y) / (depth * depth)
            row[0], row[1] = i * flat_x, i * flat_y
            row[2], row[3] = j * flat_x, j * flat_y
            row[4] = across * moved_x - before * x
            row[5] = across * moved_y - before * y
            for p in range(6):
                vector[p] += weight * row[p] * difference
                for q in range(p + 1):
                    matrix[p, q] += weight * row[p] * row[q]
            total += weights[n] * (1 - robust)
            count += weights[n]
    for p in range(6):
        for q in range(p):
            matrix[q, p] = matrix[p, q]
    return total / max(count, 1e-9)


def calls() -> list[Call]:
    """Each of the kernels that others call, with arguments of the types that it gets."""
    picture, known = np.zeros((4, 4), np.float32), np.ones((4, 4), np.bool_)
    origin, lattice = np.zeros(2), np.array([1.0, 0, 0, 1, 0, 0])
    shifts, points = np.zeros((1, 2)), np.zeros((1, 2))
    moments = np.zeros((1, 2, 2, 4), np.float32)
    equations = np.zeros((6, 6)), np.zeros(6)
    return [
        (alike, (picture, known, origin, lattice, shifts, 2, moments)),
        (
            normal_equations,
            (picture, known, origin, lattice, shifts, points, np.ones(1), 1.0, *equations),
        ),
    ]
