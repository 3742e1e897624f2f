"""What the options of masks mean: holes add up, and are the same in every command."""

import json
import os
import time

import numpy as np
import pytest
from PIL import Image

from inpaintcli.inpaint import pipeline
from inpaintcli.inpaint.pipeline import Model
from tests.conftest import GreyEngine, card, photo_pixels

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def call(program, monkeypatch):
    """The command line, with a model that fills with one grey and nothing finer."""
    fill = pipeline.fill

    def plain(*arguments, **options):
        return fill(*arguments, **options | {"detail": "network", "structure": "off"})

    monkeypatch.setattr(pipeline, "open_model", lambda *_, **__: Model(card(), GreyEngine(), ""))
    monkeypatch.setattr(pipeline, "fill", plain)
    return program


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in/a.png"
    path.parent.mkdir()
    Image.fromarray(photo_pixels(HEIGHT, WIDTH)).save(path)
    return path


def region(*boxes, size=(HEIGHT, WIDTH)):
    """True in boxes of left, top, right, bottom."""
    mask = np.zeros(size, np.bool_)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def saved(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    return path


def labelme(path, *boxes, **fields):
    shapes = [
        {"label": "stamp", "shape_type": "rectangle", "points": [[left, top], [right, bottom]]}
        for left, top, right, bottom in boxes
    ]
    path.write_text(json.dumps({"version": "5.5.0", "shapes": shapes, "imagePath": "x", **fields}))
    return path


def coco(path, **boxes_by_name):
    """A file of COCO with boxes x, y, w, h by the photo's name without suffix."""
    images, annotations = [], []
    for number, (name, boxes) in enumerate(boxes_by_name.items()):
        images.append({"id": number, "file_name": f"{name}.png"})
        annotations += [
            {"id": 100 * number + count, "image_id": number, "bbox": list(box)}
            for count, box in enumerate(boxes)
        ]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def changed(path, photo):
    return (read(path) != read(photo)).any(axis=2)


def test_a_box_is_filled_and_the_rest_comes_back(call, photo, tmp_path):
    call("fill", photo, "--box", "-20,10,8,25%", "-o", tmp_path / "out.png", check=0)
    found, hole = changed(tmp_path / "out.png", photo), region((44, 10, 52, 22))
    assert not found[~hole].any()
    assert found[hole].mean() > 0.9


def test_all_that_is_named_adds_up(call, photo, tmp_path):
    pixels = np.dstack([photo_pixels(HEIGHT, WIDTH), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    pixels[30:34, 50:60, :3] = (255, 0, 0)
    pixels[40:44, 2:6, 3] = 0
    Image.fromarray(pixels).save(photo)
    call(
        "mask", photo, "-o", tmp_path / "hole.png",
        "--mask", saved(tmp_path / "m.png", region((0, 0, 5, 5))), "--mask", "alpha",
        "--mask", "color:#ff0000", "--mask", labelme(tmp_path / "l.json", (10, 0, 15, 5)),
        "--mask", coco(tmp_path / "c.json", a=[(20, 0, 5, 5), (30, 0, 5, 5)]),
        "--box", "40,0,5,5", "--box", "50,0,5,5", "--polygon", "0,10;5,10;5,15;0,15",
        check=0,
    )  # fmt: skip
    rows = [(x, 0, x + 5, 5) for x in (0, 10, 20, 30, 40, 50)]
    expected = region(*rows, (0, 10, 5, 15), (50, 30, 60, 34), (2, 40, 6, 44))
    assert ((read(tmp_path / "hole.png") > 0) == expected).all()


def test_what_mask_writes_is_what_fill_fills(call, photo, tmp_path):
    options = ("--polygon", "5,5;40,8;20,40", "--grow", "3")
    call("mask", photo, *options, "-o", tmp_path / "hole.png", check=0)
    call("fill", photo, *options, "-o", tmp_path / "out.png", check=0)
    hole = read(tmp_path / "hole.png")
    assert hole.dtype == np.uint8
    assert set(np.unique(hole)) == {0, 255}
    found = changed(tmp_path / "out.png", photo)
    assert not found[hole == 0].any()
    assert found[hole == 255].mean() > 0.9
    call("mask", photo, *options, check=0)
    assert (read(photo.with_name("a.mask.png")) == hole).all()
    call("fill", photo, "-o", tmp_path / "again.png", check=0)
    assert (read(tmp_path / "again.png") == read(tmp_path / "out.png")).all()


def test_invert_concerns_masks_and_shapes_only_where_they_are_alone(call, photo, tmp_path):
    mask, box = saved(tmp_path / "m.png", ~region((0, 0, 5, 5))), ("--box", "10,0,5,5")
    call("mask", photo, *box, "--mask", mask, "--invert-mask", "-o", tmp_path / "1.png", check=0)
    assert ((read(tmp_path / "1.png") > 0) == region((0, 0, 5, 5), (10, 0, 15, 5))).all()
    call("mask", photo, *box, "--invert-mask", "-o", tmp_path / "2.png", check=0)
    assert ((read(tmp_path / "2.png") > 0) == ~region((10, 0, 15, 5))).all()


def test_shapes_are_on_the_photo_as_displayed(call, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo_pixels(HEIGHT, WIDTH)).save(photo, exif=exif)
    call("mask", photo, "--box", "0,0,10,5", "-o", tmp_path / "hole.png", check=0)
    hole = read(tmp_path / "hole.png")
    assert hole.shape == (WIDTH, HEIGHT)
    assert (hole > 0).sum() == hole[:5, :10].sum() // 255 == 50


def test_without_a_mask_option_only_shapes_count(call, photo, tmp_path):
    """A mask beside the photo is no photo, and is used where its folder is named."""
    saved(photo.with_name("a.mask.png"), region((0, 0, 5, 5)))
    box, out = ("--box", "10,0,5,5"), tmp_path / "out"
    call("mask", photo.parent, *box, "-o", out, check=0)
    assert [path.name for path in out.iterdir()] == ["a.mask.png"]
    assert ((read(out / "a.mask.png") > 0) == region((10, 0, 15, 5))).all()
    call("mask", photo.parent, *box, "--mask", photo.parent, "-o", out, "--overwrite", check=0)
    assert ((read(out / "a.mask.png") > 0) == region((0, 0, 5, 5), (10, 0, 15, 5))).all()


def status(done):
    """The statuses of a run of many photos, by the photo's name."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {os.path.basename(one["input"]): one["status"] for one in lines if "input" in one}  # noqa: PTH119


@pytest.fixture
def photos(photo):
    for name in ("b.png", "sub/a.png"):
        path = photo.parent / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photo_pixels(HEIGHT, WIDTH)).save(path)
    return photo.parent


def test_a_changed_box_polygon_or_colour_fills_again(call, photos, tmp_path):
    def run(*options):
        return set(
            status(call("fill", photos, *options, "-o", tmp_path / "out", "--json")).values()
        )

    for options in (
        ("--box", "1,1,5,5"),
        ("--box", "1,1,5,6"),
        ("--box", "1,1,5,6", "--box", "9,1,5,6"),
        ("--polygon", "1,1;9,1;9,9"),
        ("--polygon", "1,1;9,1;9,10"),
        ("--mask", "color:#808080~60"),
        ("--mask", "color:#808080~61"),
        ("--mask", "color:#808080~61", "--box", "1,1,5,6"),
    ):
        assert run(*options) == {"filled"}
        assert run(*options) == {"skipped"}
    assert run("--box", " 1, 1,5.0,6", "--mask", "color:#808080~61") == {"skipped"}


def test_changed_annotations_fill_the_photos_that_they_change(call, photos, tmp_path):
    def run(**boxes):
        path = coco(tmp_path / "c.json", **boxes)
        return status(call("fill", photos, "--mask", path, "-o", tmp_path / "out", "--json"))

    (photos / "sub/a.png").rename(photos / "sub/c.png")
    boxes = {"a": [(1, 1, 5, 5)], "b": [(1, 1, 5, 5)]}
    assert run(**boxes) == {"a.png": "filled", "b.png": "filled", "c.png": "skipped"}
    assert set(run(**boxes, c=[]).values()) == {"skipped", "filled"}
    assert set(run(**boxes, c=[]).values()) == {"skipped"}
    again = run(a=[(1, 1, 5, 5)], b=[(1, 1, 5, 6)], c=[])
    assert again == {"a.png": "skipped", "b.png": "filled", "c.png": "skipped"}


def test_a_photo_that_annotations_do_not_list_is_reported(call, photos, tmp_path):
    path = coco(tmp_path / "c.json", b=[(1, 1, 5, 5)])
    done = call("fill", photos, "--mask", path, "-o", tmp_path / "out", check=0)
    assert b"a.png: skipped, it has no mask: c.json has no picture a.png." in done.stderr
    assert b"skipped 2  without a mask" in done.stderr
    call("fill", photos / "a.png", "--mask", path, check=2)


def test_a_wrong_annotation_fails_its_photo_only(call, photos, tmp_path):
    path = coco(tmp_path / "c.json", a=[(1, 1, 5)], b=[(1, 1, 5, 5)])
    done = call("fill", photos, "--mask", path, "-o", tmp_path / "out", "--json", check=1)
    assert status(done)["b.png"] == "filled"
    assert b"Annotation 0 of c.json is wrong" in done.stderr
    path = coco(tmp_path / "c.json", a=[(100, 1, 5, 5)], b=[(1, 1, 5, 6)])
    done = call("fill", photos, "--mask", path, "-o", tmp_path / "out", "--json", check=1)
    assert b"Annotation 0 of c.json covers no pixel of a.png, which is 64x48" in done.stderr


@pytest.mark.parametrize("beside", [True, False])
def test_labelmes_files_belong_to_photos_by_name(call, photos, tmp_path, beside):
    folder = photos if beside else tmp_path / "masks"
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    labelme(folder / "a.json", (0, 0, 5, 5))
    labelme(folder / "sub/a.json", (10, 0, 15, 5))
    (folder / "b.json").write_text('{"some": "other program"}')
    mask = () if beside else ("--mask", folder)
    done = call("mask", photos, *mask, "-o", tmp_path / "out", check=0 if beside else 1)
    assert ((read(tmp_path / "out/a.mask.png") > 0) == region((0, 0, 5, 5))).all()
    assert ((read(tmp_path / "out/sub/a.mask.png") > 0) == region((10, 0, 15, 5))).all()
    expected = b"b.png: skipped, it has no mask" if beside else b"b.json is no file of LabelMe"
    assert expected in done.stderr
    call("fill", photos / "a.png", *mask, "-o", tmp_path / "a.png", check=0)
    assert changed(tmp_path / "a.png", photos / "a.png").sum() > 20


def test_beside_photos_a_picture_goes_before_labelmes_file(call, photo, tmp_path):
    labelme(photo.with_suffix(".json"), (0, 0, 5, 5))
    saved(photo.with_name("a.mask.png"), region((10, 0, 15, 5)))
    call("mask", photo, "-o", tmp_path / "one.png", check=0)
    call("mask", photo.parent, "-o", tmp_path / "out", check=0)
    for path in (tmp_path / "one.png", tmp_path / "out/a.mask.png"):
        assert ((read(path) > 0) == region((10, 0, 15, 5))).all()


def test_rows_of_a_list_keep_the_boxes_of_the_command_line(call, photos, tmp_path):
    saved(photos / "m.png", region((0, 0, 5, 5)))
    coco(photos / "c.json", a=[(20, 0, 5, 5)])
    rows = photos / "rows.csv"
    rows.write_text("photo,mask,output\na.png,m.png,1.png\nb.png,,2.png\na.png,c.json,3.png\n")
    options = ("--mask", "color:#000000", "--box", "40,0,5,5", "-o", tmp_path / "out")
    done = call("fill", rows, *options, "--json", check=0)
    assert set(status(done).values()) == {"filled"}
    for name, boxes in (("1", [(0, 0, 5, 5)]), ("2", []), ("3", [(20, 0, 25, 5)])):
        found = changed(tmp_path / f"out/{name}.png", photos / f"{'b' if name == '2' else 'a'}.png")
        hole = region(*boxes, (40, 0, 45, 5))
        assert not found[~hole].any()
        assert found[hole].mean() > 0.9


def aged(folder):
    """All files seem to have been there for a while."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 100,) * 2)


@pytest.mark.parametrize(
    "named", ["box", "coco", "labelme", "labelme beside", "folder and box", "color"]
)
def test_a_watch_fills_the_same_holes(call, photo, tmp_path, named):
    boxes = [(0, 0, 5, 5)]
    masks = tmp_path / "masks"
    masks.mkdir()
    options = ()
    if named == "labelme beside":
        labelme(photo.with_suffix(".json"), *boxes)
        photo.with_name("b.json").write_text("{}")
    elif named == "labelme":
        labelme(masks / "a.json", *boxes)
        options = ("--mask", masks)
    elif named == "coco":
        options = ("--mask", coco(tmp_path / "c.json", a=[(0, 0, 5, 5)]))
    elif named == "folder and box":
        saved(masks / "a.png", region(*boxes))
        options = ("--mask", masks, "--box", "10,0,5,5")
        boxes.append((10, 0, 15, 5))
    elif named == "color":
        pixels = photo_pixels(HEIGHT, WIDTH)
        pixels[:5, :5] = (255, 0, 0)
        Image.fromarray(pixels).save(photo)
        options = ("--mask", "color:#ff0000")
    else:
        saved(photo.with_name("a.mask.png"), region((20, 20, 30, 30)))  # is not asked for
        options = ("--box", "0,0,5,5")
    aged(tmp_path)
    status_file = photo.with_name("status.json")
    options = (*options, "-o", tmp_path / "out", "--status", status_file)
    done = call("watch", photo.parent, *options, "--once", check=0)
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["a.png"], done.stderr
    found = changed(tmp_path / "out/a.png", photo)
    assert not found[~region(*boxes)].any()
    assert found[region(*boxes)].mean() > 0.9
    done = call("watch", photo.parent, *options, "--once", "--json", check=0)
    assert set(status(done).values()) <= {"skipped"}


def test_a_watch_archives_labelmes_file_with_its_photo(call, photo, tmp_path):
    labelme(photo.with_suffix(".json"), (0, 0, 5, 5))
    aged(tmp_path)
    done = tmp_path / "done"
    call("watch", photo.parent, "-o", tmp_path / "out", "--once", "--done", done, check=0)
    assert sorted(path.name for path in done.iterdir()) == ["a.mask.json", "a.png"]
    call("mask", done, "-o", tmp_path / "holes", check=0)
    assert ((read(tmp_path / "holes/a.mask.png") > 0) == region((0, 0, 5, 5))).all()


def test_a_watch_reports_what_annotations_do_not_list(call, photos, tmp_path):
    path = coco(tmp_path / "c.json", a=[(1, 1, 5)], b=[(1, 1, 5, 5)])
    (photos / "sub/a.png").rename(photos / "c.png")
    aged(tmp_path)
    options = ("--mask", path, "-o", tmp_path / "out", "--once", "--json")
    done = call("watch", photos, *options, check=1)
    assert status(done) == {"a.png": "failed", "b.png": "filled", "c.png": "skipped"}


GARBAGE = [
    (("--box", "1,2,3"), 2),
    (("--box", "1,2,nan,4"), 2),
    (("--box", "1,2,inf,4"), 2),
    (("--box", "1,2,0,4"), 2),
    (("--box", "a,b,c,d"), 2),
    (("--polygon", "1,1;2,2"), 2),
    (("--polygon", "1,1;2,2;nan,3"), 2),
    (("--mask", "color:red"), 2),
    (("--mask", "color:#ff0000~999"), 2),
    (("--mask", "gone.json"), 3),
    (("--mask", "gone.png"), 3),
    (("--mask", "a.png", "--mask", "b.png"), 2),
]


@pytest.mark.parametrize(("options", "code"), GARBAGE, ids=str)
@pytest.mark.parametrize("command", ["fill", "mask", "watch"])
def test_garbage_is_refused_before_any_work(call, photo, tmp_path, command, options, code):
    target = ("-o", tmp_path / "out")
    done = call(command, photo.parent, *options, *target, check=code)
    words = [word for word in options if not word.startswith("--")]
    assert any(word in done.stderr.decode() for word in words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--box", "100,0,5,5"), "The box 100,0,5,5 covers no pixel of a.png, which is 64x48"),
        (("--box", "0,0,0.1,5"), "The box 0,0,0.1,5 covers no pixel"),
        (("--polygon", "100,0;105,0;105,9"), "The polygon 100,0;105,0;105,9 covers no pixel"),
        (("--polygon", "1,1;2,2;9,9"), "The polygon 1,1;2,2;9,9 covers no pixel"),
    ],
)
@pytest.mark.parametrize("command", ["fill", "mask"])
def test_shapes_without_a_pixel_are_named(call, photo, tmp_path, command, options, named):
    done = call(command, photo, *options, "-o", tmp_path / "out.png", check=4)
    assert named in done.stderr.decode()
    done = call(command, photo.parent, *options, "-o", tmp_path / "out", check=1)
    assert named in done.stderr.decode()
    assert not list(tmp_path.rglob("out/*.png"))


def test_a_self_crossing_polygon_is_drawn_by_the_even_odd_rule(call, photo, tmp_path):
    bow = "10,10;50,10;10,40;50,40"
    call("mask", photo, "--polygon", bow, "-o", tmp_path / "hole.png", check=0)
    hole = read(tmp_path / "hole.png") > 0
    assert hole[12, 30]
    assert hole[38, 30]
    assert not hole[25, 12]


def test_an_overlay_is_the_photo_with_the_hole_in_colour(call, photo):
    deep = photo_pixels(HEIGHT, WIDTH, 1, depth=16)[..., 0]
    Image.fromarray(deep).save(photo)
    call("mask", photo, "--box", "5,5,9,9", "--overlay", check=0)
    shown = read(photo.with_name("a.overlay.png"))
    assert shown.shape == (HEIGHT, WIDTH, 3)
    outside = ~region((4, 4, 15, 15))
    assert (shown[outside] == (deep >> 8)[outside][:, None]).all()
    inside = shown[region((5, 5, 14, 14))].astype(int)
    assert (inside[:, 0] > inside[:, 1] + 50).all()


def test_masks_are_not_written_over_others(call, photo, tmp_path):
    box = ("--box", "5,5,9,9")
    call("mask", photo, *box, check=0)
    call("mask", photo, *box, check=5)
    call("mask", photo, *box, "--overwrite", check=0)
    call("mask", photo, *box, "-o", tmp_path / "out.jpg", check=2)
    call("mask", photo, *box, "-o", photo, "--overwrite", check=5)
    call("mask", photo.parent, *box, check=2)
    call("mask", photo.parent / "gone.png", *box, check=3)


def test_a_dry_run_writes_no_mask(call, photo, tmp_path):
    done = call("mask", photo, "--box", "5,5,9,9", "--dry-run", check=0)
    assert b"would write the hole of" in done.stdout
    assert b"the box 5,5,9,9" in done.stdout
    call("mask", photo.parent, "--box", "5,5,9,9", "--dry-run", "-o", tmp_path / "out", check=0)
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["a.png"]


def test_masks_are_reported_as_json(call, photos, tmp_path):
    options = ("--box", "5,5,9,9", "--json", "-o", tmp_path / "out")
    *lines, last = map(json.loads, call("mask", photos, *options).stdout.splitlines())
    assert [line["status"] for line in lines] == ["filled"] * 3
    assert last["summary"]["filled"] == 3
    *lines, last = map(json.loads, call("mask", photos, *options).stdout.splitlines())
    assert last["summary"]["skipped"] == 3
    only = ("--include", "b*", "--overwrite")
    *lines, last = map(json.loads, call("mask", photos, *options, *only).stdout.splitlines())
    assert last["summary"]["filled"] == 1


def test_a_mask_goes_to_standard_output(call, photo, tmp_path):
    done = call("mask", photo, "--box", "5,5,9,9", "-o", "-", check=0)
    (tmp_path / "piped.png").write_bytes(done.stdout)
    assert (read(tmp_path / "piped.png") > 0).sum() == 81
    call("mask", photo, "--box", "5,5,9,9", "-o", "-", "--json", check=2)
    call("mask", photo.parent, "--box", "5,5,9,9", "-o", "-", check=2)
