"""Which outputs may be written, known before any work."""

import pytest

from inpaintcli.batch.plan import plan_folder, plan_photo
from inpaintcli.errors import OutputError, UsageError
from tests.conftest import touch


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


def test_existing_outputs_are_skipped_unless_overwritten(tmp_path):
    photos, out = touch(tmp_path / "photos", "a.jpg"), touch(tmp_path / "out", "a.jpg")
    mask = touch(tmp_path, "m.png") / "m.png"
    plan = plan_folder(photos, str(mask), out, overwrite=False)
    assert not plan.jobs
    assert plan.skips[0].error is None
    assert len(plan_folder(photos, str(mask), out, overwrite=True).jobs) == 1


def test_inputs_are_never_changed_even_when_asked(tmp_path):
    photos = touch(tmp_path, "a.png", "m.png")
    for target in ("a.png", "m.png"):
        with pytest.raises(OutputError, match="itself"):
            plan_photo(photos / "a.png", str(photos / "m.png"), photos / target, overwrite=True)
    plan = plan_folder(photos, str(photos / "m.png"), photos, overwrite=True)
    assert not plan.jobs


def test_an_output_whose_name_would_be_too_long_is_refused_as_an_output(tmp_path):
    name = f"{'y' * 248}.png"  # .filled.png no longer fits
    photo = touch(tmp_path, name) / name
    with pytest.raises(OutputError, match="cannot be written") as caught:
        plan_photo(photo, "alpha", None, overwrite=False)
    assert "Shorten" in caught.value.hint


def test_the_output_of_many_must_not_be_a_file(tmp_path):
    touch(tmp_path, "a.jpg", "out")
    with pytest.raises(UsageError, match="file"):
        plan_folder(tmp_path, "alpha", tmp_path / "out", overwrite=False)
