"""Methods of other libraries: each that is installed fills; the others are refused by name."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from inpaintcli.errors import UsageError
from inpaintcli.evaluation import peers
from inpaintcli.evaluation.peers import PEERS, methods_named
from inpaintcli.imaging.picture import Picture
from tests.conftest import photo_pixels


@pytest.fixture
def hole():
    mask = np.zeros((48, 60), np.bool_)
    mask[20:28, 24:34] = True
    return mask


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", PEERS)
def test_each_fills_every_kind_of_picture_and_nothing_else(name, channels, depth, hole):
    if not PEERS[name].is_installed():
        pytest.skip(f"{PEERS[name].package} is not installed")
    pixels = photo_pixels(48, 60, channels, depth)
    blanked = pixels.copy()
    blanked[hole] = 0
    [method] = methods_named([name])
    filled = method.fill(Picture(blanked), hole)
    assert (filled.shape, filled.dtype) == (pixels.shape, pixels.dtype)
    np.testing.assert_array_equal(filled[~hole], pixels[~hole])
    top = np.iinfo(pixels.dtype).max
    wrong, blank = (
        np.abs(each[hole].astype(float) - pixels[hole]).mean() / top for each in (filled, blanked)
    )
    assert wrong < blank
    assert list(method.details) == [PEERS[name].package]


def test_opencvs_take_a_mask_of_what_is_known(monkeypatch, hole):
    """Zero is the hole, as opencv-contrib has it; the others take the hole itself."""
    seen = []

    def inpaint(pixels, known, filled, algorithm):
        seen.append((known, algorithm))
        filled[:] = pixels

    xphoto = SimpleNamespace(inpaint=inpaint, INPAINT_SHIFTMAP=0, INPAINT_FSR_BEST=1)
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(xphoto=xphoto))
    for number, name in enumerate(("shiftmap", "fsr")):
        PEERS[name].load()(photo_pixels(48, 60), hole)
        known, algorithm = seen[number]
        assert algorithm == number
        np.testing.assert_array_equal(known, np.where(hole, 0, 255))


def test_an_unknown_one_and_one_that_is_not_installed_are_refused(monkeypatch):
    with pytest.raises(UsageError, match="no method 'photoshop'") as error:
        methods_named(["telea", "photoshop"])
    assert "biharmonic" in error.value.hint
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="needs the package pypatchmatch") as error:
        methods_named(["pypatchmatch"])
    assert error.value.hint == "pip install pypatchmatch"


def test_the_order_is_the_one_asked_for():
    assert [method.name for method in methods_named(["navier-stokes", "biharmonic", "telea"])] == [
        "navier-stokes", "biharmonic", "telea",
    ]  # fmt: skip
