"""The program on a Ray cluster of this machine: nobody's death loses or doubles a photo."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from inpaintcli.journal import NAME

pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PHOTOS = 16


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of noise, each with its mask beside it."""
    folder = tmp_path_factory.mktemp("ray") / "photos"
    folder.mkdir()
    rng, mask = np.random.default_rng(0), np.zeros((96, 96), np.uint8)
    mask[20:60, 16:64] = 255
    for number in range(PHOTOS):
        pixels = rng.integers(0, 256, (96, 96, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        Image.fromarray(mask).save(folder / f"{number:02d}.mask.png")
    return folder


def program(photos, out, *options):
    """The command; the network alone, in fp32: the same bytes come out of any order of work."""
    command = [sys.executable, "-P", "-m", "inpaintcli", "fill", str(photos), "-o", str(out)]
    return [*command, "--detail", "network", "--precision", "fp32", *options]


ON_RAY = ("--ray", "local", "--workers", "2", "--json")


def started(photos, out, *options):
    return subprocess.Popen(
        program(photos, out, *ON_RAY, *options),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wanted(photos):
    """What an undisturbed run without Ray makes."""
    out = photos.parent / "calm"
    subprocess.run(program(photos, out, "-q"), check=True)
    return contents(out)


def contents(out):
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


def entries(out):
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def check(out, wanted):
    """All outputs are there, each as wanted and filled once, and nothing else is."""
    assert contents(out) == wanted
    assert {path.name for path in out.iterdir()} == {*wanted, NAME}
    filled = Counter(e["output"] for e in entries(out) if e["status"] == "filled")
    assert filled == dict.fromkeys(wanted, 1)


def summary(text):
    *_, last = [json.loads(line) for line in text.splitlines()]
    return last["summary"]


def test_photos_of_a_killed_worker_are_done_by_another(photos, wanted, tmp_path):
    run = started(photos, tmp_path / "out", "-v")
    first = run.stdout.readline()
    told = ""
    while "worker on" not in told:
        told += run.stderr.readline()
    os.kill(int(re.search(r"worker on .*process (\d+)", told)[1]), signal.SIGKILL)
    rest, told = run.communicate()
    assert run.returncode == 0, told
    assert summary(rest)["filled"] == PHOTOS
    assert len((first + rest).splitlines()) == PHOTOS + 1
    assert "was lost; another does its photos" in told
    check(tmp_path / "out", wanted)


@pytest.mark.parametrize("lines", [1, 9])
def test_a_killed_run_is_resumed_by_the_next(photos, wanted, tmp_path, lines):
    out = tmp_path / "out"
    run = started(photos, out)
    for _ in range(lines):
        run.stdout.readline()
    run.kill()
    run.communicate()
    assert contents(out).items() <= wanted.items()
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    done = subprocess.run(
        program(photos, out, *ON_RAY, "-q"), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert summary(done.stdout)["filled"] <= PHOTOS - lines
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    check(out, wanted)


def test_an_interrupt_lets_the_photos_at_work_finish(photos, wanted, tmp_path):
    out = tmp_path / "out"
    run = started(photos, out)
    run.stdout.readline()
    run.send_signal(signal.SIGINT)
    _, told = run.communicate()
    assert run.returncode == 130, told
    assert contents(out).items() <= wanted.items()
    assert not list(out.glob(".*part"))
    subprocess.run(program(photos, out, "-q"), check=True)
    check(out, wanted)


def test_a_cluster_that_is_not_there_is_told(photos, tmp_path):
    command = program(photos, tmp_path / "out", "--ray", "127.0.0.1:1")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "The Ray cluster 127.0.0.1:1 cannot be reached" in done.stderr
    assert done.stdout == ""
