"""The first signal is noted, the second does what it always did."""

import signal
import threading

import pytest

from inpaintcli.stopping import stop_signals

NUMBERS = [signal.SIGINT, signal.SIGTERM]


class EndedError(Exception):
    """What the handler before ours raises."""


@pytest.fixture(autouse=True)
def _handlers():
    def end(_number, _frame):
        raise EndedError

    before = {number: signal.signal(number, end) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_noted_and_the_second_ends(number):
    with stop_signals() as stop:
        assert not stop
        signal.raise_signal(number)
        assert stop
        assert stop.number == number
        with pytest.raises(EndedError):
            signal.raise_signal(number)


def test_afterwards_signals_do_what_they_did_before():
    with stop_signals():
        pass
    with pytest.raises(EndedError):
        signal.raise_signal(signal.SIGINT)


def test_a_signal_that_was_ignored_before_is_so_the_second_time():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop.number == signal.SIGINT


def test_threads_leave_signals_alone():
    handler = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with stop_signals() as stop:
            seen.append((stop.number, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, handler)]
