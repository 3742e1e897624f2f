import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.linalg import sqrtm
from skimage.data import astronaut, camera
from skimage.filters import gaussian
from skimage.metrics import structural_similarity

from inpaintcli.evaluation import metrics


def picture(*rows, dtype=np.uint8):
    """(h, w, 1) of the given values."""
    return np.array(rows, dtype)[..., None]


def blurred(pixels):
    soft = gaussian(pixels, 2, channel_axis=2, preserve_range=True)
    return np.rint(soft).astype(pixels.dtype)


@pytest.fixture
def hole():
    mask = np.zeros((64, 64), np.bool_)
    mask[16:40, 20:50] = True
    return mask


@pytest.fixture
def photo():
    return np.ascontiguousarray(astronaut()[100:164, 200:264])


def test_errors_by_hand():
    filled, photo = picture([0, 51], [255, 0]), picture([0, 0], [0, 0])
    where = np.array([[True, True], [False, False]])
    assert metrics.l1(filled, photo) == pytest.approx(0.3)
    assert metrics.l1(filled, photo, where) == pytest.approx(0.1)
    assert metrics.l2(filled, photo) == pytest.approx((0.04 + 1) / 4)
    assert metrics.l2(filled, photo, where) == pytest.approx(0.02)
    assert metrics.psnr(filled, photo, where) == pytest.approx(-10 * np.log10(0.02))


def test_total_variation_by_hand_counts_the_pairs_across_the_rim():
    pixels = picture([0, 51, 51], [0, 51, 51])
    where = np.array([[False, True, False], [False, True, False]])
    assert metrics.total_variation(pixels) == pytest.approx(2 * 0.2 / 6)
    assert metrics.total_variation(pixels, where) == pytest.approx(2 * 0.2 / 2)


def test_both_depths_score_alike(photo, hole):
    soft = blurred(photo)
    deep, deep_soft = (p.astype(np.uint16) * 257 for p in (photo, soft))
    shallow, high = metrics.scores(soft, photo, hole), metrics.scores(deep_soft, deep, hole)
    assert high.pop("sharpness") == pytest.approx(shallow.pop("sharpness"), abs=0.05)  # rounding
    assert high == pytest.approx(shallow, rel=1e-9)


def test_equal_pictures_are_perfect_and_finite(photo, hole):
    found = metrics.scores(photo, photo, hole)
    assert (found["hole_l1"], found["hole_l2"], found["l1"], found["l2"]) == (0, 0, 0, 0)
    assert found["hole_psnr"] == found["psnr"] == pytest.approx(138.13, abs=0.01)
    assert found["ssim"] == found["hole_ssim"] == pytest.approx(1)
    assert found["sharpness"] == 1


@pytest.mark.parametrize("source", [astronaut()[:90, :80], camera()[:75, :120, None]])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ssim_is_that_of_scikit_image(source, dtype):
    photo = source.astype(dtype) * (257 if dtype == np.uint16 else 1)
    filled = blurred(photo)
    theirs, full = structural_similarity(
        photo, filled, channel_axis=2, full=True, data_range=np.iinfo(dtype).max
    )
    assert metrics.ssim(filled, photo) == pytest.approx(theirs, abs=1e-9)
    np.testing.assert_allclose(metrics.ssim_map(filled, photo), full.mean(axis=2), atol=1e-7)


def test_only_what_counts_is_looked_at(photo, hole):
    """Wrong pixels outside the hole change nothing that is of the hole alone."""
    filled = blurred(photo)
    spoilt = filled.copy()
    spoilt[:10] = 255 - spoilt[:10]
    before, after = (metrics.scores(f, photo, hole) for f in (filled, spoilt))
    for key in ("hole_l1", "hole_l2", "hole_psnr", "hole_ssim", "hole_tv", "sharpness"):
        assert after[key] == pytest.approx(before[key], rel=1e-9), key
    for key in ("l1", "l2", "psnr", "ssim", "tv"):
        assert after[key] != before[key], key


def test_transparent_pixels_do_not_count(photo, hole):
    filled = photo.copy()
    filled[16:28, 20:50] = 0
    visible = np.ones_like(hole)
    visible[:28] = False
    found = metrics.scores(filled, photo, hole, visible)
    assert (found["hole_l1"], found["l1"]) == (0, 0)


def test_an_empty_hole_has_no_score(photo):
    found = metrics.scores(photo, photo, np.zeros((64, 64), np.bool_))
    assert all(np.isnan(value) for key, value in found.items() if key.startswith("hole_"))
    assert np.isnan(found["sharpness"])
    assert not np.isnan(found["psnr"])


def test_blur_is_below_one_and_noise_above(photo, hole):
    noise = np.random.default_rng(0).integers(-40, 40, photo.shape)
    noisy = np.clip(photo + noise, 0, 255).astype(np.uint8)
    assert metrics.sharpness(blurred(photo), photo, hole) < 0.7
    assert metrics.sharpness(noisy, photo, hole) > 1.3


def test_sharpness_of_a_step_by_hand():
    """A rim of 1 grey level in a flat photo: |Laplacian| is 1 on both sides of it."""
    filled, photo = (np.full((3, 4, 1), 100, np.uint8) for _ in range(2))
    filled[:, 2:] = 101
    hole = np.zeros((3, 4), np.bool_)
    hole[:, 1:3] = True
    assert metrics.sharpness(filled, photo, hole) == pytest.approx((1 + 0.3) / 0.3)


def test_pictures_of_other_shapes_or_depths_are_refused(photo):
    with pytest.raises(ValueError, match="against"):
        metrics.l1(photo, photo[:-1])
    with pytest.raises(ValueError, match="against"):
        metrics.l1(photo, photo.astype(np.uint16))


@given(
    hnp.arrays(np.uint8, (9, 11, 3)),
    hnp.arrays(np.uint8, (9, 11, 3)),
    hnp.arrays(np.bool_, (9, 11)),
)
def test_scores_stay_in_their_range(filled, photo, hole):
    found = metrics.scores(filled, photo, hole)
    for key in ("hole_l1", "hole_l2", "l1", "l2"):
        assert np.isnan(found[key]) or 0 <= found[key] <= 1
    for key in ("ssim", "hole_ssim"):
        assert np.isnan(found[key]) or -1 - 1e-9 <= found[key] <= 1 + 1e-9
    assert found["tv"] >= 0


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_moments_are_those_of_all_vectors_together(sizes, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(3, 2, (size + 1, 3)) for size in sizes]
    one, merged = metrics.Moments(3), metrics.Moments(3)
    for part in parts:
        one.add(part)
        own = metrics.Moments(3)
        own.add(part)
        merged.merge(own)
    together = np.concatenate(parts)
    assert one.count == merged.count == len(together)
    for moments in (one, merged):
        np.testing.assert_allclose(moments.mean, together.mean(axis=0))
        if len(together) > 1:
            np.testing.assert_allclose(moments.covariance, np.cov(together.T), atol=1e-9)


def test_frechet_distance_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, (200, 4)) @ rng.normal(0, 1, (4, 4))
    second = rng.normal(1, 2, (300, 4)) @ rng.normal(0, 1, (4, 4))
    one, other = metrics.Moments(4), metrics.Moments(4)
    one.add(first)
    other.add(second)
    c1, c2 = np.cov(first.T), np.cov(second.T)
    step = first.mean(axis=0) - second.mean(axis=0)
    wanted = step @ step + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert metrics.frechet(one, other) == pytest.approx(wanted)
    assert metrics.frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert np.isnan(metrics.frechet(one, metrics.Moments(4)))


def test_frechet_distance_of_gaussians_by_hand():
    """Of independent numbers it is the sum of (m1 - m2)^2 + (s1 - s2)^2 over them."""
    one = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])  # covariance 2/3, 8/3
    other = one * [3.0, 0.5] + [10.0, -4.0]
    wanted = 10**2 + 4**2 + (2 / 3) * (3 - 1) ** 2 + (8 / 3) * (0.5 - 1) ** 2
    assert metrics.frechet_of(one, other) == pytest.approx(wanted)
    assert metrics.frechet_of(other, one) == pytest.approx(wanted)
    # Two vectors in a plane: all deviation along one line each, 45 degrees between the two.
    line, slant = np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[-1.0, -1.0], [1.0, 1.0]])
    assert metrics.frechet_of(line, slant) == pytest.approx(2 + 4 - 2 * 2)


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_both_ways_to_the_frechet_distance_agree_also_with_few_vectors(n, m, dimension, seed):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(0, 1, (n, dimension)), rng.normal(1, 2, (m, dimension))
    moments = metrics.Moments(dimension), metrics.Moments(dimension)
    for kept, vectors in zip(moments, (one, other), strict=True):
        kept.add(vectors)
    # The other way takes roots of eigenvalues that are 0 but for rounding.
    assert metrics.frechet_of(one, other) == pytest.approx(metrics.frechet(*moments), abs=1e-5)
    assert metrics.frechet_of(one, one) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_less_than_two_vectors_is_none():
    assert np.isnan(metrics.frechet_of(np.zeros((1, 3)), np.ones((5, 3))))


def test_the_best_is_the_one_that_the_metric_says():
    by_key = {metric.key: metric for metric in metrics.METRICS}
    nan = float("nan")
    assert by_key["hole_psnr"].best([18.0, 20.0, nan]) == 20
    assert by_key["hole_l1"].best([0.2, 0.1]) == 0.1
    assert by_key["sharpness"].best([0.5, 0.8, 1.9]) == 0.8
    assert np.isnan(by_key["tv"].best([1.0, 2.0]))
    assert by_key["hole_l1"].shown(0.0816) == "8.16"
    assert by_key["hole_l1"].shown(nan) == "-"


def test_scores_and_their_descriptions_name_the_same(photo, hole):
    assert list(metrics.scores(photo, photo, hole)) == [m.key for m in metrics.METRICS]
