"""What the program prints: data on standard output, messages and bars on standard error."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Annotated, Any, Protocol, cast

from inpaintcli.errors import OutputError, UsageError
from inpaintcli.options import Option

RATE_OVER_S = 120.0
"""The time over which a rate is averaged, as photos differ."""


_CONTROLS = {
    number: f"\\x{number:02x}"
    for number in (*range(32), *range(127, 160))
    if chr(number) not in "\n\t"
}


@dataclass
class _LastRecord:
    fields: dict[str, Any] = field(default_factory=dict)


_last = _LastRecord()


class ReaderGoneError(OutputError):
    """The reader of standard output has closed it on purpose: `inpaintcli ... --json | head`."""


class Bar(Protocol):
    """A progress bar, or a substitute that shows nothing."""

    def advance(self) -> None:
        """One more is done."""


@dataclass(frozen=True)
class Console:
    """How much to print, and in which form."""

    json: Annotated[bool, Option(help="One JSON object a line on standard output.")] = False
    quiet: Annotated[bool, Option(short="-q", help="Say nothing but errors.")] = False
    verbose: Annotated[bool, Option(short="-v", help="Say more.")] = False

    def data(self, text: str) -> None:
        """A line of data on standard output; characters outside its encoding are escaped.

        Raises:
            OutputError: it cannot be written.
        """
        with _standard_output():
            encoding = sys.stdout.encoding or "utf-8"
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            sys.stdout.flush()

    def check_takes_picture(self) -> None:
        """Check, before the work, that standard output can take a picture.

        Raises:
            UsageError: it is a terminal, or takes JSON lines.
        """
        if self.json:
            raise UsageError("-o - and --json both want standard output.", hint="Drop one of them.")
        if is_terminal(sys.stdout):
            raise UsageError(
                "-o - writes the picture to standard output, which is a terminal.",
                hint="Redirect it to a file or a program.",
            )

    def binary(self, data: bytes) -> None:
        """A whole file on standard output.

        Raises:
            OutputError: it cannot be written.
        """
        with _standard_output():
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def record(self, fields: dict[str, Any]) -> None:
        """A JSON object as one line on standard output; nothing without `--json`.

        A byte of a file name that is not UTF-8 appears as a JSON escape of a lone surrogate.
        """
        if self.json:
            _last.fields = fields
            encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
            is_utf8 = encoding.lower() in ("utf-8", "utf8")
            text = json.dumps(fields, ensure_ascii=not is_utf8)
            # Surrogates of undecodable bytes become \udcXX, which is valid JSON.
            self.data(text.encode(errors="backslashreplace").decode())

    def say(self, text: str) -> None:
        """A message on standard error, unless quiet."""
        if not self.quiet:
            complain(text)

    def detail(self, text: str) -> None:
        """A message on standard error when verbose."""
        if self.verbose:
            complain(text)

    @contextmanager
    def bar(self, total: int) -> Iterator[Bar]:
        """A progress bar on standard error where that is a terminal; silent elsewhere.

        With `json` also silent where standard output is a terminal: lines would cross the bar.
        """
        is_crossed = self.json and is_terminal(sys.stdout)
        if self.quiet or total < 2 or is_crossed or not is_terminal(sys.stderr):
            yield _NoBar()
            return
        from rich.console import Console as RichConsole
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        rate, left = TextColumn("{task.fields[rate]}"), TimeRemainingColumn()
        columns = (BarColumn(), MofNCompleteColumn(), rate, left, TextColumn("left"))
        console = RichConsole(file=cast("IO[str]", _LostTerminal(sys.stderr)))
        with Progress(
            *columns,
            console=console,
            transient=True,
            speed_estimate_period=RATE_OVER_S,
            redirect_stdout=False,  # data stays on standard output, whole
        ) as progress:
            yield _RichBar(progress, progress.add_task("", total=total, rate=""))


def record_failure(error: dict[str, Any]) -> None:
    """Print an error that ends the program as a JSON object, unless the last one was about it.

    Nothing follows a summary, which is the last line of a run.

    Args:
        error: code, message and hint, as in a result line.
    """
    if "summary" in _last.fields or _last.fields.get("error") == error:
        return
    empty = dict.fromkeys(
        ("input", "mask", "output", "model", "engine", "device", "precision", "seconds")
    )
    with suppress(OutputError):  # standard output may be what is wrong
        Console(json=True).record({"schema": 1, "status": "failed", **empty, "error": error})


def forget_records() -> None:
    """As if nothing had been printed: for a new run in the same process."""
    _last.fields = {}


class ConsoleReport:
    """Shows what engines report: notes as messages, progress as bars.

    Several engines may report at once; each task has its own bar, which ends with the task.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: dict[str, Any] = {}

    def note(self, text: str) -> None:
        """A sentence for the user."""
        self._console.say(text)

    def progress(self, task: str, share: float) -> None:
        """Move the task's bar, where standard error is a terminal."""
        if self._console.quiet or not is_terminal(sys.stderr):
            return
        if task not in self._bars:
            self._bars[task] = _share_bar(task)
        bar, number = self._bars[task]
        bar.update(number, completed=share)
        if share >= 1:
            bar.stop()
            del self._bars[task]


def _share_bar(task: str) -> Any:
    """A started bar for shares from 0 to 1, and the number of its task."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = RichConsole(file=cast("IO[str]", _LostTerminal(sys.stderr)))
    bar = Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, redirect_stdout=False
    )
    bar.start()
    return bar, bar.add_task(task, total=1.0)


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether a standard stream is a terminal; not where it is closed."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def open_missing_streams() -> None:
    """Give a standard stream that the caller has closed its number: no other file may get it.

    Else messages of libraries would be written into the first files that are opened.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)


class _LostTerminal:
    """A terminal for a bar; work goes on where it is lost, as when its window is closed."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As that of a file."""
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As that of a file."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _NoBar:
    def advance(self) -> None:
        """Nothing is shown."""


class _RichBar:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self) -> None:
        self._progress.advance(self._task)
        speed = self._progress.tasks[0].speed
        if speed:
            self._progress.update(self._task, rate=rate_in_words(speed))


def rate_in_words(per_second: float) -> str:
    """A rate of photos a second, a minute or an hour, whichever is readable."""
    if per_second >= 1:
        return f"{per_second:.1f} photos a second"
    if per_second * 60 >= 1:
        return f"{per_second * 60:.1f} photos a minute"
    return f"{per_second * 3600:.1f} photos an hour"


def complain(text: str) -> None:
    """A line on standard error, whatever the options; where it cannot be written, work goes on.

    Control characters, which names of files may hold, are escaped: a terminal would obey them.
    """
    with suppress(OSError, ValueError, AttributeError):  # full, closed by its reader, not there
        sys.stderr.write(text.translate(_CONTROLS) + "\n")
        sys.stderr.flush()


@contextmanager
def _standard_output() -> Iterator[None]:
    """Turns errors of standard output into expected ones.

    Raises:
        OutputError: it cannot be written, or does not exist.
        ReaderGoneError: its reader has closed it.
    """
    if sys.stdout is None:
        raise OutputError("There is no standard output: it was closed.")
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError("The reader of standard output has closed it.") from error
        message = f"Standard output cannot be written: {error.strerror}."
        raise OutputError(message, hint="Free some space, or name a file with -o.") from error
