"""The sums at the end of a run, and what is told before it."""

from pathlib import Path

from inpaintcli.batch.jobs import NO_MASK, BatchPlan, Job
from inpaintcli.batch.messages import (
    OutcomeCounts,
    duration_in_words,
    report_dry_run,
    report_loose_ends,
    report_outcome,
    report_space,
)
from inpaintcli.batch.outcome import Outcome
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, MaskMismatchError, UnreadableError


def outcome(status="filled", **fields):
    return Outcome(status=status, input=Path("a"), mask=None, output=None, **fields)


def test_the_table_counts_by_status_and_reason():
    tally = OutcomeCounts()
    for _ in range(10):
        tally.add(outcome())
    tally.add(outcome("skipped", note=f"{NO_MASK}: none lies beside"))
    tally.add(outcome("failed", error=UnreadableError("bad")))
    tally.add(outcome("failed", error=UnreadableError("bad")))
    tally.add(outcome("failed", error=MaskMismatchError("bad")))
    tally.add(outcome("skipped", note="no mask has come; it is filled when one comes"))
    assert tally.exit_code() == ExitCode.SOME_FAILED
    assert tally.table(5.0).splitlines() == [
        "filled  10",
        "skipped  2  1 without a mask, 1 no mask has come",
        "failed   3  2 unreadable, 1 mask and photo do not fit",
        "in 5.0 s, 2.0 photos a second",
    ]


def test_a_dry_run_counts_what_would_be_filled_apart(capsys):
    tally = OutcomeCounts()
    for name in ("a.png", "b.png"):
        job = Job(Path(name), None, Path("out") / name)
        tally.add(report_dry_run(Console(), job))
    tally.add(outcome("skipped", note=NO_MASK))
    assert tally.table(1.0).splitlines()[1] == "skipped 3  2 would be filled, 1 without a mask"
    assert "would fill a.png by its transparent pixels into out/a.png" in capsys.readouterr().out


def test_an_error_that_names_its_photo_is_not_told_with_the_name_twice(capsys):
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


def test_a_disk_that_is_too_small_is_told_and_one_that_is_not_is_not(capsys):
    report_space(Console(), 12_345_678_901, 8_000_000, Path("out"))
    told = capsys.readouterr().err
    assert "12 GB" in told
    assert "8 MB are free in out" in told
    report_space(Console(), 5, 5, Path("out"))
    assert capsys.readouterr().err == ""


def test_loose_ends_are_told(capsys):
    strange = (Path("a.heic"), Path("b.HEIC"), Path("c.gif"))
    plan = BatchPlan((), orphans=(Path("m.png"),), links=(Path("there"),), strange=strange)
    report_loose_ends(Console(), plan)
    told = capsys.readouterr().err
    assert "m.png: a mask without a photo" in told
    assert "there: a link to a folder" in told
    assert "not read: 2 .heic, 1 .gif" in told
