"""GIMP is started once for all tests of a session, also where pytest runs in several processes."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from filelock import FileLock

from inpaintcli.gimp.protocol import PROTOCOL, ProtocolError, State, call
from tests.plugins.gimp.stand_ins import BEHAVIOURS, StandIn
from tests.plugins.gimp.tree import Gimp, root


@pytest.fixture(scope="session")
def reported(tmp_path_factory) -> Callable:
    """`reported(name, run)`: what `run(gimp, workers, folder)` reports, run once a session.

    `folder` is for what the tests look at besides; it is the same for all processes.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def once(name: str, run: Callable[[Gimp, dict, Path], dict]) -> tuple[dict, Path]:
        tree, folder = root(), shared / f"gimp-{name}"
        with FileLock(shared / f"gimp-{name}.lock", timeout=900):
            told = folder / "report.json"
            if not told.exists():
                folder.mkdir(exist_ok=True)
                with opened(tree) as (gimp, workers):
                    told.write_text(json.dumps(run(gimp, workers, folder)))
            return json.loads(told.read_text()), folder

    return once


@contextmanager
def opened(tree: Path) -> Iterator[tuple[Gimp, dict]]:
    """A GIMP with the plug-in, and settings for it by the name of the worker they lead to."""
    program = Gimp(tree)
    try:
        with _workers(program) as workers:
            yield program, workers
    finally:
        program.close()


@contextmanager
def _workers(gimp: Gimp) -> Iterator[dict]:
    """The workers that stand in for others, and the settings that lead to each."""
    stand_ins, found = [], {}
    for name, behave in BEHAVIOURS.items():
        state = gimp.folder / f"{name}.state" / "worker.json"
        stand_ins.append(StandIn(state, behave))
        found[name] = gimp.settings(state)
    found["silence"]["silence_s"] = 1.5
    other = gimp.folder / "other.state" / "worker.json"
    stand_ins.append(StandIn(other, BEHAVIOURS["scribble"], protocol=PROTOCOL + 1))
    found["other_version"] = gimp.settings(other)
    found.update(_without_a_worker(gimp))
    started = [gimp.folder / name / "worker.json" for name in ("real", "started")]
    found["real"], found["started"] = (gimp.can_start(state) for state in started)
    try:
        yield found
    finally:
        for stand_in in stand_ins:
            stand_in.close()
        for state in filter(None, map(State.read, started)):
            with suppress(ProtocolError):
                call(state, "stop")


def _without_a_worker(gimp: Gimp) -> dict:
    """Settings with which no worker can be had, each for a reason of its own."""
    nowhere = gimp.folder / "nowhere" / "worker.json"
    shell = ["/bin/sh", "-c"]
    crash = [*shell, "echo no such library >&2; exit 7"]
    command = "inpaintcli gimp worker --state /some/where"
    return {
        "missing": gimp.settings(nowhere),
        "old_program": gimp.settings(nowhere, worker=[*shell, "exit 2"]),
        "broken_program": gimp.settings(nowhere, worker=crash),
        "confined": gimp.settings(nowhere, can_start=False, command=command),
    }
