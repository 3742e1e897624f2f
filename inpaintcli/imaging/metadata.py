"""Metadata that only exiftool can copy: IPTC, maker notes, and everything between formats.

One exiftool process serves the whole run and is started when first needed. Source: the exiftool
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

TIMEOUT_S = 60.0
"""For an answer of exiftool."""
NOT_INSTALLED = (
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
"""Small copies of the picture in its metadata, which still show what the hole covered."""

ExifToolCall = tuple[tuple[bytes, ...], "Future[str]"]


def available() -> bool:
    """Whether an exiftool program is installed."""
    return shutil.which("exiftool") is not None


def with_tags_of(
    source: Path, encoded: bytes, suffix: str, notes: Callable[[str], None]
) -> bytes | None:
    """The file `encoded` with all metadata of the file `source`, except previews.

    None where exiftool is not installed (noted once a run) or fails on this file (noted).
    """
    if not available():
        _note_once(notes, NOT_INSTALLED)
        return None
    arguments = [b"-all:all", b"-icc_profile"]
    if suffix == ".jpg":
        arguments.append(b"-unsafe")  # tags about the coding, which JPEG alone needs
    arguments += [f"--{preview}".encode() for preview in (*PREVIEWS, "IFD1:all")]
    try:
        return _edited(encoded, suffix, arguments, source)
    except ExifToolFailedError as fault:
        notes(f"{source.name}: exiftool could not copy all metadata ({fault}).")
        return None


def without_previews(encoded: bytes, suffix: str) -> bytes | None:
    """The file `encoded` without the previews in its metadata; None where exiftool fails."""
    if not available():
        return None
    try:
        return _edited(encoded, suffix, [f"-{preview}=".encode() for preview in PREVIEWS])
    except ExifToolFailedError:
        return None


class ExifToolFailedError(Exception):
    """Exiftool rejected a file, ended, or did not answer."""


def _edited(
    encoded: bytes, suffix: str, arguments: list[bytes], source: Path | None = None
) -> bytes:
    """A file after exiftool's edits, made in a temporary folder so that no partial file remains."""
    try:
        with tempfile.TemporaryDirectory(prefix="inpaintcli-") as folder:
            path = Path(folder) / f"picture{suffix}"
            path.write_bytes(encoded)
            if source is not None:
                arguments = [b"-tagsFromFile", _safe_name(source, Path(folder)), *arguments]
            _session().run(b"-q", b"-m", b"-overwrite_original", *arguments, os.fsencode(path))
            return path.read_bytes()
    except OSError as fault:
        raise ExifToolFailedError(fault.strerror or str(fault)) from fault


def _safe_name(source: Path, folder: Path) -> bytes:
    """A path of `source` that exiftool takes literally.

    A percent sign begins one of exiftool's codes for file names and cannot be escaped; a line
    break ends an argument. A file with such a path is copied to `folder`.
    """
    name = os.fsencode(source.absolute())
    if b"%" not in name and b"\n" not in name:
        return name
    return os.fsencode(shutil.copyfile(source, folder / f"source{source.suffix}"))


class _Session:
    """One exiftool process, used by one thread that lives as long as the program.

    Pyexiftool asks the kernel to end exiftool together with the *thread* that started it; so a
    thread of a pool must not start it, or the process could end while others use it.
    """

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self._calls: SimpleQueue[ExifToolCall | None] = SimpleQueue()
        self._helper: Any = None
        self._thread = threading.Thread(target=self._serve, name="exiftool", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def run(self, *arguments: bytes) -> str:
        """Run exiftool with these arguments; returns its warnings.

        Raises:
            ExifToolFailedError: it failed, or did not answer within `TIMEOUT_S`.
        """
        answer: Future[str] = Future()
        self._calls.put((arguments, answer))
        end = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return answer.result(timeout=min(1.0, TIMEOUT_S))
            except TimeoutError as fault:
                if not self._thread.is_alive():
                    raise ExifToolFailedError("it has ended") from fault
                if not answer.running():  # other calls come first
                    end = time.monotonic() + TIMEOUT_S
                elif self._has_ended() or time.monotonic() > end:
                    self._end_process()
                    raise ExifToolFailedError("it ended or does not answer") from fault

    def close(self) -> None:
        """End exiftool."""
        if os.getpid() == self.process_id and self._thread.is_alive():
            self._calls.put(None)
            self._thread.join(timeout=5)

    def _serve(self) -> None:
        import exiftool

        if hasattr(signal, "pthread_sigmask"):
            # Ctrl-C reaches every program of the terminal, but the current photo must be finished
            # with its metadata: exiftool inherits this thread's blocked signals.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while (call := self._calls.get()) is not None:
            arguments, answer = call
            answer.set_running_or_notify_cancel()
            try:
                self._close_ended_process()
                if self._helper is None:
                    self._helper = exiftool.ExifToolHelper(common_args=[], encoding="utf-8")
                self._helper.execute(*arguments, raw_bytes=True)
                answer.set_result(_checked(self._helper.last_stderr))
            except BaseException as fault:  # noqa: BLE001 - passed on to the caller
                answer.set_exception(ExifToolFailedError(self._reason(fault)))
        if self._helper is not None and self._helper.running:
            self._helper.terminate()

    def _reason(self, fault: BaseException) -> str:
        message = getattr(fault, "stderr", None) or str(fault) or type(fault).__name__
        text = message.decode(errors="replace") if isinstance(message, bytes) else message
        return text.strip().splitlines()[0][:200] if text.strip() else "no reason given"

    def _close_ended_process(self) -> None:
        """Close the pipes of a process that has ended; the next call then starts another one."""
        warnings.filterwarnings("ignore", module="exiftool")  # it warns where the process has ended
        process = self._process()
        if process is None or process.poll() is None or self._helper.running:
            return
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    def _process(self) -> Any:
        return getattr(self._helper, "_process", None)

    def _has_ended(self) -> bool:
        process = self._process()
        return process is not None and process.poll() is not None

    def _end_process(self) -> None:
        """Kill an exiftool that has ended or hangs, and release the thread that reads from it.

        Its pipes are replaced, not closed: the number of a closed one may soon be another file's.
        """
        process = self._process()
        if process is None:
            return
        process.kill()
        process.wait()  # else the next call could take it for running
        unreadable = os.open(os.devnull, os.O_WRONLY)
        for pipe in (process.stdout, process.stderr):
            os.dup2(unreadable, pipe.fileno())
        os.close(unreadable)


def _checked(stderr: bytes) -> str:
    """Exiftool's warnings; an error among them is raised, as its exit code may not show it."""
    text = stderr.decode(errors="replace")
    errors = [line for line in text.splitlines() if "Error" in line]
    if errors:
        raise ExifToolFailedError(errors[0][:200])
    return text


_current: dict[str, _Session] = {}
_noted: set[str] = set()
_starting = threading.Lock()


def _session() -> _Session:
    """The session of this process; a forked process must not use its parent's."""
    with _starting:
        session = _current.get("session")
        if session is None or session.process_id != os.getpid():
            session = _current["session"] = _Session()
        return session


def _note_once(notes: Callable[[str], None], note: str) -> None:
    if note not in _noted:
        _noted.add(note)
        notes(note)
