"""The autocorrelation of windows, against its definition."""

import numpy as np
import pytest

from inpaintcli.texture.lattice_search import LEAST_OVERLAP, autocorrelation

SIDES = (17, 12)


@pytest.mark.parametrize("unknown", [0, 1, 40])
def test_the_autocorrelation_is_that_of_the_known_pixels(unknown):
    numbers = np.random.default_rng(3)
    detail = numbers.normal(0, 1, SIDES).astype(np.float32)
    known = np.ones(SIDES, bool)
    known.ravel()[numbers.permutation(known.size)[:unknown]] = False
    surface = autocorrelation(detail, known)
    assert surface.shape == (2 * SIDES[0], 2 * SIDES[1])
    for down, right in [(0, 0), (3, 2), (-4, 5), (10, -9), (-16, 11)]:
        found = surface[SIDES[0] + down, SIDES[1] + right]
        assert found == pytest.approx(defined(detail, known, down, right), abs=1e-4)


def defined(detail, known, down, right):
    """Mean product of the pixels that are known in both, in mean squares; -1 for too few."""
    values = np.where(known, detail - detail[known].mean(), 0)
    here = (
        slice(max(0, down), SIDES[0] + min(0, down)),
        slice(max(0, right), SIDES[1] + min(0, right)),
    )
    there = tuple(slice(s.start - n, s.stop - n) for s, n in zip(here, (down, right), strict=True))
    both = np.count_nonzero(known[here] & known[there])
    if both <= LEAST_OVERLAP * known.sum():
        return -1
    return (values[here] * values[there]).sum() / both / np.square(values[known]).mean()
