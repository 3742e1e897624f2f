"""Narrow ranges of 16-bit photos are filled in their own range; wide ones are left alone."""

import numpy as np
import pytest

from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import fill, open_model
from inpaintcli.inpaint.tonal_range import TonalRange, narrow_range
from tests.conftest import photo_pixels

RANGES = {"10 bits": (0, 1023), "12 bits": (0, 4095), "thermal": (60000, 61000), "dark": (80, 900)}


def hole(height=160, width=200):
    mask = np.zeros((height, width), bool)
    mask[60:100, 80:130] = True
    return mask


def narrow(low, high):
    """(160, 200, 1) uint16: waves over the whole of a range."""
    y, x = np.mgrid[:160, :200]
    waves = 0.5 + 0.3 * np.sin(x / 5) * np.cos(y / 7) + 0.2 * np.sin(x / 2 + y)
    return (low + waves * (high - low)).astype(np.uint16)[..., None]


@pytest.mark.parametrize("ends", RANGES.values(), ids=RANGES)
def test_a_fill_has_the_mean_and_the_deviation_of_what_is_around(ends):
    photo, mask = narrow(*ends), hole()
    around = np.zeros_like(mask)
    around[40:120, 60:150] = True
    around &= ~mask
    before = photo.copy()
    before[mask] = round(photo[around].mean())
    with open_model(precision="fp32") as model:
        filled = fill(Picture(before), mask, model).picture.pixels
    np.testing.assert_array_equal(filled[~mask], before[~mask])
    deviation = float(photo[around].std())
    assert abs(float(filled[mask].mean()) - float(photo[around].mean())) < 0.5 * deviation
    assert 0.4 < float(filled[mask].std()) / deviation < 1.5


def test_eight_bits_and_wide_ranges_are_left_alone():
    mask = hole()
    assert narrow_range(photo_pixels(160, 200), mask, ~mask) is None
    assert narrow_range(narrow(0, 65535), mask, ~mask) is None


def test_only_what_is_near_the_hole_counts():
    photo = np.full((600, 600, 1), 65535, np.uint16)
    photo[:300, :300] = narrow(100, 900)[:300, :200][:1, :1]
    photo[100:260, 50:250] = narrow(100, 900)
    mask = np.zeros((600, 600), bool)
    mask[140:150, 140:150] = True
    found = narrow_range(photo, mask, ~mask)
    assert found is not None
    assert found.high < 1100


def test_stretching_and_restoring_lose_at_most_half_a_level():
    tones, photo = TonalRange(60000, 61000), narrow(60000, 61000)
    assert np.abs(tones.restored(tones.stretched(photo)).astype(int) - photo).max() <= 1


def test_a_flat_range_is_no_division_by_zero():
    photo, mask = np.full((160, 200, 1), 777, np.uint16), hole()
    tones = narrow_range(photo, mask, ~mask)
    assert tones is not None
    assert (tones.restored(tones.stretched(photo)) == 777).all()
