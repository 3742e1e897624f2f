"""Patterns reach the parts of a hole, in the photo's own pixels; without one nothing changes."""

from dataclasses import replace

import numpy as np
import pytest

from inpaintcli.imaging.regions import Box
from inpaintcli.inpaint import structure
from inpaintcli.inpaint.detail import add_texture
from inpaintcli.inpaint.structure import PatternSearch
from inpaintcli.texture import lattice_patterns
from tests.conftest import photo_pixels
from tests.inpaintcli.texture.pattern_cases import PERSPECTIVES, blurred, case


def treated(made, how):
    pixels = np.rint(blurred(made)).astype(np.uint8)
    decisions = add_texture(
        pixels, made.hole, ~made.hole, "patches", structure=how, threads=2, notes=lambda _: None
    )
    return pixels, decisions


def test_a_decision_says_which_pattern_was_kept_to():
    made = case("windows", PERSPECTIVES[2])
    pixels, [decision] = treated(made, "auto")
    plain, [other] = treated(made, "off")
    [pattern] = decision.patterns
    assert pattern.share > 0.9
    assert decision.to_json()["patterns"] == [pattern.to_json()]
    assert "a pattern of" in decision.in_words()
    assert other.patterns == ()
    assert other.contours == 0
    truth = made.picture[made.hole]
    near, far = (np.abs(each[made.hole] - truth).mean() for each in (pixels, plain))
    assert near < far / 2
    assert np.array_equal(pixels[~made.hole], plain[~made.hole])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_part_gets_the_pattern_in_its_own_pixels(dtype):
    made = case("windows", PERSPECTIVES[4])
    top = np.iinfo(dtype).max
    pixels = np.rint(made.picture / 255 * top).astype(dtype)
    search = PatternSearch(pixels, ~made.hole)
    box = Box(60, 50, 200, 210)
    for scale in (1.0, 0.5):
        shape = (round(140 * scale), round(160 * scale))
        [pattern] = search.window(box).around(box, np.ones(shape, bool), scale)
        assert pattern.certainty.shape == shape
        whole = made.lattice.places(np.array([[0, 0], [1, 0], [0, 1]]))  # corners of one cell
        inside = (whole - [50, 60] + 0.5) * scale - 0.5
        steps = np.diff(pattern.lattice.coordinates(inside), axis=0, prepend=0)[1:]
        assert np.abs(steps - np.rint(steps)).max() < 0.1


def test_parts_near_each_other_share_a_window(monkeypatch):
    calls = []
    monkeypatch.setattr(lattice_patterns, "find_patterns", lambda *_: calls.append(1) or [])
    monkeypatch.setattr(structure, "MIN_WINDOW", 100)
    photo = photo_pixels(300, 300)
    search = PatternSearch(photo, np.ones(photo.shape[:2], bool))
    for left in (10, 20, 30, 200):
        box = Box(10, left, 60, left + 50)
        search.window(box).around(box, np.ones((50, 50), bool), 1.0)
    assert len(calls) == 2


def test_a_pattern_that_is_not_sure_is_used_if_it_serves_on_a_known_piece():
    """And the same lattice on a photo without a pattern is not, whatever it claims to predict."""
    made = case("windows", PERSPECTIVES[0])
    picture, known = blurred(made), ~made.hole
    [found] = lattice_patterns.find_patterns(picture, known)
    weak = replace(found, predicted=0.3)
    few = replace(weak, cells=structure.TRIAL_CELLS - 1)
    assert structure._serves(picture, known, weak)
    assert not structure._serves(picture, known, few)
    plain = photo_pixels(*known.shape).astype(np.float32)
    assert not structure._serves(plain, known, weak)


def test_a_pattern_that_seems_sure_is_not_used_where_it_makes_a_known_piece_worse():
    made = case("windows", PERSPECTIVES[0])
    picture, known = blurred(made), ~made.hole
    [found] = lattice_patterns.find_patterns(picture, known)
    sure = replace(found, predicted=1.0)
    assert structure._serves(picture, known, sure)
    assert not structure._serves(photo_pixels(*known.shape).astype(np.float32), known, sure)


def test_stripes_are_no_pattern():
    made = case("windows", PERSPECTIVES[0])
    [found] = lattice_patterns.find_patterns(blurred(made), ~made.hole)
    long = replace(found.lattice, steps=found.lattice.steps * [[1.0, 1.0], [1.0, 9.0]])
    stripes = replace(found, lattice=long, predicted=1.0)
    assert not structure._serves(blurred(made), ~made.hole, stripes)
