"""The program on a Ray cluster of this machine: nobody's death loses or doubles a photo."""

import json
import os
import re
import signal
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch.journal import NAME
from tests.programs import PROGRAM, finished, running, until

pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PHOTOS = 16
LIMIT_S = 400.0
"""Of one program, beside whatever else this machine does."""
LOCAL = ("--ray", "local", "--workers", "2")


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
    fixed = ["--detail", "network", "--precision", "fp32", "--json"]
    return [*PROGRAM, "fill", photos, "-o", out, *fixed, *options]


def on_ray(photos, out, *options):
    """The command on two local workers, running."""
    return running(program(photos, out, *LOCAL, *options), LIMIT_S, start_new_session=True)


def completed(photos, out, *options):
    """The summary of an undisturbed run."""
    done = finished(program(photos, out, "-q", *options), LIMIT_S)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return summary(done.stdout)


@pytest.fixture(scope="module")
def expected(photos):
    """What an undisturbed run without Ray makes."""
    out = photos.parent / "calm"
    completed(photos, out)
    return contents(out)


def contents(out):
    return {path.name: path.read_bytes() for path in out.glob("*.png")}


def entries(out):
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def check(out, expected):
    """All outputs are there, each as expected and filled once, and nothing else is."""
    assert contents(out) == expected
    assert {path.name for path in out.iterdir()} == {*expected, NAME}
    filled = Counter(e["output"] for e in entries(out) if e["status"] == "filled")
    assert filled == dict.fromkeys(expected, 1)


def summary(text):
    *_, last = [json.loads(line) for line in text.splitlines()]
    return last["summary"]


def worker_in(told):
    """The process of the last worker that was told of."""
    return int(re.findall(r"worker on .*process (\d+)", told)[-1])


def test_photos_of_a_killed_worker_are_done_by_another(photos, expected, tmp_path):
    with on_ray(photos, tmp_path / "out", "-v") as run:
        os.kill(worker_in(until(run, "worker on", "stderr")), signal.SIGKILL)
        said, told = run.communicate()
    assert run.returncode == 0, told
    assert summary(said)["filled"] == PHOTOS
    assert len(said.splitlines()) == PHOTOS + 1
    assert "was lost; another does its photos" in told
    check(tmp_path / "out", expected)


@pytest.mark.soak
@pytest.mark.parametrize("lines", [1, 9])
def test_a_killed_run_is_resumed_by_the_next(photos, expected, tmp_path, lines):
    out = tmp_path / "out"
    with on_ray(photos, out) as run:
        for _ in range(lines):
            until(run, "filled")
        run.kill()
        run.communicate()
    assert contents(out).items() <= expected.items()
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert completed(photos, out, *LOCAL)["filled"] <= PHOTOS - lines
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    check(out, expected)


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_photos_in_progress_finish(photos, expected, tmp_path, number):
    out = tmp_path / "out"
    with on_ray(photos, out) as run:
        until(run, "filled")
        if number == signal.SIGINT:
            os.killpg(run.pid, number)  # as a terminal does: Ray's processes get it, too
        else:
            run.send_signal(number)
        said, told = run.communicate()
    assert run.returncode == 130, told
    assert "Traceback" not in told
    sums = summary(said)
    assert sums["filled"] + sums["left"] == PHOTOS
    assert sums["filled"] == len(contents(out))
    assert contents(out).items() <= expected.items()
    assert not list(out.glob(".*part"))
    completed(photos, out)
    check(out, expected)


@pytest.mark.soak
def test_a_signal_before_a_worker_is_ready_begins_nothing(photos, tmp_path):
    out = tmp_path / "out"
    with on_ray(photos, out, "-v") as run:
        until(run, "journal", "stderr")  # Ray is being begun
        run.send_signal(signal.SIGTERM)
        said, told = run.communicate()
    assert run.returncode == 130, told
    assert "Traceback" not in told
    assert contents(out) == {}
    # None where Ray itself was interrupted while it began.
    assert not said or summary(said)["left"] == PHOTOS


@pytest.mark.soak
def test_nothing_is_left_in_the_home_of_the_user(photos, tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path)}
    command = program(photos, tmp_path / "out", "--include", "00.png", *LOCAL)
    done = finished(command, LIMIT_S, env=environment)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / ".ray").exists()  # its token is one of this run alone


def test_a_cluster_that_is_not_there_is_reported(photos, tmp_path):
    done = finished(program(photos, tmp_path / "out", "--ray", "127.0.0.1:1"), LIMIT_S)
    assert done.returncode == 7, done.stderr
    assert "The Ray cluster 127.0.0.1:1 cannot be reached" in done.stderr
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["error"]["code"] == 7
