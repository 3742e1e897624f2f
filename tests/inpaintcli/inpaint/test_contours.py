"""Contours continued through a hole: straight, bent, to the border; and ends left unjoined."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaintcli.inpaint.contour_ends import ContourEnds, find_contour_ends
from inpaintcli.inpaint.contour_joins import join_ends
from inpaintcli.inpaint.contours import MAX_THICKNESS, continue_contours
from tests.conftest import photo_pixels

ABOVE, BELOW = (200.0, 170.0, 60.0), (40.0, 60.0, 90.0)
SIDE = 160


def two(inside, above=ABOVE, below=BELOW):
    """Two colours; `inside` is how far, in pixels, each place is in the second."""
    share = np.clip(inside + 0.5, 0, 1)[..., None]
    return (np.array(above) * (1 - share) + np.array(below) * share).astype(np.float32)


def centred_positions(side=SIDE):
    y, x = np.indices((side, side)) - (side - 1) / 2
    return x, y


def line(angle, side=SIDE):
    x, y = centred_positions(side)
    return two(y * math.cos(angle) - x * math.sin(angle))


def square(half=30, side=SIDE):
    hole = np.zeros((side, side), bool)
    middle = slice(side // 2 - half, side // 2 + half)
    hole[middle, middle] = True
    return hole


def blurred(picture, hole, sigma=12.0):
    """As a network fills: each colour about where it belongs, and no edge."""
    fill = cv2.GaussianBlur(picture, (0, 0), sigma).reshape(picture.shape)
    return np.where(hole[..., None], fill, picture).astype(np.float32)


def near(inside, hole, pixels=4):
    return hole & (np.abs(inside) < pixels)


def error(picture, truth, where):
    return float(np.abs(picture - truth)[where].mean())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4, 1.2, math.pi / 2, 2.5])
def test_a_straight_edge_goes_on_through_the_hole(angle, channels):
    truth, hole = line(angle)[..., :channels], square()
    x, y = centred_positions()
    filled = blurred(truth, hole)
    answer, count = continue_contours(filled, hole, ~hole)
    at = near(y * math.cos(angle) - x * math.sin(angle), hole)
    assert count >= 1
    assert answer.shape == truth.shape
    assert answer.dtype == np.float32
    assert error(answer, truth, at) < 0.2 * error(filled, truth, at)
    np.testing.assert_array_equal(answer[~hole], filled[~hole])


def test_a_contour_that_bends_is_joined_by_a_curve():
    x, y = centred_positions()
    truth, hole = two(700 - np.hypot(x, y - 700)), square(30)
    filled = blurred(truth, hole)
    answer, count = continue_contours(filled, hole, ~hole)
    middle = hole & (np.abs(x) < 8)
    assert count == 1
    assert error(answer, truth, middle & near(y, hole, 3)) < 0.3 * error(
        filled, truth, middle & near(y, hole, 3)
    )
    edge = (answer[..., 0] > np.mean([ABOVE[0], BELOW[0]])).sum(0)
    rim, deep = edge[[49, 50, 109, 110]].mean(), edge[76:84].mean()
    assert deep < rim - 0.3, "the chord, which is 0.6 pixels lower, was drawn"


def test_an_edge_between_colours_of_one_lightness_goes_on():
    x, y = centred_positions()
    truth, hole = two(y - 0.2 * x, (200.0, 60.0, 60.0), (60.0, 131.5, 60.0)), square()
    filled = blurred(truth, hole)
    answer, count = continue_contours(filled, hole, ~hole)
    at = near(y - 0.2 * x, hole)
    assert count >= 1
    assert error(answer, truth, at) < 0.3 * error(filled, truth, at)


def test_colours_change_smoothly_from_one_end_to_the_other():
    x, y = centred_positions()
    truth = two(y) + (0.15 * x)[..., None].astype(np.float32)  # the light changes along the edge
    hole = square()
    answer, _ = continue_contours(blurred(truth, hole), hole, ~hole)
    assert error(answer, truth, near(y, hole, 3) & ~near(y, hole, 1)) < 4


def test_the_rest_of_the_fill_stays():
    truth, hole = line(0), square(50)
    filled = blurred(truth, hole)
    answer, _ = continue_contours(filled, hole, ~hole)
    _, y = centred_positions()
    np.testing.assert_array_equal(answer[np.abs(y) > 26], filled[np.abs(y) > 26])


def test_lines_that_miss_each_other_are_not_joined():
    x, y = centred_positions()
    truth = two(np.where(x < 0, y - 12, y + 12))
    hole = square()
    filled = blurred(truth, hole)
    answer, count = continue_contours(filled, hole, ~hole)
    assert count == 0
    np.testing.assert_array_equal(answer, filled)


def test_lines_between_other_colours_are_not_joined():
    x, y = centred_positions()
    truth = np.where(x[..., None] < 0, two(y), two(y, (30.0, 160.0, 40.0), (230.0, 230.0, 230.0)))
    hole = square()
    _, count = continue_contours(blurred(truth.astype(np.float32), hole), hole, ~hole)
    assert count == 0


def facing(gap, noise, length=32.0, apart=0.0):
    """Two ends on one line, `gap` apart, that differ by `apart` in colour; and what is between."""
    sides = np.array([[[160.0] * 3, [92.0] * 3], [[92.0] * 3, [160.0 + apart] * 3]])
    ends = ContourEnds(
        np.array([[20.0, 50.0], [20.0 + gap, 50.0]]),
        np.array([[1.0, 0.0], [-1.0, 0.0]]),
        np.array([length, length]),
        sides,
        np.array([noise, noise]),
    )
    unknown = np.zeros((100, 300), bool)
    unknown[:, 20 : 21 + int(gap)] = True
    return ends, unknown


@pytest.mark.parametrize(
    ("gap", "noise", "length", "apart", "joined"),
    [
        (190, 5, 32, 0, True),
        (40, 50, 32, 30, True),
        (190, 50, 32, 120, False),  # in foliage lines continue each other by chance
        (190, 5, 20, 0, False),  # longer than such short ones tell
        (40, 5, 32, 150, False),
    ],
)
def test_how_far_and_between_which_colours_ends_are_joined(gap, noise, length, apart, joined):
    ends, unknown = facing(gap, noise, length, apart)
    found = join_ends(ends, unknown)
    assert [(one.first, one.second) for one in found] == [(0, 1)] * joined
    if joined:
        assert found[0].length == pytest.approx(gap)


def test_a_join_may_leave_the_hole_for_a_fifth_of_its_length():
    ends, unknown = facing(100, 5)
    for wall, joined in ((15, True), (30, False)):
        seen = unknown.copy()
        seen[:, 60 : 60 + wall] = False
        assert len(join_ends(ends, seen)) == joined


def test_a_corner_is_left_to_the_network():
    x, y = centred_positions()
    hole = square()
    _, count = continue_contours(blurred(two(np.minimum(x, y)), hole), hole, ~hole)
    assert count == 0


def test_ends_with_known_photo_between_them_are_not_joined():
    """Two collinear lines with known photo between them, and a hole that touches neither's side."""
    _x, y = centred_positions()
    truth, hole = two(y), np.zeros((SIDE, SIDE), bool)
    truth[:, 50:110] = 128  # a wall stands before the edge, and is seen
    hole[60:100, 40:56] = hole[60:100, 104:120] = True
    _, count = continue_contours(blurred(truth, hole), hole, ~hole)
    assert count == 0


def test_joins_do_not_cross():
    x, y = centred_positions()
    truth, hole = two(np.where(y > 0, x - 0.5 * y, x + 0.5 * y), ABOVE, BELOW), square(14)
    truth[(np.abs(y - x) < 3) | (np.abs(y + x) < 3)] = 250  # an X
    filled = blurred(truth, hole)
    ends = find_contour_ends(filled, ~hole)
    lines = [(ends.position[j.first], ends.position[j.second]) for j in join_ends(ends, hole)]
    assert lines

    def side(p, q, r):
        return np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    for number, (a, b) in enumerate(lines):
        for c, d in lines[:number]:
            apart = side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
            assert not apart


def test_a_long_edge_goes_on_to_the_border_of_the_photo():
    truth, hole = line(0.1), np.zeros((SIDE, SIDE), bool)
    hole[40:120, 120:] = True
    x, y = centred_positions()
    filled = blurred(truth, hole)
    answer, count = continue_contours(filled, hole, ~hole)
    at = near(y * math.cos(0.1) - x * math.sin(0.1), hole)
    assert count == 1
    assert error(answer, truth, at) < 0.3 * error(filled, truth, at)


def test_a_short_one_does_not():
    _x, y = centred_positions()
    truth, hole = two(y), np.zeros((SIDE, SIDE), bool)
    truth[:, :90] = 128
    hole[40:120, 115:] = True
    _, count = continue_contours(blurred(truth, hole), hole, ~hole)
    assert count == 0


def test_in_a_large_hole_contours_are_found_on_a_smaller_scale():
    side, half = 900, 260
    assert 2 * half > 2 * MAX_THICKNESS
    truth, hole = line(0.3, side), square(half, side)
    x, y = centred_positions(side)
    filled = blurred(truth, hole, 60)
    answer, count = continue_contours(filled, hole, ~hole)
    at = near(y * math.cos(0.3) - x * math.sin(0.3), hole, 12)
    assert count >= 1
    assert error(answer, truth, at) < 0.35 * error(filled, truth, at)
    np.testing.assert_array_equal(answer[~hole], filled[~hole])


def test_pixels_that_are_neither_hole_nor_known_are_crossed_but_neither_drawn_nor_used():
    truth, hole = line(0), square()
    other = np.zeros_like(hole)
    other[:, 35:51] = True  # beside the hole
    filled = np.where(other[..., None], 255, blurred(truth, hole)).astype(np.float32)
    answer, count = continue_contours(filled, hole, ~(hole | other))
    np.testing.assert_array_equal(answer[~hole], filled[~hole])
    _, y = centred_positions()
    assert count == 1
    assert error(answer, truth, near(y, hole)) < 0.2 * error(filled, truth, near(y, hole))


@pytest.mark.parametrize("change", [np.fliplr, np.flipud, lambda a: np.swapaxes(a, 0, 1)])
def test_a_mirrored_photo_gives_the_mirrored_answer(change):
    truth, hole = line(0.25), square()
    filled = blurred(truth, hole)
    straight, count = continue_contours(filled, hole, ~hole)
    turned = [np.ascontiguousarray(change(a)) for a in (filled, hole)]
    answer, again = continue_contours(turned[0], turned[1], ~turned[1])
    assert again == count
    assert error(answer, change(straight), change(hole)) < 1


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["photo", "one colour", "noise"]),
    st.sampled_from([1, 3]),
)
def test_any_mask_of_any_picture(height, width, seed, kind, channels):
    rng = np.random.default_rng(seed)
    coarse = rng.random((1 + height // 7, 1 + width // 7)).astype(np.float32)
    share = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    hole = share > rng.random()
    known = ~hole & (rng.random((height, width)) > 0.02)
    filled = {
        "photo": lambda: photo_pixels(height, width, channels).reshape(height, width, channels),
        "one colour": lambda: np.full((height, width, channels), 77),
        "noise": lambda: rng.integers(0, 256, (height, width, channels)),
    }[kind]().astype(np.float32)
    before = filled.copy()
    answer, count = continue_contours(filled, hole, known)
    np.testing.assert_array_equal(filled, before)
    np.testing.assert_array_equal(answer[~hole], filled[~hole])
    assert answer.shape == filled.shape
    assert np.isfinite(answer).all()
    assert answer.min() >= 0
    assert answer.max() <= 255
    if kind == "one colour":
        assert count == 0
