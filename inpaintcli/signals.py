"""Signals that ask the program to stop: the first in good order, a later one at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from inpaintcli.errors import ExitCode

NAMES = ("SIGINT", "SIGTERM", "SIGBREAK")
"""The last: Ctrl-Break, and services, on Windows."""
ECHO_S = 0.5
"""What follows so soon is the same wish told twice: timeout(1) signals its program and then the
program's group, and wrappers pass on what the terminal has told everybody."""
STOPPING = "Stopping after the photos at work; once more, and it stops at once."
_SHOW_CURSOR = b"\x1b[?25h\n"


class Interrupted(SystemExit):
    """A signal came while nothing has to be finished.

    Where nobody catches it, Python ends with its code and without a traceback. It is no
    KeyboardInterrupt: typer has ideas of its own about those.
    """

    def __init__(self) -> None:
        super().__init__(int(ExitCode.INTERRUPTED))


def leave() -> None:
    """End the process as it stands, like kill -9: what lies under an output's name is whole."""
    if sys.stderr is not None and os.isatty(2):
        os.write(2, _SHOW_CURSOR)  # a bar hides it
    os._exit(ExitCode.INTERRUPTED)


class Interrupts:
    """A handler of signals: the first is given to `first`, its echo to nobody, a later one leaves.

    Args:
        first: takes the signal's number; may raise.
        clock: monotonic seconds.
        leave: ends the process, whatever it is doing.
    """

    def __init__(
        self,
        first: Callable[[int], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        leave: Callable[[], None] = leave,
    ) -> None:
        self._first, self._clock, self._leave = first, clock, leave
        self._since: float | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """As `signal.signal` wants it."""
        now = self._clock()
        if self._since is None:
            self._since = now
            self._first(number)
        elif now >= self._since + ECHO_S:
            self._leave()


def take_signals(handler: Interrupts) -> None:
    """Give the signals to a handler; in a thread that is not the main one, nothing happens."""
    for number in _numbers():
        signal.signal(number, handler)


@contextmanager
def kept_signals() -> Iterator[None]:
    """In the end, whoever has the signals now has them again."""
    before = {number: signal.getsignal(number) for number in _numbers()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: one that Python did not set, and cannot
                signal.signal(number, handler)


class Stop:
    """Which signal asked to stop, if one did."""

    number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None


@contextmanager
def stop_signals(say: Callable[[str], None] = lambda _: None) -> Iterator[Stop]:
    """Until the end, the first signal is only noted, and `say` tells it; a later one leaves.

    In a thread that is not the main one, signals stay as they are.
    """
    stop = Stop()

    def note(number: int) -> None:
        stop.number = number
        # Standard error may be gone, or be the very thing that the signal has interrupted.
        with suppress(OSError, RuntimeError, ValueError):
            say(STOPPING)

    with kept_signals():
        take_signals(Interrupts(note))
        yield stop


def _numbers() -> list[int]:
    if threading.current_thread() is not threading.main_thread():
        return []
    return [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
