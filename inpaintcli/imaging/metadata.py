"""Metadata that only exiftool can move: IPTC, maker notes, and everything between formats.

One exiftool process serves the whole run, started when first needed. Source: the exiftool
application documentation, sections "-tagsFromFile", "-stay_open" and "Shortcuts".
"""

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any

PATIENCE_S = 60.0
ABSENT = (
    "exiftool is not installed: IPTC and other metadata that only it can copy were not kept; "
    "install libimage-exiftool-perl."
)
PREVIEWS = (
    "ThumbnailImage",
    "PreviewImage",
    "JpgFromRaw",
    "OtherImage",
    "PhotoshopThumbnail",
    "XMP-xmp:Thumbnails",
)
"""Small copies of the picture in its metadata: they would still show what was filled."""

LocalJob = tuple[tuple[bytes, ...], "Future[str]"]


def available() -> bool:
    """Whether an exiftool program is installed."""
    return shutil.which("exiftool") is not None


def with_tags_of(
    source: Path, encoded: bytes, suffix: str, notes: Callable[[str], None]
) -> bytes | None:
    """The file `encoded` with all metadata of the file `source`, except previews.

    None where exiftool is missing (noted once a run) or fails on this file (noted).
    """
    if not available():
        _note_once(notes, ABSENT)
        return None
    arguments = [b"-all:all", b"-icc_profile"]
    if suffix == ".jpg":
        arguments.append(b"-unsafe")  # tags about the coding, that mean something in JPEG only
    arguments += [f"--{preview}".encode() for preview in (*PREVIEWS, "IFD1:all")]
    try:
        return _edited(encoded, suffix, arguments, source)
    except ExifToolFailedError as fault:
        notes(f"{source.name}: exiftool could not copy all metadata ({fault}).")
        return None


def without_previews(encoded: bytes, suffix: str) -> bytes | None:
    """The file `encoded` without the previews in its metadata; None where exiftool cannot."""
    if not available():
        return None
    try:
        return _edited(encoded, suffix, [f"-{preview}=".encode() for preview in PREVIEWS])
    except ExifToolFailedError:
        return None


class ExifToolFailedError(Exception):
    """Exiftool refused a file, died, or did not answer."""


def _edited(
    encoded: bytes, suffix: str, arguments: list[bytes], source: Path | None = None
) -> bytes:
    """A file after exiftool's edits, made in a folder of its own so that none is ever half done."""
    try:
        with tempfile.TemporaryDirectory(prefix="inpaintcli-") as folder:
            path = Path(folder) / f"picture{suffix}"
            path.write_bytes(encoded)
            if source is not None:
                arguments = [b"-tagsFromFile", _plain_name(source, Path(folder)), *arguments]
            _session().run(b"-q", b"-m", b"-overwrite_original", *arguments, os.fsencode(path))
            return path.read_bytes()
    except OSError as fault:
        raise ExifToolFailedError(fault.strerror or str(fault)) from fault


def _plain_name(source: Path, folder: Path) -> bytes:
    """A name for `source` that exiftool takes as it stands.

    A percent sign begins one of exiftool's codes for file names and cannot be escaped; a line
    break ends an argument. A file with such a name is copied.
    """
    name = os.fsencode(source.absolute())
    if b"%" not in name and b"\n" not in name:
        return name
    return os.fsencode(shutil.copyfile(source, folder / f"source{source.suffix}"))


class _Session:
    """One exiftool process, spoken to by one thread that lives as long as we do.

    Pyexiftool asks the kernel to end exiftool together with the *thread* that started it: no
    thread of a pool may, or the process would vanish under the others.
    """

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self._jobs: SimpleQueue[LocalJob | None] = SimpleQueue()
        self._helper: Any = None
        self._thread = threading.Thread(target=self._serve, name="exiftool", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def run(self, *arguments: bytes) -> str:
        """What exiftool warned of.

        Raises:
            ExifToolFailedError: it failed, or did not answer within `PATIENCE_S`.
        """
        answer: Future[str] = Future()
        self._jobs.put((arguments, answer))
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return answer.result(timeout=min(1.0, PATIENCE_S))
            except TimeoutError as fault:
                if not self._thread.is_alive():
                    raise ExifToolFailedError("it has ended") from fault
                if not answer.running():  # others are before it
                    end = time.monotonic() + PATIENCE_S
                elif self._has_died() or time.monotonic() > end:
                    self._end_process()
                    raise ExifToolFailedError("it died or does not answer") from fault

    def close(self) -> None:
        """End exiftool."""
        if os.getpid() == self.process_id and self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join(timeout=5)

    def _serve(self) -> None:
        import exiftool

        if hasattr(signal, "pthread_sigmask"):
            # Ctrl-C reaches every program of the terminal, and the photo at work is to be finished
            # with its metadata: exiftool inherits what this thread does not hear.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while (job := self._jobs.get()) is not None:
            arguments, answer = job
            answer.set_running_or_notify_cancel()
            try:
                self._bury()
                if self._helper is None:
                    self._helper = exiftool.ExifToolHelper(common_args=[], encoding="utf-8")
                self._helper.execute(*arguments, raw_bytes=True)
                answer.set_result(_checked(self._helper.last_stderr))
            except BaseException as fault:  # noqa: BLE001 - told to whoever asked
                answer.set_exception(ExifToolFailedError(self._reason(fault)))
        if self._helper is not None and self._helper.running:
            self._helper.terminate()

    def _reason(self, fault: BaseException) -> str:
        said = getattr(fault, "stderr", None) or str(fault) or type(fault).__name__
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        return text.strip().splitlines()[0][:200] if text.strip() else "no reason given"

    def _bury(self) -> None:
        """Close what a dead process left open; the next job then starts another one."""
        warnings.filterwarnings("ignore", module="exiftool")  # it warns of finding it dead
        process = self._process()
        if process is None or process.poll() is None or self._helper.running:
            return
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    def _process(self) -> Any:
        return getattr(self._helper, "_process", None)

    def _has_died(self) -> bool:
        process = self._process()
        return process is not None and process.poll() is not None

    def _end_process(self) -> None:
        """Free the thread from a dead or stuck exiftool: pyexiftool reads on without end.

        Its pipes are replaced, not closed: a closed one's number could be another file's soon.
        """
        process = self._process()
        if process is None:
            return
        process.kill()
        process.wait()  # else the next job could still take it for alive
        unreadable = os.open(os.devnull, os.O_WRONLY)
        for pipe in (process.stdout, process.stderr):
            os.dup2(unreadable, pipe.fileno())
        os.close(unreadable)


def _checked(said: bytes) -> str:
    """Exiftool's warnings, if no error is among them: it may call a source "unchanged" then."""
    text = said.decode(errors="replace")
    errors = [line for line in text.splitlines() if "Error" in line]
    if errors:
        raise ExifToolFailedError(errors[0][:200])
    return text


_current: dict[str, _Session] = {}
_told: set[str] = set()
_starting = threading.Lock()


def _session() -> _Session:
    """The session of this process; a forked one must not speak to its parent's exiftool."""
    with _starting:
        session = _current.get("session")
        if session is None or session.process_id != os.getpid():
            session = _current["session"] = _Session()
        return session


def _note_once(notes: Callable[[str], None], note: str) -> None:
    if note not in _told:
        _told.add(note)
        notes(note)
