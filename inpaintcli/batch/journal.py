"""The record of an output folder: one line for each photo that was settled.

A hidden file in the folder, JSON lines, only ever appended to; the last line about an output
counts. Where the folder is in a store, which cannot append, the file lies on this machine.

Before an output appears under its name, a line `writing` says what it will hold; after it has
appeared, or failed to, a line `filled` or `failed` settles it and is forced to the disk. What a
killed run left between the two, the next one makes good: its temporary file is removed, and an
output that holds what was announced counts as filled. A last line that was torn is cut off.

One run at a time writes to a folder: the file is locked, by a lock that ends with its process.
When it is opened and more than half of it no longer counts, it is written anew, and replaced.
"""

import contextlib
import errno
import os
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from inpaintcli.batch.records import JournalEntries, JournalEntry, unusable
from inpaintcli.errors import OutputError
from inpaintcli.imaging.images import TEMPORARY_SUFFIX
from inpaintcli.storage.locations import Location

NAME = ".inpaintcli-journal.jsonl"
COMPACT_BYTES = 1_000_000
"""A smaller journal is not worth writing anew."""
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}  # of file systems that cannot lock


class Journal:
    """The journal of an output folder, open for writing. A context manager.

    Threads may append at the same time.
    """

    def __init__(self, folder: Location, path: Path | None = None) -> None:
        """Open and lock it, and make good what a killed run left.

        Args:
            folder: of the outputs.
            path: of the journal, from `journal_of`; None where that is in the folder.

        Raises:
            OutputError: another run writes to the folder, or the file cannot be written.
        """
        self.folder = folder
        self.path = path or journal_of(folder)
        self._guard = threading.Lock()
        self._abandoned: list[Location] = []
        self._has_lock = False
        self._file = self._opened()
        try:
            self._recover()
            self._compact()
        except BaseException:
            os.close(self._file)
            raise

    def records(self) -> JournalEntries:
        """What it says so far.

        Raises:
            OutputError: it cannot be read.
        """
        return JournalEntries(self.path)

    def append(self, entry: JournalEntry, *, durable: bool = True) -> None:
        """Add a line, all of it or nothing; `durable` waits until the disk has it.

        Raises:
            OutputError: it cannot be written.
        """
        with self._guard:
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
        """Let the file and its lock go."""
        for temporary in self._abandoned:
            _remove(temporary)  # again: a worker elsewhere may have outlived the run that sent it
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _opened(self) -> int:
        """The locked file, which is there under its name still."""
        while True:
            try:
                file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            except OSError as error:
                raise unusable(self.path, "written", error) from error
            try:
                self._lock(file)
                # Whoever held the lock may have replaced the file since we opened it.
                if self._is_named(file):
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _is_named(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False

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
        """Write the lines that count into a new file, and let that take the name.

        Where that cannot be done the old one serves as well.
        """
        if os.name == "nt" or not self._has_lock:
            return  # an open file keeps its name there
        fresh = self.path.with_name(f"{self.path.name}.new")
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)  # of a run that was killed while it did this
            records = self.records()
            if records.whole_bytes >= COMPACT_BYTES and records.lines >= 2 * records.counting:
                self._replace(fresh, records)

    def _replace(self, fresh: Path, records: JournalEntries) -> None:
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        try:
            self._lock(file)  # before it has the name: nobody else may take it in between
            for line in records.counting_lines():
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
        """Cut a torn line off, settle what a killed run had begun, remove its temporary files."""
        records = self.records()
        os.ftruncate(self._file, records.whole_bytes)
        for entry in records.begun():
            if self.has_appeared(entry):
                self.append(replace(entry, status="filled", temporary=None))

    def has_appeared(self, entry: JournalEntry) -> bool:
        """Whether an announced output is there, whole; if not, what is left of it is removed."""
        output = _inside(self.folder, entry.output)
        if output is None:
            return False
        if _is_temporary(entry.temporary):
            self._abandoned.append(output.with_name(str(entry.temporary)))
            _remove(self._abandoned[-1])
        if _holds(output, entry):
            return True
        _remove_claim(output)
        return False


def journal_of(folder: Location, apart: Path | None = None) -> Path:
    """Where the journal of an output folder is.

    Args:
        folder: of the outputs.
        apart: a folder for the journals of outputs in stores; None for the user's own.
    """
    if isinstance(folder, Path):
        return folder / NAME
    if apart is None:
        from platformdirs import user_state_path

        apart = user_state_path("inpaintcli", appauthor=False) / "journals"
    return apart / f"{sha256(folder.text.encode()).hexdigest()[:16]}.jsonl"


def _holds(output: Location, entry: JournalEntry) -> bool:
    try:
        return output.is_file() and entry.holds(output)
    except OSError:
        return False


def _is_temporary(name: str | None) -> bool:
    """Whether it is a temporary file of ours, and nothing else, whatever the journal says."""
    ours = name and name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)
    return bool(name and ours and Path(name).name == name)


def _remove(temporary: Location) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()


def _remove_claim(output: Location) -> None:
    """Remove the empty file by which a name was claimed, on file systems without hard links."""
    with contextlib.suppress(OSError):
        if isinstance(output, Path) and output.is_file() and output.stat().st_size == 0:
            output.unlink()


def _inside(folder: Location, output: str) -> Location | None:
    """The path of an output, unless the line leads out of the folder."""
    relative = PurePosixPath(output)
    if relative.is_absolute() or ".." in relative.parts:
        return None
    return folder / relative


def _sync_folder(folder: Path) -> None:
    """Let the disk have the names in a folder, too."""
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
        """Lock a byte far behind the end, so that the journal stays readable.

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
