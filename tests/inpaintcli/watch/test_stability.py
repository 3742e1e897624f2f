"""Promises of telling when a file is whole."""

import errno
import os

import pytest

from inpaintcli.watch.stability import Event, StabilityTracker, Timing
from tests.inpaintcli.watch.watched import Clock

TIMING = Timing()


class Pngs:
    """All files of one suffix, but for one folder."""

    def is_searched(self, folder):
        return folder.name != "out"

    def has_picture_name(self, name):
        return name.endswith(".png")

    def includes(self, path):
        return self.has_picture_name(path.name) and self.is_searched(path.parent)


@pytest.fixture
def clock():
    return Clock()


def stability_tracker(clock, *, reports_closing=True, wall_clock=0.0):
    return StabilityTracker(
        file_filter=Pngs(),
        timing=TIMING,
        reports_closing=reports_closing,
        clock=clock,
        wall_clock=lambda: wall_clock,
    )


def whole(files, clock, seconds):
    clock.now += seconds
    return [path.name for path in files.take_changes()[0]]


def test_a_closed_file_is_complete_after_a_moment(tmp_path, clock):
    files, path = stability_tracker(clock), tmp_path / "a.png"
    path.write_text("x")
    files.handle(Event("closed", path))
    assert whole(files, clock, 0.0) == []
    assert whole(files, clock, TIMING.closed_s) == ["a.png"]
    assert whole(files, clock, 100) == []


def test_a_renamed_file_is_complete_after_a_moment(tmp_path, clock):
    files, path = stability_tracker(clock), tmp_path / "a.png"
    path.write_text("x")
    files.handle(Event("moved", tmp_path / "a.tmp", target=path))
    assert whole(files, clock, TIMING.closed_s) == ["a.png"]


def test_a_file_being_written_is_not_complete_until_it_is_closed(tmp_path, clock):
    files, path = stability_tracker(clock), tmp_path / "a.png"
    for size in range(1, 5):
        path.write_text("x" * size)
        files.handle(Event("modified", path))
        assert whole(files, clock, 5) == []
    files.handle(Event("closed", path))
    assert whole(files, clock, TIMING.closed_s) == ["a.png"]


def test_a_writer_that_never_closes_is_given_up_in_the_end(tmp_path, clock):
    files, path = stability_tracker(clock), tmp_path / "a.png"
    path.write_text("x")
    files.handle(Event("modified", path))
    assert whole(files, clock, TIMING.open_s) == ["a.png"]
    assert files.incomplete_until(path) <= clock.now


def test_where_nobody_tells_of_closing_size_and_time_have_to_stay(tmp_path, clock):
    files, path = stability_tracker(clock, reports_closing=False), tmp_path / "a.png"
    path.write_text("x")
    files.handle(Event("created", path))
    path.write_text("xx")  # without an event
    assert whole(files, clock, TIMING.quiet_s) == []
    assert whole(files, clock, TIMING.quiet_s) == ["a.png"]


def test_an_empty_file_waits_for_its_writer(tmp_path, clock):
    files, path = stability_tracker(clock), tmp_path / "a.png"
    path.touch()
    files.handle(Event("created", path))
    assert whole(files, clock, TIMING.broken_s) == []
    assert whole(files, clock, TIMING.open_s) == ["a.png"]


def test_a_file_whose_time_is_set_after_closing_counts_as_new_once(tmp_path, clock):
    files, path = stability_tracker(clock), tmp_path / "a.png"
    path.write_text("x")
    files.handle(Event("closed", path))
    os.utime(path, (5, 5))
    assert whole(files, clock, TIMING.closed_s) == []
    assert whole(files, clock, TIMING.quiet_s) == ["a.png"]
    assert whole(files, clock, 100) == []


def test_what_is_there_and_old_before_the_watch_begins_is_complete_at_once(tmp_path, clock):
    path = tmp_path / "sub/a.png"
    path.parent.mkdir()
    path.write_text("x")
    files = stability_tracker(clock, wall_clock=path.stat().st_mtime + TIMING.found_s + 1)
    assert files.scan([tmp_path]) == 1
    assert whole(files, clock, 0) == ["a.png"]


def test_later_the_age_of_a_found_file_does_not_count_for_clocks_of_servers_differ(tmp_path, clock):
    files = stability_tracker(clock, wall_clock=1e12)
    files.scan([tmp_path])
    (tmp_path / "a.png").write_text("x")
    assert files.scan([tmp_path]) == 1
    assert whole(files, clock, 0) == []
    assert whole(files, clock, TIMING.found_s) == ["a.png"]


def test_a_scan_finds_what_no_event_reported_and_only_that(tmp_path, clock):
    files, path = stability_tracker(clock, wall_clock=1e12), tmp_path / "a.png"
    path.write_text("x")
    files.scan([tmp_path])
    assert whole(files, clock, 9) == ["a.png"]
    assert files.scan([tmp_path]) == 0
    path.write_text("longer")
    assert files.scan([tmp_path]) == 1
    assert whole(files, clock, 9) == ["a.png"]
    path.unlink()
    files.scan([tmp_path])
    assert files.take_changes() == ([], [path])


def test_folders_are_followed_where_they_are_created_moved_and_deleted(tmp_path, clock):
    files, old, new = stability_tracker(clock), tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "a.png").write_text("x")
    files.handle(Event("created", old, is_folder=True))
    assert whole(files, clock, 9) == ["a.png"]
    old.rename(new)
    files.handle(Event("moved", old, is_folder=True, target=new))
    clock.now += 9
    assert files.take_changes() == ([new / "a.png"], [old / "a.png"])
    (new / "a.png").unlink()
    files.handle(Event("deleted", new, is_folder=True))
    assert files.take_changes() == ([], [new / "a.png"])


def test_unwanted_files_and_folders_are_left_alone(tmp_path, clock):
    (tmp_path / "out").mkdir()
    for name in ("a.txt", "out/b.png"):
        (tmp_path / name).write_text("x")
    files = stability_tracker(clock, wall_clock=1e12)
    assert files.scan([tmp_path]) == 0
    files.handle(Event("closed", tmp_path / "a.txt"))
    assert files.next_due() == float("inf")


def test_what_is_in_a_folder_that_cannot_be_listed_is_not_taken_for_gone(
    tmp_path, clock, monkeypatch
):
    path = tmp_path / "share/a.png"
    path.parent.mkdir()
    path.write_text("x")
    files = stability_tracker(clock, wall_clock=1e12)
    files.scan([tmp_path])
    assert whole(files, clock, 0) == ["a.png"]
    scandir = os.scandir

    def stale(folder):
        if folder == str(path.parent):
            raise OSError(errno.ESTALE, "Stale file handle")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", stale)
    assert files.scan([tmp_path]) == 0
    assert files.take_changes() == ([], [])


def test_loops_of_links_are_not_followed(tmp_path, clock):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "sub/a.png").write_text("x")
    assert stability_tracker(clock, wall_clock=1e12).scan([tmp_path]) == 1


def test_a_damaged_file_is_young_for_a_while_and_longer_while_it_is_open(tmp_path, clock):
    files, path = stability_tracker(clock), tmp_path / "a.png"
    path.write_text("x")
    files.handle(Event("closed", path))
    assert files.incomplete_until(path) == clock.now + TIMING.broken_s
    files.handle(Event("modified", path))
    assert files.incomplete_until(path) == clock.now + TIMING.open_s
    files.forget(path)
    assert files.incomplete_until(path) == float("-inf")
