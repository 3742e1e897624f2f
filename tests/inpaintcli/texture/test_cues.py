"""What patches are compared by besides colours: scaled like colours, in any units and sizes."""

import numpy as np
import pytest

from inpaintcli.texture.cues import Cues, contrast, features
from inpaintcli.texture.patchmatch import EDGES, FEATURES
from inpaintcli.texture.pyramid import PATCH, pyramid
from tests.conftest import photo_pixels

PLACE = slice(5, 7)


def levels(pixels, hole=None):
    hole = np.zeros(pixels.shape[:2], bool) if hole is None else hole
    return pyramid(pixels.astype(np.float32), hole, ~hole, thickness=10, sources=10)


def hole_of(side, size):
    hole = np.zeros((size, size), bool)
    hole[20 : 20 + side, 20 : 20 + side] = True
    return hole


def test_there_are_as_many_as_the_kernels_take():
    (level,) = levels(photo_pixels(64, 80))
    cues = features(level, Cues())
    assert cues.shape == (64, 80, FEATURES)
    assert PLACE.stop == EDGES
    sure = cues[..., -1]
    assert sure.min() >= 0
    assert sure.max() <= 1


@pytest.mark.parametrize("height", [60, 240])
def test_a_way_as_long_as_the_picture_costs_the_same_in_any_size(height):
    (level,) = levels(photo_pixels(height, height))
    place = features(level, Cues(near=0.5))[..., PLACE]
    cost = float(((place[0, 0] - place[0, -1]) ** 2).sum()) * (height / (height - 1)) ** 2
    colours = 3 * PATCH**2 * (0.5 * contrast(level)) ** 2  # of a patch, every sample off by that
    assert cost == pytest.approx(colours, rel=1e-3)


def test_a_way_up_counts_as_twice_as_long():
    (level,) = levels(photo_pixels(90, 60))
    place = features(level, Cues(upright=2))[..., PLACE]
    up, across = np.abs(place[40, 5] - place[10, 5]), np.abs(place[10, 35] - place[10, 5])
    np.testing.assert_allclose(up, [0, 2 * across[0]], rtol=1e-4)
    assert across[1] == 0


def test_places_mean_the_same_on_every_level():
    hole = hole_of(80, 160)
    fine, *coarser = levels(photo_pixels(160, 160), hole)
    assert coarser
    assert [level.step for level in coarser] == [2 ** (n + 1) for n in range(len(coarser))]
    for level in coarser:
        places = [features(one, Cues())[..., PLACE] / contrast(one) for one in (fine, level)]
        of_means = places[0][:: level.step, :: level.step]
        np.testing.assert_allclose(places[1], of_means, atol=1e-3 * np.abs(of_means).max())


def test_contrast_is_that_of_known_pixels():
    hole = hole_of(20, 64)
    pixels = np.where(hole[..., None], 255, photo_pixels(64, 64))
    (level, *_) = levels(pixels, hole)
    assert contrast(level) == pytest.approx(pixels.mean(axis=2)[~hole].std(), rel=1e-4)
