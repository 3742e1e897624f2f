"""The record of an output folder: one line for each photo that was settled.

A hidden file in the folder, JSON lines, only ever appended to; the last line about an output
counts. Before an output appears under its name, a line `writing` says what it will hold; after it
has appeared, or failed to, a line `filled` or `failed` settles it and is forced to the disk. What
a killed run left between the two, the next one makes good: its temporary file is removed, and an
output that holds what was announced counts as filled. A last line that was torn is cut off.

One run at a time writes to a folder: the file is locked, by a lock that ends with its process.
"""

import contextlib
import errno
import os
import threading
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from inpaintcli.errors import OutputError
from inpaintcli.images import TEMPORARY_SUFFIX
from inpaintcli.records import Entry, Records, unusable

NAME = ".inpaintcli-journal.jsonl"
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}  # of file systems that cannot lock


class Journal:
    """The journal of an output folder, open for writing. A context manager.

    Threads may append at the same time.
    """

    def __init__(self, folder: Path) -> None:
        """Open and lock it, and make good what a killed run left.

        Raises:
            OutputError: another run writes to the folder, or the file cannot be written.
        """
        self.folder = folder
        self.path = folder / NAME
        self._guard = threading.Lock()
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise unusable(self.path, "written", error) from error
        try:
            self._lock()
            self._recover()
        except BaseException:
            os.close(self._file)
            raise

    def records(self) -> Records:
        """What it says so far.

        Raises:
            OutputError: it cannot be read.
        """
        return Records(self.path)

    def append(self, entry: Entry, *, durable: bool = True) -> None:
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

    def _lock(self) -> None:
        try:
            _lock(self._file)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            raise OutputError(
                f"Another run is writing to {self.folder}.",
                hint="Wait until it has ended, or name another output folder.",
            ) from error

    def _recover(self) -> None:
        """Cut a torn line off, settle what a killed run had begun, remove its temporary files."""
        records = self.records()
        os.ftruncate(self._file, records.whole_bytes)
        for entry in records.begun():
            output = _inside(self.folder, entry.output)
            if output is None:
                continue
            _remove_temporary(output.parent, entry.temporary)
            if _holds(output, entry):
                self.append(replace(entry, status="filled", temporary=None))
            else:
                _remove_claim(output)


def _holds(output: Path, entry: Entry) -> bool:
    try:
        return output.is_file() and entry.holds(output)
    except OSError:
        return False


def _remove_temporary(folder: Path, name: str | None) -> None:
    """Remove a temporary file of ours, and nothing else, whatever the journal says."""
    ours = name and name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)
    if name and ours and Path(name).name == name:
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def _remove_claim(output: Path) -> None:
    """Remove the empty file by which a name was claimed, on file systems without hard links."""
    with contextlib.suppress(OSError):
        if output.is_file() and output.stat().st_size == 0:
            output.unlink()


def _inside(folder: Path, output: str) -> Path | None:
    """The path of an output, unless the line leads out of the folder."""
    relative = PurePosixPath(output)
    if relative.is_absolute() or ".." in relative.parts:
        return None
    return folder / relative


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
