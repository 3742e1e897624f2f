"""The training loop: reports, checkpoints, validation, and a stop by signals."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from inpaintcli_training.data.crops import Crops, Photos
from inpaintcli_training.loop.loss_plot import read_losses
from inpaintcli_training.loop.run_folder import (
    RunInfo,
    best_psnr,
    load_checkpoint,
    load_ema,
    load_recipe,
    load_run_info,
)
from inpaintcli_training.loop.train import (
    DivergedError,
    Intervals,
    Trainer,
    save_checkpoint,
    train,
)
from inpaintcli_training.recipe import Recipe

from inpaintcli.errors import OutputError, UnreadableError
from tests.training.loop.stepping import Losses, poisoned, steps


def test_a_diverged_run_keeps_its_last_checkpoint(
    tiny_dmfn: Recipe, photos: Photos, features: Path, tmp_path: Path, monkeypatch
) -> None:
    trainer = Trainer(tiny_dmfn, features)

    def report(images: int, _losses: dict[str, float], _speed: float) -> None:
        if images == 4:
            poisoned(trainer, "mae", monkeypatch, "generator_loss")

    with pytest.raises(DivergedError):
        train(
            trainer,
            Crops(photos, tiny_dmfn),
            tmp_path,
            report=report,
            intervals=Intervals(log=1, save=1),
        )
    assert load_checkpoint(tmp_path)["images"] == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_step_and_saves(
    number: signal.Signals, tiny_membrane: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    before = signal.getsignal(number)

    def report(images: int, _losses: dict[str, float], _speed: float) -> None:
        if images == 4:
            os.kill(os.getpid(), number)

    trainer = Trainer(tiny_membrane, features)
    train(
        trainer, Crops(photos, tiny_membrane), tmp_path, report=report, intervals=Intervals(log=1)
    )
    assert load_checkpoint(tmp_path)["images"] == trainer.images == 4
    assert signal.getsignal(number) is before
    weights, images = load_ema(tmp_path)
    assert images == 4
    assert all(torch.equal(weights[name], tensor) for name, tensor in trainer.ema.items())


def test_a_slow_run_is_reported_and_saved_by_the_clock(
    tiny_membrane: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    saved: list[tuple[int, int]] = []

    def report(images: int, _losses: dict[str, float], _speed: float) -> None:
        earlier = load_checkpoint(tmp_path)["images"] if (tmp_path / "state.pt").exists() else -1
        saved.append((images, earlier))

    trainer = Trainer(replace(tiny_membrane, images=6), features)
    intervals = Intervals(log=1000, save=1000, minutes=0)
    train(trainer, Crops(photos, tiny_membrane), tmp_path, report=report, intervals=intervals)
    # Before each step all is written, also before the first.
    assert saved == [(2, 0), (4, 2), (6, 4)]


def test_a_run_ends_at_its_last_image_and_writes_its_folder(
    tiny: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, list[str]]] = []
    trainer = Trainer(tiny, features)
    train(
        trainer,
        Crops(photos, tiny),
        tmp_path / "run",
        report=lambda images, losses, _speed: seen.append((images, sorted(losses))),
        intervals=Intervals(log=4, samples=3),
    )
    assert trainer.images == tiny.images == 12
    assert [images for images, _ in seen] == [8, 12]
    assert seen[0][1] == sorted(trainer.step(Crops(photos, tiny).batch(0)))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    written = {"recipe.json", "run.json", "state.pt", "ema.safetensors", "logs"}
    assert names == written | {"losses.jsonl", "losses.svg"}
    assert load_run_info(tmp_path / "run") == RunInfo(
        data=(photos.sources[0].name,),
        sources=(str(photos.sources[0].resolve()),),
        photos=5,
        features=trainer.objective.notes,
    )


def test_run_json_counts_the_unreadable_photos(
    tiny_membrane: Recipe, photo_folder: Path, features: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    photos = Photos([photo_folder, bad])
    trainer = Trainer(tiny_membrane, features)
    train(trainer, Crops(photos, tiny_membrane), tmp_path / "run", report=lambda *_: None)
    info = load_run_info(tmp_path / "run")
    assert (info.photos, info.unreadable) == (6, 1)


def test_reported_losses_are_means_also_right_after_a_resume(
    tiny_membrane: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    trainer = Trainer(tiny_membrane, features)
    crops = Crops(photos, tiny_membrane)
    steps(trainer, crops, 1)  # as if resumed off the beat
    plain = Trainer(tiny_membrane, features)
    expected = steps(plain, crops, 2)[1]
    seen: Losses = []
    train(
        trainer,
        crops,
        tmp_path,
        report=lambda _i, losses, _s: seen.append(losses),
        intervals=Intervals(log=2),
    )
    assert seen[0] == expected


def test_the_run_folder_gives_its_recipe_back(
    tiny_dmfn: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    recipe = replace(tiny_dmfn, images=0)
    train(Trainer(recipe, features), Crops(photos, recipe), tmp_path, report=lambda *_: None)
    assert load_recipe(tmp_path) == recipe


def test_folders_without_a_run_say_so(tmp_path: Path) -> None:
    for load in (load_checkpoint, load_ema, load_recipe):
        with pytest.raises(UnreadableError):
            load(tmp_path)
    assert load_run_info(tmp_path) == RunInfo()
    (tmp_path / "run.json").write_text(json.dumps({"strange": 1}))
    assert load_run_info(tmp_path) == RunInfo()


def test_a_folder_that_cannot_be_written_is_an_output_error(
    tiny_membrane: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    trainer = Trainer(tiny_membrane, features)
    with pytest.raises(OutputError):
        save_checkpoint(trainer, tmp_path / "file")
    with pytest.raises(OutputError):
        train(trainer, Crops(photos, tiny_membrane), tmp_path / "file", report=lambda *_: None)


class Rising:
    """A validation whose hole PSNR rises, then falls."""

    def __init__(self) -> None:
        self.left = [10.0, 12.0, 11.0]

    def hole_psnr(self, _trainer: Trainer) -> float:
        return self.left.pop(0)


def test_the_best_weights_by_validation_are_kept_beside_the_last(
    tiny_membrane: Recipe, photos: Photos, features: Path, tmp_path: Path
) -> None:
    recipe = replace(tiny_membrane, images=12, validate_every=4)
    trainer, ema = Trainer(recipe, features), {}

    def report(images: int, _losses: dict[str, float], _speed: float) -> None:
        ema[images] = {k: v.clone() for k, v in trainer.ema.items()}

    crops, intervals = Crops(photos, recipe), Intervals(log=1)
    train(trainer, crops, tmp_path, report=report, intervals=intervals, validation=Rising())
    weights, images = load_ema(tmp_path, best=True)
    assert images == 8
    assert all(torch.equal(weights[name], tensor) for name, tensor in ema[8].items())
    assert best_psnr(tmp_path) == 12.0
    assert load_ema(tmp_path)[1] == 12
    psnrs = [line["hole_psnr"] for line in read_losses(tmp_path) if "hole_psnr" in line]
    assert psnrs == [10.0, 12.0, 11.0]


def test_a_resumed_run_forgets_the_losses_after_its_checkpoint(
    tiny_membrane: Recipe, photos: Photos, features: Path, tmp_path: Path, monkeypatch
) -> None:
    recipe = replace(tiny_membrane, images=12)
    trainer, crops = Trainer(recipe, features), Crops(photos, recipe)

    def report(images: int, _losses: dict[str, float], _speed: float) -> None:
        if images == 10:
            poisoned(trainer, "hole", monkeypatch, "generator_loss")

    intervals = Intervals(log=1, save=2)
    with pytest.raises(DivergedError):
        train(trainer, crops, tmp_path, report=report, intervals=intervals)
    assert [line["images"] for line in read_losses(tmp_path)] == [2, 4, 6, 8, 10]
    resumed = Trainer(recipe, features)
    resumed.load_state_dict(load_checkpoint(tmp_path))
    assert resumed.images == 8
    train(resumed, crops, tmp_path, report=lambda *_: None, intervals=intervals)
    assert [line["images"] for line in read_losses(tmp_path)] == [2, 4, 6, 8, 10, 12]
