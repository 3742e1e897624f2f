"""When a watch scans its folders: events of the system, intervals, folders that come and go.

Events are quick, but some are lost (a full queue, a network share, a folder that is made and filled
at once), so the folders are scanned at intervals as well; with polling, only that. If a folder
vanishes, it is waited for. The library for events is watchdog, imported only here.
"""

import errno
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast, get_args

from inpaintcli.errors import UsageError
from inpaintcli.watch.stability import Clock, Event, Kind

EventHandler = Callable[[Event], None]
Scan = Callable[[tuple[Path, ...]], int]
"""Scans folders; returns how many files were new or changed without an event."""
Change = Literal["gone", "back", "limit", ""]
RESCAN_S = 10.0
"""Between two scans where there are events as well."""
PRESENCE_S = 1.0
"""Between two checks that the folders exist."""
SHARE, POLL_SHARE = 0.005, 0.01
"""The share of time that scans may take, with events and without: a huge folder is scanned less
often."""
_LIMITS = {
    errno.ENOSPC: "fs.inotify.max_user_watches",
    errno.EMFILE: "fs.inotify.max_user_instances",
}

REPORTS_CLOSING = sys.platform == "linux"
"""Whether the system reports that a writer has closed a file."""

_Identity = tuple[int, int]


class FolderObserver:
    """Observes folders between `start` and `close`; `look` is called in every turn of the loop.

    Args:
        roots: the folders, with their subfolders.
        on_event: takes events, from other threads.
        poll_s: scan at this interval, in seconds, without events; None for events.
        clock: monotonic seconds.
        observer: makes one of watchdog's observers.
    """

    def __init__(
        self,
        roots: tuple[Path, ...],
        on_event: EventHandler,
        *,
        poll_s: float | None = None,
        clock: Clock = time.monotonic,
        observer: Callable[[], Any] | None = None,
    ) -> None:
        self._roots, self._on_event, self._poll_s, self._clock = roots, on_event, poll_s, clock
        self._make_observer = observer or _native
        self._observer: Any = None
        self._identities: list[_Identity | None] = []
        self._limited = False
        self._next_scan = self._next_check = float("-inf")

    def start(self) -> None:
        """Start to observe.

        Raises:
            UsageError: the system's limits do not allow it.
        """
        self._identities = [_identity(root) for root in self._roots]
        self._start_observing()

    def close(self) -> None:
        """Stop observing."""
        self._stop_observing()

    @property
    def missing(self) -> list[Path]:
        """The folders that did not exist at the last check."""
        found = zip(self._roots, self._identities, strict=True)
        return [root for root, identity in found if identity is None]

    def look(self, scan: Scan) -> Change:
        """Check and scan the folders if it is time.

        Returns:
            "gone" when a folder vanishes, "back" when all exist again, "limit" when new subfolders
            send no events because the system's limit is reached; else "".
        """
        change: Change = ""
        if self._clock() >= self._next_check:
            change = self._check()
            self._next_check = self._clock() + PRESENCE_S
        if self._clock() >= self._next_scan and not self.missing:
            change = self._scan(scan) or change
        return change

    @property
    def next_look(self) -> float:
        """When `look` has something to do, by the clock."""
        return min(self._next_check, self._next_scan)

    def _scan(self, scan: Scan) -> Change:
        is_first, began = self._next_scan == float("-inf"), self._clock()
        found = scan(self._roots)
        now = self._clock()
        pause, share = (RESCAN_S, SHARE) if self._poll_s is None else (self._poll_s, POLL_SHARE)
        self._next_scan = now + max(pause, (now - began) / share)
        if is_first or not found or self._poll_s is not None or self._limited:
            return ""
        self._limited = self._at_limit() is not None
        return "limit" if self._limited else ""

    def _check(self) -> Change:
        """Compare with the last check; there may be another folder of the same name."""
        was_missing = bool(self.missing)
        found = [_identity(root) for root in self._roots]
        changed, self._identities = found != self._identities, found
        if self.missing:
            self._stop_observing()
            self._next_scan = self._clock() + PRESENCE_S
            return "" if was_missing else "gone"
        change: Change = "back" if was_missing else ""
        if changed or not self._is_alive():
            self._stop_observing()
            self._next_scan = float("-inf")
            try:
                self._start_observing()
            except UsageError:
                change = "limit"  # the scans at intervals go on
        return change

    def _start_observing(self) -> None:
        if self._poll_s is not None:
            return
        self._observer = self._started(recursive=True)
        if (error := self._at_limit()) is not None:
            self._stop_observing()
            raise error

    def _started(self, *, recursive: bool) -> Any:
        observer = self._make_observer()
        try:
            for root in self._roots:
                _schedule(observer, self._on_event, root, recursive=recursive)
            observer.start()
        except OSError as error:
            _stop(observer)
            raise _refused(error, self._roots) from error
        return observer

    def _at_limit(self) -> UsageError | None:
        """The error if no further folder can be watched: watchdog ignores that for subfolders."""
        try:
            _stop(self._started(recursive=False))
        except UsageError as error:
            cause = error.__cause__
            return error if isinstance(cause, OSError) and cause.errno == errno.ENOSPC else None
        return None

    def _is_alive(self) -> bool:
        """Whether the threads of the observer, if there is one, are running."""
        return self._observer is None or all(e.is_alive() for e in self._observer.emitters)

    def _stop_observing(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            _stop(observer)


def _identity(folder: Path) -> _Identity | None:
    """Identifies a folder, also against another of the same name; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _native() -> Any:
    from watchdog.observers import Observer

    return Observer()


def _stop(observer: Any) -> None:
    observer.stop()
    if observer.is_alive():
        observer.join()


def _schedule(observer: Any, on_event: EventHandler, root: Path, *, recursive: bool) -> None:
    from watchdog import events

    class Handler(events.FileSystemEventHandler):
        def on_any_event(self, event: events.FileSystemEvent) -> None:
            converted = _converted(event)
            if converted is not None:
                on_event(converted)

    wanted = [
        events.FileCreatedEvent,
        events.FileModifiedEvent,
        events.FileClosedEvent,
        events.FileMovedEvent,
        events.FileDeletedEvent,
        events.DirCreatedEvent,
        events.DirMovedEvent,
        events.DirDeletedEvent,
    ]
    observer.schedule(Handler(), str(root), recursive=recursive, event_filter=wanted)


def _converted(event: Any) -> Event | None:
    """One of watchdog's events as an `Event`; None for kinds that do not concern the content."""
    if event.event_type not in get_args(Kind):
        return None
    target = Path(os.fsdecode(event.dest_path)) if event.event_type == "moved" else None
    kind = cast("Kind", event.event_type)
    return Event(kind, Path(os.fsdecode(event.src_path)), event.is_directory, target)


def _refused(error: OSError, roots: tuple[Path, ...]) -> UsageError:
    names = ", ".join(str(root) for root in roots)
    limit = _LIMITS.get(error.errno or 0)
    if limit:
        return UsageError(
            f"{names} cannot be watched: the system's limit {limit} is reached.",
            hint=f"Raise it (sysctl {limit}), or pass --poll to scan at intervals.",
        )
    return UsageError(
        f"{names} cannot be watched: {error.strerror or error}.",
        hint="Pass --poll to scan at intervals.",
    )
