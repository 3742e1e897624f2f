"""Promises of the watch: each pair once, nothing lost, nothing of somebody else's replaced."""

import errno
import itertools
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inpaintcli.errors import MaskMismatchError, OutputError, UnreadableError
from inpaintcli.watch.stability import Event, Timing
from tests.inpaintcli.watch.watched import Folder

TIMING = Timing()


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.mark.parametrize("order", list(itertools.permutations(["a.png", "a.mask.png"])))
def test_a_pair_is_ready_once_both_are_complete_whichever_comes_first(folder, order):
    first, second = order
    folder.put(first)
    assert folder.ready(30) == []
    folder.put(second)
    assert folder.ready() == ["a.png"]
    assert folder.ready(1000) == []


def test_names_that_look_the_same_are_a_pair(folder):
    folder.put("u\u0308ber.png")
    folder.put("\u00fcber.mask.png")
    assert folder.ready() == ["u\u0308ber.png"]


def test_names_that_differ_by_case_alone_are_two_photos_where_the_disk_says_so(folder):
    for name in ("a", "A"):
        folder.pair(name)
    if len(list(folder.photos.iterdir())) < 4:
        pytest.skip("this file system has no two names that differ in case alone")
    assert sorted(folder.ready()) == ["A.png", "a.png"]
    assert sorted(path.stem for path in folder.out.glob("*.png")) == ["A", "a"]


def test_the_output_mirrors_the_tree(folder):
    folder.pair("sub/deep/a")
    (pair,) = folder.wait(1)
    assert pair.job.output == folder.out / "sub/deep/a.png"
    assert pair.job.mask == folder.photos / "sub/deep/a.mask.png"


def test_a_photo_without_a_mask_is_reported_once_and_done_when_the_mask_comes(folder):
    folder.put("a.png")
    assert folder.ready(1) == []
    assert folder.ready(TIMING.mask_s - 1) == []
    assert folder.reported() == []
    assert folder.ready(1) == []
    assert folder.reported() == [("a.png", "no mask has come; it is filled when one comes")]
    assert folder.ready(TIMING.mask_s) == []
    assert folder.reported() == []
    folder.put("a.mask.png")
    assert folder.ready() == ["a.png"]


def test_a_mask_without_a_photo_is_reported_once_and_used_when_the_photo_comes(folder):
    folder.put("a.mask.png")
    folder.wait(1)
    folder.wait(TIMING.mask_s)
    assert folder.reported() == [
        ("a.mask.png", "a mask without a photo; it is used when one comes")
    ]
    folder.put("a.png")
    assert folder.ready() == ["a.png"]
    folder.wait(TIMING.mask_s)
    assert folder.reported() == []


def test_a_folder_that_cannot_be_listed_is_reported_once_until_it_can(folder, monkeypatch):
    unlistable = folder.photos / "closed"
    unlistable.mkdir()
    scandir = os.scandir

    def refuse(place):
        if place == str(unlistable):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(place)

    def looked():
        folder.tracker.scan([folder.photos])
        return [str(outcome.error) for outcome in folder.tracker.take_notices()]

    told = f"{unlistable} cannot be listed: Permission denied."
    monkeypatch.setattr(os, "scandir", refuse)
    assert (looked(), looked()) == ([told], [])
    monkeypatch.setattr(os, "scandir", scandir)
    assert looked() == []
    monkeypatch.setattr(os, "scandir", refuse)
    assert looked() == [told]


def test_masks_of_a_folder_of_their_own(tmp_path):
    (tmp_path / "masks").mkdir()
    folder = Folder(tmp_path, mask=str(tmp_path / "masks"))
    folder.put("a.jpg")
    folder.put("b.jpg")
    for name in ("a.png", "b_mask.png"):
        mask = tmp_path / "masks" / name
        mask.write_text("x")
        folder.tracker.handle(Event("closed", mask))
    assert sorted(folder.ready()) == ["a.jpg", "b.jpg"]


def test_with_alpha_or_one_mask_no_photo_waits(tmp_path):
    (tmp_path / "one.png").write_text("mask")
    for number, mask in enumerate(("alpha", str(tmp_path / "one.png"))):
        (tmp_path / str(number)).mkdir()
        folder = Folder(tmp_path / str(number), mask=mask)
        folder.put("a.png")
        folder.put("b.mask.png")  # a photo like any other, here
        assert sorted(folder.ready()) == ["a.png", "b.mask.png"]
        folder.wait(TIMING.mask_s)
        assert folder.reported() == []


def test_two_masks_are_reported_and_the_photo_done_when_one_is_gone(folder):
    folder.put("a.mask.png")
    folder.put("a.mask.tif")
    folder.put("a.png")
    assert folder.ready() == []
    ((name, message),) = folder.reported()
    assert name == "a.png"
    assert "More than one mask" in message
    folder.remove("a.mask.tif")
    assert folder.ready() == ["a.png"]


def test_what_has_its_output_already_is_skipped(folder):
    folder.out.mkdir()
    (folder.out / "a.png").write_text("of an earlier run")
    folder.pair("a")
    folder.pair("b")
    assert folder.ready() == ["b.png"]
    assert folder.reported() == [("a.png", "its output exists already")]
    folder.tracker.scan(folder.layout.roots)
    assert folder.ready(99) == []
    assert folder.reported() == []


def test_overwrite_replaces_what_is_there(tmp_path):
    folder = Folder(tmp_path, overwrite=True)
    folder.out.mkdir()
    (folder.out / "a.png").write_text("of an earlier run")
    folder.pair("a")
    (pair,) = folder.wait(1)
    assert pair.replaces


@pytest.mark.parametrize("name", ["a.png", "a.mask.png"])
def test_a_changed_photo_or_mask_is_filled_again_in_place_of_our_output(folder, name):
    folder.pair("a")
    assert folder.ready() == ["a.png"]
    folder.put(name, "anew")
    (pair,) = folder.wait(1)
    assert pair.replaces
    folder.fill(pair)
    assert folder.ready(99) == []


def test_an_output_that_somebody_has_changed_is_not_replaced(folder):
    folder.pair("a")
    assert folder.ready() == ["a.png"]
    (folder.out / "a.png").write_text("retouched by hand")
    folder.put("a.png", "anew")
    assert folder.ready() == []
    assert folder.reported() == [
        ("a.png", "it has changed, and so has its output since it was written")
    ]


def test_a_touched_photo_is_not_filled_again(folder):
    folder.pair("a")
    assert folder.ready() == ["a.png"]
    folder.put("a.png", "photo")  # the same content, another time
    assert folder.ready(99) == []
    assert folder.reported() == []


def test_another_mask_of_the_same_size_and_time_is_content(folder):
    folder.pair("a")
    assert folder.ready() == ["a.png"]
    mask = folder.photos / "a.mask.png"
    times, other = mask.stat(), folder.root / "other"
    other.write_text("y" * times.st_size)
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(mask)
    folder.tracker.handle(Event("moved", other, target=mask))
    assert folder.ready() == ["a.png"]


def test_a_photo_whose_mode_changes_is_tried_again(folder):
    photo = folder.pair("a")
    (pair,) = folder.wait(TIMING.broken_s)
    assert folder.fail(pair, UnreadableError("no permission")) is None
    photo.chmod(0o640)
    folder.tracker.scan([folder.photos])
    assert folder.ready(TIMING.found_s) == ["a.png"]


def test_a_touched_photo_whose_output_was_removed_is_filled_again(folder):
    folder.pair("a")
    assert folder.ready() == ["a.png"]
    (folder.out / "a.png").unlink()
    folder.put("a.png", "photo")
    assert folder.ready() == ["a.png"]


def test_a_photo_changed_during_the_fill_is_filled_again(folder):
    folder.pair("a")
    (pair,) = folder.wait(1)
    folder.put("a.png", "anew")
    assert folder.wait(1) == []
    folder.fill(pair, is_last=False)
    assert folder.ready() == ["a.png"]
    assert folder.ready(99) == []


def test_a_photo_changed_during_the_fill_and_back_is_filled_again(folder):
    folder.pair("a")
    assert folder.ready() == ["a.png"]
    folder.put("a.png", "anew")
    (pair,) = folder.wait(1)
    folder.put("a.png", "photo")
    folder.fill(pair, is_last=False)
    assert folder.ready() == ["a.png"]


def test_a_photo_deleted_during_the_fill_was_filled(folder):
    folder.pair("a")
    (pair,) = folder.wait(1)
    folder.remove("a.png")
    folder.fill(pair)
    assert folder.ready(99) == []


def test_editors_that_delete_and_rename_change_a_photo(folder):
    folder.pair("a")
    assert folder.ready() == ["a.png"]
    folder.remove("a.png")
    folder.wait(0.1)
    temporary = folder.put("a.png~", "anew", event="closed")
    temporary.rename(folder.photos / "a.png")
    folder.tracker.handle(Event("moved", temporary, target=folder.photos / "a.png"))
    (pair,) = folder.wait(1)
    assert pair.replaces


def test_a_photo_of_the_name_of_one_long_gone_does_not_replace_its_output(folder):
    folder.pair("a")
    assert folder.ready() == ["a.png"]
    folder.remove("a.png")
    folder.wait(1)
    folder.wait(TIMING.forget_s)
    folder.put("a.png", "of another day")
    assert folder.ready() == []
    assert folder.reported() == [("a.png", "its output exists already")]


def test_a_moved_photo_is_a_new_one(folder):
    folder.pair("a")
    folder.put("b.mask.png")
    assert folder.ready() == ["a.png"]
    (folder.photos / "a.png").rename(folder.photos / "b.png")
    folder.tracker.handle(Event("moved", folder.photos / "a.png", target=folder.photos / "b.png"))
    assert folder.ready() == ["b.png"]


def test_what_is_deleted_while_it_waits_in_the_queue_is_no_failure(folder):
    folder.pair("a")
    folder.clock.now += 1
    folder.tracker.tick()
    (folder.photos / "a.png").unlink()  # its event has yet to come
    assert list(folder.tracker.ready_pairs()) == []
    assert folder.wait(99) == []
    folder.put("a.png")
    assert folder.ready() == ["a.png"]


def test_a_photo_that_goes_and_comes_back_during_a_long_backlog_is_filled_once(folder):
    folder.pair("a")
    folder.clock.now += 1
    folder.tracker.tick()  # in the queue now
    folder.remove("a.png")
    folder.tracker.tick()
    folder.clock.now += TIMING.forget_s
    folder.tracker.tick()
    folder.put("a.png", "anew")
    folder.clock.now += 1
    folder.tracker.tick()
    assert [pair.job.photo.name for pair in folder.tracker.ready_pairs()] == ["a.png"]


def test_what_cannot_be_read_is_tried_again_before_it_has_failed(folder):
    folder.pair("a")
    (pair,) = folder.wait(1)
    wait = folder.fail(pair, UnreadableError("not a picture"))
    assert wait is not None
    assert folder.wait(wait - 0.1) == []
    (pair,) = folder.wait(0.2)
    assert folder.fail(pair, UnreadableError("not a picture")) is None
    assert folder.wait(9999) == []


def test_what_could_not_be_read_is_tried_at_once_when_it_is_written_anew(folder):
    folder.pair("a")
    (pair,) = folder.wait(1)
    assert folder.fail(pair, UnreadableError("cut off"))
    folder.put("a.png", "whole now")
    assert folder.ready(0.2) == ["a.png"]
    assert folder.ready(9999) == []


def test_a_mask_that_does_not_fit_a_photo_just_written_anew_gets_time_to_follow(folder):
    folder.pair("a")
    (pair,) = folder.wait(1)
    assert folder.fail(pair, MaskMismatchError("sizes differ"))
    folder.put("a.mask.png", "of the new size")
    assert folder.ready(0.2) == ["a.png"]


def test_an_output_that_cannot_be_written_is_tried_again_and_again_with_longer_waits(folder):
    folder.pair("a")
    waits, ready_pairs = [], folder.wait(1)
    while (wait := folder.fail(ready_pairs[0], OutputError("disk full"))) is not None:
        waits.append(wait)
        ready_pairs = folder.wait(wait)
    assert tuple(waits) == TIMING.retry_s


def test_a_photo_that_went_during_the_fill_is_no_failure(folder):
    folder.pair("a")
    (pair,) = folder.wait(1)
    (folder.photos / "a.png").unlink()
    assert folder.fail(pair, UnreadableError("does not exist")) == 0.0
    assert folder.wait(99) == []
    assert folder.reported() == []


def test_other_failures_are_believed_at_once_and_tried_again_when_something_changes(folder):
    folder.pair("a")
    (pair,) = folder.wait(1)
    folder.clock.now += 99
    assert folder.fail(pair, MaskMismatchError("sizes differ")) is None
    assert folder.wait(9999) == []
    folder.put("a.mask.png", "fits")
    assert folder.ready() == ["a.png"]


def test_inputs_that_we_moved_are_forgotten_at_once(folder):
    photo = folder.pair("a")
    assert folder.ready() == ["a.png"]
    for path in (photo, photo.with_name("a.mask.png")):
        path.unlink()
        folder.tracker.input_removed(path)
    shutil.rmtree(folder.out)
    folder.pair("a")
    (pair,) = folder.wait(1)
    assert not pair.replaces
    folder.fill(pair)
    assert folder.tracker.is_idle


@pytest.fixture
def done(folder):
    """Two pairs that an earlier watch has filled."""
    folder.pair("a")
    folder.pair("b")
    assert folder.ready() == ["a.png", "b.png"]
    return folder


DONE = "done already"
OUTPUT_EXISTS = "its output exists already"
CHANGED = "it has changed, and so has its output since it was written"


def test_after_a_restart_nothing_is_done_twice_and_that_is_reported_once(done):
    again = done.again()
    assert again.ready(5) == []
    assert sorted(again.reported()) == [("a.png", DONE), ("b.png", DONE)]
    again.tracker.scan(again.layout.roots)
    assert again.ready(99) == []
    assert again.reported() == []


@pytest.mark.parametrize("name", ["a.png", "a.mask.png"])
def test_what_changed_while_no_watch_ran_is_done_again_and_replaced(done, name):
    done.put(name, "changed", event=None)
    again = done.again()
    (pair,) = again.wait(5)
    assert pair.job.photo.name == "a.png"
    assert pair.replaces
    again.fill(pair, "filled anew")
    assert again.ready(99) == []
    assert done.again().ready(5) == []


def test_what_changes_after_a_restart_is_done_again_and_replaced(done):
    again = done.again()
    assert again.ready(5) == []
    again.put("a.png", "changed")
    (pair,) = again.wait(5)
    assert pair.replaces


def test_what_is_touched_after_a_restart_is_not(done):
    again = done.again()
    again.ready(5)
    again.put("a.png", "photo")
    assert again.ready(5) == []


def test_what_has_lost_its_output_is_done_again(done):
    (done.out / "a.png").unlink()
    assert done.again().ready(5) == ["a.png"]


def test_an_output_that_somebody_changed_meanwhile_is_not_replaced(done):
    (done.out / "a.png").write_text("retouched")
    done.put("a.png", "changed", event=None)
    again = done.again()
    assert again.ready(5) == []
    assert ("a.png", CHANGED) in again.reported()


def test_a_photo_that_comes_later_under_the_name_of_one_long_done_replaces_nothing(done):
    done.remove("a.png")
    again = done.again()
    again.ready(5)
    again.put("a.png", "another photo")
    assert again.ready(5) == []
    assert ("a.png", OUTPUT_EXISTS) in again.reported()


def test_where_inputs_are_archived_one_that_was_not_is_ready_without_filling(done):
    again = done.again(keeps_inputs=False)
    ready_pairs = again.wait(5)
    assert [pair.job.photo.name for pair in ready_pairs] == ["a.png", "b.png"]
    assert all(pair.is_filled for pair in ready_pairs)


def test_where_inputs_are_archived_another_photo_of_the_name_replaces_nothing(done):
    done.put("a.png", "another photo", event=None)
    again = done.again(keeps_inputs=False)
    assert [pair.job.photo.name for pair in again.wait(5)] == ["b.png"]
    assert again.reported() == [("a.png", OUTPUT_EXISTS)]


def test_one_mask_may_serve_two_photos(folder):
    folder.put("a.mask.png")
    photo = folder.put("a.png")
    folder.put("a.jpg")
    assert sorted(folder.ready()) == ["a.jpg", "a.png"]
    mask = folder.photos / "a.mask.png"
    assert folder.tracker.is_shared(mask, photo)
    folder.remove("a.jpg")
    folder.wait(0)
    assert not folder.tracker.is_shared(mask, photo)


NAMES = ["a.png", "a.mask.png", "b.png", "b.mask.png"]
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["write", "slowly", "rename", "delete", "touch", "wait"]),
        st.sampled_from(NAMES),
    ),
    max_size=25,
)


class Story:
    """Things that happen to files, with a worker that fills what is ready."""

    def __init__(self, root):
        for name in ("in", "out"):
            shutil.rmtree(root / name, ignore_errors=True)
        self.folder = Folder(root, overwrite=True)
        self.filled: dict[str, tuple[str, str]] = {}
        self.written = 0

    def work(self, seconds):
        for pair in self.folder.wait(seconds):
            name, content = pair.job.photo.name, content_of(pair.job.photo)
            assert self.filled.get(name) != content or not pair.job.output.exists()
            self.filled[name] = content
            self.folder.fill(pair, str(content))

    def act(self, act, name):
        path, self.written = self.folder.photos / name, self.written + 1
        if act in ("write", "slowly", "rename"):
            getattr(self, act)(name, path)
        elif act == "delete" and path.exists():
            self.folder.remove(name)
        elif act == "touch" and path.exists():
            self.folder.put(name, path.read_text())
        self.work(15 if act == "wait" else 0.05)

    def write(self, name, _path):
        self.folder.put(name, str(self.written))

    def slowly(self, name, _path):
        self.folder.put(name, f"half {self.written}", event="modified")
        self.work(3)
        self.folder.put(name, str(self.written))

    def rename(self, name, path):
        temporary = self.folder.put(f"{name}.tmp", str(self.written))
        temporary.rename(path)
        self.folder.tracker.handle(Event("moved", temporary, target=path))


def content_of(photo):
    return photo.read_text(), photo.with_suffix(".mask.png").read_text()


@given(acts=ACTS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_after_any_story_every_pair_was_filled_once_with_what_it_holds(tmp_path, acts):
    story = Story(tmp_path)
    for act, name in acts:
        story.act(act, name)
    for _ in range(3):
        story.work(100)
    photos = [story.folder.photos / name for name in ("a.png", "b.png")]
    for photo in photos:
        if photo.exists() and photo.with_suffix(".mask.png").exists():
            assert story.filled[photo.name] == content_of(photo)
    assert not any("half" in text for content in story.filled.values() for text in content)
    assert story.folder.tracker.is_idle
