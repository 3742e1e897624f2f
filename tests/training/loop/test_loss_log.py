"""What a run writes about itself, read back from the files."""

import io
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from inpaintcli_training.data.crops import Crops, Photos
from inpaintcli_training.loop.loss_log import LossLog
from inpaintcli_training.loop.loss_plot import read_losses
from inpaintcli_training.loop.train import Trainer
from inpaintcli_training.recipe import Recipe
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.fixture
def trainer(tiny_membrane: Recipe, features: Path) -> Trainer:
    return Trainer(tiny_membrane, features)


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder / "logs"))
    return found.Reload()


def test_tensorboard_has_losses_rate_speed_and_validation_by_images(
    trainer: Trainer, tmp_path: Path
) -> None:
    with closing(LossLog(tmp_path, 0)) as log:
        for images in (4, 8):
            trainer.images = images
            log.add_losses(trainer, {"hole": 0.5, "critic": images / 10}, speed=3.0)
        log.add_validation(8, 21.5)
    found = events(tmp_path)
    assert set(found.Tags()["scalars"]) == {
        "loss/hole", "loss/critic", "progress/rate", "progress/images_per_second",
        "validation/hole_psnr",
    }  # fmt: skip
    critic = [(event.step, event.value) for event in found.Scalars("loss/critic")]
    assert critic == [(4, pytest.approx(0.4)), (8, pytest.approx(0.8))]
    assert found.Scalars("validation/hole_psnr")[0].value == 21.5
    assert [line["images"] for line in read_losses(tmp_path)] == [4, 8, 8]


def test_the_sample_grid_has_a_column_a_crop_holed_filled_and_true(
    trainer: Trainer, photos: Photos, tmp_path: Path
) -> None:
    shown = Crops(photos, trainer.recipe).batch(0, 3)
    with closing(LossLog(tmp_path, 0)) as log:
        log.add_samples(trainer, shown)
    [event] = events(tmp_path).Images("samples")
    grid = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)), np.int16)
    assert grid.shape == (3 * 32, 3 * 32, 3)
    holed, filled, true = (
        [row[:, 32 * n : 32 * n + 32] for n in range(3)] for row in np.split(grid, 3)
    )
    for number in range(3):
        photo = ((shown.photo[number] + 1) * 127.5).round().numpy().transpose(1, 2, 0)
        hole = shown.mask[number, 0].numpy() > 0
        np.testing.assert_allclose(true[number], photo, atol=1)
        for row in (holed, filled):
            np.testing.assert_allclose(row[number][~hole], photo[~hole], atol=1)
        assert (np.abs(holed[number][hole] - 128) <= 1).all()
        assert (filled[number][hole] != holed[number][hole]).any()


def test_pasted_objects_are_shown_as_they_were_pasted_and_harmonized(
    tiny_recipes: dict[str, Recipe], photos: Photos, tmp_path: Path
) -> None:
    paper = tiny_recipes["blockwise"]
    recipe = replace(paper, pasted=replace(paper.pasted, share=1.0, background=0.0))
    recipe = replace(recipe, objective=replace(recipe.objective, perceptual=0.0))
    shown = Crops(photos, recipe).batch(0, 2)
    with closing(LossLog(tmp_path, 0)) as log:
        log.add_samples(Trainer(recipe, None), shown)
    [event] = events(tmp_path).Images("samples")
    grid = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)), np.int16)
    seen, made, true = (row[:, :32] for row in np.split(grid, 3))
    subject = shown.foreground[0, 0].numpy() > 0
    pasted = ((shown.pasted[0] + 1) * 127.5).round().numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(seen, pasted, atol=1)
    assert (made[subject] != seen[subject]).any()
    np.testing.assert_allclose(made[~subject], true[~subject], atol=1)
