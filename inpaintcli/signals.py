"""Signals that ask the program to stop: the first in an orderly way, a later one at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from inpaintcli.errors import ExitCode

SIGNAL_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""SIGHUP comes when the terminal is closed; SIGBREAK is Ctrl-Break, and services', on Windows."""
ECHO_S = 0.5
"""Signals within this time are one request: timeout(1) signals its program and then the program's
process group, and wrappers forward a signal that the terminal sends to the whole group."""
STOPPING = "Stopping after the photos in progress; a second signal stops at once."
_SHOW_CURSOR = b"\x1b[?25h\n"


class Interrupted(SystemExit):
    """A signal came while no photo is in progress.

    If it is not caught, Python ends with its exit code and without a traceback. It is not a
    KeyboardInterrupt, because typer handles that itself.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(int(ExitCode.INTERRUPTED))
        self.number = number


def leave() -> None:
    """End the process at once, like kill -9; published outputs are complete all the same."""
    if sys.stderr is not None and os.isatty(2):
        os.write(2, _SHOW_CURSOR)  # a progress bar hides it
    os._exit(ExitCode.INTERRUPTED)


class InterruptHandler:
    """A signal handler: passes the first signal to `first`, ignores its echo, ends at a later one.

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
        """The signature that `signal.signal` needs."""
        now = self._clock()
        if self._since is None:
            self._since = now
            self._first(number)
        elif now >= self._since + ECHO_S:
            self._leave()


def handle_signals(handler: InterruptHandler) -> None:
    """Install a handler for the signals; does nothing in a thread other than the main one.

    A signal that is ignored stays ignored: a shell starts jobs in the background so that Ctrl-C
    does not reach them, and nohup so that the end of the terminal does not.
    """
    for number in _numbers():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def signals_restored() -> Iterator[None]:
    """Restores the present signal handlers at the end of the block."""
    before = {number: signal.getsignal(number) for number in _numbers()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: not set by Python, which cannot restore it
                signal.signal(number, handler)


class Stop:
    """The signal that asked to stop; false until there was one."""

    number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None


@contextmanager
def stop_signals(say: Callable[[str], None] = lambda _: None) -> Iterator[Stop]:
    """In the block, the first signal sets the Stop and is reported; a later one ends at once.

    In a thread other than the main one, signals are handled as before.
    """
    stop = Stop()

    def request_stop(number: int) -> None:
        stop.number = number
        # Standard error may be closed, or the signal may have interrupted a write to it.
        with suppress(OSError, RuntimeError, ValueError):
            say(STOPPING)

    with signals_restored():
        handle_signals(InterruptHandler(request_stop))
        yield stop


def _numbers() -> list[int]:
    if threading.current_thread() is not threading.main_thread():
        return []
    return [getattr(signal, name) for name in SIGNAL_NAMES if hasattr(signal, name)]
