"""`inpaintcli gimp install` asks a real GIMP 3 whether it has the plug-in."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.plugins.gimp.tree import root
from tests.programs import PROGRAM, finished

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(300)]

CONSOLE = """#!/bin/sh
GIMP3_DIRECTORY="${{GIMP3_DIRECTORY#{tree}}}" HOME=/tmp exec chroot {tree} gimp-console-3.0 "$@"
"""


def test_install_status_and_uninstall_with_a_real_gimp(tmp_path):
    tree = root()
    folder = Path(tempfile.mkdtemp(prefix="inpaintcli-", dir=tree / "tmp"))
    console = tmp_path / "gimp-console-3.0"
    console.write_text(CONSOLE.format(tree=tree))
    console.chmod(0o755)
    variables = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "GIMP3_DIRECTORY": str(folder / "profile"),
        "INPAINTCLI_GIMP_STATE": str(tmp_path / "worker.json"),
    }

    def gimp(*words) -> dict:
        done = finished([*PROGRAM, "gimp", *words, "--json"], 250, env=variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[0])

    try:
        told = gimp("install")
        assert (told["status"], told["registered"]) == ("installed", True), told
        plug_in = Path(told["plug_in"])
        (plug_in / "inpaintcli.py").write_text("#!/usr/bin/env python3\nthis is no Python\n")
        told = gimp("status")
        assert (told["status"], told["registered"]) == ("outdated", False), told
        assert gimp("install")["registered"] is True
        assert gimp("uninstall")["status"] == "removed"
        assert not plug_in.exists()
    finally:
        shutil.rmtree(folder)
