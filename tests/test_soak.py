"""The soak scripts at a small size: the promises that only whole processes can break."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def soak(script: str, *options: str) -> dict:
    """What the script reports; it must have found no fault."""
    program = [sys.executable, str(BENCHMARKS / script), *options]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_batch_survives_kills():
    # A fast machine may be done before the last of them.
    assert soak("soak_batch.py", "--photos", "40", "--kills", "5")["kills"] >= 3


def test_a_watch_loses_nothing_and_does_nothing_twice():
    found = soak("soak_watch.py", "--pairs", "40", "--rate", "8", "--idle", "1")
    assert found["faults"] == []
