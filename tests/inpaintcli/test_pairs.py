"""Which mask goes with which photo, and what is told before any work."""

from pathlib import Path

import pytest

from inpaintcli.errors import MisfitError, OutputError, UnreadableError, UsageError
from inpaintcli.folders import Chooser
from inpaintcli.pairs import Job, plan_folder, plan_photo


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize("name", ["a.png", "a.mask.png", "a_mask.png", "a.TIF", "a.mask.webp"])
def test_a_mask_folder_holds_masks_by_three_names_and_any_suffix(tmp_path, name):
    photos, masks = touch(tmp_path / "photos", "a.jpg"), touch(tmp_path / "masks", name)
    plan = plan_folder(photos, str(masks), tmp_path / "out", overwrite=False)
    assert plan.jobs == (Job(photos / "a.jpg", masks / name, tmp_path / "out/a.jpg"),)


def test_masks_belong_by_relative_path(tmp_path):
    photos = touch(tmp_path / "photos", "x/a.jpg", "y/a.jpg")
    masks = touch(tmp_path / "masks", "x/a.png", "y/a.mask.png")
    plan = plan_folder(photos, str(masks), tmp_path / "out", overwrite=False)
    assert {(job.photo, job.mask, job.output) for job in plan.jobs} == {
        (photos / "x/a.jpg", masks / "x/a.png", tmp_path / "out/x/a.jpg"),
        (photos / "y/a.jpg", masks / "y/a.mask.png", tmp_path / "out/y/a.jpg"),
    }


def test_without_a_mask_folder_masks_lie_beside(tmp_path):
    photos = touch(tmp_path, "a.jpg", "a.mask.png", "b.png")
    plan = plan_folder(photos, None, tmp_path / "out", overwrite=False)
    assert [job.photo.name for job in plan.jobs] == ["a.jpg"]
    assert plan.jobs[0].mask == photos / "a.mask.png"
    assert [(skip.photo.name, skip.reason) for skip in plan.skips] == [("b.png", "it has no mask")]


def test_a_photo_beside_is_not_its_own_mask(tmp_path):
    touch(tmp_path, "a.jpg", "a.png", "a_mask.png")
    plan = plan_folder(tmp_path, str(tmp_path), tmp_path / "out", overwrite=False)
    assert {job.photo.name for job in plan.jobs} == {"a.jpg", "a.png"}
    assert {job.mask.name for job in plan.jobs if job.mask} == {"a_mask.png"}


def test_one_mask_serves_all(tmp_path):
    photos, mask = touch(tmp_path / "photos", "a.jpg", "b.jpg"), touch(tmp_path, "m.png") / "m.png"
    plan = plan_folder(photos, str(mask), tmp_path / "out", overwrite=False)
    assert [job.mask for job in plan.jobs] == [mask, mask]


def test_alpha_needs_no_mask(tmp_path):
    photos = touch(tmp_path / "photos", "a.png")
    plan = plan_folder(photos, "alpha", tmp_path / "out", overwrite=False)
    assert plan.jobs == (Job(photos / "a.png", None, tmp_path / "out/a.png"),)


def test_photos_without_masks_and_masks_without_photos_are_told(tmp_path):
    photos = touch(tmp_path / "photos", "a.jpg", "b.jpg")
    masks = touch(tmp_path / "masks", "a.png", "z.png")
    plan = plan_folder(photos, str(masks), tmp_path / "out", overwrite=False)
    assert [skip.photo.name for skip in plan.skips] == ["b.jpg"]
    assert plan.orphans == (masks / "z.png",)


def test_two_photos_that_would_write_one_output_are_both_refused(tmp_path):
    photos = touch(tmp_path / "photos", "a.jpg", "A.jpg", "c.jpg")
    mask = touch(tmp_path, "m.png") / "m.png"
    if len(list(photos.iterdir())) < 3:
        pytest.skip("this file system has no two names that differ in case alone")
    plan = plan_folder(photos, str(mask), tmp_path / "out", overwrite=False)
    assert [job.photo.name for job in plan.jobs] == ["c.jpg"]
    assert {type(skip.error) for skip in plan.skips} == {OutputError}
    assert len(plan.skips) == 2


def test_same_stem_other_suffix_is_no_collision(tmp_path):
    photos = touch(tmp_path / "photos", "a.jpg", "a.png")
    mask = touch(tmp_path, "m.png") / "m.png"
    plan = plan_folder(photos, str(mask), tmp_path / "out", overwrite=False)
    assert {job.output.name for job in plan.jobs} == {"a.jpg", "a.png"}


def test_two_masks_for_one_photo_fail_that_photo_only(tmp_path):
    photos = touch(tmp_path / "photos", "a.jpg", "b.jpg")
    masks = touch(tmp_path / "masks", "a.png", "a_mask.png", "b.png")
    plan = plan_folder(photos, str(masks), tmp_path / "out", overwrite=False)
    assert [job.photo.name for job in plan.jobs] == ["b.jpg"]
    assert isinstance(plan.skips[0].error, MisfitError)


def test_existing_outputs_are_skipped_unless_overwritten(tmp_path):
    photos, out = touch(tmp_path / "photos", "a.jpg"), touch(tmp_path / "out", "a.jpg")
    mask = touch(tmp_path, "m.png") / "m.png"
    plan = plan_folder(photos, str(mask), out, overwrite=False)
    assert not plan.jobs
    assert plan.skips[0].error is None
    assert len(plan_folder(photos, str(mask), out, overwrite=True).jobs) == 1


def test_the_output_folder_and_hidden_files_are_not_input(tmp_path):
    touch(tmp_path, "a.png", "out/old.png", ".a.png", "notes.txt")
    plan = plan_folder(tmp_path, "alpha", tmp_path / "out", overwrite=False)
    assert [job.photo.name for job in plan.jobs] == ["a.png"]


def test_troubles_of_what_is_not_asked_for_are_not_told(tmp_path):
    photos = touch(tmp_path / "photos", "a.png", "b.jpg")
    (photos / "gone.png").symlink_to("nowhere")
    (photos / "loop").symlink_to(photos)

    def troubles(*globs: tuple[str, ...]) -> tuple[list[str], list[str]]:
        plan = plan_folder(
            photos, "alpha", tmp_path / "out", overwrite=False, wanted=Chooser(*globs)
        )
        return [skip.photo.name for skip in plan.skips], [link.name for link in plan.links]

    assert troubles() == (["gone.png"], ["loop"])
    assert troubles(("*.jpg",)) == ([], ["loop"])  # what lies behind the link may be a .jpg
    assert troubles((), ("loop", "gone.*")) == ([], [])


def test_inputs_are_never_changed_even_when_asked(tmp_path):
    photos = touch(tmp_path, "a.png", "m.png")
    for target in ("a.png", "m.png"):
        with pytest.raises(OutputError, match="itself"):
            plan_photo(photos / "a.png", str(photos / "m.png"), photos / target, overwrite=True)
    plan = plan_folder(photos, str(photos / "m.png"), photos, overwrite=True)
    assert not plan.jobs


def test_one_photo_beside_by_default(tmp_path):
    touch(tmp_path, "a.jpg", "a.mask.png")
    job = plan_photo(tmp_path / "a.jpg", None, None, overwrite=False)
    assert job == Job(tmp_path / "a.jpg", tmp_path / "a.mask.png", tmp_path / "a.filled.jpg")


def test_one_photo_into_a_folder(tmp_path):
    touch(tmp_path, "a.jpg", "m.png", "out/x")
    job = plan_photo(tmp_path / "a.jpg", str(tmp_path / "m.png"), tmp_path / "out", overwrite=False)
    assert job.output == tmp_path / "out/a.jpg"


def test_one_photo_whose_output_exists(tmp_path):
    touch(tmp_path, "a.jpg", "m.png", "b.jpg")
    mask, out = str(tmp_path / "m.png"), tmp_path / "b.jpg"
    with pytest.raises(OutputError, match="exists"):
        plan_photo(tmp_path / "a.jpg", mask, out, overwrite=False)
    assert plan_photo(tmp_path / "a.jpg", mask, out, overwrite=True).output == out


def test_an_output_whose_name_would_be_too_long_is_refused_as_an_output(tmp_path):
    name = f"{'y' * 248}.png"  # .filled.png no longer fits
    photo = touch(tmp_path, name) / name
    with pytest.raises(OutputError, match="cannot be written") as caught:
        plan_photo(photo, "alpha", None, overwrite=False)
    assert "Shorten" in caught.value.hint


def test_what_is_missing_is_named(tmp_path):
    touch(tmp_path, "a.jpg")
    with pytest.raises(UnreadableError, match=r"gone\.jpg"):
        plan_photo(tmp_path / "gone.jpg", "alpha", None, overwrite=False)
    with pytest.raises(UnreadableError, match=r"gone\.png"):
        plan_photo(tmp_path / "a.jpg", str(tmp_path / "gone.png"), None, overwrite=False)
    with pytest.raises(UnreadableError, match=r"gone"):
        plan_folder(tmp_path, str(tmp_path / "gone"), tmp_path / "out", overwrite=False)
    with pytest.raises(UsageError, match="No mask"):
        plan_photo(tmp_path / "a.jpg", None, None, overwrite=False)


def test_the_output_of_many_must_not_be_a_file(tmp_path):
    touch(tmp_path, "a.jpg", "out")
    with pytest.raises(UsageError, match="file"):
        plan_folder(tmp_path, "alpha", tmp_path / "out", overwrite=False)
