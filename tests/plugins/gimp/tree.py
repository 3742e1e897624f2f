"""A GIMP 3 to test with: a tree of Debian trixie, entered by chroot."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from inpaintcli.gimp.install import install
from inpaintcli.gimp.profiles import Profile
from inpaintcli.gimp.protocol import STATE_VARIABLE

HERE = Path(__file__).parent
LAUNCHER = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
    sys.exit(int(sock.makefile().readline() or 1))
"""


def root() -> Path:
    """The tree; the test is skipped where there is none, and fails where there must be one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = os.environ.get("INPAINT_GIMP_ROOT")
    tree = Path(named) if named else cache / "inpaintcli-ci" / "gimp-trixie"
    problem = ""
    if not (tree / "usr/bin/gimp-console-3.0").exists():
        problem = f"no GIMP 3 in {tree} (.ci/gimp-tree makes one; INPAINT_GIMP_ROOT names another)"
    elif os.geteuid() != 0:
        problem = "entering the tree of GIMP 3 needs root (chroot)"
    if problem and os.environ.get("INPAINT_REQUIRE_GIMP") == "1":
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
    return tree


class Gimp:
    """One user folder in the tree, with the plug-in installed.

    `inside` is a path as GIMP sees it, `folder` the same on the outside.
    """

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.folder = Path(tempfile.mkdtemp(prefix="inpaintcli-", dir=tree / "tmp"))
        self.profile = Profile(self.folder / "profile", "named", "")
        self._hosts: list[socket.socket] = []
        self._workers: list[subprocess.Popen] = []
        install(self.profile, ["membrane", "dmfn-small"])
        version = "3.0.4"
        (self.profile.folder / "gimprc").write_text(
            f'(show-welcome-dialog no)\n(config-version "{version}")\n(check-updates no)\n'
        )

    def inside(self, path: Path) -> str:
        """A path of the outside, as GIMP sees it."""
        return "/" + str(path.relative_to(self.tree))

    def settings(self, state: Path, **changes) -> dict:
        """Settings for the plug-in that has that state file; nothing can be started with them."""
        return {
            "worker": ["/nowhere/inpaintcli"], "command": "inpaintcli gimp worker",
            "state": self.inside(state), "can_start": True, "models": ["membrane"],
            "silence_s": 30, "start_s": 60, **changes,
        }  # fmt: skip

    def can_start(self, state: Path) -> dict:
        """Settings with which the plug-in starts the real worker, on the outside."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._hosts.append(listener)
        threading.Thread(target=self._start_workers, args=(listener, state), daemon=True).start()
        launcher = self.folder / "launcher.py"
        launcher.write_text(LAUNCHER)
        port = str(listener.getsockname()[1])
        command = ["/usr/bin/python3", self.inside(launcher), port]
        return self.settings(state, worker=command)

    def _start_workers(self, listener: socket.socket, state: Path) -> None:
        command = [sys.executable, "-P", "-m", "inpaintcli", "gimp", "worker", "--idle-minutes"]
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                log = state.with_suffix(".worker.log").open("wb")
                process = subprocess.Popen(
                    [*command, "5"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    env={**os.environ, STATE_VARIABLE: str(state)},
                )  # fmt: skip
                self._workers.append(process)
                log.close()
                sock.sendall(b"0\n")

    def console(self, script: Path, config: dict, limit_s: float) -> dict:
        """Run a script in GIMP without windows; its report."""
        return self.run(["gimp-console-3.0", "-i"], script, config, limit_s)

    def run(self, program: list[str], script: Path, config: dict, limit_s: float, **env) -> dict:
        """Run a script in GIMP; what it wrote as its report."""
        report, told = self.folder / f"{script.stem}.json", self.folder / f"{script.stem}.config"
        copy = self.folder / script.name
        if copy != script:
            shutil.copy(script, copy)
        told.write_text(json.dumps({**config, "report": self.inside(report)}))
        names = f"CONFIG = {self.inside(told)!r}"
        command = [
            "chroot", str(self.tree), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            f"HOME={self.inside(self.folder)}", "LANG=C.UTF-8",
            f"GIMP3_DIRECTORY={self.inside(self.profile.folder)}",
            *(f"{name}={value}" for name, value in env.items()),
            *program, "--batch-interpreter", "python-fu-eval",
            "-b", f"{names}; exec(open({self.inside(copy)!r}).read())", "--quit",
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=limit_s, check=False
        )
        said = done.stdout[-3000:] + done.stderr[-6000:]
        assert report.exists(), said
        return {**json.loads(report.read_text()), "said": said}

    def close(self) -> None:
        """Remove the folder."""
        for listener in self._hosts:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for process in self._workers:
            process.terminate()
            process.wait(60)
        if not os.environ.get("INPAINT_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
