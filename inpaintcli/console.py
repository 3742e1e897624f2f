"""What the program says: data on standard output, messages and bars on standard error."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol


class Bar(Protocol):
    """A progress bar, or what stands for one."""

    def advance(self) -> None:
        """One more is done."""


@dataclass(frozen=True)
class Console:
    """How much to say, and in which form."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def data(self, text: str) -> None:
        """A line of data on standard output."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def record(self, fields: dict[str, Any]) -> None:
        """A JSON object as one line on standard output; nothing without `--json`."""
        if self.json:
            text = json.dumps(fields, ensure_ascii=False)
            # What is no text in a file's name becomes \udcXX, which JSON understands.
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
        """A progress bar on standard error where that is a terminal; silent elsewhere."""
        if self.quiet or total < 2 or not sys.stderr.isatty():
            yield _NoBar()
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=RichConsole(stderr=True), transient=True) as progress:
            yield _RichBar(progress, progress.add_task("", total=total))


class _NoBar:
    def advance(self) -> None:
        """Nothing is shown."""


class _RichBar:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self) -> None:
        self._progress.advance(self._task)


def complain(text: str) -> None:
    """A line on standard error, whatever the settings."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
