"""The mean of the EMA weights of several runs of one recipe, scored beside the runs themselves.

Runs that began from the same weights and saw different crops lie in one basin of the loss; the mean
of their weights often fills better than any of them, at the cost of one network (Wortsman et al.
2022, "Model soups"). Runs from different random weights have no such mean: the scores show it.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inpaintcli.errors import OutputError, UsageError
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.export.exporter import trained_generator
from inpaintcli_training.family import BaseGenerator, first_output
from inpaintcli_training.layers.blocks import composite
from inpaintcli_training.loop.run_folder import (
    RunInfo,
    holds_run,
    load_ema,
    load_recipe,
    load_run_info,
    write_ema,
    write_run_info,
)
from inpaintcli_training.loop.validation import Validation, read_validation
from inpaintcli_training.recipe import Recipe

Weights = dict[str, Tensor]
_CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run as averaging needs it: its recipe, its EMA weights and the images they had seen."""

    folder: Path
    recipe: Recipe
    weights: Weights
    images: int

    @property
    def generator(self) -> BaseGenerator:
        """The generator with these weights, for inference."""
        return trained_generator(self.recipe, self.weights, self.images)


def average_runs(
    folders: list[Path],
    out: Path,
    *,
    validate: Path | None,
    report: Callable[[str], None],
    best: bool = False,
) -> None:
    """Write a run folder with the mean weights: for `export`, or `train --init`; not to resume.

    Args:
        folders: two or more run folders.
        out: a folder that holds no run yet.
        validate: photos with masks beside them; the hole PSNR of each run and of the mean is
            reported.
        report: called with each line for the user.
        best: the weights of the best validation instead of the last ones.

    Raises:
        UsageError: fewer than two runs, or runs that differ in more than their training; the
            message names what differs.
        UnreadableError: a folder holds no run, or one without weights.
        OutputError: `out` holds a run already, or cannot be written.
    """
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise UsageError("average takes two or more run folders, each once.")
    if holds_run(out):
        raise OutputError(f"{out} already holds a run.", hint="Name another folder.")
    runs = [_read(folder, best=best) for folder in folders]
    for run in runs[1:]:
        _check_alike(runs[0], run)
    images = max(run.images for run in runs)
    mean = TrainedRun(out, runs[0].recipe, _mean([run.weights for run in runs]), images)
    if validate is not None:
        _report_scores([*runs, mean], read_validation(validate, mean.recipe), report)
    write_run_info(out, mean.recipe, _merged([load_run_info(folder) for folder in folders]))
    write_ema(out, mean.weights, images)
    report(f"The mean of {len(runs)} runs is in {out}.")


def _read(folder: Path, *, best: bool) -> TrainedRun:
    recipe = load_recipe(folder)
    weights, images = load_ema(folder, best=best)
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise UsageError(f"Weight {name} of {folder} is not finite.")
    return TrainedRun(folder, recipe, weights, images)


def _check_alike(first: TrainedRun, other: TrainedRun) -> None:
    """Refuse runs of different networks; seeds, rates, crops and losses may differ."""
    where = f"{first.folder} and {other.folder}"
    if first.recipe.name != other.recipe.name:
        names = f"'{first.recipe.name}' and '{other.recipe.name}'"
        raise UsageError(f"{where} are runs of two recipes, {names}.")
    found = [
        f"{name} is {ours!r} in one and {theirs!r} in the other"
        for name, ours, theirs in _differences(first.recipe.generator, other.recipe.generator)
    ]
    if found:
        raise UsageError(f"{where} are of different networks: {'; '.join(found)}.")
    if first.generator.idle != other.generator.idle:
        names = ", ".join(sorted(first.generator.idle ^ other.generator.idle))
        hint = "Train the shorter run further."
        raise UsageError(f"{where} do not use the same weights yet: {names}.", hint=hint)


# When a block of a network begins is part of its training, and shows in the weights it uses.
_SCHEDULE = ("head_images", "block_images", "fade")


def _differences(ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    for field in dataclasses.fields(ours):
        pair = getattr(ours, field.name), getattr(theirs, field.name)
        if pair[0] != pair[1] and field.name not in _SCHEDULE:
            yield f"generator.{field.name}", *pair


def _mean(weights: list[Weights]) -> Weights:
    return {
        name: torch.stack([one[name].double() for one in weights]).mean(0).to(first.dtype)
        for name, first in weights[0].items()
    }


def _merged(infos: list[RunInfo]) -> RunInfo:
    """What all runs were trained on; photos are those of the run with most."""
    return RunInfo(
        data=tuple(dict.fromkeys(name for info in infos for name in info.data)),
        sources=tuple(dict.fromkeys(name for info in infos for name in info.sources)),
        photos=max(info.photos for info in infos),
        unreadable=max(info.unreadable for info in infos),
        features=infos[0].features,
    )


class _Filler:
    """Fills a batch by a generator, as `Validation` asks for it."""

    device = _CPU

    def __init__(self, generator: BaseGenerator) -> None:
        self.generator = generator

    @torch.no_grad()
    def fill(self, batch: Batch) -> Tensor:
        filled = first_output(self.generator(batch.photo, batch.mask))
        return composite(batch.photo, batch.mask, filled)


def _report_scores(
    runs: list[TrainedRun], validation: Validation, report: Callable[[str], None]
) -> None:
    """One line for each run: its folder, a tab, its hole PSNR; the mean comes last."""
    for run in runs:
        psnr = validation.hole_psnr(_Filler(run.generator))
        report(f"{run.folder}\t{psnr:.3f} dB in the hole, mean of {len(validation)} photos")
