"""GIMP's samples through the pipeline: native values, floats by a range, alpha where it belongs."""

import numpy as np
import pytest

from inpaintcli.errors import MaskMismatchError
from inpaintcli.gimp.fill_service import FillService, Progress, enclosed
from inpaintcli.gimp.picture_request import FillRequest
from inpaintcli.gimp.samples import WIDEST, Range, range_of, work_of
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.inpaint.pipeline import fill
from tests.conftest import photo_pixels
from tests.inpaintcli.gimp.clients import service_of

HOLE = np.zeros((48, 64), np.bool_)
HOLE[10:30, 20:40] = True


def answered(model, pixels, hole=HOLE, **changes) -> np.ndarray:
    kinds = {"uint8": "u8", "uint16": "u16", "float32": "f32"}
    height, width, channels = pixels.shape
    box = (20, 10, 20, 20)
    request = FillRequest(width, height, channels, kinds[pixels.dtype.name], box, **changes)
    payload = pixels.tobytes() + (hole[10:30, 20:40] * np.uint8(255)).tobytes()
    answer = service_of(model).fill(request, payload, Progress())
    return np.frombuffer(answer.data, pixels.dtype).reshape(20, 20, channels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_floats_from_0_to_1_are_filled_as_16_bit_are(grey_model, channels):
    whole = photo_pixels(48, 64, channels, depth=16)
    wanted = answered(grey_model, whole)
    found = answered(grey_model, (whole / 65535).astype(np.float32))
    assert np.array_equal(np.rint(found * 65535), wanted)


def test_16_bit_keep_their_values_and_the_answer_is_the_pipelines(grey_model):
    whole = photo_pixels(48, 64, 3, depth=16)
    wanted = fill(Picture(whole), HOLE, grey_model).picture.pixels[10:30, 20:40]
    assert np.array_equal(answered(grey_model, whole), wanted)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.5, 3.0), (0.0, 12.0)])
def test_a_range_comes_back_to_within_half_a_step(rng, low, high):
    values = rng.uniform(low, high, 1000).astype(np.float32)
    span = Range(low, high)
    assert np.abs(span.to_float(span.to_uint16(values)) - values).max() <= (high - low) / 65535


def test_what_is_brighter_than_white_counts_near_the_hole_alone(rng):
    pixels = rng.random((400, 400, 3)).astype(np.float32)
    hole = np.zeros((400, 400), np.bool_)
    hole[180:220, 180:220] = True
    box = Box(180, 180, 220, 220)
    pixels[0, 0] = 50.0
    pixels[200, 200] = 40.0  # in the hole, where nothing is known
    assert range_of(pixels, hole, box) == Range(0.0, 1.0)
    pixels[170, 170] = 4.0
    assert range_of(pixels, hole, box) == Range(0.0, 4.0)
    pixels[171, 171] = 1e9
    assert range_of(pixels, hole, box) == Range(0.0, WIDEST)


def test_floats_that_are_no_numbers_do_no_harm(grey_model):
    pixels = photo_pixels(48, 64, 3, depth=16).astype(np.float32) / 65535
    pixels[5, 5] = np.nan
    pixels[6, 6] = np.inf
    assert np.isfinite(answered(grey_model, pixels)).all()


def test_alpha_is_0_to_1_whatever_the_colours_are(grey_model):
    pixels = np.full((48, 64, 4), 3.0, np.float32)
    pixels[..., 3] = 0.5
    assert np.allclose(answered(grey_model, pixels)[..., 3], 0.5, atol=1e-4)


def test_an_enclosed_transparent_hole_is_meant_and_a_cut_outs_ground_is_not():
    transparent = np.zeros((48, 64), np.bool_)
    transparent[15:20, 25:30] = True  # inside of the hole
    transparent[:, 38:] = True  # goes on outside
    found = enclosed(transparent, HOLE)
    wanted = np.zeros_like(found)
    wanted[15:20, 25:30] = True
    assert np.array_equal(found, wanted)
    assert np.array_equal(enclosed(np.ones_like(HOLE), HOLE), HOLE)
    assert not enclosed(np.zeros_like(HOLE), HOLE).any()


def test_a_meant_hole_becomes_opaque_where_that_is_wanted(grey_model):
    pixels = photo_pixels(48, 64, 4)
    pixels[..., 3] = 255
    pixels[15:20, 25:30, 3] = 0
    assert (answered(grey_model, pixels, reveal=True)[..., 3] == 255).all()
    kept = answered(grey_model, pixels)[..., 3]
    assert np.array_equal(kept, pixels[10:30, 20:40, 3])


def test_a_layer_that_shows_nothing_is_refused(grey_model):
    pixels = photo_pixels(48, 64, 4)
    pixels[..., 3] = 0
    pixels[15, 25, 3] = 255  # in the hole
    with pytest.raises(MaskMismatchError, match="transparent"):
        answered(grey_model, pixels)


def test_what_is_read_is_what_was_sent(rng):
    pixels = rng.integers(0, 65536, (5, 7, 4), np.uint16)
    payload = pixels.tobytes() + bytes([255, 0, 0, 255])
    work = work_of(FillRequest(7, 5, 4, "u16", (3, 1, 2, 2)), payload)
    assert np.array_equal(work.picture.pixels, pixels[..., :3])
    assert np.array_equal(work.picture.alpha, pixels[..., 3])
    assert [tuple(map(int, at)) for at in np.argwhere(work.hole)] == [(1, 3), (2, 4)]
    assert work.answer(work.picture) == pixels[1:3, 3:5].tobytes()


def test_one_model_stays_open_and_is_opened_once(monkeypatch, grey_model):
    opened = []

    def counted(name, **_options):
        opened.append(name)
        return grey_model

    monkeypatch.setattr("inpaintcli.gimp.fill_service.open_model", counted)
    service = FillService()
    assert service._model("", Progress()) is service._model("membrane", Progress())
    assert len(opened) == 1
    service._model("dmfn-small", Progress())
    assert grey_model.engine.closed  # the first one
    assert len(opened) == 2
