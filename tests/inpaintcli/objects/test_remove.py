"""The command `remove`: photos, lists, errors."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from inpaintcli.errors import ExitCode
from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.masks import read_mask
from tests.inpaintcli.objects.segment.made_scenes import scene


@pytest.fixture(scope="module")
def made():
    return scene("coffee", 0, side=110)


@pytest.fixture
def photo(tmp_path, made):
    path = tmp_path / "photo.png"
    Image.fromarray(made.pixels).save(path)
    return path


def text_of(box):
    return f"{box.left},{box.top},{box.width},{box.height}"


def test_the_object_goes_and_all_else_stays_bit_for_bit(program, photo, made, tmp_path):
    mask = tmp_path / "mask.png"
    done = program(
        "remove", photo, "--box", text_of(made.box), "--mask-out", mask, "--json", check=0
    )
    line = json.loads(done.stdout)
    output = tmp_path / "photo.filled.png"
    assert (line["status"], line["output"], line["mask"]) == ("filled", str(output), str(mask))
    hole, before, after = read_mask(mask), made.pixels, read_picture(output).pixels
    assert not (made.shape & ~hole).any()
    assert np.array_equal(after[~hole], before[~hole])
    # The object is of one bright hue that the photo has nowhere else.
    hue = before[made.shape].astype(int).mean(axis=0)
    like = np.abs(after.astype(int) - hue).max(axis=2) < 40
    assert like[made.shape].mean() < 0.01


def test_what_was_filled_can_be_filled_again_by_its_mask(program, photo, made, tmp_path):
    mask, one, other = (tmp_path / name for name in ("mask.png", "one.png", "other.png"))
    box = text_of(made.box)
    program("remove", photo, "--box", box, "--grow", 3, "--mask-out", mask, "-o", one, check=0)
    program("fill", photo, "--mask", mask, "-o", other, check=0)
    assert np.array_equal(read_picture(one).pixels, read_picture(other).pixels)


def test_a_point_and_an_outline_name_objects_too(program, photo, made, tmp_path):
    y, x = (int(values.mean()) for values in np.nonzero(made.shape))
    mask = tmp_path / "mask.png"
    for arguments in (
        ("--point", f"{x},{y}"),
        ("--polygon", outline_text(made.box.grown(10, *made.size))),
    ):
        program("remove", photo, *arguments, "--mask-out", mask, "--overwrite", check=0)
        found = read_mask(mask)
        assert (found & made.shape).sum() > 0.85 * (found | made.shape).sum()


def outline_text(box):
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    return f"{left},{top};{right},{top};{right},{bottom};{left},{bottom}"


def test_the_picture_can_go_to_standard_output(program, photo, made):
    done = program("remove", photo, "--box", text_of(made.box), "-o", "-", check=0)
    assert done.stdout.startswith(b"\x89PNG")


def test_dry_run_writes_nothing(program, photo, tmp_path):
    before = sorted(tmp_path.iterdir())
    done = program("remove", photo, "--box", "10,10,50,50", "--dry-run", check=0)
    assert b"would remove 1 object from" in done.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_16_bits_stay(program, made, tmp_path):
    import tifffile

    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, made.pixels.astype(np.uint16) * 257, photometric="rgb")
    program("remove", path, "--box", text_of(made.box), "-o", tmp_path / "out.tif", check=0)
    assert read_picture(tmp_path / "out.tif").pixels.dtype == np.uint16


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), ExitCode.USAGE, "which object"),
        (("--box", "1,2,3"), ExitCode.USAGE, "--box 1,2,3"),
        (("--box", "nan,0,5,5"), ExitCode.USAGE, "--box nan"),
        (("--point", "1"), ExitCode.USAGE, "--point 1"),
        (("--polygon", "1,1;2,2"), ExitCode.USAGE, "three points"),
        (("--box", "5000,0,10,10"), ExitCode.MASK_MISMATCH, "5000"),
        (("--point", "0,9999"), ExitCode.MASK_MISMATCH, "outside the photo"),
        (("--box", "0,0,100%,100%"), ExitCode.MASK_MISMATCH, ""),
        (("--box", "0,0,9,9", "--segmenter", "lasso"), ExitCode.USAGE, "no segmenter 'lasso'"),
        (("--box", "0,0,9,9", "--segmenter", "no.onnx"), ExitCode.MODEL, "does not exist"),
        (("--box", "0,0,9,9", "--model", "nobody"), ExitCode.MODEL, "nobody"),
        (("--box", "0,0,9,9", "--shadow", "maybe"), ExitCode.USAGE, "shadow"),
    ],
)
def test_garbage_is_an_error_with_its_exit_code(program, photo, arguments, code, words):
    done = program("remove", photo, *arguments, check=code)
    assert words in done.stderr.decode()
    assert not photo.with_name("photo.filled.png").exists()


def test_a_flat_box_is_an_error_with_a_hint_and_a_result_line(program, tmp_path):
    path = tmp_path / "flat.png"
    Image.fromarray(np.full((200, 300, 3), 90, np.uint8)).save(path)
    done = program("remove", path, "--box", "50,50,100,100", "--json", check=4)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == 4
    assert error["hint"]
    assert not (tmp_path / "flat.filled.png").exists()


def test_nothing_is_overwritten_unasked(program, photo, tmp_path):
    (tmp_path / "photo.filled.png").write_bytes(b"mine")
    program("remove", photo, "--box", "10,10,50,50", check=ExitCode.OUTPUT)
    assert (tmp_path / "photo.filled.png").read_bytes() == b"mine"
    program("remove", photo, "--box", "1,1,9,9", "-o", photo, "--overwrite", check=ExitCode.OUTPUT)
    one = tmp_path / "one.png"
    both = ("remove", photo, "--box", "1,1,9,9", "-o", one, "--mask-out", one)
    program(*both, check=ExitCode.USAGE)


def write_list(path, rows):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["photo", "box", "point", "polygon", "output"])
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.mark.usefixtures("photo")
def test_a_list_names_photos_and_boxes(program, made, tmp_path):
    box, out = text_of(made.box), tmp_path / "out"
    Image.fromarray(made.pixels).save(tmp_path / "again.png")
    rows = [
        {"photo": "photo.png", "box": box},
        {"photo": "again.png", "box": box, "output": "sub/named.png"},
        {"photo": "gone.png", "box": box},
        {"photo": "photo.png", "box": "5000,0,9,9", "output": "far.png"},
    ]
    listed = write_list(tmp_path / "list.csv", rows)
    done = program("remove", listed, "-o", out, "--json", check=1)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["status"] for line in lines[:-1]] == ["filled", "filled", "failed", "failed"]
    assert [line["error"] and line["error"]["code"] for line in lines[:-1]] == [None, None, 3, 4]
    assert (lines[-1]["summary"]["filled"], lines[-1]["summary"]["failed"]) == (2, 2)
    assert (out / "photo.png").exists()
    assert (out / "sub/named.png").exists()
    again = program("remove", listed, "-o", out, "--json", check=1)
    statuses = [json.loads(line).get("status") for line in again.stdout.splitlines()]
    assert statuses.count("skipped") == 2


@pytest.mark.usefixtures("photo")
def test_rows_of_one_photo_are_one_job(program, tmp_path):
    listed = tmp_path / "list.jsonl"
    rows = [{"photo": "photo.png", "box": "10,10,50,50"}, {"photo": "photo.png", "point": "90,90"}]
    listed.write_text("\n".join(json.dumps(row) for row in rows))
    done = program("remove", listed, "-o", tmp_path / "out", "--dry-run", check=0)
    assert b"would remove 2 objects from" in done.stdout


@pytest.mark.usefixtures("photo")
@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"photo": "photo.png", "box": "1,2"}, "four numbers"),
        ({"photo": "photo.png", "box": "1,2,3,4", "output": "../x.png"}, "outside the output"),
    ],
)
def test_a_bad_row_fails_alone(program, row, words, tmp_path):
    listed = write_list(tmp_path / "list.csv", [row])
    done = program("remove", listed, "-o", tmp_path / "out", check=1)
    assert words in done.stderr.decode()


@pytest.mark.usefixtures("photo")
def test_a_list_needs_a_folder_and_has_no_single_mask(program, tmp_path):
    listed = write_list(tmp_path / "list.csv", [{"photo": "photo.png", "box": "1,1,9,9"}])
    program("remove", listed, check=2)
    program("remove", listed, "-o", tmp_path / "out", "--mask-out", "m.png", check=2)
    (tmp_path / "wrong.csv").write_text("photo,mask\nphoto.png,m.png\n")
    done = program("remove", tmp_path / "wrong.csv", "-o", tmp_path / "out", check=2)
    assert b"photo, box, point, polygon, output" in done.stderr
