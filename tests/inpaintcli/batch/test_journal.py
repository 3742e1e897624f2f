"""The journal survives kills, full disks and strangers, and belongs to one run at a time."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaintcli.batch.fingerprints import Digest, FileStamp, JobFingerprint, digest_of_bytes
from inpaintcli.batch.journal import NAME, Journal, journal_path
from inpaintcli.batch.journal_entries import JournalEntry, JournalIndex
from inpaintcli.errors import OutputError, UsageError
from inpaintcli.storage.stores import StoreUrl

FINGERPRINT = JobFingerprint(
    Digest("p" * 64, FileStamp(1, 2, 3)), Digest("m" * 64), "o" * 64, {"grow": 1}
)


def entry(output="a.png", status="filled", **changes):
    fields = {"status": status, "output": output, "photo": f"photos/{output}", "mask": None}
    return JournalEntry(**{**fields, "fingerprint": FINGERPRINT, "sha256": "s" * 64, **changes})


def written(folder, *entries):
    with closing(Journal(folder)) as journal:
        for one in entries:
            journal.append(one)
    return folder / NAME


@given(
    st.builds(
        entry,
        output=st.text(min_size=1),
        mask=st.none() | st.text(),
        error=st.none() | st.dictionaries(st.text(), st.text() | st.integers()),
        fingerprint=st.none() | st.just(FINGERPRINT),
    )
)
def test_what_is_written_is_read(one):
    line = one.to_line()
    assert line.count(b"\n") == 1
    assert JournalEntry.from_line(line) == one


def test_names_that_are_not_utf8_come_back(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    written(tmp_path, entry(name))
    assert JournalIndex(tmp_path / NAME).last(name).output == name


LOCALES = ({"PYTHONUTF8": "1"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"})
IN_LOCALE = """
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.jobs import Job
from inpaintcli.batch.journal import Journal
from inpaintcli.batch.outcome import Outcome
from inpaintcli.batch.resume import JournalRecorder
photo, out = map(Path, sys.argv[1:])
outcome = Outcome(status="filled", input=photo, mask=None, output=out / photo.name, sha256="0")
with closing(Journal(out)) as journal:
    recorder = JournalRecorder(journal, RunFingerprint(model="", options={}))
    history = recorder.previous_runs().of(Job(photo, None, outcome.output))
    print(sys.getfilesystemencoding(), history.was_filled)
    temporary = recorder.announce(outcome)
    (out / temporary).touch()
    print(recorder.was_published(outcome, temporary), (out / temporary).exists())
    recorder.record(outcome)
"""


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
@pytest.mark.parametrize("name", ["gr\u00fc\u00df.png".encode(), b"gr\xfc\xdf.png"])
def test_what_was_done_is_known_in_every_locale(tmp_path, name):
    """Names in journals do not depend on how Python decodes them."""
    photo, said = tmp_path / "in" / os.fsdecode(name), []
    photo.parent.mkdir()
    photo.touch()
    (tmp_path / "out").mkdir()
    for locale in (*LOCALES, LOCALES[0]):
        done = subprocess.run(
            [sys.executable, "-c", IN_LOCALE, photo, tmp_path / "out"],
            env={**os.environ, **locale}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        said.append(done.stdout.split())
    assert [encoding for encoding, *_ in said] == ["utf-8", "ascii", "utf-8"]
    assert [was_filled for _, was_filled, *_ in said] == ["False", "True", "True"]
    assert {tuple(rest) for _, _, *rest in said} == {("False", "False")}


@pytest.mark.parametrize("found", [RuntimeError("no home"), Path("~/.local/state")])
def test_without_a_home_the_folder_of_journals_has_to_be_named(monkeypatch, tmp_path, found):
    def homeless(*_, **__):
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("platformdirs.user_state_path", homeless)
    with pytest.raises(UsageError, match="no home folder") as caught:
        journal_path(StoreUrl("s3://b/out"))
    assert "--journal" in caught.value.hint
    assert journal_path(StoreUrl("s3://b/out"), tmp_path).parent == tmp_path


def test_the_last_line_counts_and_the_last_filling_is_remembered(tmp_path):
    path = written(tmp_path, entry(seconds=1.0), entry(status="failed", error={"code": 4}))
    index = JournalIndex(path)
    assert index.last("a.png").status == "failed"
    assert index.last_filled("a.png").seconds == 1.0
    assert index.last("b.png") is None


@pytest.mark.parametrize("cut", [1, 20, 300])
def test_a_torn_last_line_is_cut_off_and_the_rest_stays(tmp_path, cut):
    path = written(tmp_path, entry("a.png"), entry("b.png"))
    path.write_bytes(path.read_bytes()[:-cut])
    with closing(Journal(tmp_path)) as journal:
        assert journal.index().last("a.png") is not None
        assert journal.index().last("b.png") is None
        journal.append(entry("c.png"))
    index = JournalIndex(path)
    assert [index.last(name) is not None for name in ("a.png", "b.png", "c.png")] == [
        True,
        False,
        True,
    ]


def test_damaged_lines_are_passed_over(tmp_path):
    path = written(tmp_path, entry("a.png"))
    with path.open("ab") as file:
        file.write(b"\0\0\0\n[1]\n{}\n")
    written(tmp_path, entry("b.png"))
    index = JournalIndex(path)
    assert index.last("a.png")
    assert index.last("b.png")


def test_a_journal_of_another_version_is_refused(tmp_path):
    (tmp_path / NAME).write_text('{"schema": 2, "status": "filled", "output": "a.png"}\n')
    with pytest.raises(OutputError, match="another version"):
        Journal(tmp_path)


def announced(folder, data=b"whole", **changes):
    """As a run leaves it that is killed while it writes: a line, and a temporary file."""
    temporary = ".0123.inpaintcli-part"
    (folder / temporary).write_bytes(b"ha")
    fields = {"status": "writing", "sha256": digest_of_bytes(data), "temporary": temporary}
    written(folder, entry(**{**fields, **changes}))
    return folder / temporary


def test_an_output_that_appeared_before_the_kill_counts_as_filled(tmp_path):
    temporary = announced(tmp_path)
    (tmp_path / "a.png").write_bytes(b"whole")
    with closing(Journal(tmp_path)) as journal:
        assert journal.index().last("a.png").status == "filled"
        assert journal.index().last("a.png").fingerprint == FINGERPRINT
    assert not temporary.exists()


def test_an_output_that_did_not_appear_does_not_and_strangers_stay(tmp_path):
    temporary = announced(tmp_path)
    (tmp_path / "a.png").write_bytes(b"put here by somebody else")
    with closing(Journal(tmp_path)) as journal:
        assert journal.index().last("a.png") is None
    assert (tmp_path / "a.png").exists()
    assert not temporary.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"temporary": "precious.png"},
        {"temporary": "../.precious.inpaintcli-part"},
        {"output": "../a.png", "temporary": ".precious.inpaintcli-part"},
    ],
)
def test_nothing_else_is_removed_whatever_the_journal_says(tmp_path, changes):
    out = tmp_path / "out"
    out.mkdir()
    precious = [out / "precious.png", tmp_path / ".precious.inpaintcli-part"]
    for path in precious:
        path.touch()
    announced(out, **changes)
    Journal(out).close()
    assert all(path.exists() for path in precious)


def overtaken(folder, monkeypatch, times=3):
    """A journal of which most lines are no longer valid."""
    monkeypatch.setattr("inpaintcli.batch.journal.COMPACT_BYTES", 100)
    lines = [entry(f"{n}.png", seconds=float(turn)) for turn in range(times) for n in range(4)]
    with closing(Journal(folder)) as journal:
        for one in lines:
            journal.append(one)
        journal.append(entry("0.png", status="failed", error={"code": 4}))
    return folder / NAME


def said(path):
    """What a journal says of each output."""
    index = JournalIndex(path)
    names = [f"{n}.png" for n in range(4)]
    return [(index.last(name), index.last_filled(name)) for name in names]


@pytest.mark.skipif(os.name == "nt", reason="an open file keeps its name there")
def test_a_journal_that_is_mostly_overtaken_is_written_anew_and_says_the_same(
    tmp_path, monkeypatch
):
    path = overtaken(tmp_path, monkeypatch)
    before, size = said(path), path.stat().st_size
    with closing(Journal(tmp_path)) as journal:
        assert path.stat().st_size < size / 2
        assert said(path) == before
        with pytest.raises(OutputError, match="Another run"):
            Journal(tmp_path)
        journal.append(entry("9.png"))
    assert said(path) == before
    assert JournalIndex(path).last("9.png") is not None
    assert [file.name for file in tmp_path.iterdir()] == [NAME]


def test_a_journal_of_lines_that_count_is_left_alone(tmp_path, monkeypatch):
    path = overtaken(tmp_path, monkeypatch, times=1)
    inode = path.stat().st_ino
    Journal(tmp_path).close()
    assert path.stat().st_ino == inode


@pytest.mark.skipif(os.name == "nt", reason="an open file keeps its name there")
@pytest.mark.parametrize("moment", ["write", "replace"])
def test_a_kill_while_it_is_written_anew_loses_nothing(tmp_path, monkeypatch, moment):
    path = overtaken(tmp_path, monkeypatch)
    before = said(path)
    patch = {
        "write": "j._write_all = lambda *_: os._exit(9)",
        "replace": "j.Path.replace = lambda *_: os._exit(9)",
    }[moment]
    code = f"import os, sys; import inpaintcli.batch.journal as j; j.COMPACT_BYTES = 100; {patch}; "
    code += "j.Journal(j.Path(sys.argv[1]))"
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == 9
    assert said(path) == before
    with closing(Journal(tmp_path)):
        assert said(path) == before
    assert [file.name for file in tmp_path.iterdir()] == [NAME]


@pytest.mark.skipif(os.name == "nt", reason="an open file keeps its name there")
def test_a_journal_that_cannot_be_written_anew_serves_as_it_is(tmp_path, monkeypatch):
    path = overtaken(tmp_path, monkeypatch)
    before, size = said(path), path.stat().st_size

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("inpaintcli.batch.journal._write_all", full)
        Journal(tmp_path).close()
    assert (said(path), path.stat().st_size) == (before, size)
    assert [file.name for file in tmp_path.iterdir()] == [NAME]


def test_whoever_opened_a_journal_just_before_it_was_replaced_opens_the_new_one(
    tmp_path, monkeypatch
):
    path = written(tmp_path, entry("a.png"))
    true_open, opened = os.open, []

    def slow(name, *rest):
        file = true_open(name, *rest)
        if not opened:
            fresh = tmp_path / "fresh"
            fresh.write_bytes(path.read_bytes())
            fresh.replace(path)
        opened.append(name)
        return file

    monkeypatch.setattr("inpaintcli.batch.journal.os.open", slow)
    written(tmp_path, entry("b.png"))
    assert len(opened) == 2
    assert JournalIndex(path).last("b.png") is not None


HOLD = "import sys; from pathlib import Path; from inpaintcli.batch.journal import Journal; "
HOLD += "journal = Journal(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"


def test_a_second_run_is_refused_and_a_kill_ends_the_lock(tmp_path):
    arguments = [sys.executable, "-c", HOLD, str(tmp_path)]
    holder = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(OutputError, match="Another run"):
            Journal(tmp_path)
    finally:
        holder.kill()
        holder.communicate()
    written(tmp_path, entry())


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_part(tmp_path, monkeypatch):
    path = written(tmp_path, entry("a.png"))
    before = path.read_bytes()
    true_write = os.write

    def half(file, data):
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return true_write(file, data[: len(data) // 2])

    with closing(Journal(tmp_path)) as journal:
        monkeypatch.setattr("inpaintcli.batch.journal.os.write", half)
        with pytest.raises(OutputError, match="No space left"):
            journal.append(entry("b.png"))
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(OutputError, match=str(NAME)):
        Journal(Path(tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="Windows does not move a folder with open files")
def test_the_journal_follows_the_name_of_its_folder(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with closing(Journal(out)) as journal:
        journal.append(entry("a.png"))
        out.rename(tmp_path / "monday")
        with pytest.raises(OutputError):
            journal.append(entry("b.png"))
        out.mkdir()
        journal.append(entry("b.png"))
        with pytest.raises(OutputError, match="Another run"):
            Journal(out)
    assert JournalIndex(out / NAME).last("b.png")
    assert not JournalIndex(out / NAME).last("a.png")
    assert JournalIndex(tmp_path / "monday" / NAME).last("a.png")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not move a folder with open files")
def test_a_new_folder_that_another_run_has_locked_is_left_to_it(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with closing(Journal(out)) as journal:
        out.rename(tmp_path / "monday")
        out.mkdir()
        with closing(Journal(out)), pytest.raises(OutputError, match="Another run"):
            journal.append(entry("b.png"))
        journal.append(entry("b.png"))
