"""Nothing that was drawn is lost, and nothing is filled twice: other servers, tabs, full disks."""

import errno
import json
import threading

import pytest
from PIL import Image

from inpaintcli.errors import OutputError
from inpaintcli.ui import photo_store
from tests.conftest import photo_pixels
from tests.inpaintcli.ui.conftest import FILL, STROKE


class Slow:
    """Holds an engine in its first fill until it is let go."""

    def __init__(self, engine, monkeypatch):
        self.begun, self.go = threading.Event(), threading.Event()
        real = engine._run

        def run(arrays):
            self.begun.set()
            assert self.go.wait(60)
            return real(arrays)

        monkeypatch.setattr(engine, "_run", run)


@pytest.fixture
def slow(engine, monkeypatch):
    held = Slow(engine, monkeypatch)
    yield held
    held.go.set()


def test_another_server_goes_on_from_the_edits_and_fills_nothing_again(start, engine):
    first = start()
    photo = first.ids["a.png"]
    first.edit(photo, STROKE)
    first.edit(photo, FILL)
    first.edit(photo, {**STROKE, "id": "stroke-01", "points": [[10, 40, 3]]})
    before = first.filled(photo)
    result = first.get(f"api/photos/{photo}/result").content
    first.close()
    calls = len(engine.seen)
    second = start()
    after = second.state(photo)
    assert {**after, "id": 0} == {**before, "id": 0}
    assert second.get(f"api/photos/{photo}/result").content == result
    assert second.edit(photo, FILL)["done"] == 3, "an edit that is sent again is not done again"
    assert len(engine.seen) == calls


def test_a_fill_that_a_server_did_not_end_is_done_by_the_next(start, slow):
    first = start()
    photo = first.ids["a.png"]
    first.edit(photo, STROKE)
    first.edit(photo, FILL)
    assert slow.begun.wait(60)
    threading.Timer(0.2, slow.go.set).start()
    first.close()
    second = start()
    state = second.filled(photo)
    assert [edit.get("ready") for edit in state["edits"]] == [None, [0]]


def test_a_result_that_was_stored_before_a_crash_is_taken(start, engine):
    first = start()
    photo = first.ids["a.png"]
    first.edit(photo, STROKE)
    first.edit(photo, FILL)
    first.filled(photo)
    folder = first.photos.open(photo).store.folder
    first.close()
    state = json.loads((folder / "photo.json").read_bytes())
    state["edits"][1]["ready"] = []
    (folder / "photo.json").write_text(json.dumps(state))
    calls = len(engine.seen)
    second = start()
    assert second.filled(photo)["edits"][1]["ready"] == [0]
    assert len(engine.seen) == calls


def test_a_cancelled_fill_leaves_its_mask_and_later_strokes(start, slow):
    server = start()
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    server.edit(photo, FILL)
    assert slow.begun.wait(60)
    server.edit(photo, {**STROKE, "id": "stroke-01", "points": [[10, 40, 3]]})
    state = server.post(f"api/photos/{photo}/cancel", {}).json()
    assert [edit["kind"] for edit in state["edits"]] == ["stroke", "stroke"]
    assert state["has_mask"]
    assert not state["working"]
    slow.go.set()
    assert server.filled(photo)["picture"] == state["picture"]


def test_a_fill_that_is_undone_while_it_runs_changes_nothing(start, slow):
    server = start()
    photo = server.ids["a.png"]
    before = server.edit(photo, STROKE)
    server.edit(photo, FILL)
    assert slow.begun.wait(60)
    server.post(f"api/photos/{photo}/position", {"done": 1})
    slow.go.set()
    assert server.filled(photo)["picture"] == before["picture"]


def test_a_failing_engine_is_reported_and_the_next_fill_goes_on(start, engine, monkeypatch):
    server = start()
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    with monkeypatch.context() as broken:
        broken.setattr(engine, "_run", lambda _: 1 / 0)
        server.edit(photo, FILL)
        state = server.filled(photo)
    assert "ZeroDivisionError" in state["problem"]["message"]
    assert state["has_mask"]
    server.edit(photo, {**FILL, "id": "fill-0001"})
    assert server.filled(photo)["problem"] is None


def test_edits_of_a_photo_that_has_changed_are_put_aside(start, photos):
    first = start()
    photo = first.ids["a.png"]
    first.edit(photo, STROKE)
    folder = first.photos.open(photo).store.folder
    first.close()
    Image.fromarray(photo_pixels(50, 70)).save(photos / "a.png")
    state = start().state(photo)
    assert (state["done"], state["width"]) == (0, 70)
    assert (folder / "photo.json.old").exists()


def test_damaged_edits_are_put_aside(start):
    first = start()
    photo = first.ids["a.png"]
    first.edit(photo, STROKE)
    folder = first.photos.open(photo).store.folder
    first.close()
    (folder / "photo.json").write_bytes(b'{"schema": 1')
    assert start().state(photo)["done"] == 0


def test_two_servers_do_not_work_on_one_photo(start):
    first, second = start(), start()
    photo = first.ids["a.png"]
    first.edit(photo, STROKE)
    answer = second.get(f"api/photos/{photo}")
    assert answer.status_code == 409
    assert "another" in answer.json()["message"]
    assert second.state(second.ids["b.jpg"])["done"] == 0


def test_an_edit_that_cannot_be_stored_is_refused_and_not_applied(server, monkeypatch):
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)

    def full(*_arguments, **_options):
        raise OutputError(f"photo.json cannot be written: {errno.ENOSPC}")

    with monkeypatch.context() as disk:
        disk.setattr(photo_store, "write_bytes", full)
        answer = server.post(f"api/photos/{photo}/edits", {"id": "invert-0", "kind": "invert"})
        assert answer.status_code == 409
    assert server.state(photo)["done"] == 1


def test_files_of_edits_that_were_undone_and_replaced_are_removed(server):
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    server.edit(photo, FILL)
    server.filled(photo)
    folder = server.photos.open(photo).store.folder
    assert list(folder.glob("fill-0000*"))
    server.post(f"api/photos/{photo}/position", {"done": 1})
    server.edit(photo, {"id": "invert-0", "kind": "invert"})
    assert not list(folder.glob("fill-0000*"))


def test_no_more_photos_than_a_few_are_open_at_a_time(start, photos):
    for number in range(5):
        Image.fromarray(photo_pixels(20, 30)).save(photos / f"more-{number}.png")
    server = start()
    for photo in server.ids.values():
        server.edit(photo, STROKE)
    assert len(server.photos._open) <= 2
    assert all(server.state(photo)["done"] == 1 for photo in server.ids.values())
