import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inpaintcli.objects.colour_transform import (
    MAX_CURVE,
    MAX_GAIN,
    CurveAndMatrix,
    affine_fit,
    curve,
    from_lab,
    reinhard,
    to_lab,
)
from inpaintcli.objects.predicted_transform import transform_of

unit = st.floats(0, 1, width=32)


def colours(count: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (count, 3)).astype(np.float32)


@given(hnp.arrays(np.float32, 15, elements=st.floats(-100, 100, width=32)))
def test_no_prediction_can_take_an_object_s_detail(outputs):
    """Whatever fifteen numbers come out, gains stay within their limits."""
    transform = transform_of(outputs, colours())
    gains = np.linalg.svd(transform.matrix, compute_uv=False)
    assert gains.max() <= MAX_GAIN * 1.001
    assert gains.min() >= 1 / MAX_GAIN / 1.001
    assert np.isfinite(transform.apply(colours())).all()


@given(st.floats(-MAX_CURVE, MAX_CURVE))
def test_curves_rise_from_black_to_white_and_are_nowhere_steep(log_exponent):
    exponents = np.full(3, np.exp(log_exponent), np.float32)
    line = np.linspace(0, 1, 1001, dtype=np.float32)[:, None].repeat(3, 1)
    bent = curve(line, exponents)
    np.testing.assert_allclose(bent[[0, -1]], line[[0, -1]], atol=1e-5)
    slopes = np.diff(bent[:, 0]) * 1000
    assert slopes.min() > 0
    assert slopes.max() < 8


def test_zeros_leave_colours_as_they_are():
    transform = transform_of(np.zeros(15, np.float32), colours())
    np.testing.assert_allclose(transform.apply(colours(seed=1)), colours(seed=1), atol=1e-6)


def test_an_affine_answer_is_found_again():
    matrix = np.array([[1.2, 0.1, 0], [0, 0.9, 0.05], [0.1, 0, 1.1]], np.float32)
    before = colours(2000)
    after = before @ matrix.T - 0.1
    np.testing.assert_allclose(affine_fit(before, after).apply(before), after, atol=0.02)


def test_of_one_colour_only_the_shift_is_learned():
    before = np.full((50, 3), 0.4, np.float32)
    fit = affine_fit(before, before + 0.2)
    np.testing.assert_allclose(fit.matrix, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(fit.apply(before), before + 0.2, atol=1e-3)


def test_reinhard_gives_the_statistics_of_the_other():
    ours, theirs = colours(3000) * 0.3 + 0.3, colours(3000, seed=1) * 0.5 + 0.2
    moved = to_lab(reinhard(ours, theirs).apply(ours))
    np.testing.assert_allclose(moved.mean(0), to_lab(theirs).mean(0), atol=1)
    np.testing.assert_allclose(moved.std(0), to_lab(theirs).std(0), rtol=0.1)


@pytest.mark.parametrize("shape", [(7, 3), (4, 5, 3)])
def test_lab_and_back(shape):
    rgb = np.random.default_rng(0).random(shape, np.float32)
    np.testing.assert_allclose(from_lab(to_lab(rgb)), rgb, atol=4e-3)


def test_a_transform_around_colours_moves_their_mean_by_the_shift():
    rgb = colours()
    transform = CurveAndMatrix.around(
        rgb, np.ones(3, np.float32), 1.5 * np.eye(3, dtype=np.float32), np.array([0.1, 0, -0.1])
    )
    np.testing.assert_allclose((transform.apply(rgb) - rgb).mean(0), [0.1, 0, -0.1], atol=1e-5)
