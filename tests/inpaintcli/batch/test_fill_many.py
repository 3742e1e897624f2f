"""A run of many photos, and the run after it."""

import json
import os
import subprocess
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch.fill_many import BatchOptions, fill_many, is_many
from inpaintcli.batch.journal import NAME, Journal
from inpaintcli.batch.requests import FillRequest
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, OutputError, UnreadableError, UsageError
from inpaintcli.imaging import images
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.source import BESIDE
from inpaintcli.models.cards import find_card
from inpaintcli.options import FillOptions, ModelChoice
from tests.conftest import GreyEngine, card, photo_pixels


@dataclass(frozen=True, kw_only=True)
class GreyRequest(FillRequest):
    """A request whose model fills with one grey."""

    grey: float = 0.0

    def open_model(self, threads=None):  # noqa: ARG002
        return Model(card(), GreyEngine(self.grey), "for tests")


def taken(group, options):
    """A dataclass of options, with those that are its fields, which are removed."""
    names = [name for name in group.__dataclass_fields__ if name in options]
    return group(**{name: options.pop(name) for name in names})


def grey_request(options):
    """A request with those options that belong to it, which are removed."""
    own = {name: options.pop(name) for name in ("grey", "overwrite", "dry_run") if name in options}
    return GreyRequest(
        console=Console(json=True),
        model=taken(ModelChoice, options),
        options=taken(FillOptions, options),
        **own,
    )


@pytest.fixture
def fill(folder, tmp_path, capsys):
    """Run the command; gives the exit code, the statuses by photo, and standard error."""

    def run(*, source=folder, **options):
        request = grey_request(options)
        batch = BatchOptions(
            source=source, **{"mask": BESIDE, "output": tmp_path / "out", **options}
        )
        code = fill_many(request, batch)
        out, err = capsys.readouterr()
        *lines, last = [json.loads(line) for line in out.splitlines()]
        statuses = {os.path.basename(line["input"])[:-4]: line["status"] for line in lines}  # noqa: PTH119
        assert last["summary"]["left"] == 0 or "fail_fast" in options
        return code, statuses, err

    return run


ALL = dict.fromkeys("012345", "filled")
NONE = dict.fromkeys("012345", "skipped")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def repaint(path):
    with Image.open(path) as image:
        pixels = np.asarray(image)
    Image.fromarray(255 - pixels).save(path)


def test_a_second_run_has_nothing_to_do(fill, tmp_path):
    assert fill()[:2] == (ExitCode.OK, ALL)
    before = contents(tmp_path / "out")
    code, statuses, told = fill(grey=0.5)
    assert (code, statuses) == (ExitCode.OK, NONE)
    assert "done already" in told
    assert contents(tmp_path / "out") == before


def test_what_is_missing_is_done_again(fill, tmp_path):
    fill()
    (tmp_path / "out/3.png").unlink()
    assert fill()[1] == {**NONE, "3": "filled"}


@pytest.mark.parametrize("name", ["2.png", "2.mask.png"])
def test_a_changed_photo_or_mask_is_done_again_and_replaces_the_output(
    fill, folder, tmp_path, name
):
    fill()
    before = contents(tmp_path / "out")
    repaint(folder / name)
    assert fill(grey=0.5)[1] == {**NONE, "2": "filled"}
    after = contents(tmp_path / "out")
    assert {name for name in after if after[name] != before[name]} == {"2.png"}
    assert fill()[1] == NONE


@pytest.mark.parametrize(
    "option",
    [
        {"grow": 2},
        {"feather": 2},
        {"mask_threshold": 3},
        {"resize_mask": True},
        {"detail": "network"},
        {"precision": "fp32"},
    ],
    ids=str,
)
def test_options_that_change_pixels_count(fill, option):
    fill()
    assert fill(**option)[1] == ALL
    assert fill(**option)[1] == NONE


def test_another_model_counts(fill, tmp_path):
    fill()
    shipped = find_card()
    other = tmp_path / "other.toml"
    other.write_text(shipped.path.read_text(encoding="utf-8").replace(shipped.sha256, "0" * 64))
    assert fill(model=str(other))[1] == ALL


def test_options_that_do_not_change_pixels_do_not_count(fill):
    fill()
    assert fill(workers=2, fail_fast=True)[1] == NONE


def test_an_output_that_the_journal_does_not_know_is_not_replaced(fill, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/3.png").write_bytes(b"mine")
    assert fill()[1] == {**ALL, "3": "skipped"}
    assert (tmp_path / "out/3.png").read_bytes() == b"mine"
    assert fill(overwrite=True)[1] == ALL
    assert (tmp_path / "out/3.png").read_bytes() != b"mine"


def test_an_output_that_somebody_changed_is_not_replaced(fill, folder, tmp_path):
    fill()
    (tmp_path / "out/3.png").write_bytes(b"touched up by hand")
    assert fill()[1] == NONE
    repaint(folder / "3.png")
    _, statuses, told = fill()
    assert statuses == NONE
    assert "changed since" in told
    assert (tmp_path / "out/3.png").read_bytes() == b"touched up by hand"


def test_what_could_not_be_read_for_a_while_is_tried_again(fill, monkeypatch):
    """A share that did not answer, missing rights: the same file may be read in the next run."""
    read = images._content

    def failing(path, **options):
        if path.name == "3.png" and options.get("whole", True):
            raise UnreadableError(f"{path} cannot be read.") from OSError(5, "Input/output error")
        return read(path, **options)

    monkeypatch.setattr(images, "_content", failing)
    assert fill()[:2] == (ExitCode.SOME_FAILED, {**ALL, "3": "failed"})
    monkeypatch.setattr(images, "_content", read)
    assert fill()[1] == {**NONE, "3": "filled"}


def test_a_failure_that_lies_in_the_files_comes_again_without_work(fill, folder, monkeypatch):
    (folder / "1.png").write_bytes(b"")
    Image.new("L", (5, 5), 255).save(folder / "4.mask.png")
    failing = {"1": "failed", "4": "failed"}
    assert fill()[:2] == (ExitCode.SOME_FAILED, {**ALL, **failing})
    monkeypatch.setattr("inpaintcli.batch.job_runner.read_pair", None)
    code, statuses, told = fill()
    assert (code, statuses) == (ExitCode.SOME_FAILED, {**NONE, **failing})
    assert told.count("--retry-failed") == 2
    assert "is empty" in told
    monkeypatch.undo()
    assert fill(retry_failed=True)[1] == {**NONE, **failing}
    Image.fromarray(photo_pixels(48, 64)).save(folder / "1.png")
    assert fill()[1] == {**NONE, "1": "filled", "4": "failed"}


def test_a_failure_that_may_pass_is_tried_again(fill, monkeypatch):
    def full(*_args, **_options):
        raise OutputError("No space left on device.")

    monkeypatch.setattr("inpaintcli.storage.locations.write_bytes", full)
    assert set(fill()[1].values()) == {"failed"}
    monkeypatch.undo()
    assert fill()[1] == ALL


def test_a_failed_redo_leaves_the_old_output_ours(fill, folder):
    fill()
    good = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(b"")
    assert fill()[1] == {**NONE, "1": "failed"}
    (folder / "1.png").write_bytes(good)
    repaint(folder / "1.png")
    assert fill()[1] == {**NONE, "1": "filled"}


def test_fail_fast_begins_no_other(fill, folder):
    for name in "012345":
        (folder / f"{name}.png").write_bytes(b"")
    code, statuses, told = fill(fail_fast=True, workers=1)
    assert code == ExitCode.SOME_FAILED
    assert 1 <= len(statuses) < 6
    assert "not begun" in told


def test_globs_and_dry_run(fill, tmp_path):
    code, statuses, _ = fill(include=("[0-3].png",), exclude=("2*",), dry_run=True)
    assert (code, statuses) == (ExitCode.OK, dict.fromkeys("013", "skipped"))
    assert not (tmp_path / "out").exists()
    assert fill(include=("[0-3].png",), exclude=("2*",))[1] == dict.fromkeys("013", "filled")


def test_a_dry_run_knows_what_is_done(fill):
    fill()
    assert fill(dry_run=True)[1] == NONE


def test_a_list(fill, folder):
    source = folder / "pairs.csv"
    source.write_text("photo,mask,output\n1.png,2.mask.png,x/1.png\ngone.png,,\n")
    code, statuses, _ = fill(source=source)
    assert (code, statuses) == (ExitCode.SOME_FAILED, {"1": "filled", "gone": "failed"})
    assert (folder.parent / "out/x/1.png").exists()
    assert is_many(source)


def test_one_run_at_a_time(fill, tmp_path):
    (tmp_path / "out").mkdir()
    with closing(Journal(tmp_path / "out")), pytest.raises(OutputError, match="Another run"):
        fill()


def test_many_photos_need_a_folder(fill):
    with pytest.raises(UsageError, match="output folder"):
        fill(output=None)


def test_nothing_is_written_outside_the_output_folder(fill, tmp_path):
    def others():
        paths = [path for path in tmp_path.rglob("*") if tmp_path / "out" not in path.parents]
        return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}

    before = others()
    fill()
    assert others() == before
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        NAME,
        *(f"{number}.png" for number in range(6)),
    }


def test_the_sums_are_reported_also_where_the_report_cannot_be_written(
    fill, tmp_path, monkeypatch, capsys
):
    def write(*_args, **_options):
        raise OutputError("No space left.")

    monkeypatch.setattr("inpaintcli.batch.fill_many.ContactSheet.write", write)
    with pytest.raises(OutputError, match="No space left"):
        fill(report=tmp_path / "report.html")
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["summary"]["filled"] == 6


def test_only_outputs_that_could_not_be_recorded_are_reported(fill, folder, monkeypatch):
    def record(*_args):
        raise OutputError("No space left.")

    (folder / "0.png").write_bytes(b"no picture")
    monkeypatch.setattr("inpaintcli.batch.resume.JournalRecorder.record", record)
    code, statuses, told = fill()
    assert (code, statuses) == (ExitCode.SOME_FAILED, {**ALL, "0": "failed"})
    assert told.count("not recorded") == 5  # a failure is reported anyway


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB, mounted where the outputs go."""
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(out)]
    if os.name == "nt" or os.getuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield out
    subprocess.run(["umount", str(out)], check=True)


def test_a_full_disk_fails_photo_by_photo_and_the_next_run_does_the_rest(fill, folder, small_disk):
    noise = np.random.default_rng(0)
    for number in range(6):
        pixels = noise.integers(0, 256, (150, 200, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        mask = np.zeros((150, 200), np.uint8)
        mask[50:60, 50:60] = 255
        Image.fromarray(mask).save(folder / f"{number}.mask.png")
    code, statuses, told = fill()
    assert code == ExitCode.SOME_FAILED
    assert set(statuses.values()) == {"filled", "failed"}
    assert "will take about" in told
    assert "No space left" in told
    assert not list(small_disk.rglob("*.inpaintcli-part"))
    for path in small_disk.glob("*.png"):
        with Image.open(path) as image:
            assert image.size == (200, 150)
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    again = fill()[1]
    assert set(again.values()) == {"filled", "skipped"}
    assert sum(status == "filled" for status in again.values()) == sum(
        status == "failed" for status in statuses.values()
    )


def test_a_read_only_folder_is_reported_before_any_work(fill, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match="Read-only"):
        fill()


def test_where_all_is_done_nothing_is_locked_or_written(fill, tmp_path):
    fill()
    with closing(Journal(tmp_path / "out")):  # stands for a folder that cannot be written
        assert fill()[:2] == (ExitCode.OK, NONE)


def test_an_error_before_the_first_photo_has_its_object(folder, tmp_path, capsys):
    (tmp_path / "out").write_text("a file")
    options = BatchOptions(source=folder, mask=BESIDE, output=tmp_path / "out")
    with pytest.raises(UsageError):
        fill_many(grey_request({}), options)
    record = json.loads(capsys.readouterr().out)
    assert (record["status"], record["input"]) == ("failed", str(folder))
    assert record["error"]["code"] == 2
