"""Promises of the pipeline: what changes, what does not, what the model gets to see."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.picture import Origin, Picture
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.inpaint.pipeline import fill as fill_with_texture
from tests.conftest import GreyEngine, card, photo_pixels

# What the model answers is what is checked here; texture has its own tests.
fill = partial(fill_with_texture, detail="network")


def picture(height=80, width=120, channels=3, depth=8, alpha=None):
    return Picture(photo_pixels(height, width, channels, depth), alpha, Origin("png"))


def square(height=80, width=120):
    mask = np.zeros((height, width), bool)
    mask[20:50, 30:70] = True
    return mask


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [8, 16])
def test_only_the_hole_changes(channels, depth, grey_model):
    photo, mask = picture(channels=channels, depth=depth), square()
    before = photo.pixels.copy()
    filled = fill(photo, mask, grey_model).picture
    assert filled.pixels.dtype == photo.pixels.dtype
    np.testing.assert_array_equal(filled.pixels[~mask], before[~mask])
    np.testing.assert_array_equal(photo.pixels, before)
    middle = 128 if depth == 8 else 32768
    assert (filled.pixels[mask] == middle).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 1000), st.floats(0.0, 0.9))
def test_only_the_hole_changes_whatever_the_mask(height, width, seed, share):
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < share
    mask[0, 0] = False
    photo = picture(height, width)
    filled = fill(photo, mask, Model(card(), GreyEngine(), "")).picture
    np.testing.assert_array_equal(filled.pixels[~mask], photo.pixels[~mask])
    assert (filled.pixels[mask] == 128).all()


def test_the_model_never_sees_what_was_in_the_hole():
    mask = square(200, 200)
    mask[100:190, 60:150] = True  # thick enough to be scaled
    shown = []
    for value in (0, 255):
        engine = GreyEngine()
        photo = picture(200, 200)
        photo.pixels[mask] = value
        fill(photo, mask, Model(card(), engine, ""))
        shown.append(engine.seen)
    for one, other in zip(*shown, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["mask"], other["mask"])
        assert one["mask"].max() == 1


def test_sixteen_bits_are_not_cut_to_eight():
    photo = picture(depth=16)
    filled = fill(photo, square(), Model(card(), GreyEngine(0.123456), "")).picture
    value = int(filled.pixels[30, 40, 0])
    assert value == round((0.123456 + 1) / 2 * 65535)


def test_growing_widens_the_hole_and_no_more(grey_model):
    photo, mask = picture(), square()
    changed = (fill(photo, mask, grey_model, grow_by=4).picture.pixels != photo.pixels).any(axis=2)
    assert changed[20 - 4, 50]
    assert not changed[20 - 5, :].any()
    assert not changed[:, 70 + 4].any()


def test_feathering_blends_inside_and_leaves_known_pixels_alone(grey_model):
    photo, mask = picture(), square()
    photo.pixels[:] = 0
    filled = fill(photo, mask, grey_model, feather=6).picture.pixels[:, :, 0]
    assert (filled[~mask] == 0).all()
    row = filled[35, 30:40].astype(int)
    assert 0 < row[0] < row[3] < row[6] == 128


def test_alpha_stays(grey_model, rng):
    alpha = rng.integers(0, 256, (80, 120)).astype(np.uint8)
    filled = fill(picture(alpha=alpha), square(), grey_model).picture
    np.testing.assert_array_equal(filled.alpha, alpha)


def test_a_hole_that_was_the_transparent_part_becomes_opaque(grey_model):
    alpha = np.full((80, 120), 200, np.uint8)
    alpha[square()] = 0
    filled = fill(picture(alpha=alpha), square(), grey_model, reveal=True).picture
    assert (filled.alpha[square()] == 255).all()
    assert (filled.alpha[~square()] == 200).all()


def test_colours_under_transparent_pixels_are_not_looked_at():
    alpha = np.full((80, 120), 255, np.uint8)
    alpha[:, 75:] = 0
    engine = GreyEngine()
    fill(picture(alpha=alpha), square(), Model(card(), engine, ""))
    hidden = engine.seen[0]["mask"][0, 0]
    assert hidden[:, -20:].all()


def test_an_empty_mask_changes_nothing(grey_model):
    photo = picture()
    result = fill(photo, np.zeros((80, 120), bool), grey_model)
    np.testing.assert_array_equal(result.picture.pixels, photo.pixels)
    assert result.tiles == 0


def test_a_hole_without_anything_around_is_refused(grey_model):
    with pytest.raises(MaskMismatchError, match="whole picture"):
        fill(picture(), np.ones((80, 120), bool), grey_model)


def test_a_mask_of_another_size_is_refused(grey_model):
    with pytest.raises(MaskMismatchError, match="120x80"):
        fill(picture(), square(80, 121), grey_model)


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (3, 200), (17, 16)])
def test_tiny_pictures(size, grey_model):
    mask = np.zeros(size, bool)
    mask[-1, -1] = True
    photo = picture(*size)
    filled = fill(photo, mask, grey_model).picture
    assert (filled.pixels[-1, -1] == 128).all()
    np.testing.assert_array_equal(filled.pixels[~mask], photo.pixels[~mask])


class OneAtATime(GreyEngine):
    """Answers with the mean of the input that it was last given, as engines with one buffer do."""

    def _run(self, arrays):
        self.grey = float(arrays["image"][:, :, 0, 0].mean())
        time.sleep(0.002)
        return {"filled": np.full_like(arrays["image"], self.grey)}


def test_threads_that_share_a_model_get_their_own_photo_back():
    model = Model(card(), OneAtATime(), "for tests")
    photos = [
        Picture(np.full((80, 120, 3), grey, np.uint8), None, Origin("png")) for grey in (9, 240)
    ]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: fill(photos[i % 2], square(), model), range(40)))
    for number, result in enumerate(results):
        expected = photos[number % 2].pixels[0, 0, 0]
        assert (abs(result.picture.pixels[square()].astype(int) - expected) <= 1).all()


def test_feathering_shows_nothing_of_the_colours_under_transparency(grey_model):
    mask = square()
    photo = picture(alpha=np.where(mask, 0, 255).astype(np.uint8))
    filled = fill(photo, mask, grey_model, feather=6, reveal=True).picture
    assert (filled.pixels[mask] == 128).all()


def test_a_hole_of_nearly_the_whole_photo_is_said(grey_model):
    said = []
    fill(picture(), ~square(), grey_model, notes=said.append)
    assert any("of the photo; if it is the rest, pass --invert-mask" in note for note in said)
    said.clear()
    fill(picture(), square(), grey_model, notes=said.append)
    assert not said
