import numpy as np
import pytest
from inpaintcli_training.data.augment import adjust_colours, augment_crop, rotate
from inpaintcli_training.recipe import Augmentation
from numpy.typing import NDArray

from inpaintcli.errors import UsageError


@pytest.fixture
def ramp() -> NDArray[np.uint8]:
    """Brighter from left to right, 48x48."""
    row = np.linspace(20, 230, 48).astype(np.uint8)
    return np.repeat(np.tile(row, (48, 1))[:, :, None], 3, 2)


def test_nothing_asked_for_is_nothing_done_and_nothing_drawn(ramp) -> None:
    rng = np.random.default_rng(0)
    assert augment_crop(ramp, rng, Augmentation()) is ramp
    assert rng.random() == np.random.default_rng(0).random()


def test_turning_keeps_the_middle_and_leaves_no_corner_empty(ramp) -> None:
    for degrees in (-45.0, -10.0, 5.0, 30.0):
        found = rotate(ramp, degrees)
        assert found.shape == ramp.shape
        assert found.min() >= 15
        assert abs(int(found[23:25, 23:25].mean()) - int(ramp[23:25, 23:25].mean())) <= 2


def test_a_ramp_turned_by_45_degrees_rises_as_much_down_as_across(ramp) -> None:
    found = rotate(ramp, -45).astype(int)[:, :, 0]
    across, down = found[24, 40] - found[24, 8], found[40, 24] - found[8, 24]
    assert across > 30
    assert abs(across - down) <= 4


def test_factors_of_one_change_nothing(ramp) -> None:
    assert np.array_equal(adjust_colours(ramp, 1, 1, 1), ramp)


def test_each_factor_does_what_it_is_named_for() -> None:
    rgb = np.array([[[100, 50, 50], [40, 80, 120]]], np.uint8)
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.array_equal(adjust_colours(rgb, 1.5, 1, 1), np.rint(rgb * 1.5).astype(np.uint8))
    contrast = luma.mean() + (rgb - luma.mean()) * 0.5
    assert np.abs(adjust_colours(rgb, 1, 0.5, 1) - contrast).max() <= 0.51
    assert np.abs(adjust_colours(rgb, 1, 1, 0) - luma[:, :, None]).max() <= 0.51


def test_values_stay_in_range(ramp) -> None:
    assert adjust_colours(ramp, 1.9, 1.9, 1).max() == 255


@pytest.mark.parametrize(
    "wrong", [{"rotation": 46.0}, {"rotation": -1.0}, {"brightness": 1.0}, {"contrast": -0.1}]
)
def test_what_would_be_no_photo_any_more_is_refused(wrong) -> None:
    with pytest.raises(UsageError, match="augment"):
        Augmentation(**wrong)
