"""The soak scripts at a small size: the promises that only whole processes can break."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_batch_survives_kills():
    program = [sys.executable, str(BENCHMARKS / "soak_batch.py"), "--photos", "40", "--kills", "5"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    # A fast machine may be done before the last of them.
    assert json.loads(done.stdout)["kills"] >= 3
