"""The mean of several runs' weights: what is averaged, what is refused, what is reported."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from inpaintcli_training.averaging import average_runs
from inpaintcli_training.catalog import build_generator
from inpaintcli_training.loop.run_folder import (
    RunInfo,
    load_ema,
    load_recipe,
    load_run_info,
    write_ema,
    write_run_info,
)
from inpaintcli_training.recipe import Recipe, with_settings

from inpaintcli.errors import OutputError, UnreadableError, UsageError


def write_run(folder: Path, recipe: Recipe, value: float, images: int = 100) -> Path:
    """A run whose weights all have one value."""
    weights = {
        n: torch.full_like(t, value) for n, t in build_generator(recipe).state_dict().items()
    }
    write_run_info(folder, recipe, RunInfo(data=(folder.name,), photos=images))
    write_ema(folder, weights, images)
    return folder


@pytest.fixture
def two(tmp_path: Path, tiny_dmfn: Recipe) -> list[Path]:
    """Two runs of one recipe: other seeds, other lengths."""
    other = replace(tiny_dmfn, seed=1, lr=1e-5)
    return [
        write_run(tmp_path / "a", tiny_dmfn, 1.0),
        write_run(tmp_path / "b", other, 0.5, images=200),
    ]


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    folder = tmp_path / "validation"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        hole = np.zeros((64, 64), np.uint8)
        hole[20:40, 20:40] = 255
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(0, 256, (64, 64, 3), np.uint8))
        cv2.imwrite(str(folder / f"{name}.mask.png"), hole)
    return folder


def test_the_mean_is_a_run_to_export(two: list[Path], tmp_path: Path) -> None:
    lines: list[str] = []
    average_runs(two, tmp_path / "mean", validate=None, report=lines.append)
    weights, images = load_ema(tmp_path / "mean")
    assert all((weight == 0.75).all() for weight in weights.values())
    assert images == 200
    assert load_recipe(tmp_path / "mean") == load_recipe(two[0])
    info = load_run_info(tmp_path / "mean")
    assert (info.data, info.photos) == (("a", "b"), 200)
    assert lines == [f"The mean of 2 runs is in {tmp_path / 'mean'}."]


def test_runs_and_mean_are_scored(two: list[Path], tmp_path: Path, validation: Path) -> None:
    lines: list[str] = []
    average_runs(two, tmp_path / "mean", validate=validation, report=lines.append)
    assert [line.split("\t")[0] for line in lines[:3]] == [*map(str, two), str(tmp_path / "mean")]
    for line in lines[:3]:
        assert re.fullmatch(r".*\t-?\d+\.\d{3} dB in the hole, mean of 2 photos", line)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"generator.width": "8"}, "generator.width is 4 in one and 8 in the other"),
        ({"generator.form": '"public"'}, "generator.form"),
    ],
)
def test_runs_of_two_networks_are_refused_and_the_difference_named(
    settings: dict[str, str], named: str, two: list[Path], tmp_path: Path, tiny_dmfn: Recipe
) -> None:
    settings = {name: text.strip('"') for name, text in settings.items()}
    other = write_run(tmp_path / "c", with_settings(tiny_dmfn, settings), 1.0)
    with pytest.raises(UsageError, match=re.escape(named)):
        average_runs([*two, other], tmp_path / "mean", validate=None, report=print)
    assert not (tmp_path / "mean").exists()


def test_runs_of_two_recipes_are_refused(
    two: list[Path], tmp_path: Path, tiny_recipes: dict[str, Recipe]
) -> None:
    other = write_run(tmp_path / "c", tiny_recipes["regionwise"], 1.0)
    with pytest.raises(UsageError, match="'dmfn' and 'regionwise'"):
        average_runs([two[0], other], tmp_path / "mean", validate=None, report=print)


def test_runs_that_use_other_blocks_are_refused(
    tmp_path: Path, tiny_recipes: dict[str, Recipe]
) -> None:
    """In one of them the second block has not begun: its weights are still random."""
    recipe = tiny_recipes["blockwise-fill"]
    runs = [
        write_run(tmp_path / name, recipe, 1.0, images) for name, images in (("a", 4), ("b", 12))
    ]
    with pytest.raises(UsageError, match=r"added\.1\.conv1"):
        average_runs(runs, tmp_path / "mean", validate=None, report=print)


def test_one_run_is_no_mean_and_a_weight_that_is_no_number_is_refused(
    two: list[Path], tmp_path: Path, tiny_dmfn: Recipe
) -> None:
    for folders in (two[:1], [two[0], two[0]]):
        with pytest.raises(UsageError, match="two or more"):
            average_runs(folders, tmp_path / "mean", validate=None, report=print)
    broken = write_run(tmp_path / "c", tiny_dmfn, float("nan"))
    with pytest.raises(UsageError, match="finite"):
        average_runs([two[0], broken], tmp_path / "mean", validate=None, report=print)


def test_a_folder_that_holds_a_run_is_kept_and_a_missing_one_is_unreadable(
    two: list[Path], tmp_path: Path
) -> None:
    before = (two[1] / "ema.safetensors").read_bytes()
    with pytest.raises(OutputError, match="already holds a run"):
        average_runs(two, two[1], validate=None, report=print)
    assert (two[1] / "ema.safetensors").read_bytes() == before
    with pytest.raises(UnreadableError, match="nothing"):
        average_runs([two[0], tmp_path / "nothing"], tmp_path / "m", validate=None, report=print)
