"""When is a file complete? From events and from scans, with the clock as a parameter.

An event only says that a file should be looked at; what counts is what `stat` says then. Where the
system reports that a writer closed a file (Linux), it is complete a moment after that; elsewhere
when its size and time have not changed for a while. The moment is for copying programs, many of
which set the file's time after closing it. Whether the content is a picture is found when it is
read: what cannot be read is tried again while the file may be incomplete (`incomplete_until`).
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
    """The waiting times of a watch, in seconds.

    closed_s: after a writer closed the file, or a rename gave it its name.
    quiet_s: without a change, where the system does not report closing.
    found_s: without a change, for a file found by a scan and not by an event.
    broken_s: without a change and still not readable: then the file is damaged.
    open_s: the same for a file whose writer has not closed it, and for empty ones.
    mask_s: after that, a photo without a mask or a mask without a photo is reported.
    forget_s: how long a photo is remembered once it is gone; editors delete, then rename.
    retry_s: the waits after each failure to write an output; after the last it has failed.
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
    """A change of a file or folder that the system reports; `target` is where it was moved to."""

    kind: Kind
    path: Path
    is_folder: bool = False
    target: Path | None = None


@dataclass(frozen=True)
class FileSnapshot:
    """Size, times and number of a file, which show a change without reading it.

    changed_ns is Unix's ctime and inode the file's number: one of them differs where another file
    of the same size and time takes the name, and where a file becomes readable.
    """

    size: int
    modified_ns: int
    changed_ns: int = 0
    inode: int = 0

    def has_content_of(self, other: Self | None) -> bool:
        """Whether size and time are those of the other: only mode, owner or links may differ."""
        if other is None:
            return False
        return (self.size, self.modified_ns) == (other.size, other.modified_ns)

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The snapshot of a file; None where there is no regular file."""
        try:
            status = path.stat()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class FileFilter(Protocol):
    """Which files and folders a watch is about."""

    def is_searched(self, folder: Path) -> bool:
        """Whether a folder is searched."""

    def has_picture_name(self, name: str) -> bool:
        """Whether a file of that name may be a photo or mask, whatever its folder."""

    def includes(self, path: Path) -> bool:
        """Whether a file may be a photo or mask, by its name and folder."""


@dataclass
class _File:
    snapshot: FileSnapshot
    changed: float
    """When a change was last seen, by the watch's clock."""
    due: float
    """When to look at it again; infinite once it is complete."""
    being_written: bool = False
    complete: bool = False


class StabilityTracker:
    """The files of a folder and its subfolders, and which of them are complete.

    Args:
        file_filter: which files and folders it is about.
        timing: the waiting times.
        reports_closing: there are events of kind "closed".
        clock: monotonic seconds.
        wall_clock: seconds since 1970, as in the times of files.
    """

    def __init__(
        self,
        *,
        file_filter: FileFilter,
        timing: Timing,
        reports_closing: bool,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
    ) -> None:
        self._filter, self._timing = file_filter, timing
        self._reports_closing, self._clock, self._wall_clock = reports_closing, clock, wall_clock
        self._files: dict[Path, _File] = {}
        self._paths: dict[str, Path] = {}
        self._incomplete: set[Path] = set()
        self._gone: list[Path] = []
        self._scanned = False
        self.unlistable: dict[Path, str] = {}
        """Folders that could not be listed in the last scan, with the reasons."""

    def handle(self, event: Event) -> None:
        """Update the files by an event."""
        if event.is_folder:
            self._handle_folder(event)
        elif event.kind == "deleted":
            self.forget(event.path)
        elif event.kind == "moved" and event.target is not None:
            self.forget(event.path)
            self._handle_file(event.target, "moved")
        elif event.kind != "moved":
            self._handle_file(event.path, event.kind)

    def _handle_folder(self, event: Event) -> None:
        if event.kind in ("deleted", "moved"):
            for path in [path for path in self._files if path.is_relative_to(event.path)]:
                self.forget(path)
        found = event.target if event.kind == "moved" else event.path
        if event.kind in ("created", "moved") and found is not None:
            self.scan([found])

    def _handle_file(self, path: Path, kind: str) -> None:
        if not self._filter.includes(path):
            return
        snapshot = FileSnapshot.of(path)
        if snapshot is None:
            self.forget(path)
            return
        known = self._files.get(path)
        if known is not None and known.complete and known.snapshot == snapshot:
            return
        now = self._clock()
        writing = self._reports_closing and kind == "modified"
        wait = self._timing.closed_s if self._reports_closing else self._timing.quiet_s
        if writing:
            wait = self._timing.open_s
        self._set_incomplete(path, _File(snapshot, now, now + wait, being_written=writing))

    def _set_incomplete(self, path: Path, file: _File) -> None:
        self._files[path] = file
        self._paths[str(path)] = path
        self._incomplete.add(path)

    def forget(self, path: Path) -> None:
        """The file is gone; or it is to count as new when it is seen again."""
        self._incomplete.discard(path)
        self._paths.pop(str(path), None)
        if self._files.pop(path, None) is not None:
            self._gone.append(path)

    def scan(self, folders: Iterable[Path]) -> int:
        """Scan folders for files that are not known from events.

        Returns:
            How many files were new or changed.
        """
        count = 0
        for folder in folders:
            found, unlisted = self._listed(folder)
            kept = {p: why for p, why in self.unlistable.items() if not p.is_relative_to(folder)}
            self.unlistable = {**kept, **unlisted}
            for path in [path for path in self._files if path not in found]:
                is_unlisted = any(path.is_relative_to(other) for other in unlisted)
                if path.is_relative_to(folder) and not is_unlisted:
                    self.forget(path)
            for path, snapshot in found.items():
                known = self._files.get(path)
                if known is None or known.snapshot != snapshot:
                    self._found(path, snapshot, is_new=known is None)
                    count += 1
        self._scanned = True
        return count

    def _listed(self, folder: Path) -> tuple[dict[Path, FileSnapshot], dict[Path, str]]:
        """All photos and masks below, and folders that could not be listed. Follows no links."""
        found: dict[Path, FileSnapshot] = {}
        unlisted: dict[Path, str] = {}
        pending = [str(folder)]
        while pending:
            current = pending.pop()
            try:
                with os.scandir(current) as entries:
                    pending += self._scan_entries(entries, found)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                unlisted[Path(current)] = error.strerror or str(error)
        return found, unlisted

    def _scan_entries(
        self, entries: Iterable[os.DirEntry[str]], found: dict[Path, FileSnapshot]
    ) -> list[str]:
        """Add photos and masks to `found`; returns the folders to search."""
        folders = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if self._filter.is_searched(Path(entry.path)):
                    folders.append(entry.path)
            elif self._filter.has_picture_name(entry.name):
                known = self._paths.get(
                    entry.path
                )  # a known file needs no second check of its name
                path = known or Path(entry.path)
                snapshot = FileSnapshot.of(path) if known or self._filter.includes(path) else None
                if snapshot is not None:
                    found[path] = snapshot
        return folders

    def _found(self, path: Path, snapshot: FileSnapshot, *, is_new: bool) -> None:
        """Wait for a file found by a scan, except for old files in the first scan.

        Only in the first scan the file's own time is used: a file server's clock may be wrong.
        """
        now, wait = self._clock(), max(self._timing.found_s, self._timing.quiet_s)
        if is_new and not self._scanned:
            wait -= max(0.0, min(wait, self._wall_clock() - snapshot.modified_ns / 1e9))
        self._set_incomplete(path, _File(snapshot, now, now + wait))

    def take_changes(self) -> tuple[list[Path], list[Path]]:
        """Since the last call: the files that became complete, oldest first, and those gone."""
        now = self._clock()
        due = [path for path in self._incomplete if self._files[path].due <= now]
        complete = [path for path in due if self._check_complete(path)]
        complete.sort(key=lambda path: (self._files[path].changed, path))
        gone, self._gone = self._gone, []
        return complete, [path for path in gone if path not in self._files]

    def _check_complete(self, path: Path) -> bool:
        file, snapshot, now = self._files[path], FileSnapshot.of(path), self._clock()
        if snapshot is None:
            self.forget(path)
        elif snapshot != file.snapshot:
            wait = self._timing.open_s if file.being_written else self._timing.quiet_s
            self._files[path] = _File(snapshot, now, now + wait, being_written=file.being_written)
        elif snapshot.size == 0 and now < file.changed + self._timing.open_s:
            file.due = file.changed + self._timing.open_s  # its writer has not begun
        else:
            file.complete, file.due = True, float("inf")
            self._incomplete.discard(path)
            return True
        return False

    def next_due(self) -> float:
        """When `take_changes` may return something, by the clock; infinite if nothing is due."""
        return min((self._files[path].due for path in self._incomplete), default=float("inf"))

    @property
    def incomplete(self) -> int:
        """The number of known files that are not complete."""
        return len(self._incomplete)

    @property
    def known(self) -> set[Path]:
        """All known files, complete or not."""
        return set(self._files)

    def complete(self, path: Path) -> FileSnapshot | None:
        """The snapshot of a complete file; None for others."""
        file = self._files.get(path)
        return file.snapshot if file is not None and file.complete else None

    def incomplete_until(self, path: Path) -> float:
        """Until when an unreadable file may be incomplete rather than damaged, by the clock."""
        file = self._files.get(path)
        if file is None:
            return float("-inf")
        wait = self._timing.open_s if file.being_written else self._timing.broken_s
        return file.changed + wait
