"""Promises of tiles and of the model's input, for any mask."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaintcli.imaging.regions import Box, bounding_box
from inpaintcli.imaging.tiles import TileSizes, model_input, model_output, plan_tiles
from tests.inpaintcli.imaging.mask_strategies import masks

SIZES = TileSizes(max_thickness=24, context=1.0, min_context=16, max_side=128)
LARGE = TileSizes(max_thickness=64, context=1.0)


@settings(max_examples=150, deadline=None)
@given(masks())
def test_every_hole_pixel_is_the_target_of_exactly_one_tile(mask):
    count = np.zeros(mask.shape, int)
    for tile in plan_tiles(mask, SIZES):
        assert tile.target.shape == (tile.box.height, tile.box.width)
        count[tile.box.slices] += tile.target
    np.testing.assert_array_equal(count, mask.astype(int))


@settings(max_examples=100, deadline=None)
@given(masks())
def test_tiles_lie_in_the_picture_and_are_bounded_at_working_size(mask):
    height, width = mask.shape
    for tile in plan_tiles(mask, SIZES):
        box = tile.box
        assert 0 <= box.top < box.bottom <= height
        assert 0 <= box.left < box.right <= width
        longest = max(box.height, box.width) * tile.scale
        # A tile has room for 64 photo pixels of target between its margins, whatever they are.
        margins = 2 * max(SIZES.min_context, SIZES.context * SIZES.max_thickness)
        assert longest <= max(SIZES.max_side, margins + 64) + 2 * SIZES.size_multiple


@settings(max_examples=100, deadline=None)
@given(masks())
def test_thin_holes_keep_full_resolution(mask):
    thickest = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5).max()
    for tile in plan_tiles(mask, SIZES):
        assert 0 < tile.scale <= 1
        if 2 * thickest < SIZES.max_thickness:
            assert tile.scale == 1


def test_a_scratch_across_a_thick_hole_keeps_full_resolution():
    mask = np.zeros((600, 600), bool)
    mask[200:400, 200:400] = True
    mask[298:302, :] = True
    scales = {}
    for tile in plan_tiles(mask, LARGE):
        xs = np.nonzero(tile.target)[1]
        far = (np.abs(xs + tile.box.left - 300) > 200).any()
        scales[far] = max(scales.get(far, 0), tile.scale)
    assert scales[True] == 1
    assert min(t.scale for t in plan_tiles(mask, LARGE)) == pytest.approx(64 / 200, rel=0.1)


def test_a_tile_sees_known_pixels_all_around():
    mask = np.zeros((400, 400), bool)
    mask[150:250, 150:250] = True
    (tile,) = plan_tiles(mask, LARGE)
    known_around = tile.box.top <= 110 and tile.box.left <= 110
    assert known_around
    assert tile.box.bottom >= 290
    assert tile.box.right >= 290


def test_cost_depends_on_the_hole_not_on_the_photo():
    def pixels(shape):
        mask = np.zeros(shape, bool)
        mask[700:1000, 700:1000] = True
        return sum(t.box.height * t.box.width * t.scale**2 for t in plan_tiles(mask, LARGE))

    assert pixels((4000, 6000)) <= 1.1 * pixels((1700, 1700))


def test_thousands_of_specks_are_grouped():
    rng = np.random.default_rng(1)
    mask = np.zeros((2000, 3000), bool)
    mask[rng.integers(0, 2000, 9000), rng.integers(0, 3000, 9000)] = True
    tiles = plan_tiles(mask, LARGE)
    assert len(tiles) < 200


def test_specks_share_tiles_where_that_saves_a_third_of_them():
    """3,000 specks in 12 megapixels: in a grid of fixed squares they had 2,781 tiles."""
    rng = np.random.default_rng(0)
    mask = np.zeros((3000, 4000), bool)
    for y, x, radius in zip(
        rng.integers(5, 2995, 3000), rng.integers(5, 3995, 3000), rng.integers(1, 4, 3000),
        strict=True,
    ):  # fmt: skip
        mask[y - radius : y + radius + 1, x - radius : x + radius + 1] = True
    tiles = plan_tiles(mask, TileSizes(size_multiple=64))
    assert len(tiles) < 2050
    filled = np.zeros(mask.shape, np.uint8)
    for tile in tiles:
        filled[tile.box.slices] += tile.target
        held = bounding_box(tile.target)
        assert max(held.height, held.width) <= 40  # with 12 pixels to each side
    np.testing.assert_array_equal(filled, mask)


def test_no_hole_no_tiles():
    assert plan_tiles(np.zeros((10, 10), bool), TileSizes()) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1.0, 0.5, 0.31]), st.integers(0, 9))
def test_model_input_has_whole_multiples_and_the_output_the_size_of_the_box(h, w, scale, seed):
    rng = np.random.default_rng(seed)
    rgb = rng.uniform(-1, 1, (h, w, 3)).astype(np.float32)
    image, hole = model_input(rgb, rng.random((h, w)) < 0.3, scale, 16)
    assert image.shape[:2] == hole.shape
    assert image.shape[0] % 16 == image.shape[1] % 16 == 0
    assert image.dtype == hole.dtype == np.float32
    assert set(np.unique(hole)) <= {0.0, 1.0}
    assert (image[hole > 0] == 0).all()
    assert model_output(image, Box(0, 0, h, w), scale).shape == (h, w, 3)


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.37])
def test_nothing_of_the_old_content_leaks_out_of_the_hole(scale):
    unknown = np.zeros((96, 96), bool)
    unknown[31:66, 29:62] = True
    rgb = np.full((96, 96, 3), 0.25, np.float32)
    for old in (-1.0, 1.0):
        rgb[unknown] = old
        image, hole = model_input(rgb, unknown, scale, 16)
        np.testing.assert_allclose(image[hole == 0], 0.25, atol=1e-5)


def test_at_full_resolution_the_model_sees_the_pixels_themselves():
    rng = np.random.default_rng(0)
    rgb = rng.uniform(-1, 1, (32, 48, 3)).astype(np.float32)
    unknown = rng.random((32, 48)) < 0.2
    image, hole = model_input(rgb, unknown, 1.0, 16)
    np.testing.assert_array_equal(hole > 0, unknown)
    np.testing.assert_array_equal(image[~unknown], rgb[~unknown])
    np.testing.assert_array_equal(model_output(image, Box(0, 0, 32, 48), 1.0), image)


def test_few_specks_have_small_tiles_of_one_size_that_wait_for_nothing():
    mask = np.zeros((1000, 1500), bool)
    for y, x in [(30, 40), (500, 700), (505, 712), (990, 1490)]:
        mask[y : y + 4, x : x + 3] = True
    mask[200:300, 300:400] = True
    *thick, one, two, three = plan_tiles(mask, TileSizes())
    assert not any(tile.independent for tile in thick)
    assert all(tile.independent and tile.box.size == (64, 64) for tile in (one, two, three))
    assert sum(tile.target.sum() for tile in (one, two, three)) == 4 * 12


def test_specks_cost_at_most_what_tiles_of_their_groups_do():
    rng = np.random.default_rng(2)
    for count in (10, 100, 1000):
        mask = np.zeros((700, 1100), bool)
        mask[rng.integers(0, 700, count), rng.integers(0, 1100, count)] = True
        mask[100:104] = True
        cost = sum(t.box.height * t.box.width for t in plan_tiles(mask, TileSizes()))
        assert cost <= 1.6 * mask.size
        assert cost <= 64 * 64 * count + 1.4 * 1100 * 104


def test_holes_that_lie_apart_have_tiles_of_their_own_where_the_model_wants_one_at_a_time():
    mask = np.zeros((400, 400), np.bool_)
    mask[100:140, 100:140] = mask[100:140, 185:225] = True
    together = plan_tiles(mask, TileSizes())
    apart = plan_tiles(mask, TileSizes(one_hole=True))
    assert (len(together), len(apart)) == (1, 2)
    assert sum(int(tile.target.sum()) for tile in apart) == mask.sum()


@pytest.mark.parametrize("side", [64, 100, 256, 512])
def test_tiles_of_a_model_of_a_fixed_side_fill_its_square(side):
    """As cards of such models say: a square of that side each, however large the hole."""
    sizes = TileSizes(
        max_thickness=int(side * 0.375), context=0.8, min_context=min(48, side // 8),
        max_side=side, size_multiple=side,
    )  # fmt: skip
    mask = np.zeros((1300, 1700), np.bool_)
    mask[200:1000, 300:900] = True
    mask[50:60, 1200:1690] = True
    mask[1200:1203, 20:23] = True
    for tile in plan_tiles(mask, sizes):
        pixels = np.zeros((tile.box.height, tile.box.width, 3), np.float32)
        rgb, hole = model_input(pixels, mask[tile.box.slices], tile.scale, side)
        assert rgb.shape[:2] == hole.shape == (side, side)
