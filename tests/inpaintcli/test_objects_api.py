"""Objects removed from Python."""

import numpy as np
import pytest
from PIL import Image

import inpaintcli
from inpaintcli.errors import MaskMismatchError, OutputError, UsageError
from tests.inpaintcli.objects.segment.made_scenes import scene


@pytest.fixture(scope="module")
def made():
    return scene("chelsea", 0, side=100)


def box_of(made):
    return made.box.left, made.box.top, made.box.width, made.box.height


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_comes_back_without_its_object(open_engines, made, dtype):  # noqa: ARG001
    photo = made.pixels.astype(dtype) * (257 if dtype is np.uint16 else 1)
    before = photo.copy()
    after = inpaintcli.remove(photo, box=box_of(made), detail="network")
    assert (after.shape, after.dtype) == (photo.shape, photo.dtype)
    assert np.array_equal(photo, before)
    changed = (after != photo).any(axis=2)
    assert changed[made.shape].mean() > 0.99
    outside = np.ones_like(made.shape)
    outside[made.box.grown(12, *made.size).slices] = False
    assert not changed[outside].any()


def test_texts_and_numbers_mean_the_same(grey_model, made):
    box = box_of(made)
    results = [
        inpaintcli.remove(made.pixels, box=given, model=grey_model, detail="network")
        for given in (box, ",".join(map(str, box)), [box], np.array(box))
    ]
    assert all(np.array_equal(results[0], one) for one in results[1:])
    assert not grey_model.engine.closed


def test_a_file_becomes_a_file_and_a_mask(grey_model, made, tmp_path):
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    Image.fromarray(made.pixels).save(photo)
    y, x = (int(values.mean()) for values in np.nonzero(made.shape))
    written = inpaintcli.remove(
        photo, point=(x, y), mask_out=mask, model=grey_model, detail="network"
    )
    assert written == tmp_path / "photo.filled.png"
    assert written.exists()
    assert mask.exists()
    with pytest.raises(OutputError):
        inpaintcli.remove(photo, point=(x, y), model=grey_model)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({}, UsageError),
        ({"box": (1, 2, 3)}, UsageError),
        ({"box": (1, 2, 3, float("nan"))}, UsageError),
        ({"box": (9000, 2, 30, 40)}, MaskMismatchError),
        ({"point": (0, 9000)}, MaskMismatchError),
        ({"polygon": [(0, 0), (1, 1)]}, UsageError),
        ({"box": (1, 2, 30, 40), "segmenter": "lasso"}, UsageError),
        ({"box": (1, 2, 30, 40), "shadow": "maybe"}, ValueError),
        ({"box": (1, 2, 30, 40), "grow": -1}, ValueError),
        ({"box": (1, 2, 30, 40), "grwo": 1}, TypeError),
        ({"box": (1, 2, 30, 40), "mask_out": "m.png"}, TypeError),
        ({"box": 7}, TypeError),
    ],
)
def test_garbage_is_an_error(grey_model, made, keywords, error):
    with pytest.raises(error):
        inpaintcli.remove(made.pixels, model=grey_model, **keywords)
