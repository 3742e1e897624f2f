"""One level of patch synthesis: of two sets of matches, the better one at each place."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inpaintcli.texture import patchmatch
from inpaintcli.texture.level_solver import LevelSolver, SynthesisSettings
from inpaintcli.texture.pyramid import build_pyramid
from tests.conftest import photo_pixels


@pytest.mark.parametrize("ratio", [0.75, 1.0])
def test_matches_are_adopted_where_they_cost_less_and_only_there(ratio):
    picture = photo_pixels(100, 200).astype(np.float32)
    hole = np.zeros((100, 200), bool)
    hole[30:70, 20:180] = True
    level = build_pyramid(picture, hole, ~hole, coarsest_thickness=30, min_sources=300)[0]
    with ThreadPoolExecutor(2) as pool:
        mine, theirs = (
            LevelSolver(
                level, SynthesisSettings(), np.random.default_rng(seed), pool, patchmatch, 2
            )
            for seed in (0, 1)
        )
        column = mine.field.targets % 200
        own, other = mine.field.sources.copy(), theirs.field.sources
        mine.field.costs[:] = 100
        theirs.field.costs[:] = np.where(column < 100, 100 * ratio - 1, 100 * ratio + 1)
        mine.adopt(theirs, ratio)
    left, right = column < 80, column >= 120  # costs are compared over squares of 29 pixels
    np.testing.assert_array_equal(mine.field.sources[left], other[left])
    np.testing.assert_array_equal(mine.field.sources[right], own[right])
    assert (own[left] != other[left]).any()
