"""Seams between patches: taken out where patches merely meet, left where the start has an edge."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inpaintcli.texture import patchmatch
from inpaintcli.texture.canvas import Canvas, SynthesisSettings
from inpaintcli.texture.melding import meld, settle
from inpaintcli.texture.pyramid import pyramid

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


def canvas_that_shows(picture: np.ndarray, pool: ThreadPoolExecutor) -> Canvas:
    """Patches of the left half of the hole show flat 100, those of the right one flat 120."""
    level = pyramid(picture, HOLE, ~HOLE, thickness=30, sources=300)[0]
    canvas = Canvas(level, SynthesisSettings(), np.random.default_rng(0), pool, patchmatch, 2)
    left = canvas.field.targets % SHAPE[1] < SHAPE[1] // 2
    canvas.field.sources[:] = np.where(left, 10 * SHAPE[1] + 20, 10 * SHAPE[1] + 70)
    canvas.field.costs[:] = 1
    return canvas


def test_a_step_between_patches_is_spread(pool):
    start = two_greys()
    start[HOLE] = 110
    canvas = canvas_that_shows(start, pool)
    canvas._vote()
    before = canvas.picture(1)[40, 12:84, 0].copy()
    assert np.abs(np.diff(before)).max() > 2, "the seam that is to be taken out"
    meld(canvas, HOLE, 10)
    after = canvas.picture(3)
    middle = after[40, 30:66, 0]
    assert np.abs(np.diff(middle)).max() < 0.6 * np.abs(np.diff(before)).max()
    assert (np.diff(middle) > 0).all(), "from the darker to the lighter side, without a wave"
    assert middle[0] < 106
    assert middle[-1] > 114
    np.testing.assert_array_equal(after[~HOLE], start[~HOLE])


def test_an_edge_of_the_start_stays(pool):
    start = two_greys()
    canvas = canvas_that_shows(start, pool)
    canvas._vote()
    before = canvas.picture(3).copy()
    meld(canvas, HOLE, 10)
    steps = [
        np.abs(np.diff(picture[40, 30:66, 0])).max() for picture in (before, canvas.picture(3))
    ]
    assert steps[1] > 0.8 * steps[0]


def test_steps_are_those_of_what_is_shown_and_on_edges_the_pictures_own(pool):
    picture = np.random.default_rng(1).uniform(0, 255, (*SHAPE, 3)).astype(np.float32)
    level = pyramid(picture, HOLE, ~HOLE, thickness=30, sources=300)[0]
    canvas = Canvas(level, SynthesisSettings(), np.random.default_rng(0), pool, patchmatch, 1)
    edge = np.flatnonzero(HOLE.ravel() & (np.arange(HOLE.size) // SHAPE[1] == 24)).astype(np.int32)
    up = 12 * SHAPE[1]
    rows = canvas.field.targets // SHAPE[1]
    canvas.field.sources[:] = np.where(rows < 28, canvas.field.targets - up, 10 * SHAPE[1] + 20)
    shown = (rows < 28) & (canvas.field.targets % SHAPE[1] > 20)
    canvas.field.trust[~shown] = 0
    canvas.field.costs[:] = 1
    inner = edge[(edge % SHAPE[1] > 30) & (edge % SHAPE[1] < 70)]
    sure = canvas.scene.features.reshape(-1, patchmatch.FEATURES)[:, -1]
    flat = picture.reshape(-1, 3)
    sure[:] = 1
    right, _ = canvas.steps(inner)
    np.testing.assert_allclose(right, flat[inner + 1] - flat[inner], atol=1e-3)
    sure[:] = 0
    right, down = canvas.steps(inner)
    np.testing.assert_allclose(right, flat[inner - up + 1] - flat[inner - up], atol=1e-3)
    np.testing.assert_allclose(down, flat[inner - up + SHAPE[1]] - flat[inner - up], atol=1e-3)


@pytest.mark.parametrize("screen", [0.01, 0.5])
def test_the_solver_solves_the_screened_poisson_equation(screen):
    """Against a dense solution; the hole touches three sides of the picture."""
    height, width = 6, 7
    numbers = np.random.default_rng(2)
    picture, aims = numbers.uniform(-1, 1, (2, height * width, 3)).astype(np.float32)
    free = np.ones((height, width), bool)
    free[2:4, 3:5] = free[-1] = False
    matrix = np.zeros((height * width, height * width))
    right = np.where(free.reshape(-1, 1), aims, picture).astype(float)
    for y, x in np.ndindex(height, width):
        p = y * width + x
        matrix[p, p] = 1
        if not free[y, x]:
            continue
        near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        there = [a * width + b for a, b in near if 0 <= a < height and 0 <= b < width]
        matrix[p, there] = -1
        matrix[p, p] = screen + len(there)
    wanted = np.linalg.solve(matrix, right)
    y, x = np.nonzero(free)
    places = (y * width + x).astype(np.int32)
    flat = picture.ravel()
    for _ in range(300):
        for colour in (0, 1):
            half = places[(y + x) % 2 == colour]
            settle(flat, aims.ravel(), half, width, (0, half.size), screen, 1.5)
    np.testing.assert_allclose(flat.reshape(-1, 3), wanted, atol=1e-4)
