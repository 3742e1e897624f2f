"""Programs that a test starts and signals: one that hangs is ended, and tells where it was."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PYTHON = [sys.executable, "-X", "faulthandler", "-P"]
PROGRAM = [*PYTHON, "-m", "inpaintcli"]

ROOT = str(Path(__file__).parent.parent)
GREY = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from inpaintcli.inpaint import pipeline
from inpaintcli.inpaint.pipeline import Model
from tests.conftest import GreyEngine, card
grey = lambda *_, **__: Model(card(), GreyEngine(), "for tests")
pipeline.open_model = grey
"""
PAUSE = """
import importlib, time
module, path = sys.argv.pop(1).split(":")
holder, names = importlib.import_module(module), path.split(".")
for name in names[:-1]:
    holder = getattr(holder, name)
real, seconds = getattr(holder, names[-1]), float(sys.argv.pop(1))
def paused(*arguments, **options):
    print("here", flush=True)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))  # a signal just before a sleep is heard after it
    return real(*arguments, **options)
setattr(holder, names[-1], paused)
"""
MAIN = "from inpaintcli.cli import main\nmain()"


def grey() -> list[str]:
    """The program with a model that fills with grey, so that it is open at once."""
    return [*PYTHON, "-c", GREY + MAIN, ROOT]


def paused(where: str, seconds: float) -> list[str]:
    """As `grey`; says "here" and sleeps whenever `module:function` is called."""
    return [*PYTHON, "-c", GREY + PAUSE + MAIN, ROOT, where, str(seconds)]


@contextmanager
def running(command: list[object], limit_s: float, **options) -> Iterator[subprocess.Popen[str]]:
    """A program with pipes for what it says, until the end of the block.

    One that is still there after `limit_s` is ended, and its standard error says where each of its
    threads was: shorter than pytest's own limit, which would tell nothing of it.
    """
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    watchdog = threading.Timer(limit_s, process.send_signal, [signal.SIGABRT])
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        with process:
            process.kill()


def until(process: subprocess.Popen[str], words: str, stream: str = "stdout") -> str:
    """What a program says up to the line with those words."""
    said = ""
    while words not in said:
        line = getattr(process, stream).readline()
        assert line, (said, process.communicate())
        said += line
    return said


def finished(command: list[object], limit_s: float, **options) -> subprocess.CompletedProcess[str]:
    """A program that has ended; as `running` where it does not."""
    with running(command, limit_s, **options) as process:
        said, told = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, said, told)
