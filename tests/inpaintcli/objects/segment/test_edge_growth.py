import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inpaintcli.objects.segment.edge_growth import LEAST, grown_over_soft_edges
from tests.inpaintcli.objects.segment.made_scenes import SAMPLES, scene


def furthest(grown, shape):
    return float(cv2.distanceTransform((~shape).astype(np.uint8), cv2.DIST_L2, 5)[grown].max())


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_hard_edge_is_grown_by_little(sample):
    made = scene(sample, 1, blur=0.5)
    grown = grown_over_soft_edges(made.pixels, made.shape)
    assert LEAST <= furthest(grown, made.shape) <= LEAST + 3


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_blurred_edge_is_covered_to_where_it_is_hardly_seen(sample):
    made = scene(sample, 1, blur=3.0)
    opacity = cv2.GaussianBlur(made.shape.astype(np.float32), (0, 0), 3.0)
    grown = grown_over_soft_edges(made.pixels, made.shape)
    left = (opacity > 0.1) & ~grown
    assert left.sum() < 0.01 * made.shape.sum()
    assert furthest(grown, made.shape) <= 12


def test_a_mask_that_is_too_small_is_grown_to_the_object():
    """A segmenter that stops two pixels inside the object leaves no rim."""
    made = scene("rocket", 0)
    small = cv2.erode(made.shape.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not (made.shape & ~grown_over_soft_edges(made.pixels, small)).any()


def test_nothing_and_everything_are_left_as_they_are():
    pixels = np.zeros((20, 30, 3), np.uint8)
    nothing = np.zeros((20, 30), np.bool_)
    assert not grown_over_soft_edges(pixels, nothing).any()
    assert grown_over_soft_edges(pixels, ~nothing).all()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30))), st.integers(0, 9))
def test_the_mask_is_always_part_of_it(mask, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (*mask.shape, 3)).astype(np.uint8)
    assert not (mask & ~grown_over_soft_edges(pixels, mask)).any()
