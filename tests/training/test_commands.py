"""Training and exporting as the command line calls them."""

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from inpaintcli_training import commands
from inpaintcli_training.commands import (
    list_recipes,
    load_weights,
    run_averaging,
    run_export,
    run_training,
)
from inpaintcli_training.export.parity import ExportParity
from inpaintcli_training.loop.run_folder import load_checkpoint, load_ema, load_recipe
from inpaintcli_training.recipe import Recipe
from safetensors.torch import load_file, save_file

from inpaintcli.errors import OutputError, UnreadableError, UsageError

SMALL = {
    "generator.channels": "[4, 4, 4, 4]",
    "generator.trunk_dilations": "[1]",
    "generator.sizes": "2",
    "crop": "32",
    "short_side": "[32, 48]",
    "batch": "2",
    "images": "4",
    "objective.squeezenet": "0",
}


class Calls:
    """`run_training` with what most tests leave alone filled in, and what was reported."""

    def __init__(self, photos: Path, out: Path) -> None:
        self.photos = photos
        self.out = out
        self.lines: list[str] = []

    def __call__(self, recipe: str | None = "membrane", **changes) -> None:
        options = {
            "features": None,
            "resume": False,
            "dry_run": False,
            "settings": SMALL,
            "init": None,
            "device": "cpu",
        }
        run_training(
            recipe, [self.photos], self.out, report=self.lines.append, **(options | changes)
        )


@pytest.fixture
def call(photo_folder: Path, tmp_path: Path) -> Calls:
    return Calls(photo_folder, tmp_path / "run")


def test_recipes_are_listed_with_their_sources() -> None:
    lines: list[str] = []
    list_recipes(report=lines.append)
    names = [line.split("\t")[0] for line in lines]
    assert names == sorted(names)
    assert {"membrane", "dmfn", "dmfn-small", "dmfn-public"} <= set(names)
    assert all(line.split("\t")[1] for line in lines)


def test_a_run_is_trained_and_reported(call: Calls) -> None:
    call()
    assert load_checkpoint(call.out)["images"] == 4
    assert "Stopped at 4 of 4 images" in call.lines[-1]


def test_progress_is_reported_in_images_with_the_time_left(tiny_membrane: Recipe) -> None:
    lines: list[str] = []
    progress = commands._progress(replace(tiny_membrane, images=400_000), lines.append)
    progress(12_000, {"hole": 0.25, "critic": 1.3}, 13.0)
    assert lines == ["12000/400000 images, 13.0/s, 8 h 17 min left: hole 0.2500 critic 1.3000"]
    progress(400_000, {"hole": 0.25}, 13.0)
    assert lines[1] == "400000/400000 images, 13.0/s: hole 0.2500"


def test_resuming_goes_on_with_the_runs_own_recipe_and_the_settings_given(call: Calls) -> None:
    call()
    call(None, resume=True, settings={"images": "8", "lr": "1e-5"})
    assert load_checkpoint(call.out)["images"] == 8
    recipe = load_recipe(call.out)
    assert (recipe.lr, recipe.images, recipe.crop) == (1e-5, 8, 32)
    assert any("Resuming" in line and "4 of 8" in line for line in call.lines)


def test_a_folder_that_holds_a_run_is_not_begun_again(call: Calls) -> None:
    call()
    before = (call.out / "state.pt").read_bytes()
    with pytest.raises(OutputError, match="--resume"):
        call()
    assert (call.out / "state.pt").read_bytes() == before


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no checkpoint at all"),
        lambda path: torch.save({"images": 4}, path),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({**torch.load(path), "ema": 3, "generator": None}, path),
    ],
)
def test_a_damaged_checkpoint_is_unreadable_and_says_what_is_left(call: Calls, damage) -> None:
    call()
    damage(call.out / "state.pt")
    with pytest.raises(UnreadableError, match=r"state\.pt is damaged") as caught:
        call(None, resume=True, settings={"images": "8"})
    assert caught.value.code == 3
    assert "ema.safetensors" in caught.value.hint


@pytest.mark.parametrize(
    ("recipe", "changes", "error"),
    [
        (None, {}, UsageError),
        ("nothing", {}, UsageError),
        ("membrane", {"resume": True}, UnreadableError),
        ("membrane", {"resume": True, "init": Path("w.safetensors")}, UsageError),
        ("membrane", {"settings": SMALL | {"speed": "1"}}, UsageError),
        ("membrane", {"settings": SMALL | {"objective.squeezenet": "1"}}, UsageError),
        ("membrane", {"init": Path("w.pt")}, UsageError),
        ("membrane", {"init": Path("missing.safetensors")}, UnreadableError),
        ("membrane", {"init": Path("missing.onnx")}, UnreadableError),
    ],
)
def test_what_does_not_go_together_is_refused_and_writes_nothing(
    recipe: str | None, changes: dict[str, object], error: type[Exception], call: Calls
) -> None:
    with pytest.raises(error):
        call(recipe, **changes)
    assert not call.out.exists()


def test_a_run_is_resumed_only_as_what_it_is(call: Calls) -> None:
    call()
    with pytest.raises(UsageError, match="membrane"):
        call("dmfn", resume=True, settings={})


def test_a_dry_run_reports_all_and_writes_nothing(call: Calls, tmp_path: Path) -> None:
    call(dry_run=True)
    assert list(tmp_path.iterdir()) == []
    (recipe,) = (line for line in call.lines if line.startswith("{"))
    assert json.loads(recipe)["crop"] == 32
    text = "\n".join(call.lines)
    for part in ("parameters on cpu", "Photos: 5", "features: none", "Steps to go: 2", "One step:"):
        assert part in text


def test_a_dry_run_reports_the_features_and_the_critic(call: Calls, features: Path) -> None:
    small = {"generator.width": "4", "generator.blocks": "1", "objective.critic_width": "2"}
    small |= {name: SMALL[name] for name in ("crop", "short_side", "batch", "images")}
    call("dmfn", dry_run=True, settings=small, features=features)
    text = "\n".join(call.lines)
    assert "Critic:" in text
    assert "relu3_1" in text


def test_a_dry_run_reports_parts_and_the_critics_batches(call: Calls, features: Path) -> None:
    small = {"generator.width": "4", "generator.blocks": "1", "objective.critic_width": "2"}
    small |= {name: SMALL[name] for name in ("crop", "short_side", "images")}
    small |= {"batch": "4", "accumulate": "2", "critic_steps": "3"}
    call("dmfn", dry_run=True, settings=small, features=features)
    assert (
        "Steps to go: 1 of 4 crops of 32 px, 2 at a time in each of 1 processes, "
        "after 2 more such batches for the critic." in call.lines
    )


def test_the_best_of_a_validation_is_kept_and_the_losses_drawn(
    call: Calls, photo_folder: Path, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for photo in photo_folder.iterdir():
        picture = cv2.imread(str(photo))
        cv2.imwrite(str(pairs / photo.name), picture)
        picture[:] = 0
        picture[5:15, 5:15] = 255
        cv2.imwrite(str(pairs / f"{photo.stem}.mask.png"), picture)
    call(validate=pairs, settings=SMALL | {"validate_every": "2"}, workers=1)
    assert load_ema(call.out, best=True)[1] in {2, 4}
    (call.out / "losses.svg").unlink()
    lines: list[str] = []
    commands.draw_losses(call.out, report=lines.append)
    assert lines == [str(call.out / "losses.svg")]
    assert "hole PSNR" in (call.out / "losses.svg").read_text()


def test_holes_come_from_pictures_where_the_recipe_says_so(call: Calls, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    cv2.imwrite(str(masks / "a.mask.png"), np.eye(40, dtype=np.uint8) * 255)
    call(masks=[masks], settings=SMALL | {"holes.pictures": "1", "hole_ratio": "[0.001, 0.5]"})
    assert load_checkpoint(call.out)["images"] == 4


def test_workers_are_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    assert commands._workers(torch.device("cpu")) == 0
    for cores, processes, expected in ((16, 1, 8), (16, 4, 3), (2, 1, 1), (1, 2, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda found=cores: found)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        assert commands._workers(torch.device("cuda")) == expected


def test_a_run_can_begin_with_the_weights_of_another(call: Calls, tmp_path: Path) -> None:
    call()
    weights = call.out / "ema.safetensors"
    call.out = tmp_path / "next"
    call(init=weights, settings=SMALL | {"images": "0"})
    ours, theirs = load_file(call.out / "ema.safetensors"), load_file(weights)
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_weights_of_another_network_are_refused(call: Calls, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="do not fit"):
        call(init=tmp_path / "other.safetensors")


def test_unreadable_photos_are_reported_at_the_end(
    call: Calls, photo_folder: Path, tmp_path
) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for photo in photo_folder.iterdir():
        (mixed / photo.name).write_bytes(photo.read_bytes())
    (mixed / "bad.jpg").write_bytes(b"no photo")
    call.photos = mixed
    call(settings=SMALL | {"images": "12"})
    assert call.lines[-1] == "1 of 6 photos could not be decoded."


def test_damaged_weights_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(UnreadableError):
        load_weights(tmp_path / "w.safetensors")


def test_two_runs_from_the_same_weights_are_averaged(call: Calls, tmp_path: Path) -> None:
    call()
    first, call.out = call.out, tmp_path / "second"
    call(settings=SMALL | {"seed": "1"}, init=first / "ema.safetensors")
    run_averaging([first, call.out], tmp_path / "mean", data=None, report=call.lines.append)
    mean, images = load_ema(tmp_path / "mean")
    parts = [load_file(run / "ema.safetensors") for run in (first, call.out)]
    assert images == 4
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, (parts[0][name] + parts[1][name]) / 2)


def test_the_device_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=available: found)
        assert commands._device("auto") == expected
    assert commands._device("cuda:1") == "cuda:1"


def test_exporting_reports_how_the_model_compares(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"x" * 2_000_000)
    sizes, pictures = ((64, 64), (96, 64)), "photos of the run"
    parity = ExportParity(
        max_abs=1e-6, fp16_psnr_db=90.0, openvino_max_abs=2e-6, sizes=sizes, pictures=pictures
    )
    monkeypatch.setattr(commands, "export_run", lambda *_args, **_kw: (path, parity))
    lines: list[str] = []
    assert run_export(tmp_path, None, name="m", report=lines.append) == path
    assert lines[0] == "Compared with torch at 2 sizes, on photos of the run."
    assert "1e-06" in lines[1]
    assert "2.0 MB" in lines[-1]


@pytest.mark.parametrize("has", [False, True])
def test_bf16_is_not_emulated_unless_asked_for(
    call: Calls, monkeypatch: pytest.MonkeyPatch, has: bool
) -> None:
    monkeypatch.setattr(commands, "has_bf16", lambda: has)
    call()
    assert load_recipe(call.out).precision == ("bf16" if has else "fp32")
    assert any("Training in fp32" in line for line in call.lines) == (not has)
    call(None, resume=True, settings={"images": "6", "precision": "bf16"})
    assert load_recipe(call.out).precision == "bf16"


def test_torch_says_whether_the_processor_has_bf16() -> None:
    assert isinstance(commands.has_bf16(), bool)
    text = Path("/proc/cpuinfo")
    flags = text.read_text(encoding="utf-8") if text.exists() else ""
    if "avx512_bf16" in flags:
        assert commands.has_bf16()
    elif "avx2" in flags and "avx512" not in flags:
        assert not commands.has_bf16()
