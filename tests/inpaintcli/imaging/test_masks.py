"""White is the hole; masks turn with their photo; feathering never touches known pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inpaintcli.errors import ExitCode, MaskMismatchError, UsageError
from inpaintcli.imaging.images import write_picture
from inpaintcli.imaging.masks import (
    dilate,
    feather_weights,
    fit_mask,
    mask_from_alpha,
    mask_from_picture,
    read_mask,
)
from inpaintcli.imaging.picture import Origin, Picture, displayed
from tests.conftest import photo_pixels

SHAPE = (24, 35)
HOLE = np.zeros(SHAPE, bool)
HOLE[5:12, 8:20] = True
HOLE[18, 30] = True


def as_image(mode):
    grey = Image.fromarray(np.where(HOLE, 255, 0).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.where(HOLE, 65535, 0).astype(np.uint16))
    return grey.convert(mode)


KINDS = [
    (mode, suffix)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
    for suffix in (".png", ".tif", ".bmp", ".webp")
    if mode not in ("LA", "I;16") or suffix in (".png", ".tif")
]


@pytest.mark.parametrize(("mode", "suffix"), KINDS)
def test_masks_of_every_kind_are_read(tmp_path, mode, suffix):
    path = tmp_path / f"mask{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    as_image(mode).save(path, **options)
    assert np.array_equal(read_mask(path), HOLE)
    assert np.array_equal(read_mask(path, invert=True), ~HOLE)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("threshold", [0, 1, 127, 200, 254])
def test_lighter_than_the_threshold_is_the_hole(dtype, threshold):
    scale = 1 if dtype == np.uint8 else 257
    values = (np.arange(256)[None, :, None] * scale).astype(dtype)
    wanted = np.arange(256)[None] > threshold
    assert np.array_equal(mask_from_picture(Picture(values), threshold=threshold), wanted)
    colour = np.repeat(values, 3, axis=2)
    assert np.array_equal(mask_from_picture(Picture(colour), threshold=threshold), wanted)


@pytest.mark.parametrize("threshold", [-1, 255])
def test_senseless_thresholds_are_refused(threshold):
    for call in (mask_from_picture, mask_from_alpha):
        with pytest.raises(UsageError, match="threshold"):
            call(Picture(np.zeros((2, 2, 1), np.uint8)), threshold=threshold)


def test_colours_count_by_luma():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]], np.uint8)
    assert mask_from_picture(Picture(colours)).tolist() == [[False, True, False, True]]


@pytest.mark.parametrize("shade", [0, 255, 90])
def test_one_colour_with_varying_alpha_is_alpha_as_mask(shade):
    alpha = np.where(HOLE, 255, 0).astype(np.uint8)
    picture = Picture(np.full((*SHAPE, 3), shade, np.uint8), alpha)
    assert np.array_equal(mask_from_picture(picture), HOLE)


def test_transparent_white_is_no_hole():
    pixels = np.full((*SHAPE, 1), 255, np.uint8)
    pixels[0, 0] = 0
    picture = Picture(pixels, np.where(HOLE, 255, 0).astype(np.uint8))
    assert np.array_equal(mask_from_picture(picture), HOLE)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_transparency_is_the_hole(dtype):
    scale = 1 if dtype == np.uint8 else 257
    alpha = (np.array([[0, 127, 128, 255]]) * scale).astype(dtype)
    picture = Picture(np.zeros((1, 4, 3), dtype), alpha)
    assert mask_from_alpha(picture).tolist() == [[True, True, True, False]]
    assert mask_from_alpha(picture, invert=True).tolist() == [[False, False, False, True]]
    assert mask_from_alpha(picture, threshold=127).tolist() == [[True, True, False, False]]
    assert mask_from_alpha(picture, threshold=254).tolist() == [[True, False, False, False]]


def test_a_picture_without_alpha_has_no_hole_in_it():
    with pytest.raises(MaskMismatchError, match=r"a\.jpg has no transparency"):
        mask_from_alpha(Picture(np.zeros((2, 2, 1), np.uint8)), name="a.jpg")


def photo(orientation=1, shape=SHAPE):
    """A photo whose stored size is `shape`."""
    pixels = displayed(np.zeros((*shape, 3), np.uint8), orientation)
    return Picture(pixels, None, Origin("JPEG", orientation=orientation))


def test_a_mask_of_another_size_is_refused_in_words():
    mask = np.zeros((480, 640), bool)
    with pytest.raises(MaskMismatchError) as caught:
        fit_mask(mask, photo(shape=(30, 40)), mask_name="mask.png", picture_name="photo.jpg")
    assert str(caught.value) == (
        "The mask mask.png is 640x480 but the photo photo.jpg is 40x30. "
        "Draw the mask on the photo itself, or pass --resize-mask."
    )
    assert caught.value.code == ExitCode.MASK_MISMATCH == 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_turn_with_their_photo(orientation, tmp_path):
    picture, wanted = photo(orientation), displayed(HOLE, orientation)
    assert np.array_equal(fit_mask(wanted, picture), wanted)
    if orientation >= 5:
        assert np.array_equal(fit_mask(HOLE, picture), wanted)
    exif = Image.Exif()
    exif[274] = orientation
    as_image("L").save(tmp_path / "mask.png", exif=exif)
    assert np.array_equal(fit_mask(read_mask(tmp_path / "mask.png"), picture), wanted)


def test_resizing_loses_no_part_of_the_hole():
    small = fit_mask(HOLE, photo(shape=(8, 12)), resize=True)
    assert small.shape == (8, 12)
    assert small[6, 10]
    assert not small[0].any()
    large = fit_mask(HOLE, photo(shape=(48, 70)), resize=True)
    assert large.sum() == pytest.approx(4 * HOLE.sum(), rel=0.1)
    assert large.dtype == bool


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((13, 17)) < 0.08
)


def distances(mask, to):
    """From each pixel of `mask` to the nearest of `to`, by brute force."""
    y, x = np.nonzero(to)
    yy, xx = np.mgrid[: mask.shape[0], : mask.shape[1]]
    far = np.hypot(yy[..., None] - y, xx[..., None] - x)
    return far.min(axis=2, initial=np.inf)


@given(mask=masks, pixels=st.integers(0, 9))
def test_dilation_is_exactly_euclidean(mask, pixels):
    wanted = distances(mask, mask) <= pixels + 1e-9
    assert np.array_equal(dilate(mask, pixels), wanted if mask.any() else mask)


@given(mask=masks, pixels=st.integers(0, 9))
def test_feathering_stays_inside_the_hole(mask, pixels):
    hole = ~mask
    weights = feather_weights(hole, pixels)
    assert weights.dtype == np.float32
    assert (weights[~hole] == 0).all()
    assert (weights[hole] > 0).all()
    wanted = np.where(hole, np.minimum(distances(hole, ~hole) / (pixels + 1), 1), 0)
    assert np.allclose(weights, wanted if mask.any() else 1, atol=1e-5)


def test_full_and_empty_masks_pass():
    empty, full = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    assert not dilate(empty, 5).any()
    assert dilate(full, 5).all()
    assert (feather_weights(empty, 5) == 0).all()
    assert (feather_weights(full, 5) == 1).all()


def test_negative_pixels_are_refused():
    for call in (dilate, feather_weights):
        with pytest.raises(UsageError, match="-1"):
            call(HOLE, -1)


def test_an_empty_mask_file_is_an_empty_mask(tmp_path):
    write_picture(Picture(np.zeros((*SHAPE, 1), np.uint8)), tmp_path / "m.png")
    assert not read_mask(tmp_path / "m.png").any()


def test_a_photo_with_a_part_erased_means_that_part():
    pixels = photo_pixels(60, 80)
    alpha = np.full((60, 80), 255, np.uint8)
    alpha[10:30, 20:50] = 0
    assert np.array_equal(mask_from_picture(Picture(pixels, alpha)), alpha == 0)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 0), (0, 0, 255)])
def test_strokes_on_transparent_ground_are_the_hole(colour):
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[40:, :] = 7  # rubbish under the transparency
    alpha = np.zeros((60, 80), np.uint8)
    pixels[10:20, 20:50], alpha[10:20, 20:50] = colour, 255
    pixels[10:20, 50] = (120, 0, 0)
    alpha[10:20, 50] = 200
    assert np.array_equal(mask_from_picture(Picture(pixels, alpha)), alpha > 127)


def test_black_and_white_on_transparent_ground_stay_ground_and_hole():
    pixels = np.zeros((60, 80, 1), np.uint8)
    alpha = np.zeros((60, 80), np.uint8)
    alpha[10:40], pixels[20:30, 10:40] = 255, 255
    assert np.array_equal(mask_from_picture(Picture(pixels, alpha)), pixels[..., 0] == 255)
