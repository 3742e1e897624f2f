"""Promises of what makes the watch look."""

import errno
import queue
import shutil
from contextlib import closing, contextmanager

import pytest

from inpaintcli.errors import UsageError
from inpaintcli.watch.observer import POLL_SHARE, PRESENCE_S, RESCAN_S, FolderObserver
from inpaintcli.watch.stability import Event
from tests.inpaintcli.watch.watched import Clock


@contextmanager
def observing(*arguments, **options):
    """A FolderObserver between `start` and `close`."""
    with closing(FolderObserver(*arguments, **options)) as observer:
        observer.start()
        yield observer


class Observer:
    """Stands for watchdog's; refuses to begin where `error` says so."""

    error: OSError | None = None
    started = 0

    def __init__(self):
        self.emitters = set()

    def schedule(self, *_arguments, **_options):
        pass

    def start(self):
        if Observer.error:
            raise Observer.error
        Observer.started += 1

    def stop(self):
        pass

    def is_alive(self):
        return False


@pytest.fixture(autouse=True)
def _fresh():
    Observer.error, Observer.started = None, 0


@pytest.fixture
def clock():
    return Clock()


def nothing_new(_roots):
    return 0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE])
def test_where_the_system_s_limit_is_reached_the_way_out_is_named(tmp_path, code):
    Observer.error = OSError(code, "limit")
    with pytest.raises(UsageError, match=r"limit fs\.inotify") as caught:
        FolderObserver((tmp_path,), print, observer=Observer).start()
    assert "--poll" in caught.value.hint


def test_one_more_observer_is_not_needed_so_a_limit_of_those_is_none(tmp_path, monkeypatch):
    observer = FolderObserver((tmp_path,), print, observer=Observer)
    started = observer._started

    def second_refused(*, recursive):
        monkeypatch.setattr(Observer, "error", OSError(errno.EMFILE, "limit"))
        return started(recursive=recursive) if not recursive else Observer()

    monkeypatch.setattr(observer, "_started", second_refused)
    with closing(observer):
        observer.start()
        assert observer.missing == []


def test_polling_asks_for_no_events(tmp_path, clock):
    Observer.error = OSError(errno.ENOSPC, "limit")
    with observing((tmp_path,), print, poll_s=3, clock=clock, observer=Observer) as observer:
        scans = []
        for _ in range(7):
            observer.look(lambda roots: scans.append(roots) or 0)
            clock.now += 1
    assert scans == [(tmp_path,)] * 3


def test_folders_are_looked_through_at_intervals_where_events_come_too(tmp_path, clock):
    with observing((tmp_path,), print, clock=clock, observer=Observer) as observer:
        scans = []
        for _ in range(int(2 * RESCAN_S) + 1):
            observer.look(lambda roots: scans.append(roots) or 0)
            clock.now += 1
    assert len(scans) == 3


def test_a_huge_folder_is_looked_through_less_often(tmp_path, clock):
    def slow(_roots):
        clock.now += 1.0
        return 0

    with observing((tmp_path,), print, poll_s=2, clock=clock, observer=Observer) as observer:
        observer.look(slow)
        clock.now += 1 / POLL_SHARE - 1
        observer.look(lambda _: pytest.fail("too early"))


def test_a_folder_that_goes_is_waited_for_and_then_looked_through(tmp_path, clock):
    root, scans = tmp_path / "in", []
    root.mkdir()
    scan = lambda roots: scans.append(roots) or 0  # noqa: E731
    with observing((root,), print, clock=clock, observer=Observer) as observer:
        assert observer.look(scan) == ""
        shutil.rmtree(root)
        clock.now += PRESENCE_S
        assert observer.look(scan) == "gone"
        assert observer.missing == [root]
        clock.now += 100
        assert observer.look(scan) == ""
        assert len(scans) == 1
        root.mkdir()
        begun = Observer.started
        clock.now += PRESENCE_S
        assert observer.look(scan) == "back"
        assert len(scans) == 2
        assert Observer.started > begun


def test_a_folder_replaced_by_another_is_watched_anew(tmp_path, clock):
    root, scans = tmp_path / "in", []
    root.mkdir()
    with observing((root,), print, clock=clock, observer=Observer) as observer:
        observer.look(nothing_new)
        root.rename(tmp_path / "old")
        root.mkdir()
        clock.now += PRESENCE_S
        observer.look(lambda roots: scans.append(roots) or 0)
    assert scans == [(root,)]


def test_a_limit_reached_later_is_reported_once_and_looking_goes_on(tmp_path, clock):
    with observing((tmp_path,), print, clock=clock, observer=Observer) as observer:
        observer.look(nothing_new)
        Observer.error = OSError(errno.ENOSPC, "limit")
        told = []
        for _ in range(3):
            clock.now += RESCAN_S
            told.append(observer.look(lambda _: 1))
    assert told == ["limit", "", ""]


def test_the_system_s_events_come_as_ours(tmp_path):
    """The real observer of this system."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    (tmp_path / "sub").mkdir()
    with observing((tmp_path,), events.put):
        (tmp_path / "sub/a.tmp").write_text("x")
        (tmp_path / "sub/a.tmp").rename(tmp_path / "sub/a.png")
        (tmp_path / "sub/a.png").unlink()
        seen = []
        while not (seen and seen[-1].kind == "deleted"):
            seen.append(events.get(timeout=10))
    moved = next(event for event in seen if event.kind == "moved")
    assert (moved.path, moved.target) == (tmp_path / "sub/a.tmp", tmp_path / "sub/a.png")
    assert seen[-1].path == tmp_path / "sub/a.png"
    assert not any(event.is_folder for event in seen)
