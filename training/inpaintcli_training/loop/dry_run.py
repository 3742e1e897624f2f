"""The dry run: reports the recipe, sizes and the time of one step; writes nothing."""

import itertools
import sys
import time
from collections.abc import Callable
from contextlib import closing

import torch

from inpaintcli.batch.messages import duration_in_words
from inpaintcli_training import distributed
from inpaintcli_training.data.crops import Crops
from inpaintcli_training.data.photos import Photos
from inpaintcli_training.layers.blocks import count_parameters
from inpaintcli_training.loop.trainer import Trainer
from inpaintcli_training.recipe import to_json

Report = Callable[[str], None]


def do_dry_run(trainer: Trainer, crops: Crops, report: Report) -> None:
    """Report the recipe, sizes, and what the whole run would take; all processes must call it."""
    recipe = trainer.recipe
    report(to_json(recipe))
    report(f"Generator: {count_parameters(trainer.generator):,} parameters on {trainer.device}.")
    if trainer.critic:
        report(f"Critic: {count_parameters(trainer.critic):,} parameters.")
    report(f"Photos: {len(crops.photos)}.")
    report(f"Pretrained features: {trainer.objective.notes or 'none'}.")
    left = max(0, recipe.images - trainer.images)
    report(f"Steps to go: {-(-left // recipe.batch)} of {_batch(trainer)}.")
    losses, seconds = _one_step(trainer, crops)
    shown = " ".join(f"{key} {value:.4f}" for key, value in losses.items())
    report(f"One step: {seconds:.2f} s, {recipe.batch / seconds:.1f} images/s: {shown}")
    report(f"The whole run: {duration_in_words(left / recipe.batch * seconds)}.")
    memory = _memory(trainer.device)
    if memory is not None:
        report(f"Memory: {memory / 2**30:.1f} GiB at the most.")
    report_unreadable(crops.photos, report)


def report_unreadable(photos: Photos, report: Report) -> None:
    """Report how many photos were left out, if any."""
    if photos.unreadable:
        report(f"{len(photos.unreadable)} of {len(photos)} photos could not be decoded.")


def _batch(trainer: Trainer) -> str:
    """What goes into a step, in words."""
    recipe, size = trainer.recipe, distributed.group().size
    text = f"{recipe.batch} crops of {recipe.crop} px"
    if size * recipe.accumulate > 1:
        text += f", {recipe.part(size)} at a time in each of {size} processes"
    if trainer.critic and recipe.critic_steps > 1:
        text += f", after {recipe.critic_steps - 1} more such batches for the critic"
    return text


def _one_step(trainer: Trainer, crops: Crops) -> tuple[dict[str, float], float]:
    """The losses of a second step, on the crops of the first, and its seconds."""
    recipe, group = trainer.recipe, distributed.group()
    with closing(crops.batches(trainer.images * recipe.critic_steps, group=group)) as batches:
        parts = list(itertools.islice(batches, recipe.critic_steps * recipe.accumulate))
    trainer.step(*parts)  # the first step also allocates and chooses kernels
    begun = time.monotonic()
    losses = trainer.step(*parts)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    return losses, time.monotonic() - begun


def _memory(device: torch.device) -> int | None:
    """Peak bytes of the device's allocator on CUDA, else of this process (None on Windows)."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # Unix has it
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
