"""A photo or a mask from standard input, which `-` stands for."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from inpaintcli.console import Console, is_terminal
from inpaintcli.errors import InpaintError, OutputError, UsageError
from inpaintcli.imaging.images import suffix_by_content
from inpaintcli.storage.locations import TEMPORARY_PREFIX

NAMES = ("-", "/dev/stdin")
STEM = "standard input"
"""Of the temporary file's name."""


@contextmanager
def piped(photo: str, masks: list[str] | None) -> Iterator[tuple[str, list[str]]]:
    """Photo and masks, with a temporary file in place of the one that is standard input.

    Raises:
        UsageError: both are standard input, or it is a terminal or closed.
        UnreadableError: it is no picture.
        OutputError: there is no space for the temporary file.
    """
    masks = masks or []
    count = sum(name in NAMES for name in (photo, *masks))
    if not count:
        yield photo, masks
        return
    if count > 1:
        raise UsageError("Only one of photo and masks can be standard input.", hint="Name a file.")
    data = _read()
    try:
        folder = tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX)
    except OSError as error:
        raise _no_space(error) from error
    with folder as name:
        path = Path(name) / f"{STEM}{suffix_by_content(data)}"
        try:
            path.write_bytes(data)
        except OSError as error:
            raise _no_space(error) from error
        replaced = [str(path) if name in NAMES else name for name in (photo, *masks)]
        try:
            yield replaced[0], replaced[1:]
        except InpaintError as error:
            message, hint = (_in_words(text, path) for text in (error.message, error.hint))
            raise type(error)(message, hint=hint) from error


def console_for(console: Console, *names: str) -> Console:
    """The console, which prints standard input where one of the names is its temporary file."""
    for path in map(Path, names):
        if path.stem == STEM and path.parent.name.startswith(TEMPORARY_PREFIX):
            shown = {field.name: getattr(console, field.name) for field in fields(console)}
            return _NamingConsole(**shown, path=path)
    return console


@dataclass(frozen=True)
class _NamingConsole(Console):
    """Prints `-` in records, and "standard input" in sentences, in place of a path."""

    path: Path = Path()

    def data(self, text: str) -> None:
        super().data(_in_words(text, self.path))

    def record(self, fields: dict[str, Any]) -> None:
        super().record(_replaced(fields, self.path))

    def say(self, text: str) -> None:
        super().say(_in_words(text, self.path))

    def detail(self, text: str) -> None:
        super().detail(_in_words(text, self.path))


def _replaced(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(inner, path) for name, inner in value.items()}
    if isinstance(value, str):
        return NAMES[0] if value == str(path) else _in_words(value, path)
    return value


def _in_words(text: str, path: Path) -> str:
    return text.replace(str(path), STEM).replace(path.name, STEM)


def _read() -> bytes:
    if sys.stdin is None or is_terminal(sys.stdin):
        raise UsageError(
            "Standard input is a terminal or closed; - reads a picture from it.",
            hint="Redirect a file or a program to it.",
        )
    return sys.stdin.buffer.read()


def _no_space(error: OSError) -> OutputError:
    return OutputError(
        f"Standard input cannot be kept in a temporary file: {error.strerror}.",
        hint="Name another folder in TMPDIR, or name a file.",
    )
