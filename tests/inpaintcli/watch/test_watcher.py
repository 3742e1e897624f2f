"""Promises of the command `watch`, with an engine that fills with grey, and of the real program."""

import json
import os
import re
import signal
import time
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch.fill_many import BatchOptions, fill_many
from inpaintcli.batch.journal import NAME, Journal
from inpaintcli.batch.requests import FillRequest
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, OutputError, UsageError
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.source import BESIDE, mask_source
from inpaintcli.watch.watcher import WatchOptions, watch_folder
from tests.conftest import GreyEngine, card, photo_pixels
from tests.programs import PROGRAM, running


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def fill_request(monkeypatch):
    """A run with the engine of the tests."""
    monkeypatch.setattr(FillRequest, "open_model", lambda *_, **__: Model(card(), GreyEngine(), ""))
    return run_with()


def run_with(*, dry_run=False):
    return FillRequest(console=Console(json=True), dry_run=dry_run)


def put_pair(folder, name, *, age_s=100.0):
    """A photo and its mask, old enough to be whole at once."""
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    hole = np.zeros((48, 64), np.uint8)
    hole[10:30, 20:40] = 255
    Image.fromarray(photo_pixels(48, 64)).save(path)
    Image.fromarray(hole).save(path.with_suffix(".mask.png"))
    for each in (path, path.with_suffix(".mask.png")):
        os.utime(each, (time.time() - age_s,) * 2)
    return path


def once(fill_request, photos, mask=None, **options):
    out = photos.parent / "out"
    return watch_folder(
        fill_request, WatchOptions(once=True, **options), photos, mask_source(mask), out
    )


def names(folder):
    """What is in a folder, besides the journal."""
    paths = (path for path in folder.rglob("*.*") if path.name != NAME)
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def records(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("what", ["watch", "fill"])
def test_where_all_is_done_a_folder_that_cannot_be_written_is_no_error(
    photos, fill_request, monkeypatch, capsys, what
):
    put_pair(photos, "a")
    assert once(fill_request, photos) == ExitCode.OK
    capsys.readouterr()
    access, opened, out = os.access, os.open, photos.parent / "out"

    def read_only(path, *flags, **options):
        if Path(path).is_relative_to(out) and flags[0] & (os.O_RDWR | os.O_WRONLY):
            raise OSError(30, "Read-only file system")
        return opened(path, *flags, **options)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and not Path(path).is_relative_to(out)
    )

    def run():
        if what == "watch":
            return once(fill_request, photos)
        return fill_many(fill_request, BatchOptions(source=photos, mask=BESIDE, output=out))

    assert run() == ExitCode.OK
    assert records(capsys.readouterr().out)[-1]["summary"]["skipped"] == 1
    put_pair(photos, "b")
    with pytest.raises(OutputError, match="Read-only"):
        run()


@pytest.mark.parametrize("poll", [["--poll"], ["--poll", "0.5"], ["--poll=3"]])
def test_poll_takes_a_number_or_none(tmp_path, poll, program):
    nowhere = tmp_path / "nowhere"
    done = program("watch", *poll, nowhere, "-o", tmp_path / "out", check=3)
    assert b"nowhere is not a folder" in done.stderr


def test_once_does_what_is_there_and_stops(photos, tmp_path, fill_request, capsys):
    for name in ("a", "b", "sub/c with spaces", "ü" * 100):
        put_pair(photos, name)
    assert once(fill_request, photos, workers=2) == ExitCode.OK
    assert len(names(tmp_path / "out")) == 4
    lines = records(capsys.readouterr().out)
    assert [line["status"] for line in lines[:-1]] == ["filled"] * 4
    assert lines[-1]["summary"]["filled"] == 4


def test_what_has_an_output_is_skipped_and_what_has_no_mask_is_reported(
    photos, fill_request, tmp_path, capsys
):
    put_pair(photos, "a")
    put_pair(photos, "b").with_suffix(".mask.png").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").write_text("of an earlier run")
    assert once(fill_request, photos) == ExitCode.OK
    assert (tmp_path / "out/a.png").read_text() == "of an earlier run"
    told = {line["input"][-5:]: line["note"] for line in records(capsys.readouterr().out)[:-1]}
    assert told == {
        "a.png": "its output exists already",
        "b.png": "no mask has come; it is filled when one comes",
    }


def test_bad_files_are_reported_and_set_aside_and_never_stop_the_rest(
    photos, tmp_path, fill_request
):
    for name in ("a", "bad", "sub/misfit"):
        put_pair(photos, name)
    (photos / "bad.png").write_bytes(b"no picture")
    Image.new("L", (5, 5)).save(photos / "sub/misfit.mask.png")
    (photos / "notes.txt").write_text("mine")
    done, failed = tmp_path / "done", tmp_path / "failed"
    assert once(fill_request, photos, done=done, failed=failed) == ExitCode.SOME_FAILED
    assert names(tmp_path / "out") == ["a.png"]
    assert names(done) == ["a.mask.png", "a.png"]
    assert {"bad.png", "bad.error.txt", "sub/misfit.mask.png", "sub/misfit.error.json"} <= set(
        names(failed)
    )
    assert names(photos) == ["notes.txt"]


def test_delete_inputs_removes_what_was_filled_and_nothing_else(photos, tmp_path, fill_request):
    put_pair(photos, "a")
    put_pair(photos, "bad")
    (photos / "bad.png").write_bytes(b"no picture")
    once(fill_request, photos, delete_inputs=True)
    assert names(photos) == ["bad.mask.png", "bad.png"]
    assert names(tmp_path / "out") == ["a.png"]


def test_an_input_whose_output_is_not_verified_stays(photos, fill_request, monkeypatch):
    put_pair(photos, "a")
    monkeypatch.setattr("inpaintcli.watch.archive._is_same_outside", lambda *_: False)
    assert once(fill_request, photos, delete_inputs=True) == ExitCode.SOME_FAILED
    assert names(photos) == ["a.mask.png", "a.png"]


def test_inputs_that_cannot_be_moved_are_filled_once(
    photos, fill_request, tmp_path, capsys, monkeypatch
):
    put_pair(photos, "a")
    done = tmp_path / "done"
    with monkeypatch.context() as refused:
        refused.setattr("inpaintcli.watch.archive.taken", _refuse_to_move)
        assert once(fill_request, photos, done=done) == ExitCode.OK
        first = (tmp_path / "out/a.png").stat()
        capsys.readouterr()
        assert once(fill_request, photos, done=done) == ExitCode.OK
    assert records(capsys.readouterr().out)[0]["note"] == "done already"
    assert (tmp_path / "out/a.png").stat().st_mtime_ns == first.st_mtime_ns
    once(fill_request, photos, done=done)
    assert (names(photos), names(done)) == ([], ["a.mask.png", "a.png"])


def _refuse_to_move(path, _sha256):
    raise OutputError(f"{path} cannot be moved.")


def test_one_mask_for_all_is_never_moved(photos, tmp_path, fill_request):
    photo = put_pair(photos, "a")
    mask = tmp_path / "mask.png"
    photo.with_suffix(".mask.png").rename(mask)
    assert once(fill_request, photos, str(mask), delete_inputs=True) == ExitCode.OK
    assert names(photos) == []
    assert mask.exists()


def test_a_second_watch_does_what_is_missing_or_changed(photos, tmp_path, fill_request, capsys):
    for name in "abc":
        put_pair(photos, name)
    assert once(fill_request, photos) == ExitCode.OK
    (tmp_path / "out/b.png").unlink()
    Image.fromarray(255 - photo_pixels(48, 64)).save(photos / "c.png")
    capsys.readouterr()
    assert once(fill_request, photos) == ExitCode.OK
    told = {Path(line["input"]).stem: line for line in records(capsys.readouterr().out)[:-1]}
    assert {name: line["status"] for name, line in told.items()} == {
        "a": "skipped",
        "b": "filled",
        "c": "filled",
    }
    assert told["a"]["note"] == "done already"


def test_watch_and_fill_keep_one_journal(photos, tmp_path, fill_request, capsys):
    put_pair(photos, "a")
    fill = BatchOptions(source=photos, mask=BESIDE, output=tmp_path / "out")
    once(fill_request, photos)
    capsys.readouterr()
    fill_many(fill_request, fill)
    put_pair(photos, "b")
    fill_many(fill_request, fill)
    once(fill_request, photos)
    statuses = [line.get("status") for line in records(capsys.readouterr().out)]
    assert statuses == ["skipped", None, "skipped", "filled", None, "skipped", "skipped", None]


def test_two_runs_cannot_write_to_one_folder(photos, tmp_path, fill_request):
    (tmp_path / "out").mkdir()
    with (
        closing(Journal(tmp_path / "out")),
        pytest.raises(OutputError, match="Another run is writing"),
    ):
        once(fill_request, photos)


def test_the_log_tells_everything_and_the_status_file_the_end(photos, tmp_path, fill_request):
    put_pair(photos, "a")
    once(fill_request, photos, log=tmp_path / "log", status=tmp_path / "st.json")
    events = records((tmp_path / "log").read_text())
    assert [event["event"] for event in events] == ["started", "outcome", "stopped"]
    assert events[1]["status"] == "filled"
    assert "started" in events[1]
    status = json.loads((tmp_path / "st.json").read_text())
    assert (status["running"], status["counts"]["filled"]) == (False, 1)
    assert (status["queued"], status["working"]) == (0, 0)


def test_the_port_that_was_free_is_reported(photos, tmp_path, fill_request, capsys):
    pytest.importorskip("prometheus_client", reason="the extra `metrics` is not installed")
    once(fill_request, photos, metrics_port=0, log=tmp_path / "log", status=tmp_path / "st.json")
    told = re.search(
        r"Metrics are on (http://127\.0\.0\.1:[1-9]\d*/metrics)\.", capsys.readouterr().err
    )
    assert told
    assert json.loads((tmp_path / "st.json").read_text())["metrics"] == told[1]
    assert records((tmp_path / "log").read_text())[0]["metrics"] == told[1]


def test_a_dry_run_does_nothing(photos, tmp_path, capsys):
    put_pair(photos, "a")
    watch_folder(run_with(dry_run=True), WatchOptions(), photos, BESIDE, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert records(capsys.readouterr().out)[0]["note"] == "dry run"


@pytest.mark.parametrize(
    ("options", "output"),
    [
        (WatchOptions(), None),
        (WatchOptions(done=Path("done"), delete_inputs=True), Path("out")),
    ],
)
def test_options_that_contradict_each_other_are_refused(photos, fill_request, options, output):
    with pytest.raises(UsageError):
        watch_folder(fill_request, options, photos, BESIDE, output)


class Program:
    """The real program, watching."""

    def __init__(self, folder, stack, *options):
        self.status, self.log = folder / "st.json", folder / "log"
        (folder / "in").mkdir(exist_ok=True)
        arguments = ["watch", "in", "-o", "in/out", "--detail", "network", "--workers", "1"]
        command = [*PROGRAM, *arguments, "--status", self.status, "--log", self.log, *options]
        self.process = stack.enter_context(running(command, 110.0, cwd=folder))

    def until(self, condition, seconds=60.0):
        """Wait for something to become true."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)

    def outcomes(self):
        if not self.log.exists():
            return []
        return [r for r in records(self.log.read_text()) if r["event"] == "outcome"]

    def stop(self, number):
        self.process.send_signal(number)
        _, told = self.process.communicate()
        assert "Traceback" not in told, told
        return self.process.returncode


@pytest.fixture
def start(tmp_path):
    """Starts the real program; it ends with the test."""
    with ExitStack() as stack:

        def started(*options):
            program = Program(tmp_path, stack, *options)
            program.until(program.status.exists)
            return program

        yield started


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_lets_the_photo_in_progress_finish(tmp_path, start, number, code):
    program = start()
    for name in "abcde":
        put_pair(tmp_path / "in", name)
    program.until(program.outcomes)
    assert program.stop(number) == code
    written = names(tmp_path / "in/out")
    assert written == [f"{line['input'][-5]}.png" for line in program.outcomes()]
    for name in written:
        with Image.open(tmp_path / "in/out" / name) as image:
            image.load()


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--poll", "--mask-timeout", "1")])
def test_a_watch_goes_on_through_everything(tmp_path, start, options):
    program = start(*options)
    put_pair(tmp_path / "in", "a")
    program.until(lambda: len(program.outcomes()) == 1)
    (tmp_path / "in").rename(tmp_path / "gone")
    program.until(lambda: not json.loads(program.status.read_text())["folder_present"])
    (tmp_path / "gone").rename(tmp_path / "in")
    put_pair(tmp_path / "in/new/sub", "b")
    program.until(lambda: len(program.outcomes()) == 2)
    program.log.rename(tmp_path / "log.1")
    (tmp_path / "in/new").rename(tmp_path / "in/moved")
    program.until(lambda: len(program.outcomes()) == 1)
    assert program.stop(signal.SIGTERM) == 0
    assert names(tmp_path / "in/out") == ["a.png", "moved/sub/b.png", "new/sub/b.png"]
    assert {line["status"] for line in program.outcomes()} == {"filled"}


def test_a_fault_in_a_worker_fails_its_photo_and_hangs_nothing(photos, fill_request, monkeypatch):
    for name in "abc":
        put_pair(photos, name)

    def fail(*_):
        raise RuntimeError("a fault")

    monkeypatch.setattr("inpaintcli.watch.watcher.JobRunner.run", fail)
    assert once(fill_request, photos, workers=1) == ExitCode.SOME_FAILED
