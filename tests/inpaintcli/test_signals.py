"""The first signal is answered in order, its echo not at all, a later one by the end."""

import os
import signal
import sys
import threading

import pytest

from inpaintcli.signals import (
    ECHO_S,
    STOPPING,
    Interrupted,
    InterruptHandler,
    handle_signals,
    leave,
    signals_restored,
    stop_signals,
)
from tests.inpaintcli.watch.watched import Clock

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
def test_the_first_signal_is_recorded_and_reported_once(number):
    told = []
    with stop_signals(told.append) as stop:
        assert not stop
        for _ in range(3):  # an echo: `timeout` signals its program, and then the group
            signal.raise_signal(number)
        assert stop
        assert stop.number == number
    assert told == [STOPPING]


@pytest.mark.parametrize(("after_s", "left"), [(ECHO_S / 2, 0), (ECHO_S, 1)])
def test_a_second_signal_leaves_unless_it_is_an_echo(after_s, left):
    first, gone, clock = [], [], Clock()
    with signals_restored():
        handle_signals(InterruptHandler(first.append, clock=clock, leave=lambda: gone.append(1)))
        signal.raise_signal(signal.SIGINT)
        clock.now += after_s
        signal.raise_signal(signal.SIGTERM)
    assert first == [signal.SIGINT]
    assert len(gone) == left


def test_to_leave_is_to_end_with_130_whatever_is_under_way(monkeypatch):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    leave()
    monkeypatch.setattr(sys, "stderr", None)  # of a program without a console
    leave()
    assert codes == [130, 130]


def test_afterwards_signals_do_what_they_did_before():
    with stop_signals():
        pass
    with pytest.raises(EndedError):
        signal.raise_signal(signal.SIGINT)


def test_handlers_that_a_library_sets_go_with_it():
    before = signal.getsignal(signal.SIGTERM)
    with signals_restored():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_broken_standard_error_does_not_keep_a_signal_from_being_recorded():
    def broken(_):
        raise BrokenPipeError

    with stop_signals(broken) as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop.number == signal.SIGTERM


def test_an_interruption_that_nobody_catches_is_an_exit_code_and_no_traceback():
    with pytest.raises(SystemExit) as caught:
        raise Interrupted
    assert caught.value.code == 130


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


@pytest.mark.parametrize("number", NUMBERS)
def test_an_ignored_signal_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)
    with stop_signals() as stop:
        signal.raise_signal(number)
        assert not stop
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has none")
def test_the_end_of_the_terminal_lets_the_photos_in_progress_finish():
    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with stop_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.number == signal.SIGHUP
    finally:
        signal.signal(signal.SIGHUP, before)
