"""Signals that let the photos at work finish, instead of ending the program at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGBREAK")
"""The last: Ctrl-Break, and services, on Windows."""


class Stop:
    """Which signal asked to stop, if one did."""

    number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Until the end, the first signal is only noted; the next one does what it did before.

    In a thread that is not the main one, signals stay as they are.
    """
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if not stop:
            stop.number = number
            return
        handler = before[number]
        if callable(handler):
            handler(number, frame)

    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
