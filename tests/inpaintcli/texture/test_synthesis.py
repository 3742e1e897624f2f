"""Texture synthesis: any mask, known pixels kept, only the photo's colours, the same every time."""

import os
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaintcli.texture import level_arrays, patchmatch
from inpaintcli.texture.patch_features import FeatureWeights
from inpaintcli.texture.pyramid import PATCH_SIDE, source_patches
from inpaintcli.texture.synthesis import (
    MIN_SOURCES,
    SynthesisSettings,
    TooFewPatchesError,
    context_for,
    is_compiled,
    prepare,
    synthesize,
    why_not,
)
from tests.conftest import photo_pixels


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    """Compile before the tests, so that their time limits do not cover it."""
    prepare()


def square_hole(height: int, width: int, side: int) -> np.ndarray:
    hole = np.zeros((height, width), bool)
    top, left = (height - side) // 2, (width - side) // 2
    hole[top : top + side, left : left + side] = True
    return hole


def blurred_fill(pixels: np.ndarray, hole: np.ndarray, sigma: float = 12) -> np.ndarray:
    """What a poor network gives: the known surroundings, blurred into the hole."""
    known = (~hole).astype(np.float32)
    spread = cv2.GaussianBlur(pixels.astype(np.float32) * known[..., None], (0, 0), sigma)
    share = cv2.GaussianBlur(known, (0, 0), sigma)
    spread = spread.reshape(pixels.shape) / np.maximum(share, 1e-6)[..., None]
    return np.where(hole[..., None], spread, pixels).astype(np.float32)


def contrast(pixels: np.ndarray, hole: np.ndarray) -> float:
    """Mean |Laplacian| inside the hole: what blur takes away."""
    grey = pixels.astype(np.float32).mean(axis=2)
    inner = cv2.erode(hole.astype(np.uint8), np.ones((5, 5))) > 0
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[inner].mean())


@st.composite
def masks(draw) -> np.ndarray:
    """Rectangles and specks anywhere, over the border too."""
    height, width = draw(st.integers(60, 90)), draw(st.integers(60, 90))
    hole = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(0, 3))):
        top, left = draw(st.integers(-5, height)), draw(st.integers(-5, width))
        tall, wide = draw(st.integers(1, 40)), draw(st.integers(1, 40))
        hole[max(0, top) : top + tall, max(0, left) : left + wide] = True
    specks = draw(st.integers(0, 60))
    numbers = np.random.default_rng(specks)
    hole[numbers.integers(0, height, specks), numbers.integers(0, width, specks)] = True
    return hole


@given(hole=masks(), channels=st.sampled_from([1, 3]), seed=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_any_mask_is_filled_with_colours_of_the_photo_and_nothing_else_changes(
    hole, channels, seed
):
    pixels = photo_pixels(*hole.shape, channels)
    initial = np.full(pixels.shape, 300.0)  # brighter than anything in the photo
    patches = source_patches(~hole)
    if np.count_nonzero(patches) < MIN_SOURCES:
        with pytest.raises(TooFewPatchesError):
            synthesize(pixels, initial, hole, seed=seed)
        return
    texture = synthesize(pixels, initial, hole, seed=seed)
    assert texture.sources == np.count_nonzero(patches)
    assert texture.pixels.shape == pixels.shape
    assert texture.pixels.dtype == np.float32
    np.testing.assert_array_equal(texture.pixels[~hole], pixels[~hole])
    shown = cv2.dilate(patches.astype(np.uint8), np.ones((PATCH_SIDE, PATCH_SIDE), np.uint8)) > 0
    assert (texture.pixels[hole] >= pixels[shown].min(axis=0) - 1e-3).all()
    assert (texture.pixels[hole] <= pixels[shown].max(axis=0) + 1e-3).all()
    assert not texture.misfit[~hole].any()
    assert np.isfinite(texture.misfit).all()


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right", "corner"])
def test_a_hole_at_the_border_is_filled(side):
    pixels = photo_pixels(97, 110)  # odd: levels of the pyramid do not divide evenly
    hole = np.zeros(pixels.shape[:2], bool)
    where = {
        "top": (slice(0, 30), slice(20, 60)), "bottom": (slice(-30, None), slice(20, 60)),
        "left": (slice(20, 60), slice(0, 30)), "right": (slice(20, 60), slice(-30, None)),
        "corner": (slice(-40, None), slice(-40, None)),
    }  # fmt: skip
    hole[where[side]] = True
    initial = np.full(pixels.shape, -1e6)  # would show wherever a pixel were left out
    texture = synthesize(pixels, initial, hole)
    assert texture.pixels.min() >= pixels.min()


@pytest.mark.parametrize("spacing", [1, 2, 3])
@pytest.mark.parametrize("shape", [(160, 160), (161, 163)])
def test_patches_with_gaps_between_them_leave_none_in_the_hole(shape, spacing):
    """A hole of several levels in a corner, where the last patch may not be on the regular grid."""
    pixels = photo_pixels(*shape)
    hole = np.zeros(shape, bool)
    hole[-80:, -80:] = True
    texture = synthesize(
        pixels, blurred_fill(pixels, hole), hole, settings=SynthesisSettings(spacing=spacing)
    )
    assert np.isfinite(texture.pixels).all()
    assert (texture.misfit[hole] > 0).all(), "no patch lies over these pixels"
    assert contrast(texture.pixels, hole) > 0.3 * contrast(pixels, ~hole)


@pytest.mark.parametrize("spacing", [1, 2, 3])
def test_patches_that_are_all_alike_make_no_lines(spacing):
    """All have the same source, a paraboloid; votes of equal weight would leave ripples of it."""
    side, inner = 60, slice(20, 40)
    picture = np.zeros((side, side, 3), np.float32)
    y, x = np.mgrid[-3:4, -3:4]
    picture[:PATCH_SIDE, :PATCH_SIDE] = (y**2 + 3 * x**2 + x * y + 2 * y)[..., None]
    numbers = np.full((side, side), -1, np.int32)
    grid = numbers[12:48:spacing, 12:48:spacing]
    grid[:] = np.arange(grid.size).reshape(grid.shape)
    targets = np.flatnonzero(numbers >= 0).astype(np.int32)
    features = np.zeros(side * side * patchmatch.FEATURES, np.float32)
    costless = np.zeros(side * side, np.float32)
    usable = np.zeros(side * side, np.bool_)
    arrays = level_arrays.LevelArrays(
        picture.ravel(),
        features,
        usable,
        numbers.ravel(),
        side,
        costless,
        spacing,
        costless[:0],
    )
    sources = np.full(targets.size, 3 * side + 3, np.int32)
    equal = np.ones(targets.size, np.float32)
    holes = np.arange(12 * side, 48 * side, dtype=np.int32)
    holes = holes[np.isin(holes % side, np.arange(20, 40))]
    voted = level_arrays.NearestNeighbourField(
        targets, sources, equal, equal, np.zeros(3 * targets.size, np.float32)
    )
    patchmatch.vote(arrays, voted, holes, (0, holes.size), 0.5, np.zeros(holes.size, np.float32))
    assert picture[30, 30, 0] > 1, "nothing was voted for"
    np.testing.assert_allclose(picture[inner, inner], picture[30, 30, 0], atol=1e-4)


def test_patches_of_a_sky_leave_no_seams():
    rows, columns = np.indices((160, 160), np.float32)
    sky = (120 + 0.3 * columns + 8 * np.sin(rows / 25))[..., None].repeat(3, 2)
    grain = np.random.default_rng(0).normal(0, 1, sky.shape)
    things = 60 * (rows > 130)[..., None]  # a photo has contrasts elsewhere
    pixels = (sky + grain - things).astype(np.float32)
    hole = square_hole(160, 160, 70)
    initial = np.where(hole[..., None], sky, pixels).astype(np.float32)

    def wrong(shade):
        filled = synthesize(
            pixels, initial, hole, settings=SynthesisSettings(max_bias=shade)
        ).pixels
        off = cv2.GaussianBlur(filled - sky, (0, 0), 2.0)
        return float(np.abs(np.diff(off, axis=1))[60:100, 60:100].max())

    assert wrong(0.08) < 0.6 * wrong(0)


def test_patches_with_texture_get_no_bias():
    """Stripes, and an initial fill that is far darker than any of them."""
    columns = np.indices((120, 120))[1]
    pixels = np.where(columns // 3 % 2, 160, 90)[..., None].repeat(3, 2).astype(np.float32)
    hole = square_hole(120, 120, 50)
    initial = np.where(hole[..., None], 40, pixels).astype(np.float32)
    plain, shifted = (
        synthesize(pixels, initial, hole, settings=SynthesisSettings(max_bias=shade)).pixels
        for shade in (0, 0.3)
    )
    np.testing.assert_allclose(shifted, plain, atol=1.5)


@pytest.mark.parametrize("spacing", [0, 4])
def test_patches_too_far_apart_are_refused(spacing):
    with pytest.raises(ValueError, match="1 to 3 is possible"):
        SynthesisSettings(spacing=spacing)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (6, 6), (7, 7), (40, 40), (200, 5)])
def test_tiny_pictures_are_refused_with_the_number_of_patches(shape):
    pixels, hole = np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool)
    hole[0, 0] = True
    with pytest.raises(TooFewPatchesError, match="2000 are needed") as caught:
        synthesize(pixels, pixels, hole)
    assert caught.value.sources < MIN_SOURCES


def test_one_patch_less_than_needed_is_refused():
    pixels, hole = photo_pixels(46, 80), np.zeros((46, 80), bool)
    hole[0, 0] = True
    source = np.zeros(hole.shape, bool)
    source[:46, :56] = True  # 40 x 50 patches, one of them with the hole
    with pytest.raises(TooFewPatchesError) as caught:
        synthesize(pixels, pixels, hole, source=source)
    assert caught.value.sources == 1999
    source[:46, :57] = True
    assert synthesize(pixels, pixels, hole, source=source).sources == 2039


def test_one_colour_stays_one_colour():
    pixels = np.full((90, 90, 3), (200, 30, 77), np.uint8)
    hole = square_hole(90, 90, 40)
    texture = synthesize(pixels, np.zeros_like(pixels), hole)
    np.testing.assert_allclose(texture.pixels, pixels, atol=1e-3)


def test_grey_is_filled_as_three_equal_channels_are():
    grey = photo_pixels(90, 100, 1)
    hole = square_hole(90, 100, 30)
    initial = blurred_fill(grey, hole)
    one = synthesize(grey, initial, hole)
    three = synthesize(np.repeat(grey, 3, 2), np.repeat(initial, 3, 2), hole)
    np.testing.assert_array_equal(one.pixels[..., 0], three.pixels[..., 1])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_known_pixel_of_no_source_patch_is_kept(channels):
    pixels = photo_pixels(80, 90, channels)
    hole = square_hole(80, 90, 24)
    pixels[40, 45] = pixels.max() + 9  # brighter than all that may be copied
    hole[40, 45] = False
    filled = synthesize(pixels, blurred_fill(pixels, hole), hole).pixels
    np.testing.assert_array_equal(filled[~hole], pixels[~hole])
    assert filled[hole].max() < pixels[40, 45].min()


def test_nothing_to_fill_changes_nothing():
    pixels = photo_pixels(64, 64)
    texture = synthesize(pixels, np.zeros_like(pixels), np.zeros((64, 64), bool))
    np.testing.assert_array_equal(texture.pixels, pixels)


def test_thousands_of_specks_cost_no_more_than_their_pixels():
    pixels = photo_pixels(600, 600)
    hole = np.zeros((600, 600), bool)
    hole[3::12, 3::12] = True
    started = time.process_time()
    texture = synthesize(pixels, blurred_fill(pixels, hole, 2), hole)
    assert time.process_time() - started < 5
    wrong = np.abs(texture.pixels[hole] - pixels[hole]).mean()
    assert wrong < 12


def test_the_same_seed_gives_the_same_pixels_for_any_number_of_threads():
    pixels = photo_pixels(150, 170)
    hole = square_hole(150, 170, 70)  # enough targets for several strips
    initial = blurred_fill(pixels, hole)
    first = synthesize(pixels, initial, hole, seed=5, threads=1)
    for threads in (1, 2, 3):
        again = synthesize(pixels, initial, hole, seed=5, threads=threads)
        np.testing.assert_array_equal(first.pixels, again.pixels)
        np.testing.assert_array_equal(first.misfit, again.misfit)
    other = synthesize(pixels, initial, hole, seed=6)
    assert (first.pixels != other.pixels).any()


def test_neither_the_old_content_of_the_hole_nor_the_known_part_of_the_initial_fill_matters():
    pixels = photo_pixels(100, 100).astype(np.float32)
    hole = square_hole(100, 100, 40)
    initial = blurred_fill(pixels, hole)
    expected = synthesize(pixels, initial, hole).pixels
    pixels[hole] = np.nan
    initial[~hole] = np.nan
    np.testing.assert_array_equal(synthesize(pixels, initial, hole).pixels, expected)


def test_arrays_given_are_not_written_to():
    pixels, hole = photo_pixels(80, 80), square_hole(80, 80, 20)
    initial, source = blurred_fill(pixels, hole), ~hole
    given_arrays = (pixels, initial, hole, source)
    copies = [array.copy() for array in given_arrays]
    synthesize(pixels, initial, hole, source=source)
    for array, copy in zip(given_arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_pixels_that_are_no_source_are_never_copied():
    pixels, hole = photo_pixels(100, 120), square_hole(100, 120, 30)
    pixels[:, 80:] = (255, 0, 255)
    source = np.zeros(hole.shape, bool)
    source[:, :78] = True
    initial = np.full(pixels.shape, (255, 0, 255), np.uint8)  # asks for the forbidden colour
    texture = synthesize(pixels, initial, hole, source=source)
    allowed = pixels[:, :78][~hole[:, :78]]
    assert (texture.pixels[hole][:, 0] <= allowed[:, 0].max()).all()
    assert (texture.pixels[hole][:, 1] >= allowed[:, 1].min()).all()


def test_sixteen_bits_stay_sixteen_bits():
    pixels = photo_pixels(100, 100, 3, depth=16)
    hole = square_hole(100, 100, 40)
    texture = synthesize(pixels, blurred_fill(pixels, hole), hole)
    filled = np.rint(texture.pixels[hole]).astype(np.int64)
    assert (filled % 257 != 0).mean() > 0.9
    assert np.unique(filled).size > 1000
    np.testing.assert_array_equal(texture.pixels[~hole], pixels[~hole])


def test_the_unit_of_the_pixels_does_not_matter():
    pixels, hole = photo_pixels(100, 100), square_hole(100, 100, 30)
    initial = blurred_fill(pixels, hole)
    bytes_ = synthesize(pixels, initial, hole)
    scale = np.float32(1 / 256)  # a power of two: no rounding differs
    shares = synthesize(pixels * scale, initial * scale, hole)
    np.testing.assert_allclose(shares.pixels * 256, bytes_.pixels, atol=0.01)
    np.testing.assert_allclose(shares.misfit * 256, bytes_.misfit, atol=0.01)


@pytest.mark.parametrize("side", [90, 110])
def test_a_periodic_pattern_is_continued(side):
    """Found by beginning on the coarsest level; matches that follow the blurred fill lose it."""
    y, x = np.mgrid[0 : 3 * side + 10, 0 : 3 * side + 10]
    plane = np.where(((x // 6) + (y // 6)) % 2, 200, 60) + 3 * np.sin(x / 5)
    pixels = np.repeat(plane[..., None], 3, axis=2).astype(np.uint8)
    hole = square_hole(*plane.shape, side)
    initial = blurred_fill(pixels, hole)

    def error(filled: np.ndarray) -> float:
        return float(np.abs(filled[hole] - pixels[hole].astype(float)).mean())

    led = SynthesisSettings(coarse_start_ratio=0)
    assert error(synthesize(pixels, initial, hole).pixels) < 0.25 * error(initial)
    assert error(synthesize(pixels, initial, hole, settings=led).pixels) > 0.25 * error(initial)


@pytest.mark.parametrize("side", [16, 24, 36])
def test_a_periodic_pattern_goes_on_through_a_stroke(side):
    """A blurred fill of a thin hole says nothing of the pattern's period."""
    y, x = np.mgrid[0:160, 0:160]
    plane = np.where(((x // 6) + (y // 6)) % 2, 200, 60) + 3 * np.sin(x / 5)
    pixels = np.repeat(plane[..., None], 3, axis=2).astype(np.uint8)
    hole = np.zeros(plane.shape, bool)
    hole[80 - side // 2 : 80 + side // 2, 20:140] = True
    initial = blurred_fill(pixels, hole)
    error = [
        np.abs(filled[hole] - pixels[hole].astype(float)).mean()
        for filled in (initial, synthesize(pixels, initial, hole).pixels)
    ]
    assert error[1] < 0.25 * error[0]


def test_bricks_get_their_texture_back():
    skimage_data = pytest.importorskip("skimage.data")
    pixels = np.repeat(skimage_data.brick()[:256, :256, None], 3, axis=2)
    hole = square_hole(256, 256, 80)
    initial = blurred_fill(pixels, hole)
    texture = synthesize(pixels, initial, hole)
    truth = contrast(pixels, hole)
    assert contrast(initial, hole) < 0.2 * truth
    assert 0.5 * truth < contrast(texture.pixels, hole) < 1.3 * truth


def test_edges_of_the_initial_fill_are_followed():
    """Of a blurred truth, whose edges are where they belong but faint."""
    pixels = pytest.importorskip("skimage.data").astronaut()[:400, 100:500]
    hole = square_hole(400, 400, 100)
    truth = cv2.GaussianBlur(pixels, (0, 0), 6).astype(np.float32)
    initial = np.where(hole[..., None], truth, pixels).astype(np.float32)

    def slopes(of: np.ndarray) -> np.ndarray:
        grey = cv2.GaussianBlur(of.astype(np.float32).mean(axis=2), (0, 0), 2)
        return np.stack(np.gradient(grey))[:, hole].ravel()

    def agreement(weight: float) -> float:
        filled = synthesize(
            pixels, initial, hole, settings=SynthesisSettings(weights=FeatureWeights(edges=weight))
        ).pixels
        return float(np.corrcoef(slopes(filled), slopes(pixels))[0, 1])

    assert agreement(FeatureWeights().edges) > agreement(0) + 0.02


def test_of_patches_that_match_alike_the_nearer_one_is_taken():
    """A pattern that repeats; blue encodes each pixel's position, too faintly to match by."""
    y, x = np.mgrid[0:160, 0:320].astype(np.float32)
    plane = 128 + 60 * np.sin(x / 3) * np.sin(y / 4)
    pixels = np.stack([plane, plane, plane + x / 160], axis=2)
    hole = np.zeros((160, 320), bool)
    hole[50:110, 30:90] = True
    initial = blurred_fill(pixels, hole)

    def mean_distance(weight: float) -> float:
        weights = FeatureWeights(distance=weight)
        filled = synthesize(
            pixels, initial, hole, settings=SynthesisSettings(weights=weights)
        ).pixels
        from_x = (filled[..., 2] - filled[..., 0]) * 160
        return float(np.abs(from_x - x)[hole].mean())

    assert mean_distance(FeatureWeights().distance) < 0.7 * mean_distance(0)


def test_one_source_is_not_repeated_too_often():
    """Grey grain with one red place, and an initial fill as red as that all over."""
    noise = np.random.default_rng(3).normal(0, 1, (300, 300)).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), 2)[..., None]
    pixels = np.repeat(100 + grain * (15 / grain.std()), 3, axis=2)
    red = np.array([20, 0, 0], np.float32)
    pixels[20:60, 20:60] += red
    hole = square_hole(300, 300, 140)
    initial = np.where(hole[..., None], 100 + red, pixels).astype(np.float32)

    def share(repeat: float) -> float:
        """Share of the hole that is copied from the red place."""
        settings = SynthesisSettings(
            repeat_penalty=repeat, repeat_min_downscale=2, weights=FeatureWeights(distance=0)
        )
        filled = synthesize(pixels, initial, hole, settings=settings).pixels
        return float((filled[hole][:, 0] - filled[hole][:, 1]).mean()) / 20

    assert share(0) > 0.6, "the red place is not preferred"
    assert share(1) < 0.4 * share(0)


def test_misfit_is_larger_where_nothing_similar_is_known():
    pixels, hole = photo_pixels(120, 120), square_hole(120, 120, 40)
    good = synthesize(pixels, blurred_fill(pixels, hole), hole).misfit[hole].mean()
    odd = np.full(pixels.shape, (255, 0, 255), np.uint8)
    bad = synthesize(pixels, odd, hole).misfit[hole].mean()
    assert bad > 1.5 * good


def test_the_context_grows_with_the_hole_and_stays_bounded():
    contexts = [context_for(t) for t in (0, 10, 100, 200, 10_000)]
    assert contexts == sorted(contexts)
    assert contexts[0] >= 48  # a speck has its 2000 patches
    assert contexts[-1] <= 512


@pytest.mark.parametrize("wrong", ["initial", "hole", "source", "type", "channels"])
def test_shapes_that_do_not_match_are_refused(wrong):
    pixels, hole = photo_pixels(64, 64), square_hole(64, 64, 8)
    initial, source = pixels, ~hole
    if wrong == "initial":
        initial = pixels[:-1]
    elif wrong == "hole":
        hole = hole[:-1]
    elif wrong == "source":
        source = source[:, :-1]
    elif wrong == "type":
        hole = hole.astype(np.uint8)
    else:
        pixels = initial = np.zeros((64, 64, 4), np.uint8)
    with pytest.raises(ValueError, match=r"\("):
        synthesize(pixels, initial, hole, source=source)


def test_a_level_with_few_patches_is_not_used():
    pixels, hole = photo_pixels(110, 110), square_hole(110, 110, 60)
    initial = blurred_fill(pixels, hole)
    texture = synthesize(pixels, initial, hole, settings=SynthesisSettings(coarsest_thickness=4))
    assert np.isfinite(texture.pixels).all()


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_importing_it_does_not_import_numba():
    assert (
        python("import sys, inpaintcli.texture.synthesis; print('numba' in sys.modules)") == "False"
    )


def test_kernels_are_compiled_once_and_then_found(tmp_path):
    code = """
from inpaintcli.texture import synthesis
before = synthesis.is_compiled()
synthesis.prepare()
print(before, synthesis.is_compiled())
"""
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "False True"
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"
    assert is_compiled()


def test_without_a_folder_to_write_to_kernels_are_compiled_all_the_same():
    code = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
from inpaintcli.kernels import numba_kernels
from inpaintcli.texture import screened_poisson
calls = screened_poisson.warm_up_calls()  # the others take some seconds more
numba_kernels.compile_all(calls)
print(numba_kernels.are_compiled(calls))
"""
    assert python(code) == "True"


def test_kernels_and_pyramid_have_patches_of_the_same_size():
    assert patchmatch.PATCH_SIDE == PATCH_SIDE


def test_votes_fade_nearly_as_the_exponential_does():
    x = np.linspace(-40, 0, 4001, dtype=np.float32)
    nearly = np.array([patchmatch._approximate_exp(value) for value in x])
    assert np.abs(nearly - np.exp(x)).max() < 0.02
    assert (np.diff(nearly) >= 0).all()
    assert nearly[-1] == 1


def test_why_not_names_a_missing_compiler(monkeypatch):
    assert why_not() is None
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert why_not() == "numba is not installed"
