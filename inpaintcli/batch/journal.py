"""The journal of an output folder: one line for each photo that was filled or failed.

A hidden file in the folder, in JSON lines; lines are only ever appended, and the last one about an
output is valid. Where the folder is in a store, which cannot append, the file lies on this machine.

Before an output is published, a line `writing` says what it will hold; afterwards a line `filled`
or `failed` says how it ended, and is forced to the disk. If a run is killed between the two, the
next one repairs it: it removes the temporary file, and an output with the announced content counts
as filled. A torn last line is cut off.

One run at a time writes to a folder: the file is locked, and the lock ends with its process. If
more than half of a journal is no longer valid when it is opened, it is rewritten and replaced.
"""

import contextlib
import errno
import os
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path, PurePosixPath

from inpaintcli.batch.journal_entries import JournalEntry, JournalIndex, local_name, unusable
from inpaintcli.errors import OutputError
from inpaintcli.imaging.images import TEMPORARY_SUFFIX
from inpaintcli.storage.locations import Location
from inpaintcli.storage.user_folders import state_folder

NAME = ".inpaintcli-journal.jsonl"
COMPACT_BYTES = 1_000_000
"""A smaller journal is not rewritten."""
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}  # of file systems that cannot lock


class Journal:
    """The journal of an output folder, open for writing until `close`.

    Several threads may append at the same time.
    """

    def __init__(self, folder: Location, path: Path | None = None) -> None:
        """Open and lock it, and repair what a killed run left.

        Args:
            folder: the output folder.
            path: the journal's, from `journal_path`; None where that is in the folder.

        Raises:
            OutputError: another run writes to the folder, or the file cannot be written.
        """
        self.folder = folder
        self.path = path or journal_path(folder)
        self._write_lock = threading.Lock()
        self._temporaries: list[Location] = []
        self._has_lock = False
        self._file = self._opened()
        try:
            self._recover()
            self._compact()
        except BaseException:
            os.close(self._file)
            raise

    def index(self) -> JournalIndex:
        """The valid entries at this moment.

        Raises:
            OutputError: the journal cannot be read.
        """
        return JournalIndex(self.path)

    def append(self, entry: JournalEntry, *, durable: bool = True) -> None:
        """Append a line, whole or not at all; `durable` waits until it is on the disk.

        Where the output folder was moved away, a new journal is begun and locked under its name.

        Raises:
            OutputError: it cannot be written, or another run writes to the new folder.
        """
        with self._write_lock:
            if not self._has_its_name(self._file):
                fresh = self._opened()
                self._file, old = fresh, self._file
                os.close(old)
            end = os.fstat(self._file).st_size
            try:
                _write_all(self._file, entry.to_line())
                if durable:
                    os.fsync(self._file)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, end)
                raise unusable(self.path, "written", error) from error

    def close(self) -> None:
        """Close the file, which releases its lock."""
        for temporary in self._temporaries:
            _remove(temporary)  # again: a worker on another machine may have outlived its run
        os.close(self._file)

    def _opened(self) -> int:
        """The file, locked, after making sure that it still has its name."""
        while True:
            try:
                file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            except OSError as error:
                raise unusable(self.path, "written", error) from error
            try:
                self._lock(file)
                # The run that held the lock may have replaced the file since we opened it.
                if self._has_its_name(file):
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _has_its_name(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise unusable(self.path, "written", error) from error

    def _lock(self, file: int) -> None:
        try:
            _lock(file)
            self._has_lock = True
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            raise OutputError(
                f"Another run is writing to {self.folder}.",
                hint="Wait until it has ended, or name another output folder.",
            ) from error

    def _compact(self) -> None:
        """Rewrite the journal with its valid lines only; where that fails, the old one is kept."""
        if os.name == "nt" or not self._has_lock:
            return  # Windows cannot replace an open file
        fresh = self.path.with_name(f"{self.path.name}.new")
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)  # left by a run that was killed here
            index = self.index()
            if index.whole_bytes >= COMPACT_BYTES and index.lines >= 2 * index.valid:
                self._replace(fresh, index)

    def _replace(self, fresh: Path, index: JournalIndex) -> None:
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        try:
            self._lock(file)  # before the rename, so that no other run locks it in between
            for line in index.valid_lines():
                _write_all(file, line)
            os.fsync(file)
            fresh.replace(self.path)
        except OSError:
            os.close(file)
            fresh.unlink(missing_ok=True)
            raise
        self._file, old = file, self._file
        os.close(old)
        _sync_folder(self.path.parent)

    def _recover(self) -> None:
        """Cut off a torn line, record how unfinished outputs ended, remove temporary files."""
        index = self.index()
        os.ftruncate(self._file, index.whole_bytes)
        for entry in index.unfinished():
            if self.was_published(entry):
                self.append(replace(entry, status="filled", temporary=None))

    def was_published(self, entry: JournalEntry) -> bool:
        """Whether an announced output exists with its content; if not, its remains are removed."""
        output = _location_in(self.folder, entry.output)
        if output is None:
            return False
        if _is_temporary(entry.temporary):
            self._temporaries.append(output.with_name(str(entry.temporary)))
            _remove(self._temporaries[-1])
        return _has_content(output, entry)


def journal_path(folder: Location, journals: Path | None = None) -> Path:
    """The journal of an output folder.

    Args:
        folder: the output folder.
        journals: a local folder for the journals of outputs in stores; None for the user's own.

    Raises:
        UsageError: there is no folder of the user's own.
    """
    if isinstance(folder, Path):
        return folder / NAME
    if journals is None:
        journals = state_folder("the journal", "Name one with --journal.") / "journals"
    digest = sha256(folder.text.encode(errors="surrogateescape")).hexdigest()
    return journals / f"{digest[:16]}.jsonl"


def _has_content(output: Location, entry: JournalEntry) -> bool:
    try:
        return output.is_file() and entry.matches(output)
    except OSError:
        return False


def _is_temporary(name: str | None) -> bool:
    """Whether it is the name of a temporary file of this program: no other file is removed."""
    if not name or Path(name).name != name:
        return False
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def _remove(temporary: Location) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()


def _location_in(folder: Location, output: str) -> Location | None:
    """The location of an output; None if the line names one outside the folder."""
    try:
        relative = PurePosixPath(local_name(output) if isinstance(folder, Path) else output)
    except ValueError:
        return None  # damaged: no file has such a name
    if relative.is_absolute() or ".." in relative.parts:
        return None
    return folder / relative


def _sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, too."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


if os.name == "nt":
    import msvcrt

    def _lock(file: int) -> None:
        """Lock a byte far beyond the end, so that the journal stays readable.

        Raises:
            OSError: another process has it.
        """
        os.lseek(file, 1 << 40, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
else:
    import fcntl

    def _lock(file: int) -> None:
        """Lock the file.

        Raises:
            OSError: another process has it, or the file system has no locks.
        """
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
