"""Promises of what becomes of inputs: nothing is lost, nothing replaced."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.outcome import Outcome
from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli.options import FillOptions
from inpaintcli.watch import archive, relocation
from inpaintcli.watch.archive import Archive, verified
from tests.conftest import photo_pixels


@pytest.fixture
def job(tmp_path):
    """A photo and its mask in a subfolder, and where the output goes."""
    return pair_of(tmp_path, "png")


def pair_of(tmp_path, kind, **options):
    (tmp_path / "in/sub").mkdir(parents=True, exist_ok=True)
    (tmp_path / "out").mkdir(exist_ok=True)
    photo, mask = tmp_path / f"in/sub/a.{kind}", tmp_path / "in/sub/a_mask.png"
    hole = np.zeros((48, 64), np.uint8)
    hole[10:30, 20:40] = 255
    Image.fromarray(photo_pixels(48, 64)).save(photo, **options)
    Image.fromarray(hole).save(mask)
    return LocalJob(photo, mask, tmp_path / f"out/a.{kind}")


def outcome(job, error=None):
    status = "failed" if error else "filled"
    return Outcome(status=status, input=job.photo, mask=job.mask, output=job.output, error=error)


def keeper(tmp_path, **options):
    return Archive(folder=tmp_path / "in", **options)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


@pytest.mark.parametrize("kind", ["png", "tiff", "bmp", "jpg", "webp"])
def test_a_fill_is_verified_in_every_format(job, tmp_path, grey_model, kind):
    job = pair_of(tmp_path, kind)
    filled = JobRunner.for_one(grey_model, FillOptions(grow=2), print).run_or_raise(job)
    assert verified(filled, job, FillOptions(grow=2)) is filled


@pytest.mark.parametrize(("kind", "options"), [("png", {}), ("webp", {"lossless": True})])
def test_an_output_that_is_not_what_was_written_is_a_failure(tmp_path, grey_model, kind, options):
    job = pair_of(tmp_path, kind, **options)
    filled = JobRunner.for_one(grey_model, FillOptions(), print).run_or_raise(job)
    assert verified(filled, job, FillOptions()) is filled
    pixels = np.asarray(Image.open(job.output)).copy()
    pixels[0, 0, 0] ^= 1
    for content in (pixels, pixels[:-1]):
        Image.fromarray(content).save(job.output, **options)
        found = verified(filled, job, FillOptions())
        assert found.status == "failed"
        assert isinstance(found.error, OutputError)
    job.output.write_bytes(job.output.read_bytes()[:100])
    assert verified(filled, job, FillOptions()).status == "failed"
    job.output.unlink()
    assert verified(filled, job, FillOptions()).status == "failed"


def test_a_lossy_output_of_another_photo_is_a_failure(tmp_path, job, grey_model):
    job = pair_of(tmp_path, "jpg", quality=90)
    filled = JobRunner.for_one(grey_model, FillOptions(), print).run_or_raise(job)
    Image.fromarray(255 - photo_pixels(48, 64)).save(job.output)
    assert verified(filled, job, FillOptions()).status == "failed"


def test_without_options_nothing_happens_to_inputs(job, tmp_path):
    keep = keeper(tmp_path)
    assert not keep.needs_verification(outcome(job))
    keep.archive_inputs(outcome(job), job.mask)
    keep.archive_inputs(outcome(job, UnreadableError("damaged")), job.mask)
    assert names(tmp_path / "in") == ["sub/a.png", "sub/a_mask.png"]


def test_done_inputs_lie_so_that_fill_finds_them_again(job, tmp_path):
    content, times = job.photo.read_bytes(), job.photo.stat().st_mtime_ns
    keep = keeper(tmp_path, done=tmp_path / "done")
    assert keep.needs_verification(outcome(job))
    keep.archive_inputs(outcome(job), job.mask)
    assert names(tmp_path / "in") == []
    assert names(tmp_path / "done") == ["sub/a.mask.png", "sub/a.png"]
    moved = tmp_path / "done/sub/a.png"
    assert (moved.read_bytes(), moved.stat().st_mtime_ns) == (content, times)


def test_failed_inputs_have_the_error_beside_them(job, tmp_path):
    error = UnreadableError("It is damaged.", hint="Copy it again.")
    keeper(tmp_path, failed=tmp_path / "bad").archive_inputs(outcome(job, error), job.mask)
    assert names(tmp_path / "bad") == [
        "sub/a.error.json", "sub/a.error.txt", "sub/a.mask.png", "sub/a.png",
    ]  # fmt: skip
    assert (tmp_path / "bad/sub/a.error.txt").read_text() == "It is damaged. Copy it again.\n"
    record = json.loads((tmp_path / "bad/sub/a.error.json").read_text())
    assert record["error"]["code"] == 3


def test_nothing_in_the_way_is_replaced(job, tmp_path):
    place = tmp_path / "done/sub"
    place.mkdir(parents=True)
    (place / "a.mask.png").write_text("of somebody")
    keeper(tmp_path, done=tmp_path / "done").archive_inputs(outcome(job), job.mask)
    assert names(place) == ["a-2.mask.png", "a-2.png", "a.mask.png"]
    assert (place / "a.mask.png").read_text() == "of somebody"


def test_names_as_long_as_can_be_get_shorter_ones_beside_the_error(job, tmp_path):
    photo = job.photo.rename(job.photo.with_name("ü" * 125 + "a.png"))
    moved = LocalJob(photo, job.mask, job.output)
    keep = keeper(tmp_path, failed=tmp_path / "bad")
    keep.archive_inputs(outcome(moved, UnreadableError("damaged")), job.mask)
    assert names(tmp_path / "in") == []
    assert len(names(tmp_path / "bad")) == 4


def test_a_mask_that_others_need_stays(job, tmp_path):
    keeper(tmp_path, done=tmp_path / "done").archive_inputs(outcome(job), None)
    assert names(tmp_path / "in") == ["sub/a_mask.png"]


def test_inputs_are_removed_only_where_that_was_asked_for_and_never_after_a_failure(job, tmp_path):
    keep = keeper(tmp_path, delete=True)
    keep.archive_inputs(outcome(job, UnreadableError("damaged")), job.mask)
    assert len(names(tmp_path / "in")) == 2
    keep.archive_inputs(outcome(job), job.mask)
    assert names(tmp_path / "in") == []


def refuse_across_disks(monkeypatch):
    linked, renamed = relocation._linked, relocation._renamed

    def is_across(source, target):
        return source.parent != target.parent

    monkeypatch.setattr(
        relocation, "_linked", lambda one, other: not is_across(one, other) and linked(one, other)
    )
    monkeypatch.setattr(
        relocation, "_renamed", lambda one, other: not is_across(one, other) and renamed(one, other)
    )


def test_without_hard_links_inputs_are_renamed_and_replace_nothing(job, tmp_path, monkeypatch):
    inode = job.photo.stat().st_ino
    monkeypatch.setattr(relocation, "_linked", lambda *_: False)
    keeper(tmp_path, done=tmp_path / "done").archive_inputs(outcome(job), None)
    assert (tmp_path / "done/sub/a.png").stat().st_ino == inode
    assert not job.photo.exists()


def filled_from(job):
    made_from = RunFingerprint(model="m", options={}).of_job(job.photo, job.mask)
    return replace(outcome(job), fingerprint=made_from)


@pytest.mark.parametrize("delete", [True, False])
@pytest.mark.parametrize("which", ["photo", "mask"])
def test_a_file_that_was_replaced_after_it_was_filled_stays(job, tmp_path, which, delete):
    filled, path = filled_from(job), getattr(job, which)
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    keep = keeper(tmp_path, delete=True) if delete else keeper(tmp_path, done=tmp_path / "done")
    with pytest.raises(OutputError, match="replaced"):
        keep.archive_inputs(filled, job.mask)
    assert names(tmp_path / "in") == ["sub/a.png", "sub/a_mask.png"]
    assert path.read_bytes() == bytes(before.st_size)


def test_a_file_that_comes_while_the_old_one_is_moved_stays(job, tmp_path, monkeypatch):
    filled, old = filled_from(job), job.photo.read_bytes()
    relocate = archive.relocate

    def slowly(private, target):
        job.photo.write_text("the next one")
        relocate(private, target)

    monkeypatch.setattr(archive, "relocate", slowly)
    keeper(tmp_path, done=tmp_path / "done").archive_inputs(filled, None)
    assert job.photo.read_text() == "the next one"
    assert (tmp_path / "done/sub/a.png").read_bytes() == old


def test_inputs_in_a_folder_that_cannot_be_written_are_not_copied(job, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.rename", refuse)
    with pytest.raises(OutputError, match="cannot be moved"):
        keeper(tmp_path, done=tmp_path / "done").archive_inputs(outcome(job), job.mask)
    assert names(tmp_path / "done") == []
    assert names(tmp_path / "in") == ["sub/a.png", "sub/a_mask.png"]


def test_what_a_killed_run_had_taken_gets_its_name_back(job, tmp_path):
    hidden = job.photo.parent / f"{relocation.HIDDEN_FOLDER}x"
    hidden.mkdir()
    job.photo.rename(hidden / "a.png")
    job.mask.replace(hidden / "a_mask.png")
    job.mask.write_text("newer")
    relocation.restore_interrupted([tmp_path / "in"])
    assert names(tmp_path / "in") == ["sub/a.png", "sub/a_mask-2.png", "sub/a_mask.png"]


def test_across_disks_inputs_are_copied_complete_before_they_go(job, tmp_path, monkeypatch):
    content, times = job.photo.read_bytes(), job.photo.stat().st_mtime_ns
    job.photo.chmod(0o640)
    refuse_across_disks(monkeypatch)
    keeper(tmp_path, done=tmp_path / "done").archive_inputs(outcome(job), None)
    moved = tmp_path / "done/sub/a.png"
    assert moved.stat().st_mode & 0o777 == 0o640
    assert (moved.read_bytes(), moved.stat().st_mtime_ns) == (content, times)
    assert not job.photo.exists()


def test_what_a_link_points_to_is_never_touched(job, tmp_path):
    original = tmp_path / "elsewhere.png"
    job.photo.rename(original)
    job.photo.symlink_to(original)
    keeper(tmp_path, done=tmp_path / "done").archive_inputs(outcome(job), None)
    assert original.exists()
    assert not os.path.lexists(job.photo)
    moved = tmp_path / "done/sub/a.png"
    assert not moved.is_symlink()
    assert moved.read_bytes() == original.read_bytes()


def test_inputs_that_cannot_be_moved_stay(job, tmp_path):
    (tmp_path / "done").write_text("a file")
    with pytest.raises(OutputError):
        keeper(tmp_path, done=tmp_path / "done").archive_inputs(outcome(job), job.mask)
    assert len(names(tmp_path / "in")) == 2
