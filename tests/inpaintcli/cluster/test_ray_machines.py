"""The program on a Ray cluster of several machines, as far as one machine can stand for them.

Each is a node of Ray's with a core, an object store and processes of its own, begun by `ray start`
as a user would. What one machine cannot show: file systems that are not shared, slow networks.
"""

import os
import secrets
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.inpaintcli.cluster.test_ray import (
    LIMIT_S,
    PHOTOS,
    check,
    expected,
    photos,
    program,
    summary,
    worker_in,
)
from tests.programs import PYTHON, finished, running, until

pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="machines are told apart by /proc"),
]
__all__ = ["expected", "photos"]

START = [*PYTHON, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
ANY_PORT = ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
SMALL = ["--object-store-memory=80000000", "--metrics-export-port=0"]


class Machines:
    """A cluster: a head without cores, and machines of one core, until the stack ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._started = []
        folder = tempfile.mkdtemp(prefix="ray")  # sockets allow no long paths
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(self._end_all)
        ours = {
            "RAY_TMPDIR": folder,  # another cluster of this user's is let alone
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_worker_niceness": "0",
        }
        self.environment = {**os.environ, **ours}
        self._start("--head", "--num-cpus=0", "--port=0", "--include-dashboard=false")
        self.address = (Path(folder) / "ray/ray_current_cluster").read_text().strip()

    def add(self):
        """One more machine."""
        self._start("--num-cpus=1", f"--address={self.address}")

    def _start(self, *options):
        command = [*START, *SMALL, *ANY_PORT, *options]
        machine = self._stack.enter_context(
            running(command, 2 * LIMIT_S, env=self.environment, start_new_session=True)
        )
        self._started.append(machine.pid)
        until(machine, "will now block")  # said after all else, the address is written by then

    def end_that_of(self, process):
        """Take a machine away at once: all its processes are killed."""
        session = os.getsid(process)
        assert session in self._started[1:], (session, self._started)
        end(session)
        return session

    def _end_all(self):
        for session in self._started:
            end(session)


def end(session):
    """Kill all processes of a session."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            number = int(entry.name)
            if os.getsid(number) == session:
                os.kill(number, signal.SIGKILL)


@pytest.fixture
def machines():
    with ExitStack() as stack:
        cluster = Machines(stack)
        cluster.add()
        cluster.add()
        yield cluster


def test_machines_share_the_work_and_one_without_the_token_is_sent_away(
    machines, photos, expected, tmp_path
):
    command = program(photos, tmp_path / "out", "--ray", machines.address, "-v")
    stranger = {**machines.environment, "RAY_AUTH_MODE": "disabled"}
    done = finished(command, LIMIT_S, env=stranger)
    assert done.returncode == 7, done.stderr
    assert "RAY_AUTH_MODE=token" in done.stderr
    with running(command, LIMIT_S, env=machines.environment) as run:
        first = worker_in(until(run, "worker on", "stderr"))
        os.kill(first, signal.SIGSTOP)  # or it might be done before the second is there
        second = worker_in(until(run, "worker on", "stderr"))
        homes = {os.getsid(first), os.getsid(second)}
        os.kill(first, signal.SIGCONT)
        said, told = run.communicate()
    assert run.returncode == 0, told
    assert len(homes) == 2
    assert summary(said)["filled"] == PHOTOS
    check(tmp_path / "out", expected)


def test_the_photos_of_a_machine_that_is_gone_are_done_by_another(
    machines, photos, expected, tmp_path
):
    command = program(photos, tmp_path / "out", "--ray", "auto", "-v")
    with running(command, LIMIT_S, env=machines.environment) as run:
        machines.end_that_of(worker_in(until(run, "worker on", "stderr")))
        said, told = run.communicate()
    assert run.returncode == 0, told
    assert "was lost; another does its photos" in told
    assert summary(said)["filled"] == PHOTOS
    check(tmp_path / "out", expected)
