"""The GPU that is not there serves these tests as well; the command line, without a new process."""

import sys
import threading
from collections import defaultdict
from dataclasses import dataclass

import pytest
from inpaintcli_engines.select import Choice, open_engine

from inpaintcli.cli import main
from inpaintcli.inpaint import pipeline
from inpaintcli.signals import signals_restored
from tests.engines.conftest import gpu, small_model

__all__ = ["gpu", "small_model"]


class OpenEngines:
    """Engines that stay open from test to test: to open one takes longer than to fill a hole.

    One that is in use is never lent a second time, as engines serve one thread at a time.
    """

    def __init__(self) -> None:
        self._free: dict[tuple, list[Choice]] = defaultdict(list)
        self._opened: list[Choice] = []
        self._lock = threading.Lock()

    def open(self, path, *, report=None, **options) -> Choice:
        """As `open_engine`; what is closed is there for the next who asks for the same."""
        key = (path, path.stat().st_mtime_ns, *sorted(options.items()))
        with self._lock:
            free = self._free[key]
            if free:
                return free.pop()
        choice = open_engine(path, report=report, **options)
        with self._lock:
            self._opened.append(choice)
        choice.engine.close = lambda: free.append(choice)
        return choice

    def close(self) -> None:
        for choice in self._opened:
            del choice.engine.close
            choice.engine.close()


@pytest.fixture(scope="session")
def _kept_engines():
    engines = OpenEngines()
    yield engines
    engines.close()


@pytest.fixture
def open_engines(_kept_engines, monkeypatch):
    """Models are opened once in all these tests."""
    monkeypatch.setattr(pipeline, "open_engine", _kept_engines.open)


@dataclass(frozen=True)
class Done:
    """What a call of the command line returned and said."""

    returncode: int
    stdout: bytes
    stderr: bytes


@pytest.fixture
def program(open_engines, capsysbinary, monkeypatch):  # noqa: ARG001
    """The command line in this process: the same as a new one but for starting it.

    `check` is the exit code that it must have.
    """

    def run(*arguments, check=None) -> Done:
        monkeypatch.setattr(sys, "argv", ["inpaintcli", *map(str, arguments)])
        capsysbinary.readouterr()
        with signals_restored(), pytest.raises(SystemExit) as ended:
            main()
        said = capsysbinary.readouterr()
        done = Done(ended.value.code, said.out, said.err)
        assert check in (None, done.returncode), done.stderr.decode()
        assert b"Traceback" not in done.stderr
        return done

    return run
