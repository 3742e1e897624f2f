"""What a watch tells of files is told once."""

from pathlib import Path

from inpaintcli.batch.jobs import LocalJob
from inpaintcli.watch.notices import Notices

FOLDER = Path("in/locked")
JOB = LocalJob(Path("in/a.png"), None, Path("out/a.png"))


def test_a_closed_folder_is_reported_once_until_it_has_been_open():
    notices = Notices()
    notices.unlistable({FOLDER: "Permission denied"})
    notices.unlistable({FOLDER: "Permission denied"})
    [outcome] = notices.take()
    assert (outcome.status, outcome.input) == ("failed", FOLDER)
    assert "in/locked cannot be listed: Permission denied." in str(outcome.error)
    notices.unlistable({})
    notices.unlistable({FOLDER: "Permission denied"})
    assert len(notices.take()) == 1


def test_what_was_taken_is_not_reported_again():
    notices = Notices()
    notices.done(JOB)
    notices.output_not_ours(JOB, was_written_here=False)
    assert [outcome.note for outcome in notices.take()] == [
        "done already",
        "its output exists already",
    ]
    assert notices.take() == []
