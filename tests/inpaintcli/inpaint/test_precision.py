"""Photos of 16 bits are filled in fp32 where half precision was chosen automatically."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from inpaintcli_engines.base import EngineFailedError
from inpaintcli_engines.select import Choice

from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint import pipeline
from tests.conftest import GreyEngine, photo_pixels

fill = partial(pipeline.fill, detail="network")
HOLE = np.zeros((48, 64), np.bool_)
HOLE[10:30, 20:40] = True


@pytest.fixture
def opened(monkeypatch):
    """The engines that are opened: bf16 where the choice is free, as on a processor that has it."""
    engines = []

    def open_engine(_path, *, engine, device, precision, **_):
        made = GreyEngine()
        found = "bf16" if precision == "auto" else precision
        made.info = replace(made.info, precision=found, name="openvino")
        engines.append((engine, device, precision, made))
        return Choice(made, "for tests")

    monkeypatch.setattr(pipeline, "open_engine", open_engine)
    return engines


def photo(depth):
    return Picture(photo_pixels(48, 64, depth=depth))


def test_only_photos_of_16_bits_open_fp32_and_once(opened):
    with pipeline.open_model() as model:
        assert "16 bits are filled in fp32" in model.why  # which -v shows
        assert fill(photo(8), HOLE, model).precision == "bf16"
        assert len(opened) == 1
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda _: fill(photo(16), HOLE, model), range(4)))
        assert {one.precision for one in done} == {"fp32"}
        assert fill(photo(8), HOLE, model).precision == "bf16"
        half, precise = (entry[-1] for entry in opened)
        assert opened[1][:3] == ("openvino", "cpu", "fp32")  # the same engine, on the same device
        assert (len(half.seen), len(precise.seen)) == (2, 4)
    assert half.closed
    assert precise.closed


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_asked_for_stays(opened, precision):
    with pipeline.open_model(precision=precision) as model:
        for depth in (8, 16):
            assert fill(photo(depth), HOLE, model).precision == precision
        assert "16 bits" not in model.why
    assert len(opened) == 1


def test_where_fp32_cannot_be_had_the_photo_is_filled_and_that_is_said(opened, monkeypatch):
    model, notes = pipeline.open_model(), []

    def broken(*_, **__):
        raise EngineFailedError("It broke.")

    monkeypatch.setattr(pipeline, "open_engine", broken)
    for _ in range(2):
        assert fill(photo(16), HOLE, model, notes=notes.append).precision == "bf16"
    assert notes == ["It broke. 16 bits are filled in bf16."]
    assert len(opened) == 1
    model.close()
