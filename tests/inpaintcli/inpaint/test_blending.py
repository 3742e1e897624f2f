"""A blend: the network's colours near the boundary, the patches' own deep in the hole."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaintcli.inpaint.blending import MARGIN, blend
from inpaintcli.texture.synthesis import Texture

SIDE, HOLE = 160, slice(30, 130)
RED = 20.0  # difference between the network's fill and the patches


def scene(channels=3, strength=20.0):
    """Patches of noise, fine and coarse, and a network's fill of another mean in a square hole."""
    noise = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE, channels))
    fine, coarse = (cv2.GaussianBlur(noise, (0, 0), s).reshape(noise.shape) for s in (1.0, 4.0))
    patches = 128 + strength * (fine / fine.std() + coarse / coarse.std())
    hole = np.zeros((SIDE, SIDE), bool)
    hole[HOLE, HOLE] = True
    filled = np.where(hole[..., None], 128 + RED, patches).astype(np.float32)
    texture = Texture(patches.astype(np.float32), np.zeros((SIDE, SIDE), np.float32), 9999)
    return texture, filled, hole


def depths(hole):
    return cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)


def shift(mixed, texture, where):
    """By how much colours differ from the patches', over many pixels."""
    return float((mixed - texture.pixels)[where].mean())


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_the_networks_near_the_boundary_and_the_patches_own_deep_in_the_hole(channels):
    texture, filled, hole = scene(channels)
    mixed, depth = blend(texture, filled, hole), depths(hole)
    assert mixed.dtype == np.float32
    np.testing.assert_array_equal(mixed[~hole], texture.pixels[~hole])
    assert shift(mixed, texture, (depth > 1) & (depth < 5)) > 0.4 * RED
    assert abs(shift(mixed, texture, depth > 26)) < 0.1 * RED


@pytest.mark.parametrize(
    ("detail", "mottled", "stays"), [(0.1, False, False), (12.0, False, True), (0.1, True, True)]
)
def test_a_step_between_patches_is_smoothed_where_both_fills_are_smooth(detail, mottled, stays):
    """In a photo with structure; where either fill has structure the patches' edges stay."""
    texture, filled, hole = scene()
    known, middle = texture.pixels.copy(), SIDE // 2
    blurred = (cv2.GaussianBlur(known, (0, 0), 3.0) - 128) / 20
    steps = 128 + detail * blurred
    steps[:, middle:] += 16
    patches = np.where(hole[..., None], steps, known)
    network = np.where(hole[..., None], filled + 20 * mottled * blurred, known)
    mixed = blend(Texture(patches, texture.misfit, 9999), network, hole)
    assert (step_height(mixed) > 0.8 * step_height(patches)) == stays
    assert (step_height(mixed) < 0.5 * step_height(patches)) == (not stays)


def step_height(picture):
    """By how much the right side of a hole's middle is lighter than the left."""
    middle = SIDE // 2
    left, right = np.split(picture[60:100, middle - 12 : middle + 12].mean(axis=(0, 2)), 2)
    return right.mean() - left.mean()


def test_a_hole_in_a_sky_keeps_the_networks_colours():
    ramp = np.linspace(100, 160, SIDE, dtype=np.float32)[:, None, None].repeat(SIDE, 1).repeat(3, 2)
    hole = scene()[2]
    steps = np.where(hole[..., None], np.rint(ramp / 16) * 16, ramp).astype(np.float32)
    sky = blend(Texture(steps, np.zeros(hole.shape, np.float32), 9999), ramp, hole)
    deep = depths(hole) > 26
    assert np.abs(sky - ramp)[deep].mean() < 0.5 * np.abs(steps - ramp)[deep].mean()

    def sharpest(picture):
        return np.abs(np.diff(picture, axis=0))[30:130, 30:130].max()

    assert sharpest(sky) < 0.4 * sharpest(steps), "steps of patches are visible in a sky"


def test_the_detail_is_that_of_the_patches():
    texture, filled, hole = scene()
    mixed = blend(texture, filled, hole)
    inside = depths(hole) > 4

    def contrast(picture):
        return np.abs(cv2.Laplacian(picture, cv2.CV_32F))[inside].mean()

    assert contrast(mixed) > 0.85 * contrast(texture.pixels)


def test_a_faint_texture_takes_finer_colours_from_the_network():
    shifts = []
    for strength in (0.5, 40.0):
        texture, filled, hole = scene(strength=strength)
        band = (depths(hole) > 2) & (depths(hole) < 6)
        shifts.append(shift(blend(texture, filled, hole), texture, band))
    assert shifts[0] > shifts[1]


def test_only_pixels_near_the_hole_matter():
    texture, filled, _ = scene()
    hole = np.zeros((SIDE, SIDE), bool)
    hole[70:90, 70:90] = True
    far = np.ones_like(hole)
    far[70 - MARGIN : 90 + MARGIN, 70 - MARGIN : 90 + MARGIN] = False
    other = Texture(texture.pixels.copy(), texture.misfit, 9999)
    other.pixels[far], elsewhere = 0, filled.copy()
    elsewhere[far] = 255
    one, two = blend(texture, filled, hole), blend(other, elsewhere, hole)
    np.testing.assert_array_equal(one[~far], two[~far])


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 255.0, 65535.0]))
def test_any_hole_is_blended_in_any_units(seed, top):
    rng = np.random.default_rng(seed)
    pixels, filled = rng.uniform(0, top, (2, 24, 31, 3)).astype(np.float32)
    hole = rng.random((24, 31)) < rng.random()
    texture = Texture(pixels, np.zeros(hole.shape, np.float32), 9999)
    mixed = blend(texture, filled, hole, top=top)
    assert np.isfinite(mixed).all()
    np.testing.assert_array_equal(mixed[~hole], pixels[~hole])
    unit = Texture(pixels / top, texture.misfit, 9999)
    again = blend(unit, filled / top, hole, top=1.0)
    np.testing.assert_allclose(again * top, mixed, rtol=1e-3, atol=1e-3 * top)
