"""Ends of contours at a hole: their positions, directions and colours."""

import math

import cv2
import numpy as np
import pytest

from inpaintcli.inpaint.contour_ends import (
    MAX_ENDS,
    MIN_LENGTH,
    _Plane,
    find_contour_ends,
)
from tests.conftest import photo_pixels

SIDE = 120
HOLE = np.zeros((SIDE, SIDE), bool)
HOLE[:, 50:80] = True


def edge(angle, above=(200.0, 180.0, 60.0), below=(40.0, 60.0, 90.0)):
    """Two colours and the line between them through the middle; its slope is tan(angle)."""
    y, x = np.indices((SIDE, SIDE)) - SIDE / 2 + 0.5
    inside = np.clip(y - x * math.tan(angle) + 0.5, 0, 1)[..., None]
    return (np.array(above) * (1 - inside) + np.array(below) * inside).astype(np.float32)


def hidden(picture):
    return np.where(HOLE[..., None], 128, picture).astype(np.float32)


@pytest.mark.parametrize("angle", [-0.6, -0.1, 0.0, 0.3, 0.7])
def test_both_ends_of_a_line_are_found_where_it_is_hidden(angle):
    ends = find_contour_ends(hidden(edge(angle)), ~HOLE)
    for sign, boundary in ((1, 49.5), (-1, 80.0)):
        candidates = np.flatnonzero(ends.direction[:, 0] * sign > 0)
        assert candidates.size
        best = candidates[0]  # the longest
        x, y = ends.position[best]
        assert abs(x - boundary) < 2.1  # a step of 1, and the pixel beside the hole
        assert abs((y - SIDE / 2 + 0.5) - (x - SIDE / 2 + 0.5) * math.tan(angle)) < 0.6
        direction = math.atan2(*(ends.direction[best] * sign)[::-1])
        assert direction == pytest.approx(angle, abs=0.02)
        assert ends.length[best] >= 30
        np.testing.assert_allclose(np.hypot(*ends.direction.T), 1, rtol=1e-9)


def test_the_first_side_is_that_of_the_directions_normal():
    above, below = (200.0, 180.0, 60.0), (40.0, 60.0, 90.0)
    ends = find_contour_ends(hidden(edge(0.2, above, below)), ~HOLE)
    for direction, sides in zip(ends.direction, ends.side_colours, strict=True):
        first, second = (below, above) if direction[0] > 0 else (above, below)  # y points down
        np.testing.assert_allclose(sides[0], first, atol=3)
        np.testing.assert_allclose(sides[1], second, atol=3)
    assert (ends.noise < 5).all()


def test_an_edge_that_only_colour_shows_has_ends():
    colours = (200.0, 60.0, 60.0), (60.0, 131.5, 60.0)
    picture = hidden(edge(0.1, *colours))
    grey = cv2.cvtColor(np.array([colours], np.float32), cv2.COLOR_RGB2GRAY)
    assert abs(float(grey[0, 0] - grey[0, 1])) < 1
    assert len(find_contour_ends(picture, ~HOLE)) >= 2
    assert len(find_contour_ends(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], ~HOLE)) == 0


def test_grey_pictures_have_ends_too():
    grey = hidden(edge(0.3))[..., :1]
    ends = find_contour_ends(grey, ~HOLE)
    assert len(ends) >= 2
    assert ends.side_colours.shape == (len(ends), 2, 1)


def test_what_is_in_the_hole_gives_no_ends():
    picture = np.full((SIDE, SIDE, 3), 90, np.float32)
    picture[40:70, 55:75] = 200
    ends = find_contour_ends(picture, ~HOLE)
    assert len(ends) == 0
    assert ends.position.shape == (0, 2)
    assert ends.side_colours.shape == (0, 2, 3)
    assert ends.contrast().shape == (0,)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2), (7, 7)])
def test_pictures_of_any_size(size):
    known = np.zeros(size, bool)
    known[: size[0] // 2] = True
    assert len(find_contour_ends(photo_pixels(*size).astype(np.float32), known)) <= 4


def test_of_very_many_the_longest_are_kept():
    y, _ = np.indices((900, 900))
    picture = np.where((y // 3) % 2, 220, 30)[..., None].repeat(3, 2).astype(np.float32)
    known = np.ones((900, 900), bool)
    for left in range(40, 900, 60):  # strokes across all stripes, of other lengths in between
        known[:, left : left + 15 + left // 60] = False
    ends = find_contour_ends(picture, known)
    assert len(ends) == MAX_ENDS
    assert (np.diff(ends.length) <= 0).all()
    assert ends.length.min() > 2 * MIN_LENGTH


@pytest.mark.parametrize("seed", range(6))
def test_segments_that_are_left_out_early_have_no_ends(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    picture = np.full((200, 260, 3), 128, np.uint8)
    for _ in range(60):
        start, end = rng.integers(0, (260, 200), (2, 2)).tolist()
        cv2.line(picture, start, end, rng.integers(0, 256, 3).tolist(), int(rng.integers(1, 9)))
    known = np.ones((200, 260), bool)
    for left, top in rng.integers(0, (240, 180), (4, 2)):
        known[top : top + 20, left : left + 12] = False
    quick, looked = find_contour_ends(picture.astype(np.float32), known), []
    real = _Plane._may_reach_unknown

    def keep_all(plane, segments, lengths):
        looked.append(real(plane, segments, lengths))
        return np.ones(len(lengths), np.bool_)

    monkeypatch.setattr(_Plane, "_may_reach_unknown", keep_all)
    slow = find_contour_ends(picture.astype(np.float32), known)
    assert len(slow) > 10
    assert np.concatenate(looked).mean() < 0.7, "hardly any segment was left out"
    for name in ("position", "direction", "length", "side_colours", "noise"):
        np.testing.assert_array_equal(getattr(quick, name), getattr(slow, name))
