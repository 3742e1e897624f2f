"""A fill is as noisy as the photo around it, and never noisier."""

import numpy as np
import pytest

from inpaintcli.inpaint.grain import add_grain


def noisy(sigma, dtype=np.uint8, channels=3, seed=0):
    """A slanted plane with noise (120, 160, channels), its hole filled without any."""
    top = np.iinfo(dtype).max
    plane = np.linspace(0.3, 0.6, 160)[None, :, None] * np.ones((120, 1, channels))
    noise = np.random.default_rng(seed).normal(0, sigma / 255, (120, 160, 1))
    hole = np.zeros((120, 160), bool)
    hole[40:80, 30:130] = True
    filled = np.where(hole[..., None], plane, plane + noise)
    return np.clip(np.rint(filled * top), 0, top).astype(dtype), hole


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [3.0, 10.0])
def test_the_hole_gets_the_noise_of_its_surroundings(sigma, channels, dtype):
    pixels, hole = noisy(sigma, dtype, channels)
    before = pixels.copy()
    added = add_grain(pixels, hole, ~hole)
    assert added == pytest.approx(sigma, rel=0.25)
    change = (pixels.astype(float) - before)[hole] * 255 / np.iinfo(dtype).max
    assert change.std() == pytest.approx(sigma, rel=0.25)
    np.testing.assert_array_equal(pixels[~hole], before[~hole])


def test_a_clean_photo_stays_clean():
    pixels, hole = noisy(0.3)
    before = pixels.copy()
    assert add_grain(pixels, hole, ~hole) == 0
    np.testing.assert_array_equal(pixels, before)


def test_a_fill_that_is_noisy_enough_gets_no_more():
    pixels, hole = noisy(6.0)
    add_grain(pixels, hole, ~hole)
    before = pixels.copy()
    assert add_grain(pixels, hole, ~hole, seed=1) < 3
    again, _ = noisy(6.0)
    add_grain(again, hole, ~hole)
    np.testing.assert_array_equal(again, before)  # and the same seed gives the same pixels


def test_edges_are_not_noise():
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:, ::40] = 255
    hole = np.zeros((120, 160), bool)
    hole[40:80, 30:130] = True
    assert add_grain(pixels, hole, ~hole) == 0


def test_thin_scratches_get_grain_too():
    pixels, _ = noisy(8.0)
    hole = np.zeros((120, 160), bool)
    hole[20:24, 10:150] = hole[100:104, 10:150] = True
    pixels[hole] = 110
    assert add_grain(pixels, hole, ~hole) > 5


def test_scratches_over_a_large_photo_are_measured_in_windows():
    """The noise of all that lies around them would take a photo's worth of work."""
    numbers = np.random.default_rng(0)
    hole = np.zeros((900, 1000), bool)
    hole[100:120, 50:950] = hole[800:820, 50:950] = True
    plane = numbers.normal(120, 6, (900, 1000, 1))
    pixels = np.where(hole[..., None], 120, np.rint(plane)).astype(np.uint8)
    before = pixels.copy()
    assert add_grain(pixels, hole, ~hole) == pytest.approx(6, rel=0.25)
    assert pixels[hole].std() == pytest.approx(6, rel=0.25)
    np.testing.assert_array_equal(pixels[~hole], before[~hole])
    again = before.copy()
    add_grain(again, hole, ~hole)
    np.testing.assert_array_equal(again, pixels)


def test_a_hole_without_surroundings_gets_none():
    pixels, hole = noisy(8.0)
    assert add_grain(pixels, hole, np.zeros_like(hole)) == 0
