"""Features of patches besides colours: scaled like colours, in any units and sizes."""

import numpy as np
import pytest

from inpaintcli.texture.patch_features import FeatureWeights, contrast, patch_features
from inpaintcli.texture.patchmatch import FEATURES, FIRST_EDGE
from inpaintcli.texture.pyramid import PATCH_SIDE, build_pyramid
from tests.conftest import photo_pixels

POSITION = slice(5, 7)


def levels(pixels, hole=None):
    hole = np.zeros(pixels.shape[:2], bool) if hole is None else hole
    return build_pyramid(
        pixels.astype(np.float32), hole, ~hole, coarsest_thickness=10, min_sources=10
    )


def hole_of(side, size):
    hole = np.zeros((size, size), bool)
    hole[20 : 20 + side, 20 : 20 + side] = True
    return hole


def test_there_are_as_many_as_the_kernels_take():
    (level,) = levels(photo_pixels(64, 80))
    features = patch_features(level, FeatureWeights())
    assert features.shape == (64, 80, FEATURES)
    assert POSITION.stop == FIRST_EDGE
    certainty = features[..., -1]
    assert certainty.min() >= 0
    assert certainty.max() <= 1


@pytest.mark.parametrize("height", [60, 240])
def test_a_distance_as_long_as_the_picture_costs_the_same_in_any_size(height):
    (level,) = levels(photo_pixels(height, height))
    position = patch_features(level, FeatureWeights(distance=0.5))[..., POSITION]
    cost = float(((position[0, 0] - position[0, -1]) ** 2).sum()) * (height / (height - 1)) ** 2
    deviation = 0.5 * contrast(level)  # of every sample of a patch
    colours = 3 * PATCH_SIDE**2 * deviation**2
    assert cost == pytest.approx(colours, rel=1e-3)


def test_a_vertical_distance_counts_twice():
    (level,) = levels(photo_pixels(90, 60))
    position = patch_features(level, FeatureWeights(vertical_stretch=2))[..., POSITION]
    up, across = (
        np.abs(position[40, 5] - position[10, 5]),
        np.abs(position[10, 35] - position[10, 5]),
    )
    np.testing.assert_allclose(up, [0, 2 * across[0]], rtol=1e-4)
    assert across[1] == 0


def test_positions_are_the_same_on_every_level():
    hole = hole_of(80, 160)
    fine, *coarser = levels(photo_pixels(160, 160), hole)
    assert coarser
    assert [level.downscale for level in coarser] == [2 ** (n + 1) for n in range(len(coarser))]
    for level in coarser:
        positions = [
            patch_features(one, FeatureWeights())[..., POSITION] / contrast(one)
            for one in (fine, level)
        ]
        of_means = positions[0][:: level.downscale, :: level.downscale]
        np.testing.assert_allclose(positions[1], of_means, atol=1e-3 * np.abs(of_means).max())


def test_contrast_is_that_of_known_pixels():
    hole = hole_of(20, 64)
    pixels = np.where(hole[..., None], 255, photo_pixels(64, 64))
    (level, *_) = levels(pixels, hole)
    assert contrast(level) == pytest.approx(pixels.mean(axis=2)[~hole].std(), rel=1e-4)
