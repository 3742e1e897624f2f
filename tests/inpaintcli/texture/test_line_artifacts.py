"""Lines of a period of two pixels are removed; everything else stays."""

import numpy as np
import pytest

from inpaintcli.texture.line_artifacts import remove_line_artifacts
from tests.conftest import photo_pixels


def square(side=120, half=40):
    hole = np.zeros((side, side), bool)
    middle = slice(side // 2 - half, side // 2 + half)
    hole[middle, middle] = True
    return hole


def grain(side=120, channels=3):
    noise = np.random.default_rng(0).normal(0, 1.5, (side, side, channels))
    return (130 + noise).astype(np.float32)


def rows(side=120):
    return (1.0 - 2 * (np.arange(side) % 2))[:, None, None].repeat(side, 1).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("vertical", [False, True])
def test_lines_are_removed(channels, vertical):
    plain, hole = grain(channels=channels), square()
    lines = np.swapaxes(rows(), 0, 1) if vertical else rows()
    lined = plain + 3 * lines * hole[..., None]
    answer = remove_line_artifacts(lined, hole)
    deep = square(half=34)
    assert answer.shape == plain.shape
    assert np.abs(answer - plain)[deep].mean() < 0.2 * np.abs(lined - plain)[deep].mean()
    np.testing.assert_array_equal(answer[~hole], lined[~hole])


def test_coloured_lines_are_removed():
    plain, hole = grain(), square()
    lined = plain + rows() * np.array([4.0, 2.0, 0.0], np.float32) * hole[..., None]
    deep = square(half=34)
    assert np.abs(remove_line_artifacts(lined, hole) - plain)[deep].mean() < 0.3


@pytest.mark.parametrize("make", [grain, lambda: photo_pixels(120, 120).astype(np.float32)])
def test_what_has_no_lines_stays(make):
    plain, hole = make(), square()
    assert np.abs(remove_line_artifacts(plain, hole) - plain).mean() < 0.02
    assert np.abs(remove_line_artifacts(plain, hole) - plain).max() < 6


def test_lines_of_the_photo_itself_stay():
    lined, hole = grain() + 3 * rows(), square()
    np.testing.assert_allclose(remove_line_artifacts(lined, hole), lined, atol=0.01)


def test_the_range_does_not_matter():
    lined, hole = grain() + 3 * rows() * square()[..., None], square()
    small = remove_line_artifacts((lined / 255).astype(np.float32), hole)
    np.testing.assert_allclose(small * 255, remove_line_artifacts(lined, hole), atol=0.05)


def test_without_a_hole_and_with_nothing_else():
    plain = grain()
    np.testing.assert_array_equal(remove_line_artifacts(plain, np.zeros((120, 120), bool)), plain)
    assert np.isfinite(remove_line_artifacts(plain, np.ones((120, 120), bool))).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 30), (30, 2)])
def test_pictures_of_any_size(size):
    picture = photo_pixels(*size).astype(np.float32)
    assert remove_line_artifacts(picture, np.ones(size, bool)).shape == picture.shape
