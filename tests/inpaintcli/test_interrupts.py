"""A signal at any moment of the real program: nothing half done, 130, and never a traceback."""

import json
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from inpaintcli import cli
from inpaintcli.batch.journal import NAME
from inpaintcli.signals import ECHO_S, STOPPING, Interrupted
from tests.conftest import photo_pixels
from tests.programs import paused, running, until

LIMIT_S = 100.0
NETWORK = ["--detail", "network"]


def ended(process):
    """Exit code, summary (None where there is none) and standard error."""
    said, told = process.communicate()
    records = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert "Traceback" not in told, told
    return process.returncode, next((r["summary"] for r in records if "summary" in r), None), told


def outputs(out):
    return sorted(path.name for path in out.iterdir() if path.name != NAME) if out.exists() else []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "where", ["inpaintcli.batch.fill_many:plan_folder", "inpaintcli.batch.thread_pool:open_models"]
)
def test_before_any_photo_is_in_progress_a_signal_ends_the_run_at_once(
    folder, tmp_path, where, number
):
    command = [*paused(where, 600), "fill", folder, "-o", tmp_path / "out", "--json", *NETWORK]
    with running(command, LIMIT_S) as process:
        until(process, "here")
        process.send_signal(number)
        code, summary, told = ended(process)
    assert (code, summary) == (130, None), told
    assert "Interrupted; what is written is whole." in told
    assert outputs(tmp_path / "out") == []


def test_one_photo_leaves_nothing_behind(folder, tmp_path):
    command = [*paused("inpaintcli.batch.job_runner:read_pair", 600), "fill", folder / "0.png"]
    with running([*command, "-o", tmp_path / "out.png"], LIMIT_S) as process:
        until(process, "here")
        process.send_signal(signal.SIGINT)
        code, _, told = ended(process)
    assert code == 130, told
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def batch(folder, tmp_path, seconds):
    """A run with one worker, which pauses with each photo: two photos are at work at a time."""
    command = [*paused("inpaintcli.batch.job_runner:read_pair", seconds), "fill", folder]
    command += ["-o", tmp_path / "out", "--workers", "1", "--json", *NETWORK]
    return running(command, LIMIT_S, start_new_session=True)


def test_the_photos_in_progress_finish_however_often_the_same_wish_is_reported(folder, tmp_path):
    with batch(folder, tmp_path, 1.0) as process:
        until(process, "here")
        until(process, "here")
        process.send_signal(signal.SIGINT)
        os.killpg(process.pid, signal.SIGINT)  # as timeout(1) and terminals do
        code, summary, told = ended(process)
    assert code == 130, told
    # Two were at work when the signal was sent; on a machine with much else to do, one was done
    # and another begun before it was heard.
    assert 2 <= summary["filled"] < 6
    assert (summary["failed"], summary["left"]) == (0, 6 - summary["filled"])
    assert told.count(STOPPING) == 1
    assert len(outputs(tmp_path / "out")) == summary["filled"]


def test_a_later_signal_ends_at_once_and_the_next_run_does_the_rest(folder, tmp_path):
    with batch(folder, tmp_path, 600) as process:
        until(process, "here")
        process.send_signal(signal.SIGTERM)
        until(process, STOPPING, "stderr")
        time.sleep(2 * ECHO_S)
        process.send_signal(signal.SIGTERM)
        code, summary, told = ended(process)
    assert (code, summary) == (130, None), told
    with batch(folder, tmp_path, 0) as process:
        assert ended(process)[0] == 0
    assert outputs(tmp_path / "out") == [f"{number}.png" for number in range(6)]


def test_during_the_report_the_sums_are_reported_already(folder, tmp_path):
    report = tmp_path / "report.html"
    command = [
        *paused("inpaintcli.batch.contact_sheet:ContactSheet.write", 600),
        "fill",
        folder,
        "--json",
        *NETWORK,
    ]
    with running([*command, "-o", tmp_path / "out", "--report", report], LIMIT_S) as process:
        said = until(process, "here")
        process.send_signal(signal.SIGINT)
        code, _, told = ended(process)
    assert code == 130, told
    assert json.loads(said.splitlines()[-2])["summary"]["filled"] == 6
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out"}


def test_an_evaluation_that_is_interrupted_leaves_no_report(tmp_path):
    photos, report = tmp_path / "photos", tmp_path / "report.html"
    photos.mkdir()
    Image.fromarray(photo_pixels(64, 80)).save(photos / "a.png")
    command = [
        *paused("inpaintcli.evaluation.score_table:ScoreTable.add", 600),
        "evaluate",
        photos,
    ]
    command += ["--holes", "centre", "--report", report, *NETWORK]
    with running(command, LIMIT_S) as process:
        until(process, "here")
        process.send_signal(signal.SIGTERM)
        code, _, told = ended(process)
    assert code == 130, told
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_once_all_is_done_a_signal_changes_nothing(folder, tmp_path):
    command = [*paused("threading:_shutdown", 2), "fill", folder / "0.png"]
    with running([*command, "-o", tmp_path / "0.png"], LIMIT_S) as process:
        until(process, "here")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == 0, told
    assert "Error" not in told
    assert "Exception" not in told
    assert np.asarray(Image.open(tmp_path / "0.png")).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [("watch", signal.SIGTERM, 0), ("watch", signal.SIGINT, 130), ("fill", signal.SIGTERM, 130)],
)
def test_a_signal_while_a_command_starts(monkeypatch, command, number, code):
    def interrupted(**_):
        raise Interrupted(number)

    monkeypatch.setattr(cli, "app", interrupted)
    monkeypatch.setattr("sys.argv", ["inpaintcli", command])
    assert cli._run() == code
