"""Parts of the pyramid: pull-push keeps known values, grey is the mean of the channels."""

import numpy as np
import pytest

from inpaintcli.texture.pyramid import grey, in_channels, pull_push


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("shape", [(16, 16), (17, 19), (64, 47), (101, 101)])
def test_known_values_stay_and_the_others_lie_between_them(shape, channels):
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 2, (*shape, channels)).astype(np.float32)
    known = (rng.random(shape) < 0.5).astype(np.float32)
    known[:8, :8] = 0
    given = values.copy()
    values[known == 0] = 99  # not to be looked at
    found = pull_push(values, known)
    np.testing.assert_array_equal(found[known > 0], given[known > 0])
    assert (found > 1 - 1e-4).all()
    assert (found < 2 + 1e-4).all()


def test_all_known_is_left_alone():
    values = np.ones((8, 8, 2), np.float32)
    assert pull_push(values, np.ones((8, 8), np.float32)) is values


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_is_the_mean_of_channels_and_back(channels):
    pixels = np.random.default_rng(1).random((5, 7, channels)).astype(np.float32)
    np.testing.assert_allclose(grey(pixels), pixels.mean(axis=2), rtol=1e-5)
    spread = in_channels(grey(pixels), channels)
    assert spread.shape == pixels.shape
    assert (spread == spread[..., :1]).all()
