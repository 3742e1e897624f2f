"""A photo or a mask from standard input, which `-` stands for."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inpaintcli.console import is_terminal
from inpaintcli.errors import OutputError, UsageError
from inpaintcli.imaging.images import suffix_by_content
from inpaintcli.storage.locations import TEMPORARY_PREFIX

NAMES = ("-", "/dev/stdin")


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
        path = Path(name) / f"standard input{suffix_by_content(data)}"
        try:
            path.write_bytes(data)
        except OSError as error:
            raise _no_space(error) from error
        replaced = [str(path) if name in NAMES else name for name in (photo, *masks)]
        yield replaced[0], replaced[1:]


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
