import cv2
import numpy as np
import pytest

from inpaintcli.evaluation.methods import classical_methods, model_method
from inpaintcli.imaging.picture import Picture
from tests.conftest import photo_pixels


@pytest.fixture
def hole():
    mask = np.zeros((48, 60), np.bool_)
    mask[10:30, 20:41] = True
    return mask


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [8, 16])
def test_the_classical_ones_fill_every_kind_of_picture(hole, channels, depth):
    pixels = photo_pixels(48, 60, channels, depth)
    blanked = pixels.copy()
    blanked[hole] = 0
    for method in classical_methods():
        filled = method.fill(Picture(blanked), hole)
        assert (filled.shape, filled.dtype) == (pixels.shape, pixels.dtype)
        np.testing.assert_array_equal(filled[~hole], pixels[~hole])
        assert filled[hole].min() > 0


def test_sixteen_bits_fill_as_eight_do(hole):
    """Channel by channel, and yet the same method; 8 bits round in every step, hence the limits."""
    pixels = photo_pixels(48, 60)
    for method in classical_methods():
        shallow = method.fill(Picture(pixels), hole).astype(float)
        deep = method.fill(Picture(pixels.astype(np.uint16) * 257), hole) / 257
        assert np.abs(shallow - deep).max() < 10
        assert np.abs(shallow - deep)[hole].mean() < 1.5


def test_telea_is_opencvs_with_radius_five(hole):
    pixels = photo_pixels(48, 60)
    wanted = cv2.inpaint(pixels, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    np.testing.assert_array_equal(classical_methods()[0].fill(Picture(pixels), hole), wanted)


def test_a_model_says_what_it_is(grey_model, hole):
    method = model_method(grey_model, "network", print)
    assert method.name == "grey-network"
    assert model_method(grey_model, "auto", print).name == "grey"
    assert method.details["engine"] == "grey"
    assert method.details["detail"] == "network"
    filled = method.fill(Picture(photo_pixels(48, 60)), hole)
    assert (filled[hole] == 128).all()
