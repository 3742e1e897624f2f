"""Which outputs may be written, known before any work."""

import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest

from inpaintcli.batch.outputs import is_one_file
from inpaintcli.batch.pair_list import plan_list
from inpaintcli.batch.plan import plan_folder, plan_photo
from inpaintcli.errors import OutputError, UsageError
from inpaintcli.masks.source import BESIDE, mask_source
from inpaintcli.storage.folders import find_pictures
from tests.conftest import touch

ALIKE = (("a.jpg", "A.jpg"), ("\u00e4.jpg", "a\u0308.jpg"), ("X/b.jpg", "x/b.jpg"))


def alike(folder, names):
    """A folder of photos whose names look alike, and of one more."""
    photos = touch(folder, *names, "c.jpg")
    if len(find_pictures(photos).pictures) < 3:
        pytest.skip("this file system takes such names for one")
    return photos


def refused(plan):
    assert {type(skip.error) for skip in plan.skips} == {OutputError}
    return len(plan.skips), [job.photo.name for job in plan.jobs]


@pytest.mark.parametrize("names", ALIKE)
def test_names_that_look_alike_are_two_photos_where_the_file_system_says_so(tmp_path, names):
    photos, mask = alike(tmp_path / "photos", names), touch(tmp_path, "m.png") / "m.png"
    for out in (tmp_path / "out", touch(tmp_path / "old", "z.jpg")):
        before = sorted(tmp_path.rglob("*"))
        plan = plan_folder(photos, mask_source(str(mask)), out, overwrite=False)
        assert (len(plan.jobs), plan.skips) == (3, ())
        assert sorted(tmp_path.rglob("*")) == before  # nothing stays of asking


@pytest.mark.parametrize("names", ALIKE)
def test_two_photos_that_would_write_one_output_are_both_refused(tmp_path, monkeypatch, names):
    """Into a file system that takes both names for one."""
    photos, mask = alike(tmp_path / "photos", names), touch(tmp_path, "m.png") / "m.png"
    exists = Path.exists

    def looks_alike(path):
        wanted = unicodedata.normalize("NFC", path.name.casefold())
        return exists(path) or any(
            unicodedata.normalize("NFC", other.name.casefold()) == wanted
            for other in path.parent.glob("*")
        )

    monkeypatch.setattr(Path, "exists", looks_alike)
    plan = plan_folder(photos, mask_source(str(mask)), tmp_path / "out", overwrite=False)
    assert refused(plan) == (2, ["c.jpg"])
    rows = tmp_path / "list.csv"
    rows.write_text(
        "photo,mask\n" + "".join(f"photos/{name},m.png\n" for name in (*names, "c.jpg"))
    )
    assert refused(plan_list(rows, BESIDE, tmp_path / "out", overwrite=False)) == (2, ["c.jpg"])


@pytest.mark.parametrize(("system", "one"), [("linux", False), ("darwin", True), ("win32", True)])
def test_where_nothing_can_be_written_the_system_decides(tmp_path, monkeypatch, system, one):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", read_only)
    monkeypatch.setattr(sys, "platform", system)
    assert is_one_file(tmp_path / "a.png", tmp_path / "A.png") is one


def test_two_rows_with_one_output_are_both_refused(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg", "m.png")
    rows = tmp_path / "list.csv"
    rows.write_text("photo,mask,output\na.jpg,m.png,x.jpg\nb.jpg,m.png,x.jpg\n")
    assert refused(plan_list(rows, BESIDE, tmp_path / "out", overwrite=False)) == (2, [])


def test_same_stem_other_suffix_is_no_collision(tmp_path):
    photos = touch(tmp_path / "photos", "a.jpg", "a.png")
    mask = touch(tmp_path, "m.png") / "m.png"
    plan = plan_folder(photos, mask_source(str(mask)), tmp_path / "out", overwrite=False)
    assert {job.output.name for job in plan.jobs} == {"a.jpg", "a.png"}


def test_existing_outputs_are_skipped_unless_overwritten(tmp_path):
    photos, out = touch(tmp_path / "photos", "a.jpg"), touch(tmp_path / "out", "a.jpg")
    mask = touch(tmp_path, "m.png") / "m.png"
    plan = plan_folder(photos, mask_source(str(mask)), out, overwrite=False)
    assert not plan.jobs
    assert plan.skips[0].error is None
    assert len(plan_folder(photos, mask_source(str(mask)), out, overwrite=True).jobs) == 1


def test_inputs_are_never_changed_even_when_asked(tmp_path):
    photos = touch(tmp_path, "a.png", "m.png")
    for target in ("a.png", "m.png"):
        with pytest.raises(OutputError, match="itself"):
            plan_photo(
                photos / "a.png",
                mask_source(str(photos / "m.png")),
                photos / target,
                overwrite=True,
            )
    plan = plan_folder(photos, mask_source(str(photos / "m.png")), photos, overwrite=True)
    assert not plan.jobs


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_folder_in_which_an_output_is_the_input_of_another_photo_is_refused_as_a_whole(tmp_path):
    """A photo that is a link to what an earlier run wrote, or a mask that is."""
    out = touch(tmp_path / "out", "a.png", "b.png")
    for name, target in (("z.png", "a.png"), ("a.mask.png", "b.png")):
        photos = touch(tmp_path / name, "a.png", "b.png", "a.mask.png", "b.mask.png")
        (photos / name).unlink(missing_ok=True)
        (photos / name).symlink_to(out / target)
        touch(photos, "z.mask.png")
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=f"{target}, the output of .* is an input"):
                plan_folder(photos, BESIDE, out, overwrite=overwrite)
        assert plan_folder(photos, BESIDE, tmp_path / "other", overwrite=False).jobs


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_an_output_that_shares_its_content_with_an_input_is_none(tmp_path):
    """Programs that save space give equal files one content; to replace a name keeps the others."""
    photos = touch(tmp_path / "photos", "a.png", "b.png", "a.mask.png", "b.mask.png")
    out = touch(tmp_path / "out")
    (tmp_path / "out").mkdir()
    (out / "a.png").hardlink_to(photos / "b.png")
    plan = plan_folder(photos, BESIDE, out, overwrite=True)
    assert [job.photo.name for job in plan.jobs] == ["a.png", "b.png"]


def test_an_output_whose_name_would_be_too_long_is_refused_as_an_output(tmp_path):
    name = f"{'y' * 248}.png"  # .filled.png no longer fits
    photo = touch(tmp_path, name) / name
    with pytest.raises(OutputError, match="cannot be written") as caught:
        plan_photo(photo, mask_source("alpha"), None, overwrite=False)
    assert "Shorten" in caught.value.hint


def test_the_output_of_many_must_not_be_a_file(tmp_path):
    touch(tmp_path, "a.jpg", "out")
    with pytest.raises(UsageError, match="file"):
        plan_folder(tmp_path, mask_source("alpha"), tmp_path / "out", overwrite=False)
