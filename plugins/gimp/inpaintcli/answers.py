"""What the worker says on a connection after it has accepted a request, up to its answer."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from picture_request import FillRequest
from protocol import Connection, ProtocolError, SlowError

STRIP_S = 30.0


class FailureError(Exception):
    """What went wrong, as a sentence for the user. `command`: what to type, where that helps."""

    def __init__(self, message: str, command: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.command = command


@dataclass(frozen=True)
class Status:
    """What the worker says while it works: a text, and a share of 0 to 1 or None."""

    text: str
    share: "float | None" = None


@dataclass(frozen=True)
class Filled:
    """The answer: the box of the picture, filled, and what the worker said of it."""

    data: bytes
    fields: dict


@dataclass(frozen=True)
class Found:
    """What has to be filled for an object to go: a byte a pixel of a box of the picture shown."""

    box: "tuple[int, int, int, int]"
    weights: bytes


def answer(
    connection: Connection,
    request: FillRequest,
    payload: "Callable[[], Iterator[bytes]]",
    silence_s: float,
    show: "Callable[[Status | None], None]",
) -> Filled:
    """The answer to a request that the worker has accepted.

    Raises:
        FailureError: the worker could not do it.
        SlowError: it was silent for `silence_s`.
        ProtocolError: it broke off, or says what is not in the protocol.
    """
    for message in _messages(connection, silence_s, show):
        event = message.get("event")
        if event == "send":
            for part in payload():
                connection.send_bytes(part, STRIP_S)
            show(Status("Filling"))
        elif event == "waiting":
            show(Status(f"Waiting for {message.get('ahead')} other request(s)"))
        elif event == "progress":
            show(_status(message))
        elif event == "failed":
            hint = str(message.get("hint") or "")
            raise FailureError(f"{message.get('message')} {hint}".strip())
        elif event == "done":
            return Filled(_data(connection, message, request, silence_s), message)
        else:
            raise ProtocolError(f"it said something unknown: {str(event)[:40]!r}")
    raise ProtocolError("it said nothing more")


def _status(message: "dict[str, Any]") -> Status:
    share = message.get("share")
    number = isinstance(share, (int, float)) and 0 <= share <= 1
    return Status(str(message.get("text") or "")[:200], float(share) if number else None)


def _data(
    connection: Connection, message: "dict[str, Any]", request: FillRequest, silence_s: float
) -> bytes:
    """The answer's bytes.

    Raises:
        ProtocolError: it has not the size of what was asked for.
    """
    count = _found_bytes(message, request) if request.request == "find" else request.answer_bytes
    if message.get("bytes") != count:
        raise ProtocolError(f"it answered {message.get('bytes')} bytes instead of {count}")
    return bytes(connection.receive_bytes(count, silence_s))


def _found_bytes(message: "dict[str, Any]", request: FillRequest) -> int:
    """How many pixels the box of an object has.

    Raises:
        ProtocolError: it names no box inside the picture.
    """
    box = message.get("box")
    whole = isinstance(box, list) and len(box) == 4 and all(type(n) is int for n in box)
    if whole:
        left, top, width, height = box
        inside = left >= 0 and top >= 0 and width > 0 and height > 0
        if inside and left + width <= request.width and top + height <= request.height:
            return width * height
    raise ProtocolError("it found an object outside of the picture")


def _messages(
    connection: Connection, silence_s: float, show: "Callable[[Status | None], None]"
) -> "Iterator[dict[str, Any]]":
    """What the worker says, until it is silent for too long."""
    heard = time.monotonic()
    while True:
        try:
            message = connection.receive(0.1)
        except SlowError:
            if time.monotonic() - heard > silence_s:
                raise
            show(None)
            continue
        heard = time.monotonic()
        yield message
        heard = time.monotonic()  # what was done with the message is not the worker's silence
