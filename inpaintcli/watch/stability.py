"""When is a file whole? From events and from looking, with the clock as a parameter.

An event is a hint that a file deserves a look; what counts is what `stat` says then. Where the
system tells when a writer closes a file (Linux), a file is whole a moment after that; elsewhere
when its size and time stay. The moment lets a copying program set the time of the file, which many
do after they closed it. Whether the content is a picture is for the reader to find out: what cannot
be read is tried again while the file is `young`.
"""

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

Clock = Callable[[], float]
Kind = Literal["created", "modified", "closed", "moved", "deleted"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Waits of the watch, in seconds.

    closed_s: after a writer closed the file, or a rename gave it its name.
    quiet_s: without a change, where nobody tells when a file is closed.
    found_s: without a change, where a file was found by looking, not by an event.
    broken_s: quiet for so long and still not readable: it is damaged.
    open_s: the same for a file whose writer has not closed it, and for empty ones.
    mask_s: a photo without a mask, or a mask without a photo, is reported after that.
    forget_s: a photo is remembered so long after it is gone; editors delete, then rename.
    retry_s: after an output could not be written, each in turn; then it has failed.
    """

    closed_s: float = 0.1
    quiet_s: float = 0.4
    found_s: float = 2.0
    broken_s: float = 5.0
    open_s: float = 60.0
    mask_s: float = 60.0
    forget_s: float = 10.0
    retry_s: tuple[float, ...] = (10.0, 60.0, 300.0, 1800.0)


@dataclass(frozen=True)
class Event:
    """What the system told of a file or folder; `target` is where it was moved to."""

    kind: Kind
    path: Path
    is_folder: bool = False
    target: Path | None = None


@dataclass(frozen=True)
class Stamp:
    """What tells that a file has changed without reading it."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The stamp of a file; None where there is none, or no file."""
        try:
            status = path.stat()
        except (OSError, ValueError):
            return None
        is_file = stat.S_ISREG(status.st_mode)
        return cls(status.st_size, status.st_mtime_ns) if is_file else None


class Places(Protocol):
    """Which files and folders matter."""

    def enters(self, folder: Path) -> bool:
        """Whether a folder is looked into."""

    def names(self, name: str) -> bool:
        """Whether files of that name may matter, wherever they are."""

    def wants(self, path: Path) -> bool:
        """Whether a file matters, by its name and place."""


@dataclass
class _File:
    stamp: Stamp
    changed: float
    """When it last changed, by our clock."""
    due: float
    """When to look at it; infinite where it is whole."""
    being_written: bool = False
    whole: bool = False


class StabilityTracker:
    """The files of a tree, and which of them are whole.

    Args:
        places: which files and folders matter.
        timing: the waits.
        tells_closing: events of kind "closed" come.
        clock: monotonic seconds.
        wall: seconds since 1970, as files are stamped.
    """

    def __init__(
        self,
        *,
        places: Places,
        timing: Timing,
        tells_closing: bool,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self._places, self._timing = places, timing
        self._tells_closing, self._clock, self._wall = tells_closing, clock, wall
        self._files: dict[Path, _File] = {}
        self._paths: dict[str, Path] = {}
        self._unsettled: set[Path] = set()
        self._gone: list[Path] = []
        self._scanned = False
        self.closed: dict[Path, str] = {}
        """Folders that could not be listed when they were last looked at, and why."""

    def see(self, event: Event) -> None:
        """Take note of an event."""
        if event.is_folder:
            self._see_folder(event)
        elif event.kind == "deleted":
            self.forget(event.path)
        elif event.kind == "moved" and event.target is not None:
            self.forget(event.path)
            self._see_file(event.target, "moved")
        elif event.kind != "moved":
            self._see_file(event.path, event.kind)

    def _see_folder(self, event: Event) -> None:
        if event.kind in ("deleted", "moved"):
            for path in [path for path in self._files if path.is_relative_to(event.path)]:
                self.forget(path)
        found = event.target if event.kind == "moved" else event.path
        if event.kind in ("created", "moved") and found is not None:
            self.scan([found])

    def _see_file(self, path: Path, kind: str) -> None:
        if not self._places.wants(path):
            return
        stamp = Stamp.of(path)
        if stamp is None:
            self.forget(path)
            return
        known = self._files.get(path)
        if known is not None and known.whole and known.stamp == stamp:
            return
        now = self._clock()
        writing = self._tells_closing and kind == "modified"
        wait = self._timing.closed_s if self._tells_closing else self._timing.quiet_s
        if writing:
            wait = self._timing.open_s
        self._unsettle(path, _File(stamp, now, now + wait, being_written=writing))

    def _unsettle(self, path: Path, file: _File) -> None:
        self._files[path] = file
        self._paths[str(path)] = path
        self._unsettled.add(path)

    def forget(self, path: Path) -> None:
        """The file is gone, or shall be as new when it is seen again."""
        self._unsettled.discard(path)
        self._paths.pop(str(path), None)
        if self._files.pop(path, None) is not None:
            self._gone.append(path)

    def scan(self, folders: Iterable[Path]) -> int:
        """Look into folders: for what was there before, and for what no event told.

        Returns:
            How many files were new or changed.
        """
        count = 0
        for folder in folders:
            found, unseen = self._listed(folder)
            kept = {p: why for p, why in self.closed.items() if not p.is_relative_to(folder)}
            self.closed = {**kept, **unseen}
            for path in [path for path in self._files if path not in found]:
                is_unseen = any(path.is_relative_to(place) for place in unseen)
                if path.is_relative_to(folder) and not is_unseen:
                    self.forget(path)
            for path, stamp in found.items():
                known = self._files.get(path)
                if known is None or known.stamp != stamp:
                    self._found(path, stamp, is_new=known is None)
                    count += 1
        self._scanned = True
        return count

    def _listed(self, folder: Path) -> tuple[dict[Path, Stamp], dict[Path, str]]:
        """All wanted files below, and folders that could not be listed; links are not followed."""
        found: dict[Path, Stamp] = {}
        unseen: dict[Path, str] = {}
        pending = [str(folder)]
        while pending:
            place = pending.pop()
            try:
                with os.scandir(place) as entries:
                    pending += self._noted(entries, found)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                unseen[Path(place)] = error.strerror or str(error)
        return found, unseen

    def _noted(self, entries: Iterable[os.DirEntry[str]], found: dict[Path, Stamp]) -> list[str]:
        """Take the wanted files into `found`; returns the folders to look into."""
        folders = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if self._places.enters(Path(entry.path)):
                    folders.append(entry.path)
            elif self._places.names(entry.name):
                known = self._paths.get(entry.path)  # what was wanted once needs no second check
                path = known or Path(entry.path)
                stamp = Stamp.of(path) if known or self._places.wants(path) else None
                if stamp is not None:
                    found[path] = stamp
        return folders

    def _found(self, path: Path, stamp: Stamp, *, is_new: bool) -> None:
        """Wait; but not for what was there, and old, before the watch began.

        Only then the file's own time counts: the clock of a file server may be wrong.
        """
        now, wait = self._clock(), max(self._timing.found_s, self._timing.quiet_s)
        if is_new and not self._scanned:
            wait -= max(0.0, min(wait, self._wall() - stamp.modified_ns / 1e9))
        self._unsettle(path, _File(stamp, now, now + wait))

    def changes(self) -> tuple[list[Path], list[Path]]:
        """What became whole, oldest first, and what went, since the last call."""
        now = self._clock()
        due = [path for path in self._unsettled if self._files[path].due <= now]
        whole = [path for path in due if self._is_settled(path)]
        whole.sort(key=lambda path: (self._files[path].changed, path))
        gone, self._gone = self._gone, []
        return whole, [path for path in gone if path not in self._files]

    def _is_settled(self, path: Path) -> bool:
        file, stamp, now = self._files[path], Stamp.of(path), self._clock()
        if stamp is None:
            self.forget(path)
        elif stamp != file.stamp:
            wait = self._timing.open_s if file.being_written else self._timing.quiet_s
            self._files[path] = _File(stamp, now, now + wait, being_written=file.being_written)
        elif stamp.size == 0 and now < file.changed + self._timing.open_s:
            file.due = file.changed + self._timing.open_s  # its writer has yet to begin
        else:
            file.whole, file.due = True, float("inf")
            self._unsettled.discard(path)
            return True
        return False

    def next_due(self) -> float:
        """When `changes` may have something, by the clock; infinite if nothing is awaited."""
        return min((self._files[path].due for path in self._unsettled), default=float("inf"))

    @property
    def unsettled(self) -> int:
        """How many files are known that are not whole."""
        return len(self._unsettled)

    @property
    def known(self) -> set[Path]:
        """All files that are here, whole or not."""
        return set(self._files)

    def whole(self, path: Path) -> Stamp | None:
        """The stamp of a whole file; None for others."""
        file = self._files.get(path)
        return file.stamp if file is not None and file.whole else None

    def young_until(self, path: Path) -> float:
        """Until when a file that cannot be read may only be unfinished, by the clock."""
        file = self._files.get(path)
        if file is None:
            return float("-inf")
        unclosed = file.being_written
        return file.changed + (self._timing.open_s if unclosed else self._timing.broken_s)
