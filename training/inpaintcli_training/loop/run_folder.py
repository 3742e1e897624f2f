"""The run folder: reading and writing its files.

It holds `recipe.json` (the recipe), `run.json` (what the run is trained on), `state.pt` (the
checkpoint to resume from), `ema.safetensors` (the EMA weights, to export), `best.safetensors`
(those of the best validation), `losses.jsonl` and its plot `losses.svg`, and TensorBoard's events
in `logs/`.
"""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli_training.catalog import find_recipe
from inpaintcli_training.recipe import Recipe, recipe_from_json, to_json

STATE = "state.pt"
EMA = "ema.safetensors"
BEST = "best.safetensors"
LOSSES = "losses.jsonl"
PLOT = "losses.svg"
RECIPE = "recipe.json"
RUN_INFO = "run.json"
_STATE_FIELDS = {"images", "generator", "ema", "critic", "rng"}


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What a run is trained on, as `run.json` holds it; a field that is not known is empty."""

    data: tuple[str, ...] = ()  # names of the sources, without their folders: for the card
    sources: tuple[str, ...] = ()  # their paths, for the comparison before an export
    photos: int = 0
    unreadable: int = 0  # of these photos, those that could not be decoded so far
    features: dict[str, Any] = field(default_factory=dict)  # the objective's notes


def holds_run(folder: Path) -> bool:
    """Whether the folder holds a run, finished or not."""
    return any((folder / name).exists() for name in (STATE, EMA, RECIPE))


def write_run_info(folder: Path, recipe: Recipe, info: RunInfo) -> None:
    """Write the recipe and the run's information.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_text(folder / RECIPE, to_json(recipe))
        _write_text(folder / RUN_INFO, json.dumps(dataclasses.asdict(info), indent=2))
    except OSError as error:
        raise OutputError(f"The run cannot be written to {folder}: {error}.") from error


def write_checkpoint(folder: Path, state: dict[str, Any], ema: dict[str, Tensor]) -> None:
    """Write the state and the EMA weights, each to a temporary file that is then renamed.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        part = folder / (STATE + ".part")
        torch.save(state, part)
        part.replace(folder / STATE)
        _write_weights(folder / EMA, ema, {"images": str(state["images"])})
    except (OSError, RuntimeError, SafetensorError) as error:  # torch wraps a full disk
        raise OutputError(f"The run cannot be saved in {folder}: {error}.") from error


def write_ema(folder: Path, ema: dict[str, Tensor], images: int) -> None:
    """Write EMA weights alone, without a state to resume from.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        _write_weights(folder / EMA, ema, {"images": str(images)})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The weights cannot be written to {folder}: {error}.") from error


def write_best(folder: Path, ema: dict[str, Tensor], images: int, psnr: float) -> None:
    """Write these EMA weights as the best, with their hole PSNR (dB) on the validation photos.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        _write_weights(folder / BEST, ema, {"images": str(images), "hole_psnr": repr(psnr)})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The run cannot be saved in {folder}: {error}.") from error


def best_psnr(folder: Path) -> float:
    """The hole PSNR (dB) of the best weights so far; minus infinity where there are none."""
    try:
        with safe_open(folder / BEST, framework="pt") as file:
            return float((file.metadata() or {})["hole_psnr"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return -math.inf


def _write_weights(path: Path, weights: dict[str, Tensor], notes: dict[str, str]) -> None:
    part = path.with_name(path.name + ".part")
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, part, notes)
    part.replace(path)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The saved state of a run, on the CPU.

    Raises:
        UnreadableError: the folder holds none, or it is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise UnreadableError(f"{folder} holds no run to resume.", hint=f"{path.name} is missing.")
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises errors of zip files, of pickles, and its own
        raise damaged_checkpoint(folder) from error
    if not isinstance(state, dict) or not state.keys() >= _STATE_FIELDS:
        raise damaged_checkpoint(folder)
    return state


def damaged_checkpoint(folder: Path) -> UnreadableError:
    """The error of a checkpoint that is not what was written."""
    return UnreadableError(
        f"{folder / STATE} is damaged, so that the run cannot be resumed.",
        hint=f"Take it from a backup; or begin another run from its weights, if they are whole: "
        f"--init {folder / EMA}",
    )


def load_ema(folder: Path, *, best: bool = False) -> tuple[dict[str, Tensor], int]:
    """The EMA weights of a run, the last or the best, and how many images they had seen.

    Raises:
        UnreadableError: the folder holds none.
    """
    path = folder / (BEST if best else EMA)
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
            images = int((file.metadata() or {}).get("images", 0))
    except (OSError, SafetensorError, ValueError) as error:
        hint = "Only a run with --validate writes it." if best else "A checkpoint writes it."
        raise UnreadableError(f"{path} cannot be read: {error}.", hint=hint) from error
    return weights, images


def load_recipe(folder: Path) -> Recipe:
    """The recipe of a run.

    Raises:
        UnreadableError: the folder holds no run.
        UsageError: its recipe is not in the catalogue, or damaged.
    """
    path = folder / RECIPE
    try:
        text = path.read_text(encoding="utf-8")
        name = str(json.loads(text)["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"{folder} holds no run: {path.name} cannot be read.") from error
    return recipe_from_json(find_recipe(name), text)


def load_run_info(folder: Path) -> RunInfo:
    """What the run is trained on; empty where the file is missing or damaged."""
    try:
        saved = json.loads((folder / RUN_INFO).read_text(encoding="utf-8"))
        tuples = {name: tuple(saved[name]) for name in ("data", "sources") if name in saved}
        return RunInfo(**{**saved, **tuples})
    except (OSError, ValueError, KeyError, TypeError):
        return RunInfo()


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
