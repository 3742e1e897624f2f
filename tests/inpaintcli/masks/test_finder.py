"""Which mask belongs to which photo."""

import unicodedata
from pathlib import Path

import pytest

from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.plan import plan_folder
from inpaintcli.errors import MaskMismatchError
from inpaintcli.masks.finder import MaskIndex
from inpaintcli.masks.source import BESIDE, MaskParts, mask_source
from tests.conftest import touch


@pytest.mark.parametrize("name", ["a.png", "a.mask.png", "a_mask.png", "a.TIF", "a.mask.webp"])
def test_a_mask_folder_holds_masks_by_three_names_and_any_suffix(tmp_path, name):
    photos, masks = touch(tmp_path / "photos", "a.jpg"), touch(tmp_path / "masks", name)
    plan = plan_folder(photos, mask_source(str(masks)), tmp_path / "out", overwrite=False)
    assert plan.jobs == (LocalJob(photos / "a.jpg", masks / name, tmp_path / "out/a.jpg"),)


def test_masks_belong_by_relative_path(tmp_path):
    photos = touch(tmp_path / "photos", "x/a.jpg", "y/a.jpg")
    masks = touch(tmp_path / "masks", "x/a.png", "y/a.mask.png")
    plan = plan_folder(photos, mask_source(str(masks)), tmp_path / "out", overwrite=False)
    assert {(job.photo, job.mask, job.output) for job in plan.jobs} == {
        (photos / "x/a.jpg", masks / "x/a.png", tmp_path / "out/x/a.jpg"),
        (photos / "y/a.jpg", masks / "y/a.mask.png", tmp_path / "out/y/a.jpg"),
    }


def test_without_a_mask_folder_masks_lie_beside(tmp_path):
    photos = touch(tmp_path, "a.jpg", "a.mask.png", "b.png")
    plan = plan_folder(photos, BESIDE, tmp_path / "out", overwrite=False)
    assert [job.photo.name for job in plan.jobs] == ["a.jpg"]
    assert plan.jobs[0].mask == photos / "a.mask.png"
    assert [(skip.photo.name, skip.reason) for skip in plan.skips] == [("b.png", "it has no mask")]


def test_a_photo_beside_is_not_its_own_mask(tmp_path):
    touch(tmp_path, "a.jpg", "a.png", "a_mask.png")
    plan = plan_folder(tmp_path, mask_source(str(tmp_path)), tmp_path / "out", overwrite=False)
    assert {job.photo.name for job in plan.jobs} == {"a.jpg", "a.png"}
    assert {job.mask.name for job in plan.jobs if job.mask} == {"a_mask.png"}


def test_one_mask_serves_all(tmp_path):
    photos, mask = touch(tmp_path / "photos", "a.jpg", "b.jpg"), touch(tmp_path, "m.png") / "m.png"
    plan = plan_folder(photos, mask_source(str(mask)), tmp_path / "out", overwrite=False)
    assert [job.mask for job in plan.jobs] == [mask, mask]


def test_alpha_needs_no_mask(tmp_path):
    photos = touch(tmp_path / "photos", "a.png")
    plan = plan_folder(photos, mask_source("alpha"), tmp_path / "out", overwrite=False)
    assert plan.jobs == (
        LocalJob(photos / "a.png", None, tmp_path / "out/a.png", parts=MaskParts(alpha=True)),
    )


def test_two_masks_for_one_photo_fail_that_photo_only(tmp_path):
    photos = touch(tmp_path / "photos", "a.jpg", "b.jpg")
    masks = touch(tmp_path / "masks", "a.png", "a_mask.png", "b.png")
    plan = plan_folder(photos, mask_source(str(masks)), tmp_path / "out", overwrite=False)
    assert [job.photo.name for job in plan.jobs] == ["b.jpg"]
    assert isinstance(plan.skips[0].error, MaskMismatchError)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_look_the_same_find_each_other(tmp_path, beside, forms):
    photo, mask = (unicodedata.normalize(form, "\u00fcber") for form in forms)
    found = MaskIndex([tmp_path / f"{mask}.mask.png"], tmp_path, beside=beside)
    assert found.of(Path(f"{photo}.png")) == tmp_path / f"{mask}.mask.png"


def test_a_mask_of_exactly_that_name_goes_first(tmp_path):
    masks = [tmp_path / f"{unicodedata.normalize(form, 'ü')}.mask.png" for form in ("NFC", "NFD")]
    found = MaskIndex(masks, tmp_path, beside=True)
    for mask in masks:
        assert found.of(Path(mask.name.replace(".mask", ""))) == mask
