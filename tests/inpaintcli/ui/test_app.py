"""What the page asks the server for: photos, views, masks, fills, results."""

import io
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.conftest import photo_pixels
from tests.inpaintcli.ui.conftest import FILL, STROKE, pixels
from tests.programs import PROGRAM, finished, grey


def mask_of(server, photo, **query):
    answer = server.get(f"api/photos/{photo}/mask.png", params=query)
    return pixels(io.BytesIO(answer.content)).astype(bool)


def test_the_photos_of_a_folder_are_listed_without_masks_and_results(photos, start):
    for name in ("a.filled.png", "a.mask.png"):
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(photos / name)
    assert sorted(start().ids) == ["a.png", "b.jpg"]


def test_the_page_and_all_that_it_names_are_served(server):
    page = server.get("").text
    assert "<title>inpaintcli" in page
    for name in ("style.css", "main.js", "icon.svg"):
        assert f"static/{name}" in page
        assert server.get(f"static/{name}").status_code == 200


def test_a_stroke_makes_a_mask_of_the_size_of_the_photo(server):
    photo = server.ids["a.png"]
    assert not mask_of(server, photo).any()
    assert server.edit(photo, STROKE)["has_mask"]
    mask = mask_of(server, photo)
    assert mask.shape == (48, 64)
    assert mask[15, 20]
    assert mask[30, 40]
    assert not mask[5, 50]


def test_the_same_edit_sent_twice_is_done_once(server):
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    assert server.edit(photo, STROKE)["done"] == 1


def test_a_fill_changes_the_hole_alone(server, photos):
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    hole = mask_of(server, photo)
    server.edit(photo, FILL)
    state = server.filled(photo)
    assert state["problem"] is None
    assert not state["has_mask"]
    after = pixels(io.BytesIO(server.get(f"api/photos/{photo}/result").content))
    before = pixels(photos / "a.png")
    assert (after[~hole] == before[~hole]).all()
    assert (after[hole] != before[hole]).any()
    assert (mask_of(server, photo, fill=FILL["id"]) == hole).all()


def test_undo_and_redo_of_a_fill_give_both_pictures_without_a_second_fill(server, engine):
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    server.edit(photo, FILL)
    filled = server.filled(photo)
    result = server.get(f"api/photos/{photo}/result").content
    calls = len(engine.seen)
    undone = server.post(f"api/photos/{photo}/position", {"done": 1}).json()
    assert undone["has_mask"]
    assert undone["picture"] != filled["picture"]
    redone = server.post(f"api/photos/{photo}/position", {"done": 2}).json()
    assert redone["picture"] == filled["picture"]
    assert server.get(f"api/photos/{photo}/result").content == result
    assert len(engine.seen) == calls


def test_several_fills_are_applied_to_the_original_one_after_the_other(server):
    photo = server.ids["a.png"]
    for number, y in enumerate((8, 24, 40)):
        server.edit(photo, {**STROKE, "id": f"stroke-0{number}", "points": [[30, y, 4]]})
        server.edit(photo, {**FILL, "id": f"fill-000{number}"})
    assert len([edit for edit in server.filled(photo)["edits"] if edit.get("ready")]) == 3


def test_another_try_is_kept_beside_the_first_and_either_may_be_shown(server):
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    server.edit(photo, {**FILL, "detail": "patches"})
    first = server.filled(photo)
    server.post(f"api/photos/{photo}/seed", {"fill": FILL["id"], "seed": 1})
    second = server.filled(photo)
    (fill,) = [edit for edit in second["edits"] if edit["kind"] == "fill"]
    assert (fill["ready"], fill["chosen"]) == ([0, 1], 1)
    assert second["picture"] != first["picture"]
    again = server.post(f"api/photos/{photo}/seed", {"fill": FILL["id"], "seed": 0}).json()
    assert again["picture"] == first["picture"]


def test_a_fill_without_a_mask_is_refused(server):
    answer = server.post(f"api/photos/{server.ids['a.png']}/edits", FILL)
    assert answer.status_code == 422
    assert "nothing to fill" in answer.json()["message"]


def test_a_mask_of_another_size_is_refused_with_both_sizes(server):
    photo = server.ids["a.png"]
    file = io.BytesIO()
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(file, "PNG")
    query = {"id": "imported-0", "name": "m.png"}
    answer = server.client.post(
        f"/a-secret-of-a-test/api/photos/{photo}/masks", params=query, content=file.getvalue()
    )
    assert answer.status_code == 422
    assert "10x10" in answer.json()["message"]
    assert "64x48" in answer.json()["message"]


def test_an_exported_mask_can_be_imported(server):
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    exported = server.get(f"api/photos/{photo}/mask.png").content
    mask = mask_of(server, photo)
    server.edit(photo, {"id": "clear-000", "kind": "clear"})
    server.client.post(
        f"/a-secret-of-a-test/api/photos/{photo}/masks",
        params={"id": "imported-0", "name": "m.png"},
        content=exported,
    )
    assert (mask_of(server, photo) == mask).all()


@pytest.mark.parametrize("masks", ["beside", "folder"])
def test_a_photo_begins_with_its_mask(start, photos, tmp_path, masks):
    mask = np.zeros((48, 64), np.uint8)
    mask[4:9, 5:20] = 255
    folder = tmp_path / "masks"
    folder.mkdir()
    Image.fromarray(mask).save(photos / "a.mask.png" if masks == "beside" else folder / "a.png")
    server = start(masks=folder if masks == "folder" else None)
    photo = server.ids["a.png"]
    assert server.state(photo)["has_mask"]
    assert (mask_of(server, photo) == (mask > 0)).all()


def test_saving_keeps_the_photo_and_asks_before_it_replaces(server, photos):
    photo = server.ids["a.png"]
    untouched = (photos / "a.png").read_bytes()
    server.edit(photo, STROKE)
    server.edit(photo, FILL)
    server.filled(photo)
    saved = server.post(f"api/photos/{photo}/save", {}).json()["saved"]["path"]
    assert saved == str(photos / "a.filled.png")
    again = server.post(f"api/photos/{photo}/save", {})
    assert (again.status_code, again.json()["exists"]) == (409, True)
    assert server.post(f"api/photos/{photo}/save", {"overwrite": True}).status_code == 200
    assert (photos / "a.png").read_bytes() == untouched


def test_into_an_output_folder_the_name_stays(start, tmp_path):
    server = start(output=tmp_path / "out")
    photo = server.ids["b.jpg"]
    server.post(f"api/photos/{photo}/save", {})
    assert (tmp_path / "out" / "b.jpg").exists()


def test_the_output_folder_may_be_that_of_the_photos(start, photos):
    server = start(output=photos)
    photo = server.ids["b.jpg"]
    server.post(f"api/photos/{photo}/save", {})
    assert (photos / "b.filled.jpg").read_bytes() == (photos / "b.jpg").read_bytes()


def test_a_view_is_a_part_at_the_size_that_was_asked_for(server, photos):
    photo = server.ids["a.png"]
    query = {"x": 10, "y": 5, "w": 20, "h": 16, "width": 20, "height": 16}
    whole = pixels(photos / "a.png")
    answer = server.get(f"api/photos/{photo}/view/before", params=query)
    assert (pixels(io.BytesIO(answer.content)) == whole[5:21, 10:30]).all()
    small = server.get(f"api/photos/{photo}/view/after", params={**query, "width": 10, "height": 8})
    assert pixels(io.BytesIO(small.content)).shape == (8, 10, 3)


def test_sixteen_bits_and_alpha_are_seen_in_eight_bits(start, photos):
    Image.fromarray(photo_pixels(48, 64, 1, 16)[..., 0]).save(photos / "deep.png")
    Image.fromarray(photo_pixels(48, 64, 4)).save(photos / "alpha.png")
    server = start()
    query = {"x": 0, "y": 0, "w": 64, "h": 48, "width": 32, "height": 24}
    for name, shape in (("deep.png", (24, 32)), ("alpha.png", (24, 32, 4))):
        answer = server.get(f"api/photos/{server.ids[name]}/view/after", params=query)
        seen = pixels(io.BytesIO(answer.content))
        assert (seen.dtype, seen.shape) == (np.uint8, shape)


@pytest.mark.parametrize("place", [{"box": [60, 40, 120, 100]}, {"point": [120, 90]}], ids=str)
def test_an_object_is_found_from_a_box_or_a_click(start, photos, place):
    scene = np.full((180, 240, 3), (70, 130, 180), np.uint8)
    scene += np.random.default_rng(3).integers(0, 9, scene.shape, np.uint8)
    y, x = np.mgrid[:180, :240]
    disk = (y - 90) ** 2 + (x - 120) ** 2 < 35**2
    scene[disk] = (200, 60, 30)
    Image.fromarray(scene).save(photos / "disk.png")
    server = start()
    photo = server.ids["disk.png"]
    fields = {"id": "object-00", **place}
    assert server.post(f"api/photos/{photo}/object", fields).json()["has_mask"]
    assert server.post(f"api/photos/{photo}/object", fields).json()["done"] == 1
    mask = mask_of(server, photo)
    assert mask[disk].mean() > 0.98
    assert mask[~disk].mean() < 0.1


@pytest.mark.parametrize(
    ("place", "status"), [({}, 400), ({"box": [1, 2]}, 400), ({"box": [900, 900, 5, 5]}, 422)]
)
def test_an_object_that_is_nowhere_is_refused(server, place, status):
    photo = server.ids["a.png"]
    answer = server.post(f"api/photos/{photo}/object", {"id": "object-00", **place})
    assert answer.status_code == status
    assert server.state(photo)["done"] == 0


def test_the_command_line_that_is_shown_gives_the_same_file(server, photos, tmp_path):
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    server.edit(photo, {**FILL, "grow": 2})
    server.filled(photo)
    (line,) = server.get(f"api/photos/{photo}/command").text.splitlines()
    words = shlex.split(line)
    assert words[:3] == ["inpaintcli", "fill", str(photos / "a.png")]
    assert words[words.index("--grow") + 1] == "2"
    done = finished([*grey(), *words[1:-1], str(tmp_path / "by-command.png")], 60)
    assert done.returncode == 0, done.stderr
    result = server.get(f"api/photos/{photo}/result").content
    assert (tmp_path / "by-command.png").read_bytes() == result


@pytest.mark.parametrize("name", ["a.png", "b.jpg"])
def test_a_harmonized_object_is_what_the_command_gives(server, photos, tmp_path, name):
    photo = server.ids[name]
    server.edit(photo, {"id": "box-00000", "kind": "box", "box": [10, 10, 20, 20]})
    server.edit(photo, {"id": "harmony-0", "kind": "harmonize", "amount": 80})
    state = server.filled(photo)
    assert state["problem"] is None
    (line,) = server.get(f"api/photos/{photo}/command").text.splitlines()
    words = shlex.split(line)
    assert words[:3] == ["inpaintcli", "harmonize", str(photos / name)]
    done = finished([*PROGRAM, *words[1:-1], tmp_path / name], 60)
    assert done.returncode == 0, done.stderr
    result = server.get(f"api/photos/{photo}/result").content
    assert result == (tmp_path / name).read_bytes()
    assert result != (photos / name).read_bytes()


def test_without_the_extra_the_command_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['uvicorn'] = None\nfrom inpaintcli.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "ui", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "inpaintcli[ui]" in done.stderr
