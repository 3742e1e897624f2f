"""The promises of `inpaintcli.fill` to Python programs."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import inpaintcli
from inpaintcli.errors import MaskMismatchError, OutputError, UnreadableError
from tests.conftest import photo_pixels


@pytest.fixture
def mask():
    hole = np.zeros((48, 64), bool)
    hole[10:30, 20:40] = True
    return hole


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_shape_dtype_known_pixels_and_the_argument_stay(grey_model, mask, depth, channels):
    photo = photo_pixels(48, 64, channels or 1, depth)
    if channels is None:
        photo = photo[..., 0]
    elif channels == 4:
        photo[..., 3] = np.iinfo(photo.dtype).max
    before = photo.copy()
    filled = inpaintcli.fill(photo, mask, model=grey_model)
    assert (filled.shape, filled.dtype) == (photo.shape, photo.dtype)
    np.testing.assert_array_equal(filled[~mask], before[~mask])
    assert (filled[mask] != before[mask]).any()
    np.testing.assert_array_equal(photo, before)
    assert not np.shares_memory(photo, filled)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (lambda hole: hole.astype(np.uint8) * 255, {}),
        (lambda hole: hole.astype(np.uint16) * 65535, {}),
        (lambda hole: hole.astype(np.uint8) * 50, {"mask_threshold": 49}),
        (lambda hole: ~hole, {"invert_mask": True}),
        (lambda hole: (~hole).astype(np.uint8) * 255, {"invert_mask": True}),
    ],
)
def test_masks_that_mean_the_same(grey_model, mask, kind, options):
    photo = photo_pixels(48, 64)
    wanted = inpaintcli.fill(photo, mask, model=grey_model)
    found = inpaintcli.fill(photo, kind(mask), model=grey_model, **options)
    np.testing.assert_array_equal(found, wanted)


def test_the_other_byte_order_is_understood_and_stays(grey_model, mask):
    photo = photo_pixels(48, 64, 3, 16)
    other = photo.astype(photo.dtype.newbyteorder("S"))
    hole = (mask * np.uint16(65535)).astype(other.dtype)
    filled = inpaintcli.fill(other, hole, model=grey_model)
    assert filled.dtype == other.dtype
    np.testing.assert_array_equal(filled, inpaintcli.fill(photo, mask, model=grey_model))


def test_alpha_as_mask_becomes_opaque(grey_model, mask):
    photo = np.dstack([photo_pixels(48, 64), np.where(mask, 0, 255).astype(np.uint8)])
    filled = inpaintcli.fill(photo, "alpha", model=grey_model)
    assert (filled[..., 3] == 255).all()
    np.testing.assert_array_equal(filled[~mask], photo[~mask])


def test_an_empty_mask_gives_a_copy(mask):
    photo = photo_pixels(48, 64)
    filled = inpaintcli.fill(photo, np.zeros_like(mask))
    np.testing.assert_array_equal(filled, photo)
    assert filled is not photo


@pytest.mark.parametrize(
    ("photo", "mask", "error", "named"),
    [
        (np.zeros((4, 4, 3)), np.zeros((4, 4), bool), ValueError, "float64"),
        (np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4), bool), ValueError, "channels"),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4), bool), ValueError, "no pixels"),
        (np.zeros((4, 4, 3), np.uint8), np.eye(4, dtype=np.uint8), ValueError, "astype"),
        (np.zeros((4, 4, 3), np.uint8), np.eye(4), ValueError, "float64"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 1), bool), ValueError, "h, w"),
        (np.zeros((4, 4, 3), np.uint8), None, TypeError, "has no mask"),
        (np.zeros((4, 4, 3), np.uint8), "mask.png", TypeError, "not mask.png"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4), bool), MaskMismatchError, "4x5"),
        (np.zeros((4, 4, 3), np.uint8), "alpha", MaskMismatchError, "transparency"),
        ("a.png", np.zeros((4, 4), bool), TypeError, "both"),
        ("gone.png", "alpha", UnreadableError, "gone.png"),
    ],
)
def test_wrong_arguments_are_reported(photo, mask, error, named):
    with pytest.raises(error, match=named):
        inpaintcli.fill(photo, mask)


def test_options_are_checked(mask):
    photo = photo_pixels(48, 64)
    with pytest.raises(TypeError, match="feathers"):
        inpaintcli.fill(photo, mask, feathers=3)
    with pytest.raises(ValueError, match="auto, network, patches"):
        inpaintcli.fill(photo, mask, detail="both")
    with pytest.raises(inpaintcli.EngineError, match="no device 'gpu'"):
        inpaintcli.fill(photo, mask, device="gpu")
    with pytest.raises(TypeError, match="files"):
        inpaintcli.fill(photo, mask, "out.png")


def test_files(grey_model, mask, tmp_path):
    photo = tmp_path / "a.png"
    Image.fromarray(photo_pixels(48, 64)).save(photo)
    Image.fromarray(mask).save(tmp_path / "a.mask.png")
    written = inpaintcli.fill(str(photo), model=grey_model)
    assert written == tmp_path / "a.filled.png"
    with pytest.raises(OutputError, match="exists"):
        inpaintcli.fill(photo, model=grey_model)
    assert inpaintcli.fill(photo, model=grey_model, overwrite=True) == written
    with Image.open(written) as image:
        array = inpaintcli.fill(photo_pixels(48, 64), mask, model=grey_model)
        np.testing.assert_array_equal(np.asarray(image), array)


def test_the_package_is_light_until_used_and_says_what_it_has():
    code = (
        "import sys, inpaintcli\n"
        "assert 'numpy' not in sys.modules\n"
        "assert {'fill', 'open_model', 'InpaintError'} <= set(dir(inpaintcli))\n"
        "assert callable(inpaintcli.fill) and 'numpy' in sys.modules\n"
        "assert 'openvino' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        inpaintcli.nothing  # noqa: B018
