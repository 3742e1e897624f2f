"""What is planned and what is told, before any work."""

import pytest

from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.plan import plan_folder, plan_photo
from inpaintcli.errors import OutputError, UnreadableError, UsageError
from inpaintcli.masks.source import BESIDE, mask_source
from inpaintcli.storage.folders import GlobFilter
from tests.conftest import touch


def test_photos_without_masks_and_masks_without_photos_are_reported(tmp_path):
    photos = touch(tmp_path / "photos", "a.jpg", "b.jpg")
    masks = touch(tmp_path / "masks", "a.png", "z.png")
    plan = plan_folder(photos, mask_source(str(masks)), tmp_path / "out", overwrite=False)
    assert [skip.photo.name for skip in plan.skips] == ["b.jpg"]
    assert plan.orphan_masks == (masks / "z.png",)


def test_a_mask_of_which_there_are_two_is_not_one_without_a_photo(tmp_path):
    photos, masks = touch(tmp_path / "p", "a.jpg"), touch(tmp_path / "m", "a.png", "a_mask.png")
    plan = plan_folder(photos, mask_source(str(masks)), tmp_path / "out", overwrite=False)
    assert [skip.photo.name for skip in plan.skips] == ["a.jpg"]
    assert plan.orphan_masks == ()


def test_pictures_of_kinds_that_are_not_read_are_reported_where_they_are_asked_for(tmp_path):
    photos = touch(tmp_path, "a.jpg", "b.HEIC", "c.gif", ".d.heic", "out/e.heic", "notes.txt")
    for globs, unsupported in (((), ["b.HEIC", "c.gif"]), (("*.gif",), ["c.gif"])):
        selected = GlobFilter(globs)
        plan = plan_folder(
            photos, mask_source("alpha"), tmp_path / "out", overwrite=False, selected=selected
        )
        assert sorted(path.name for path in plan.unsupported) == unsupported


def test_the_output_folder_and_hidden_files_are_not_input(tmp_path):
    touch(tmp_path, "a.png", "out/old.png", ".a.png", "notes.txt")
    plan = plan_folder(tmp_path, mask_source("alpha"), tmp_path / "out", overwrite=False)
    assert [job.photo.name for job in plan.jobs] == ["a.png"]


def test_troubles_of_what_is_not_asked_for_are_not_reported(tmp_path):
    photos = touch(tmp_path / "photos", "a.png", "b.jpg")
    (photos / "gone.png").symlink_to("nowhere")
    (photos / "loop").symlink_to(photos)

    def troubles(*globs: tuple[str, ...]) -> tuple[list[str], list[str]]:
        plan = plan_folder(
            photos,
            mask_source("alpha"),
            tmp_path / "out",
            overwrite=False,
            selected=GlobFilter(*globs),
        )
        return [skip.photo.name for skip in plan.skips], [link.name for link in plan.links]

    assert troubles() == (["gone.png"], ["loop"])
    assert troubles(("*.jpg",)) == ([], ["loop"])  # what lies behind the link may be a .jpg
    assert troubles((), ("loop", "gone.*")) == ([], [])


def test_one_photo_beside_by_default(tmp_path):
    touch(tmp_path, "a.jpg", "a.mask.png")
    job = plan_photo(tmp_path / "a.jpg", BESIDE, None, overwrite=False)
    assert job == LocalJob(tmp_path / "a.jpg", tmp_path / "a.mask.png", tmp_path / "a.filled.jpg")


def test_one_photo_into_a_folder(tmp_path):
    touch(tmp_path, "a.jpg", "m.png", "out/x")
    job = plan_photo(
        tmp_path / "a.jpg", mask_source(str(tmp_path / "m.png")), tmp_path / "out", overwrite=False
    )
    assert job.output == tmp_path / "out/a.jpg"


def test_one_photo_whose_output_exists(tmp_path):
    touch(tmp_path, "a.jpg", "m.png", "b.jpg")
    mask, out = mask_source(str(tmp_path / "m.png")), tmp_path / "b.jpg"
    with pytest.raises(OutputError, match="exists"):
        plan_photo(tmp_path / "a.jpg", mask, out, overwrite=False)
    assert plan_photo(tmp_path / "a.jpg", mask, out, overwrite=True).output == out


def test_what_is_missing_is_named(tmp_path):
    touch(tmp_path, "a.jpg")
    with pytest.raises(UnreadableError, match=r"gone\.jpg"):
        plan_photo(tmp_path / "gone.jpg", mask_source("alpha"), None, overwrite=False)
    with pytest.raises(UnreadableError, match=r"gone\.png"):
        plan_photo(
            tmp_path / "a.jpg", mask_source(str(tmp_path / "gone.png")), None, overwrite=False
        )
    with pytest.raises(UnreadableError, match=r"gone"):
        plan_folder(
            tmp_path, mask_source(str(tmp_path / "gone")), tmp_path / "out", overwrite=False
        )
    with pytest.raises(UsageError, match="No mask"):
        plan_photo(tmp_path / "a.jpg", BESIDE, None, overwrite=False)
