import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.objects.remove import find_objects
from inpaintcli.objects.segment.cast_shadow import cast_shadow
from inpaintcli.objects.segment.grabcut import GrabCut
from inpaintcli.objects.segment.prompts import Prompt
from tests.inpaintcli.objects.segment.made_scenes import SAMPLES, ground_with_shadow, scene


@pytest.mark.parametrize("dark", [0.4, 0.55])
@pytest.mark.parametrize("soft", [1.5, 4.0])
def test_a_shadow_at_the_foot_is_found_on_gravel(dark, soft):
    pixels, body, shade = ground_with_shadow(dark=dark, soft=soft)
    found = cast_shadow(pixels, body)
    assert found is not None
    assert (found & shade).sum() > 0.85 * shade.sum()
    assert (found & ~shade).sum() < 0.6 * shade.sum()
    assert not (found & body).any()


def test_without_a_shadow_none_is_found():
    pixels, body, _ = ground_with_shadow(dark=1.0)
    assert cast_shadow(pixels, body) is None


def test_another_colour_at_the_foot_is_no_shadow():
    pixels, body, shade = ground_with_shadow(dark=1.0)
    pixels[shade] = (pixels[shade] * np.array([0.3, 0.9, 0.3])).astype(np.uint8)
    assert cast_shadow(pixels, body) is None


@pytest.mark.parametrize("number", range(6))
def test_pasted_objects_cast_none(number):
    made = scene(SAMPLES[number], number)
    assert cast_shadow(made.pixels, made.shape) is None


def test_16_bits_and_grey_are_read_alike():
    pixels, body, _ = ground_with_shadow()
    first = cast_shadow(pixels, body)
    assert np.array_equal(first, cast_shadow(pixels.astype(np.uint16) * 257, body))
    assert cast_shadow(pixels[..., :1], body) is not None


def test_a_shadow_is_removed_with_its_object_unless_it_is_to_stay():
    pixels, _, shade = ground_with_shadow()
    prompts = [Prompt.of_box(Box(120, 170, 320, 330), (512, 512))]
    with_shadow = find_objects(Picture(pixels), prompts, GrabCut())
    without = find_objects(Picture(pixels), prompts, GrabCut(), "off")
    assert (with_shadow.shadows, without.shadows) == (1, 0)
    assert (with_shadow.hole & shade).sum() > 0.85 * shade.sum()
    assert "shadow" in with_shadow.in_words()
    assert "shadow" not in without.in_words()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30))), st.integers(0, 9))
def test_any_mask_on_any_pixels_is_answered(mask, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (*mask.shape, 3)).astype(np.uint8)
    found = cast_shadow(pixels, mask)
    assert found is None or found.shape == mask.shape
