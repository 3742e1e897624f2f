"""Patterns are found in perspective, left alone where there is none, and fills keep to them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from inpaintcli.texture.lattice_drawing import drawn
from inpaintcli.texture.lattice_patterns import find_patterns, spread
from inpaintcli.texture.synthesis import prepare, synthesize
from tests.inpaintcli.texture.pattern_cases import KINDS, PERSPECTIVES, blurred, case


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    """Compile before the tests, so that their time limits do not cover it."""
    prepare()


def filled(made, patterns):
    start = blurred(made)
    for pattern in patterns:
        start = drawn(start, made.hole, ~made.hole, pattern)
    return synthesize(start, start, made.hole, patterns=patterns).pixels


def error(made, pixels):
    return float(np.abs(pixels - made.picture)[made.hole].mean())


NOISE = 3.4
"""Mean difference of two pictures with the noise of a case."""
PAIRS = [(kind, PERSPECTIVES[(5 * n + 2 * m) % 12]) for n, kind in enumerate(KINDS) for m in (0, 1)]


@pytest.mark.parametrize(("kind", "perspective"), PAIRS)
def test_a_fill_that_keeps_to_a_pattern_is_much_nearer_to_the_truth(kind, perspective):
    made = case(kind, perspective)
    patterns = find_patterns(blurred(made), ~made.hole)
    assert patterns
    assert (patterns[0].certainty[made.hole] >= 0.5).mean() > 0.8
    before, after = (error(made, filled(made, found)) for found in ([], patterns))
    assert after < max(before / 2, 1.5 * NOISE)


def test_two_patterns_of_one_picture_have_a_region_each():
    left, right = case("windows", PERSPECTIVES[0]), case("bricks", PERSPECTIVES[11], cell=30)
    picture = np.concatenate([left.picture, right.picture], axis=1)
    known = np.ones(picture.shape[:2], bool)
    known[80:160, 80:130] = known[80:160, 330:380] = False
    patterns = find_patterns(picture, known)
    assert len(patterns) == 2
    sides = [p.certainty[:, :240].mean() > p.certainty[:, 240:].mean() for p in patterns]
    assert sorted(sides) == [False, True]


@given(seed=st.integers(0, 1000), smooth=st.sampled_from([0.0, 1.0, 3.0]))
@settings(max_examples=8, deadline=None)
def test_noise_has_no_pattern(seed, smooth):
    noise = np.random.default_rng(seed).normal(128, 40, (160, 200, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), smooth) if smooth else noise
    known = np.ones((160, 200), bool)
    known[60:100, 80:120] = False
    assert find_patterns(picture, known) == []


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (40, 40), (160, 200)])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_colour_and_tiny_pictures_have_no_pattern(shape, channels):
    known = np.ones(shape, bool)
    known[shape[0] // 2, shape[1] // 2] = False
    assert find_patterns(np.full((*shape, channels), 77, np.float32), known) == []


def test_a_photo_with_next_to_nothing_known_has_no_pattern():
    made = case("chequer", PERSPECTIVES[0])
    known = np.zeros(made.hole.shape, bool)
    assert find_patterns(made.picture, known) == []
    known[3:8, 3:8] = True
    assert find_patterns(made.picture, known) == []


@pytest.mark.parametrize("name", ["chelsea", "astronaut", "coffee"])
def test_a_photo_without_a_pattern_is_left_alone(name):
    photo = getattr(data, name)()[::2, ::2].astype(np.float32)
    known = np.ones(photo.shape[:2], bool)
    known[60:120, 80:140] = False
    assert find_patterns(photo, known) == []


def test_what_is_in_the_hole_does_not_matter():
    made = case("hexagons", PERSPECTIVES[4])
    one, other = made.picture.copy(), made.picture.copy()
    one[made.hole], other[made.hole] = 0, 255
    assert_same(*(find_patterns(x, ~made.hole) for x in (one, other)))


@pytest.mark.parametrize("kind", ["hexagons", "windows"])
def test_the_patterns_do_not_depend_on_the_threads(kind):
    made = case(kind, PERSPECTIVES[2])
    assert_same(*(find_patterns(made.picture, ~made.hole, threads) for threads in (1, 3)))


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.certainty, b.certainty)
        assert np.array_equal(a.lattice.steps, b.lattice.steps)


def test_grey_and_colour_have_the_same_pattern():
    made = case("bricks", PERSPECTIVES[3])
    grey = made.picture.mean(2, keepdims=True)
    colour = np.repeat(grey, 3, axis=2)
    found = [find_patterns(x, ~made.hole) for x in (grey, colour)]
    assert len(found[0]) == len(found[1]) > 0
    assert np.allclose(found[0][0].lattice.steps, found[1][0].lattice.steps)


def test_spread_keeps_to_the_nearer_side():
    weights = np.zeros((60, 60), np.float32)
    weights[:, [0, 59]] = 1
    sums = weights * (np.arange(60) > 30)
    result = spread(sums.astype(np.float32), weights)
    assert result[:, 10].max() < 0.5 < result[:, 50].min()
