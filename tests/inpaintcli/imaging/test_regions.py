"""Promises of boxes and regions, for any mask."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings

from inpaintcli.imaging.regions import Box, bounding_box, thick_regions
from tests.inpaintcli.imaging.mask_strategies import masks


def test_bounding_box():
    mask = np.zeros((10, 12), bool)
    mask[2:5, 7] = True
    assert bounding_box(mask) == Box(2, 7, 5, 8)


def test_an_empty_mask_has_no_bounding_box():
    assert bounding_box(np.zeros((3, 3), bool)) is None


@settings(max_examples=100, deadline=None)
@given(masks())
def test_regions_hold_thick_hole_pixels_once_and_nothing_else(mask):
    count = np.zeros(mask.shape, int)
    for region in thick_regions(mask, 10, round):
        assert region.mask.shape == (region.box.height, region.box.width)
        count[region.box.slices] += region.mask
    assert count.max(initial=0) <= 1
    assert not count[~mask].any()
    if not mask.all():  # without a known pixel no depth is known either
        depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
        assert (count[(depth > 5) & mask] == 1).all()


def test_regions_leave_scratches_out_and_have_the_margin_asked_for():
    mask = np.zeros((300, 300), bool)
    mask[100:160, 100:160] = True
    mask[10:14, 10:290] = True
    mask[130:132, :] = True
    (region,) = thick_regions(mask, 20, round)
    assert region.box == Box(*(pytest.approx(v, abs=8) for v in (40, 40, 220, 220)))
    assert region.mask.sum() < 60 * 60 + 200
