from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from inpaintcli_training.loop.trainer import Trainer
from inpaintcli_training.loop.validation import read_validation
from inpaintcli_training.recipe import Recipe

from inpaintcli.errors import UsageError


def write(folder: Path, name: str, *, hole: tuple[int, int, int, int], mask: str = ".mask") -> None:
    """A grey photo of 60x90 with a brighter hole at (top, bottom, left, right)."""
    top, bottom, left, right = hole
    photo, white = np.full((60, 90, 3), 100, np.uint8), np.zeros((60, 90), np.uint8)
    photo[top:bottom, left:right] = 180
    white[top:bottom, left:right] = 255
    cv2.imwrite(str(folder / f"{name}.png"), photo)
    cv2.imwrite(str(folder / f"{name}{mask}.png"), white)


@pytest.fixture
def recipe(tiny_membrane: Recipe) -> Recipe:
    return replace(tiny_membrane, objective=replace(tiny_membrane.objective, squeezenet=0))


def test_photos_with_a_mask_beside_them_are_taken_others_left_out(
    recipe: Recipe, tmp_path: Path
) -> None:
    write(tmp_path, "a", hole=(10, 20, 10, 20))
    write(tmp_path, "b", hole=(10, 20, 60, 80), mask="_mask")
    write(tmp_path, "empty", hole=(0, 0, 0, 0))
    cv2.imwrite(str(tmp_path / "alone.png"), np.zeros((40, 40, 3), np.uint8))
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    (tmp_path / "bad.mask.png").write_bytes(b"no photo")
    found = read_validation(tmp_path, recipe)
    assert found.photo.shape == (2, 3, 32, 32)
    assert found.mask.shape == (2, 1, 32, 32)
    assert (found.mask.sum((1, 2, 3)) > 0).all()
    hole = found.mask.expand_as(found.photo) > 0
    assert found.photo[hole].mean() > found.photo[~hole].mean() + 0.3


def test_a_crop_holds_its_hole_wherever_that_lies(recipe: Recipe, tmp_path: Path) -> None:
    for name, hole in {"a": (0, 4, 0, 4), "b": (56, 60, 86, 90), "c": (0, 60, 89, 90)}.items():
        write(tmp_path, name, hole=hole)
    assert (read_validation(tmp_path, recipe).mask.amax((1, 2, 3)) == 1).all()


def test_the_psnr_is_that_of_the_holes_filled_with_the_averages(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(11):  # more than go together
        write(tmp_path, str(number), hole=(20, 30, 20, 30 + number))
    found = read_validation(tmp_path, recipe)
    trainer = Trainer(recipe, None)
    error = 0.1

    def fill(batch):
        return batch.photo + error * batch.mask + (1 - batch.mask) * 0

    monkeypatch.setattr(trainer, "fill", fill)
    assert found.hole_psnr(trainer) == pytest.approx(10 * np.log10(4 / error**2), abs=1e-3)


def test_the_same_photos_give_the_same_crops(recipe: Recipe, tmp_path: Path) -> None:
    write(tmp_path, "a", hole=(5, 30, 40, 70))
    a, b = (read_validation(tmp_path, recipe) for _ in range(2))
    assert torch.equal(a.photo, b.photo)
    assert torch.equal(a.mask, b.mask)


def test_a_folder_without_pairs_and_masks_of_another_size_are_usage_errors(
    recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no photo with a mask"):
        read_validation(tmp_path, recipe)
    write(tmp_path, "a", hole=(5, 30, 40, 70))
    cv2.imwrite(str(tmp_path / "a.mask.png"), np.full((9, 9), 255, np.uint8))
    with pytest.raises(UsageError, match="different sizes"):
        read_validation(tmp_path, recipe)
