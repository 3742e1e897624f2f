"""Seams between patches are removed, but not where the initial fill has an edge."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inpaintcli.texture import patchmatch
from inpaintcli.texture.level_solver import LevelSolver, SynthesisSettings
from inpaintcli.texture.pyramid import build_pyramid
from inpaintcli.texture.screened_poisson import relax, remove_seams

SHAPE = (64, 96)
HOLE = np.zeros(SHAPE, bool)
HOLE[24:56, 12:84] = True


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as threads:
        yield threads


def two_greys() -> np.ndarray:
    """(h, w, 3): 100 on the left, 120 on the right."""
    shades = np.where(np.arange(SHAPE[1]) < SHAPE[1] // 2, 100.0, 120.0)
    return np.ascontiguousarray(np.broadcast_to(shades[:, None], (*SHAPE, 3)), np.float32)


def solver_matched_to(picture: np.ndarray, pool: ThreadPoolExecutor) -> LevelSolver:
    """Patches of the left half of the hole are matched to flat 100, of the right one to 120."""
    level = build_pyramid(picture, HOLE, ~HOLE, coarsest_thickness=30, min_sources=300)[0]
    solver = LevelSolver(level, SynthesisSettings(), np.random.default_rng(0), pool, patchmatch, 2)
    left = solver.field.targets % SHAPE[1] < SHAPE[1] // 2
    solver.field.sources[:] = np.where(left, 10 * SHAPE[1] + 20, 10 * SHAPE[1] + 70)
    solver.field.costs[:] = 1
    return solver


def test_a_step_between_patches_is_spread(pool):
    initial = two_greys()
    initial[HOLE] = 110
    solver = solver_matched_to(initial, pool)
    solver._vote()
    before = solver.picture(1)[40, 12:84, 0].copy()
    assert np.abs(np.diff(before)).max() > 2, "there is a seam to remove"
    remove_seams(solver, HOLE, 10)
    after = solver.picture(3)
    middle = after[40, 30:66, 0]
    assert np.abs(np.diff(middle)).max() < 0.6 * np.abs(np.diff(before)).max()
    assert (np.diff(middle) > 0).all(), "from the darker to the lighter side, without a wave"
    assert middle[0] < 106
    assert middle[-1] > 114
    np.testing.assert_array_equal(after[~HOLE], initial[~HOLE])


def test_an_edge_of_the_initial_fill_stays(pool):
    initial = two_greys()
    solver = solver_matched_to(initial, pool)
    solver._vote()
    before = solver.picture(3).copy()
    remove_seams(solver, HOLE, 10)
    steps = [
        np.abs(np.diff(picture[40, 30:66, 0])).max() for picture in (before, solver.picture(3))
    ]
    assert steps[1] > 0.8 * steps[0]


def test_gradients_are_those_of_the_sources_and_on_edges_the_pictures_own(pool):
    picture = np.random.default_rng(1).uniform(0, 255, (*SHAPE, 3)).astype(np.float32)
    level = build_pyramid(picture, HOLE, ~HOLE, coarsest_thickness=30, min_sources=300)[0]
    solver = LevelSolver(level, SynthesisSettings(), np.random.default_rng(0), pool, patchmatch, 1)
    edge = np.flatnonzero(HOLE.ravel() & (np.arange(HOLE.size) // SHAPE[1] == 24)).astype(np.int32)
    up = 12 * SHAPE[1]
    rows = solver.field.targets // SHAPE[1]
    solver.field.sources[:] = np.where(rows < 28, solver.field.targets - up, 10 * SHAPE[1] + 20)
    shown = (rows < 28) & (solver.field.targets % SHAPE[1] > 20)
    solver.field.confidence[~shown] = 0
    solver.field.costs[:] = 1
    inner = edge[(edge % SHAPE[1] > 30) & (edge % SHAPE[1] < 70)]
    certainty = solver.arrays.features.reshape(-1, patchmatch.FEATURES)[:, -1]
    flat = picture.reshape(-1, 3)
    certainty[:] = 1
    right, _ = solver.gradients(inner)
    np.testing.assert_allclose(right, flat[inner + 1] - flat[inner], atol=1e-3)
    certainty[:] = 0
    right, down = solver.gradients(inner)
    np.testing.assert_allclose(right, flat[inner - up + 1] - flat[inner - up], atol=1e-3)
    np.testing.assert_allclose(down, flat[inner - up + SHAPE[1]] - flat[inner - up], atol=1e-3)


@pytest.mark.parametrize("screening", [0.01, 0.5])
def test_the_solver_solves_the_screened_poisson_equation(screening):
    """Against a dense solution; the hole touches three sides of the picture."""
    height, width = 6, 7
    numbers = np.random.default_rng(2)
    picture, right_sides = numbers.uniform(-1, 1, (2, height * width, 3)).astype(np.float32)
    free = np.ones((height, width), bool)
    free[2:4, 3:5] = free[-1] = False
    matrix = np.zeros((height * width, height * width))
    right = np.where(free.reshape(-1, 1), right_sides, picture).astype(float)
    for y, x in np.ndindex(height, width):
        p = y * width + x
        matrix[p, p] = 1
        if not free[y, x]:
            continue
        near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        there = [a * width + b for a, b in near if 0 <= a < height and 0 <= b < width]
        matrix[p, there] = -1
        matrix[p, p] = screening + len(there)
    wanted = np.linalg.solve(matrix, right)
    y, x = np.nonzero(free)
    places = (y * width + x).astype(np.int32)
    flat = picture.ravel()
    for _ in range(300):
        for colour in (0, 1):
            half = places[(y + x) % 2 == colour]
            relax(flat, right_sides.ravel(), half, width, (0, half.size), screening, 1.5)
    np.testing.assert_allclose(flat.reshape(-1, 3), wanted, atol=1e-4)
