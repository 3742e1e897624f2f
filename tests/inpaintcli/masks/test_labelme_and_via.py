"""Files of LabelMe and of the VGG Image Annotator: every shape, and every wrong one by its name."""

import base64
import io
import json
from pathlib import PurePath

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from inpaintcli.errors import MaskMismatchError, UnreadableError
from inpaintcli.imaging.picture import Origin, Picture
from inpaintcli.masks.annotations import KINDS, Annotations, kind_of
from inpaintcli.masks.labelme import read_drawing

HEIGHT, WIDTH = 60, 80
BLANK = Picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def labelme(tmp_path, *shapes, height=HEIGHT, width=WIDTH):
    """As labelme's LabelFile.save writes it."""
    path = tmp_path / "a.json"
    entries = [
        {"label": "stamp", "points": points, "group_id": None, "description": "",
         "shape_type": kind, "flags": {}, "mask": None, **more}
        for kind, points, more in shapes
    ]  # fmt: skip
    fields = {
        "version": "5.5.0", "flags": {}, "shapes": entries, "imagePath": "a.jpg",
        "imageData": None, "imageHeight": height, "imageWidth": width,
    }  # fmt: skip
    path.write_text(json.dumps(fields, indent=2))
    return path


def shape_to_mask(kind, points):
    """What labelme.utils.shape_to_mask makes of a shape (labelme 5.5)."""
    picture = Image.new("L", (WIDTH, HEIGHT))
    draw, corners = ImageDraw.Draw(picture), [tuple(point) for point in points]
    if kind == "circle":
        (x, y), other = corners
        radius = np.hypot(other[0] - x, other[1] - y)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=1, fill=1)
    elif kind == "rectangle" and len(corners) == 2:
        draw.rectangle(corners, outline=1, fill=1)
    elif kind in {"line", "linestrip"}:
        draw.line(corners, fill=1, width=10)
    elif kind == "point":
        ((x, y),) = corners
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], outline=1, fill=1)
    else:
        draw.polygon(corners, outline=1, fill=1)
    return np.array(picture) > 0


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("polygon", [[10, 10], [60, 15], [40, 50]]),
        ("rectangle", [[20.5, 10.5], [60, 40]]),
        ("rectangle", [[60, 40], [20, 10]]),
        ("rectangle", [[20, 10], [60, 10], [60, 40], [20, 40]]),
        ("oriented_rectangle", [[30, 10], [50, 20], [40, 40], [20, 30]]),
        ("circle", [[40, 30], [55, 35]]),
        ("line", [[10, 30], [70, 30]]),
        ("linestrip", [[10, 10], [40, 10], [40, 50]]),
        ("point", [[40, 30]]),
    ],
)
def test_a_shape_of_labelme_covers_what_labelme_covers(tmp_path, kind, points):
    """But for a pixel at its edge, and the round ends of lines."""
    ours = read_drawing(labelme(tmp_path, (kind, points, {}))).mask(BLANK)
    theirs = shape_to_mask(
        kind, sorted(points) if kind == "rectangle" and len(points) == 2 else points
    )
    theirs = theirs.astype(np.uint8)
    end = 13 if "line" in kind else 3
    assert ours[cv2.erode(theirs, np.ones((3, 3))) > 0].all()
    assert not ours[cv2.dilate(theirs, np.ones((end, end))) == 0].any()


def test_a_mask_of_labelmes_ai_tools_is_read(tmp_path, rng):
    small = rng.random((12, 17)) < 0.5
    file = io.BytesIO()
    Image.fromarray(small).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    path = labelme(tmp_path, ("mask", [[70, 5], [86, 16]], {"mask": data}))
    found = read_drawing(path).mask(BLANK)
    assert (found[5:17, 70:] == small[:, :10]).all()
    assert found.sum() == small[:, :10].sum()


def test_labels_choose_shapes_of_labelme(tmp_path):
    box = ("rectangle", [[0, 0], [10, 10]], {})
    path = labelme(tmp_path, box, ("rectangle", [[20, 0], [30, 10]], {"label": "car"}))
    assert read_drawing(path, ("car",)).mask(BLANK).sum() == 100
    assert read_drawing(path).mask(BLANK).sum() == 200


def test_shapes_on_stored_pixels_are_turned_with_the_photo(tmp_path):
    """Of a photo that EXIF turns, some tools show the stored pixels; the size says which."""
    turned = Picture(np.zeros((WIDTH, HEIGHT, 3), np.uint8), origin=Origin(orientation=6))
    found = read_drawing(labelme(tmp_path, ("rectangle", [[0, 0], [10, 5]], {}))).mask(turned)
    assert found[:10, -5:].all()
    assert found.sum() == 50


def test_shapes_on_another_size_need_resizing(tmp_path):
    path = labelme(tmp_path, ("rectangle", [[0, 0], [80, 60]], {}), height=120, width=160)
    with pytest.raises(MaskMismatchError, match=r"a.json is 160x120 but the photo a.jpg is 80x60"):
        read_drawing(path).mask(BLANK, photo_name="a.jpg")
    assert read_drawing(path).mask(BLANK, resize=True).sum() == 40 * 30


@pytest.mark.parametrize(
    ("kind", "points", "more"),
    [
        ("polygon", [[1, 1], [2, 2]], {}),
        ("polygon", [[1, 1], [2, 2], [3, float("nan")]], {}),
        ("polygon", [[1, 1], [2, 2], [3, 1e30]], {}),
        ("polygon", [[1, 1], [2, 2], [3]], {}),
        ("polygon", None, {}),
        ("polygon", [], {}),
        ("rectangle", [[1, 1]], {}),
        ("circle", [[1, 1]], {}),
        ("circle", [[1, 1], [2, 2], [3, 3]], {}),
        ("line", [[1, 1]], {}),
        ("point", [], {}),
        ("star", [[1, 1], [2, 2], [3, 3]], {}),
        ("mask", [[1, 1]], {"mask": "!!"}),
        ("mask", [[1, 1]], {"mask": ""}),
        ("mask", [[1, 1]], {"mask": base64.b64encode(b"no picture").decode()}),
    ],
)
def test_a_wrong_shape_of_labelme_is_named(tmp_path, kind, points, more):
    good = ("rectangle", [[0, 0], [10, 10]], {})
    with pytest.raises(UnreadableError, match=r"^Shape 2 \(stamp\) of a.json is wrong: "):
        read_drawing(labelme(tmp_path, good, (kind, points, more)))


def test_a_shape_of_labelme_without_a_pixel_is_named(tmp_path):
    path = labelme(tmp_path, ("circle", [[5, 5], [5, 5]], {}))
    with pytest.raises(MaskMismatchError, match=r"^Shape 1 \(stamp\) of a.json covers no pixel"):
        read_drawing(path).mask(BLANK)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"shapes": 7}', '{"a": ', "\x00", "[" * 100_000, '{"images": 1}']
)
def test_what_is_no_file_of_labelme_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UnreadableError, match=r"a.json"):
        read_drawing(path)


def region(name, **attributes):
    return {
        "shape_attributes": {"name": name, **attributes},
        "region_attributes": {"kind": "stamp"},
    }


VIA_2_SHAPES = {
    "rect": {"x": 10, "y": 5, "width": 20, "height": 10},
    "circle": {"cx": 40, "cy": 30, "r": 10},
    "ellipse": {"cx": 40, "cy": 30, "rx": 20, "ry": 8, "theta": 0.5},
    "polygon": {"all_points_x": [10, 50, 30], "all_points_y": [10, 10, 40]},
    "polyline": {"all_points_x": [10, 50], "all_points_y": [10, 10]},
    "point": {"cx": 40, "cy": 30},
}
AREAS = {
    "rect": 200, "circle": 314, "ellipse": 503, "polygon": 600, "polyline": 478, "point": 79
}  # fmt: skip


def via_2(tmp_path, regions, *, project=True):
    path = tmp_path / "via.json"
    pictures = {"a.jpg123": {"filename": "a.jpg", "size": 123, "regions": regions}}
    pictures["b.jpg9"] = {"filename": "b.jpg", "size": 9, "regions": [], "file_attributes": {}}
    members = {"_via_settings": {}, "_via_img_metadata": pictures, "_via_attributes": {}}
    path.write_text(json.dumps(members if project else pictures))
    return path


def covered(path, photo="a.jpg", labels=()):
    drawings = Annotations(path, [PurePath(photo)], labels).of(PurePath(photo))
    return np.logical_or.reduce([drawing.mask(BLANK) for drawing in drawings])


@pytest.mark.parametrize("project", [True, False])
@pytest.mark.parametrize("name", VIA_2_SHAPES)
def test_every_shape_of_via_2_is_read(tmp_path, name, project):
    path = via_2(tmp_path, [region(name, **VIA_2_SHAPES[name])], project=project)
    assert abs(covered(path).sum() - AREAS[name]) <= 12


def test_regions_of_via_1_are_an_object(tmp_path):
    path = via_2(tmp_path, {"0": region("rect", **VIA_2_SHAPES["rect"])}, project=False)
    assert covered(path).sum() == 200


def test_labels_choose_regions_of_via(tmp_path):
    path = via_2(tmp_path, [region("rect", **VIA_2_SHAPES["rect"])])
    assert covered(path, labels=("stamp",)).sum() == 200
    assert covered(path, labels=("car",)).sum() == 0


def via_3(tmp_path, *shapes):
    path = tmp_path / "via3.json"
    metadata = {
        f"1_{number}": {"vid": "1", "flg": 0, "z": [], "xy": xy, "av": {"1": "stamp"}}
        for number, xy in enumerate(shapes)
    }
    file = {"fid": "1", "fname": "a.jpg", "type": 2, "loc": 1, "src": "a.jpg"}
    members = {
        "project": {"pid": "x"}, "config": {}, "attribute": {}, "file": {"1": file},
        "metadata": metadata, "view": {"1": {"fid_list": ["1"]}},
    }  # fmt: skip
    path.write_text(json.dumps(members))
    return path


@pytest.mark.parametrize(
    ("xy", "area"),
    [
        ([1, 40, 30], 79),
        ([2, 10, 5, 20, 10], 200),
        ([3, 40, 30, 10], 314),
        ([4, 40, 30, 20, 8], 503),
        ([5, 10, 10, 50, 10], 478),
        ([6, 10, 10, 50, 10, 50, 20], 560),
        ([7, 10, 10, 50, 10, 30, 40], 600),
        ([8, 10, 7, 20, 5, 30, 9, 15, 15], 200),
    ],
)
def test_every_shape_of_via_3_is_read(tmp_path, xy, area):
    path = via_3(tmp_path, xy, [])
    assert abs(covered(path).sum() - area) <= 30


@pytest.mark.parametrize(
    "made",
    [
        lambda at: via_2(at, [region("rect", x=1, y=2, width=3)]),
        lambda at: via_2(at, [region("rect", x=1, y=2, width=3, height=None)]),
        lambda at: via_2(at, [region("circle", cx=1, cy=2, r=float("nan"))]),
        lambda at: via_2(at, [region("star", x=1)]),
        lambda at: via_2(at, [region("polygon", all_points_x=[1, 2], all_points_y=[1, 2])]),
        lambda at: via_2(at, [region("polygon", all_points_x=[1, 2, 3], all_points_y=[1, 2])]),
        lambda at: via_2(at, [7]),
        lambda at: via_2(at, "regions"),
        lambda at: via_3(at, [2, 1, 2, 3]),
        lambda at: via_3(at, [9, 1, 2, 3, 4, 5, 6]),
        lambda at: via_3(at, [7, 1, 2, 3]),
        lambda at: via_3(at, [7, 1, 2, 3, 4, 5, None]),
        lambda at: via_3(at, "xy"),
    ],
)
def test_a_wrong_region_of_via_is_named(tmp_path, made):
    with pytest.raises(UnreadableError, match=r"^Region 1 of a.jpg in via3?.json is wrong: "):
        covered(made(tmp_path))


def test_the_kind_of_a_file_is_known_by_its_members(tmp_path):
    found = {
        kind_of(labelme(tmp_path)).name, kind_of(via_2(tmp_path, [])).name,
        kind_of(via_3(tmp_path)).name,
    }  # fmt: skip
    assert found | {"COCO"} == {kind.name for kind in KINDS}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "{", '{"a" 1}', "\ufeff{]", "7"])
def test_a_file_of_no_known_kind_is_named(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UnreadableError, match=r"other.json is no file of annotations"):
        kind_of(path)


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "other.json"
    path.write_bytes(b"\xff\xfe\x00" * 50)
    with pytest.raises(UnreadableError, match=r"other.json is no file of annotations"):
        kind_of(path)


def names(tmp_path, *file_names, photos=None):
    path = tmp_path / "coco.json"
    images = [{"id": n, "file_name": name} for n, name in enumerate(file_names)]
    boxes = [{"id": n, "image_id": n, "bbox": [0, 0, 1 + n, 1]} for n in range(len(file_names))]
    path.write_text(json.dumps({"images": images, "annotations": boxes}))
    return Annotations(path, None if photos is None else [PurePath(one) for one in photos], ())


def chosen(annotations, photo):
    """The number of the picture that a photo is."""
    found = annotations.of(PurePath(photo))
    return None if found is None else int(found[0].shapes[0].sides[2]) - 1


def test_folders_tell_photos_of_one_name_apart(tmp_path):
    photos = ["1.jpg", "a/1.jpg", "b/1.jpg", "a/2.jpg", "c/3.png", "\u0075\u0308.jpg"]
    listed = ["b/1.jpg", "data/a/1.jpg", "x\\2.jpg", "3.jpg", "C:\\all\\c\\3.jpg", "\u00fc.jpg"]
    found = names(tmp_path, *listed, photos=photos)
    assert chosen(found, "b/1.jpg") == 0
    assert chosen(found, "a/1.jpg") == 1
    assert chosen(found, "a/2.jpg") is None
    assert chosen(found, "\u0075\u0308.jpg") == 5
    assert chosen(found, "c/3.png") == 4
    with pytest.raises(MaskMismatchError, match=r"x/1.jpg, y/1.jpg"):
        names(tmp_path, "x/1.jpg", "y/1.jpg", photos=["1.jpg"]).of(PurePath("1.jpg"))
    with pytest.raises(MaskMismatchError, match=r"may be any of 2 photos"):
        names(tmp_path, "1.jpg", photos=["a/1.jpg", "b/1.jpg"]).of(PurePath("a/1.jpg"))


def test_a_photo_does_not_take_the_shapes_of_another(tmp_path):
    found = names(tmp_path, "b/1.jpg", photos=["1.jpg", "b/1.jpg"])
    assert chosen(found, "b/1.jpg") == 0
    assert found.of(PurePath("1.jpg")) is None


def test_the_only_photo_of_a_name_needs_no_folder(tmp_path):
    assert chosen(names(tmp_path, "train/1.jpg", photos=["1.jpg"]), "1.jpg") == 0
    assert chosen(names(tmp_path, "1.jpg", photos=["deep/1.jpg"]), "deep/1.jpg") == 0
    assert chosen(names(tmp_path, "1.png", "1.jpg", photos=["1.jpg"]), "1.jpg") == 1
    assert chosen(names(tmp_path, "1.png"), "1.jpg") == 0
