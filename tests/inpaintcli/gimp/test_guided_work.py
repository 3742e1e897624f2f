"""An object is put in as the command `guided` puts it in; what has not changed is said."""

import numpy as np
import pytest

import inpaintcli
from inpaintcli.gimp.picture_request import Guide
from tests.conftest import photo_pixels
from tests.inpaintcli.gimp.clients import put_in, service_of, serving

BOX = (20, 12, 40, 36)


@pytest.fixture
def state(tmp_path, grey_model):
    file = tmp_path / "state" / "worker.json"
    with serving(service_of(grey_model), file):
        yield file


def guide_pixels(channels: int, dtype: type = np.uint8) -> np.ndarray:
    """A red disk on a dark ground."""
    pixels = photo_pixels(60, 80, 3, depth=8) // 4
    rows, columns = np.mgrid[:60, :80]
    pixels[np.hypot(rows - 30, columns - 40) <= 13] = (230, 60, 40)
    if channels < 3:
        pixels = pixels.max(axis=2, keepdims=True)
    if channels in (2, 4):
        pixels = np.dstack([pixels, np.full((60, 80), 255, np.uint8)])
    if dtype == np.float32:
        return (pixels / np.float32(255)).astype(np.float32)
    return pixels.astype(dtype) * dtype(257 if dtype == np.uint16 else 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("channels", "of_guide"), [(3, 3), (1, 1), (3, 4), (1, 3), (3, 2)])
def test_the_answer_is_that_of_guided(state, dtype, channels, of_guide):
    photo = photo_pixels(90, 110, channels, depth=np.iinfo(dtype).bits)
    guide = guide_pixels(of_guide, dtype)
    place = (30, 20, 50, 45)
    shown = guide[..., 0] if of_guide == 1 else guide
    if of_guide == 2:
        shown = np.dstack([guide[..., :1]] * 3 + [guide[..., 1:]])
    wanted = inpaintcli.guided(photo, shown, box=BOX, at=place[:2], size=place[2:])
    opacity, samples = put_in(state, photo, guide, Guide(80, 60, of_guide, BOX, place))
    inside = np.s_[20:65, 30:80]
    assert np.array_equal(samples, wanted.reshape(photo.shape)[inside])
    assert set(np.unique(opacity)) == {0, 255}
    same = opacity == 0
    assert np.array_equal(samples[same], photo[inside][same])
    assert 300 < (opacity > 0).sum() < 0.6 * opacity.size


def test_floats_are_put_in_as_16_bit_are(state):
    photo, place = photo_pixels(90, 110, 3, depth=16), (30, 20, 40, 36)
    guide = guide_pixels(3, np.uint16)
    how = Guide(80, 60, 3, BOX, place)
    _, wanted = put_in(state, photo, guide, how)
    floats = [(pixels / np.float32(65535)).astype(np.float32) for pixels in (photo, guide)]
    _, samples = put_in(state, *floats, how)
    assert np.abs(samples - wanted / 65535).max() < 1e-4


@pytest.mark.parametrize("place", [(-15, -10, 40, 36), (90, 70, 40, 36)])
def test_of_a_place_partly_outside_the_part_inside_is_answered(state, place):
    photo, guide = photo_pixels(90, 110), guide_pixels(3)
    _, samples = put_in(state, photo, guide, Guide(80, 60, 3, BOX, place))
    left, top = max(place[0], 0), max(place[1], 0)
    assert samples.shape == (min(90, place[1] + 36) - top, min(110, place[0] + 40) - left, 3)
    if place[0] > 0:  # a negative one counts from the end on the command line
        wanted = inpaintcli.guided(photo, guide, box=BOX, at=place[:2])
        assert np.array_equal(samples, wanted[top:, left:])


def test_over_transparency_the_object_is_as_opaque_as_it_is(state):
    photo = photo_pixels(90, 110, 4, depth=8)
    photo[..., 3] = 0
    photo[:10, :, 3] = 255
    opacity, samples = put_in(
        state, photo, guide_pixels(3), Guide(80, 60, 3, BOX, (30, 20, 40, 36))
    )
    assert opacity.max() == 255
    soft = (opacity > 0) & (opacity < 255)
    assert soft.any()
    assert np.array_equal(samples[..., 3][soft], opacity[soft])


@pytest.mark.parametrize(
    ("guide", "words"),
    [(np.full((60, 80, 3), 90, np.uint8), "object"), (np.zeros((60, 80, 3), np.uint8), "object")],
    ids=["grey", "black"],
)
def test_an_object_that_is_not_there_is_an_error_in_words(state, guide, words):
    with pytest.raises(AssertionError, match=words):
        put_in(state, photo_pixels(90, 110), guide, Guide(80, 60, 3, BOX, (30, 20, 40, 36)))


def test_a_model_that_does_not_harmonize_is_an_error_in_words(state):
    how = Guide(80, 60, 3, BOX, (30, 20, 40, 36))
    with pytest.raises(AssertionError, match="harmoniz"):
        put_in(state, photo_pixels(90, 110), guide_pixels(3), how, model="membrane")
