"""A large JSON file read member by member and item by item, so that it never is in memory whole."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from inpaintcli.errors import UnreadableError

CHUNK = 1 << 20
"""Characters that are read at a time; twice as many wherever one item is longer."""
_SPACE = " \t\r\n"


class JsonStream:
    """The object in a JSON file: its members in their order, each read, iterated or passed over."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text, self._at = "", 0
        self._decoder = json.JSONDecoder()
        self._is_read = True

    def members(self) -> Iterator[str]:
        """The names of the members; before the next one, `value` or `items` may be called once.

        Raises:
            ValueError: the file is no JSON object.
        """
        self._expect("{")
        if self._peek() == "}":
            return
        while True:
            name = self._decode()
            if not isinstance(name, str):
                raise ValueError("a member has no name")  # noqa: TRY004 - what JSON itself raises
            self._expect(":")
            self._is_read = False
            yield name
            self._pass_over()
            if self._peek() == "}":
                return
            self._expect(",")

    def value(self) -> Any:
        """The value of the present member."""
        self._is_read = True
        return self._decode()

    def items(self) -> Iterator[Any]:
        """The items of the present member, which is a list.

        Raises:
            ValueError: it is none.
        """
        self._is_read = True
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._decode()
            if self._peek() == "]":
                self._at += 1
                return
            self._expect(",")

    def entries(self) -> Iterator[tuple[str, Any]]:
        """The names and values in the present member, which is an object.

        Raises:
            ValueError: it is none.
        """
        self._is_read = True
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            name = self._decode()
            self._expect(":")
            yield str(name), self._decode()
            if self._peek() == "}":
                self._at += 1
                return
            self._expect(",")

    def _pass_over(self) -> None:
        if self._is_read:
            return
        if self._peek() == "[":
            for _ in self.items():
                pass
        else:
            self._decode()

    def _decode(self) -> Any:
        """The value at this place; what ends at the end of the text may go on in the file."""
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._read_more():
                    raise
                continue
            if end < len(self._text) or not self._read_more():
                self._at = end
                return value

    def _peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._read_more():
                return ""

    def _expect(self, character: str) -> None:
        found = self._peek()
        if found != character:
            raise ValueError(f"{found or 'the end'} is in place of {character}")
        self._at += 1

    def _read_more(self) -> bool:
        rest = self._text[self._at :]
        more = self._file.read(max(CHUNK, len(rest)))
        self._text, self._at = rest + more, 0
        return bool(more)


@contextmanager
def open_json(path: Path) -> Iterator[JsonStream]:
    """The stream of a file; errors of the block that are the file's become one for the user.

    Raises:
        UnreadableError: the file cannot be read, or is not JSON.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield JsonStream(file)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # also of bytes that are not UTF-8
        raise UnreadableError(
            f"{path} is no file of annotations: it is damaged, or not JSON ({error}).",
            hint="LabelMe, COCO and VIA files are read.",
        ) from error
