"""Holes of the Python API: boxes, polygons and colours, for arrays and files alike."""

import json

import numpy as np
import pytest
from PIL import Image

import inpaintcli
from inpaintcli.errors import MaskMismatchError, OutputError, UsageError
from tests.conftest import photo_pixels

PHOTO = photo_pixels(48, 64)


def region(*boxes):
    mask = np.zeros((48, 64), np.bool_)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


@pytest.fixture
def path(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture(params=["array", "file"])
def hole(request, path):
    """The hole of the photo, given as an array or as a file."""

    def of(mask=None, **keywords):
        return inpaintcli.mask(PHOTO if request.param == "array" else path, mask, **keywords)

    return of


@pytest.mark.parametrize(
    ("keywords", "boxes"),
    [
        ({"box": (1, 2, 3, 4)}, [(1, 2, 4, 6)]),
        ({"box": "-10,-25%,50%,5"}, [(54, 36, 64, 41)]),
        ({"box": [(1, 2, 3, 4), "10,2,3,4"]}, [(1, 2, 4, 6), (10, 2, 13, 6)]),
        ({"box": np.array([1, 2, 3, 4])}, [(1, 2, 4, 6)]),
        ({"polygon": [(1, 2), (9, 2), (9, 8), (1, 8)]}, [(1, 2, 9, 8)]),
        ({"polygon": "1,2;9,2;9,8;1,8", "box": (20, 2, 5, 5)}, [(1, 2, 9, 8), (20, 2, 25, 7)]),
        ({"box": (5, 5, 2, 2), "grow": 1}, [(5, 4, 7, 8), (4, 5, 8, 7)]),
    ],
)
def test_shapes_are_the_hole(hole, keywords, boxes):
    found = hole(**keywords)
    assert found.dtype == np.bool_
    assert (found == region(*boxes)).all()


def test_a_colour_is_the_hole_and_adds_up(hole):
    red, green, blue = PHOTO[10, 20].astype(int)
    colour = f"color:#{red:02x}{green:02x}{blue:02x}~2"
    same = (abs(PHOTO.astype(int) - (red, green, blue)) <= 2).all(axis=2)
    assert (hole(colour) == same).all()
    assert (
        hole([colour, "color:#000000"], box=(0, 0, 5, 5)) == (same | region((0, 0, 5, 5)))
    ).all()


def test_an_array_and_boxes_add_up():
    given = region((0, 0, 5, 5))
    found = inpaintcli.mask(PHOTO, ~given, box=(10, 0, 5, 5), invert_mask=True)
    assert (found == region((0, 0, 5, 5), (10, 0, 15, 5))).all()
    rgba = np.dstack([PHOTO, np.full((48, 64), 255, np.uint8)])
    rgba[40:, :, 3] = 0
    found = inpaintcli.mask(rgba, "alpha", box=(0, 0, 5, 5))
    assert (found == region((0, 0, 5, 5), (0, 40, 64, 48))).all()


def test_annotations_are_of_files(path):
    shapes = [
        {"label": label, "points": [[x, 0], [x + 5, 5]], "shape_type": "rectangle"}
        for label, x in (("stamp", 0), ("car", 10))
    ]
    annotated = path.with_suffix(".json")
    annotated.write_text(json.dumps({"shapes": shapes}))
    assert (inpaintcli.mask(path) == region((0, 0, 5, 5), (10, 0, 15, 5))).all()
    found = inpaintcli.mask(path, annotated, label="car", box=(20, 0, 5, 5))
    assert (found == region((10, 0, 15, 5), (20, 0, 25, 5))).all()
    with pytest.raises(TypeError, match=r"not .*a\.json"):
        inpaintcli.mask(PHOTO, str(annotated))


def test_a_box_is_filled(grey_model, path):
    filled = inpaintcli.fill(PHOTO, box="-20,-20,10,10", model=grey_model, detail="network")
    known = ~region((44, 28, 54, 38))
    assert (filled[known] == PHOTO[known]).all()
    assert (filled[~known] != PHOTO[~known]).any()
    written = inpaintcli.fill(path, box="-20,-20,10,10", model=grey_model, detail="network")
    with Image.open(written) as image:
        assert (np.asarray(image) == filled).all()


def test_a_hole_is_written_once(path, tmp_path):
    out = tmp_path / "hole.png"
    found = inpaintcli.mask(path, output=out, box=(1, 2, 3, 4))
    with Image.open(out) as image:
        assert image.mode == "L"
        assert (np.asarray(image) == np.where(found, 255, 0)).all()
    with pytest.raises(OutputError):
        inpaintcli.mask(path, output=out, box=(1, 2, 3, 4))
    with pytest.raises(OutputError):
        inpaintcli.mask(path, output=path, box=(1, 2, 3, 4), overwrite=True)
    inpaintcli.mask(PHOTO, output=out, box=(1, 2, 3, 4), overwrite=True)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"box": (1, 2, 3)}, UsageError),
        ({"box": 7}, TypeError),
        ({"box": "x"}, UsageError),
        ({"box": (1, 2, float("nan"), 4)}, UsageError),
        ({"box": (100, 2, 3, 4)}, MaskMismatchError),
        ({"polygon": [(1, 2), (3, 4)]}, UsageError),
        ({"polygon": 7}, TypeError),
        ({"mask": "color:red"}, UsageError),
        ({"mask": 7}, TypeError),
        ({"mask": "alpha"}, MaskMismatchError),
        ({"box": (1, 2, 3, 4), "grow": -1}, UsageError),
        ({"box": (1, 2, 3, 4), "detail": "network"}, TypeError),
        ({"box": (1, 2, 3, 4), "output": "hole.jpg"}, ValueError),
    ],
    ids=str,
)
def test_garbage_is_refused(hole, keywords, error):
    with pytest.raises(error):
        hole(**keywords)


def test_a_hole_must_be_named():
    with pytest.raises(TypeError, match="has no mask"):
        inpaintcli.mask(PHOTO)
    with pytest.raises(TypeError, match="both"):
        inpaintcli.mask("a.png", np.zeros((4, 4), bool))
