"""The sums at the end of a run, and what is told before it."""

from pathlib import Path

from inpaintcli.batch.jobs import NO_MASK, BatchPlan, Job
from inpaintcli.batch.messages import (
    OutcomeCounts,
    duration_in_words,
    report_dry_run,
    report_outcome,
    report_space,
    report_unmatched,
)
from inpaintcli.batch.outcome import Outcome
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, MaskMismatchError, UnreadableError
from inpaintcli.masks.source import MaskParts


def outcome(status="filled", **fields):
    return Outcome(status=status, input=Path("a"), mask=None, output=None, **fields)


def test_the_table_counts_by_status_and_reason():
    counts = OutcomeCounts()
    for _ in range(10):
        counts.add(outcome())
    counts.add(outcome("skipped", note=f"{NO_MASK}: none lies beside"))
    counts.add(outcome("failed", error=UnreadableError("bad")))
    counts.add(outcome("failed", error=UnreadableError("bad")))
    counts.add(outcome("failed", error=MaskMismatchError("bad")))
    counts.add(outcome("skipped", note="no mask has come; it is filled when one comes"))
    assert counts.exit_code() == ExitCode.SOME_FAILED
    assert counts.table(5.0).splitlines() == [
        "filled  10",
        "skipped  2  1 without a mask, 1 no mask has come",
        "failed   3  2 unreadable, 1 mask and photo do not fit",
        "in 5.0 s, 2.0 photos a second",
    ]


def test_a_dry_run_counts_what_would_be_filled_apart(capsys):
    counts = OutcomeCounts()
    for name in ("a.png", "b.png"):
        job = Job(Path(name), None, Path("out") / name, parts=MaskParts(alpha=True))
        counts.add(report_dry_run(Console(), job))
    counts.add(outcome("skipped", note=NO_MASK))
    assert counts.table(1.0).splitlines()[1] == "skipped 3  2 would be filled, 1 without a mask"
    assert "would fill a.png by its transparent pixels into out/a.png" in capsys.readouterr().out


def test_an_error_that_names_its_photo_is_not_reported_with_the_name_twice(capsys):
    report_outcome(Console(), outcome("failed", error=UnreadableError("a is not a picture.")))
    report_outcome(Console(), outcome("failed", error=UnreadableError("The mask is gone.")))
    assert capsys.readouterr().err == "a is not a picture.\na: The mask is gone.\n"


def test_quiet_keeps_errors(capsys):
    quiet = Console(quiet=True)
    report_outcome(quiet, outcome("failed", error=UnreadableError("a is empty."), note="a note"))
    report_outcome(quiet, outcome("skipped", note=NO_MASK))
    assert capsys.readouterr().err == "a is empty.\n"


def test_durations():
    assert [duration_in_words(s) for s in (0.04, 61, 3599.6, 7260)] == [
        "0.0 s",
        "1 min 1 s",
        "1 h 0 min",
        "2 h 1 min",
    ]


def test_a_disk_that_is_too_small_is_reported_and_one_that_is_not_is_not(capsys):
    report_space(Console(), 12_345_678_901, 8_000_000, Path("out"))
    told = capsys.readouterr().err
    assert "12 GB" in told
    assert "8 MB are free in out" in told
    report_space(Console(), 5, 5, Path("out"))
    assert capsys.readouterr().err == ""


def test_unmatched_files_are_reported(capsys):
    unsupported = (Path("a.heic"), Path("b.HEIC"), Path("c.gif"))
    plan = BatchPlan(
        (), orphan_masks=(Path("m.png"),), links=(Path("there"),), unsupported=unsupported
    )
    report_unmatched(Console(), plan)
    told = capsys.readouterr().err
    assert "m.png: a mask without a photo" in told
    assert "there: a link to a folder" in told
    assert "not read: 2 .heic, 1 .gif" in told
