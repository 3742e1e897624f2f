"""Shapes become pixels by their centres, whatever their form and wherever they lie."""

import numpy as np
import pytest

from inpaintcli.masks import drawing
from inpaintcli.masks.drawing import draw_ellipse, draw_line, draw_polygon, draw_rectangle


def drawn(function, *arguments, size=(40, 60)):
    mask = np.zeros(size, np.bool_)
    function(mask, *arguments)
    return mask


def inside_by_definition(points, size):
    """Even-odd at each centre, edge by edge."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    odd = np.zeros(size, np.bool_)
    for (xa, ya), (xb, yb) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if ya == yb:
            continue
        crosses = (rows >= min(ya, yb)) & (rows < max(ya, yb))
        odd ^= crosses & (xa + (rows - ya) * (xb - xa) / (yb - ya) <= columns)
    return odd


def test_a_rectangle_equals_the_polygon_of_its_corners():
    corners = np.array([(10, 5), (25, 5), (25, 12), (10, 12)], float)
    expected = np.zeros((40, 60), np.bool_)
    expected[5:12, 10:25] = True
    assert (drawn(draw_rectangle, 10, 5, 25, 12) == expected).all()
    assert (drawn(draw_polygon, corners) == expected).all()
    assert (drawn(draw_polygon, corners[::-1]) == expected).all()


@pytest.mark.parametrize("seed", range(20))
def test_any_polygon_is_drawn_by_the_even_odd_rule(seed, monkeypatch):
    """Also where it crosses itself or lies partly outside, and when it is drawn in parts."""
    monkeypatch.setattr(drawing, "CROSSINGS_AT_ONCE", 50)
    rng = np.random.default_rng(seed)
    points = rng.uniform(-30, 90, (int(rng.integers(3, 40)), 2)).round(rng.integers(0, 3))
    found = drawn(draw_polygon, points)
    assert (found == inside_by_definition(points, (40, 60))).all()


def test_the_middle_of_a_star_is_outside():
    turn = np.arange(5) * 4 * np.pi / 5
    star = drawn(draw_polygon, np.stack([30 + 18 * np.sin(turn), 20 - 18 * np.cos(turn)], axis=1))
    assert not star[20, 30]
    assert star[6, 30]


def test_polygons_far_outside_or_without_area_set_nothing():
    assert not drawn(draw_polygon, np.array([(1e6, 1e6), (2e6, 1e6), (2e6, 2e6)])).any()
    assert not drawn(draw_polygon, np.array([(1, 1), (20, 20), (9, 9)], float)).any()
    around = np.array([(-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6)])
    assert drawn(draw_polygon, around).all()


def test_an_ellipse_covers_its_area_and_turns_clockwise():
    flat = drawn(draw_ellipse, (30, 20), (20, 8))
    assert abs(flat.sum() - np.pi * 20 * 8) < 10
    turned = drawn(draw_ellipse, (30, 20), (15, 4), np.pi / 4)
    assert turned[28, 38]
    assert not turned[12, 38]
    assert drawn(draw_ellipse, (0, 0), (5, 5))[0, 0]


def test_a_line_has_its_width():
    line = drawn(draw_line, np.array([(5, 20), (50, 20)], float), 6)
    assert line[:, 25].sum() == 6
    assert line[17:23, 25].all()
    bent = drawn(draw_line, np.array([(5, 5), (30, 5), (30, 30)], float), 4)
    assert bent[5, 30]
    assert bent[25, 30]
    assert drawn(draw_line, np.array([(9, 9)], float), 6).sum() > 20
