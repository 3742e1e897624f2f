"""What `inpaintcli train` and `inpaintcli export` do; the command line parses and calls these."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from inpaintcli.errors import OutputError, UnreadableError, UsageError
from training.catalog import find_recipe, recipes
from training.data import Crops, Photos
from training.export import export_run, read_weights
from training.layers import count_parameters
from training.loop import Trainer, train
from training.recipe import Recipe, to_json, with_settings
from training.runs import holds_run, load_recipe, load_state

Report = Callable[[str], None]


def list_recipes(*, report: Report) -> None:
    """Report every recipe, one a line: its name, a tab, its source."""
    for name, recipe in sorted(recipes().items()):
        report(f"{name}\t{recipe.source}")


def run_training(  # noqa: PLR0913 - one argument an option of the command
    recipe_name: str | None,
    data: list[Path],
    out: Path,
    *,
    features: Path | None,
    resume: bool,
    dry_run: bool,
    settings: dict[str, str],
    init: Path | None,
    report: Report,
    device: str = "auto",
) -> None:
    """Train to the recipe's end, or until SIGINT or SIGTERM; either way the run can be resumed.

    Args:
        recipe_name: a name from the catalogue; may be None when resuming, when the run's own
            recipe is used.
        data: folders, tar shards and photos to train on.
        out: the run folder.
        features: folder of the pretrained networks that the recipe's losses need.
        resume: go on with the run in `out`.
        dry_run: do one step and tell, but write nothing.
        settings: recipe fields to replace, as text; also those of a resumed run.
        init: weights to begin with, `.safetensors` or a model exported from here.
        report: called with each line for the user.
        device: as torch names it; `auto` is CUDA where there is one.

    Raises:
        UsageError: options or settings that do not fit, or no photo in `data`.
        UnreadableError: no run to resume, or photos, weights or features that cannot be read.
        OutputError: `out` holds a run already, or cannot be written.
        DivergedError: a loss is no longer a number.
    """
    recipe = with_settings(_recipe(recipe_name, out, resume, init), settings)
    photos = Photos(data)
    trainer = Trainer(recipe, features, device=_device(device))
    if resume:
        trainer.restore(load_state(out))
        report(f"Resuming {out} at {trainer.images} of {recipe.images} images.")
    if init is not None:
        trainer.start_from(load_weights(init))
    crops = Crops(photos, recipe)
    if dry_run:
        _tell(trainer, crops, report)
        return

    def progress(images: int, losses: dict[str, float], speed: float) -> None:
        shown = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        report(f"{images}/{recipe.images} images, {speed:.1f}/s: {shown}")

    train(trainer, crops, out, report=progress)
    report(f"Stopped at {trainer.images} of {recipe.images} images; the run is in {out}.")
    _report_unreadable(photos, report)


def run_export(run: Path, out: Path | None, *, name: str | None, report: Report) -> Path:
    """Export a run's averaged weights as `NAME.onnx` and its card, see `training.export`.

    Returns:
        The ONNX file.

    Raises:
        UnreadableError: the folder holds no run, or one without a checkpoint.
        ExportError: the graph's output differs from torch's; no file is left behind.
        OutputError: the files cannot be written.
    """
    path, parity = export_run(run, out, name=name)
    report(f"ONNX Runtime differs from torch by at most {parity.max_abs:.2g} in a hole.")
    if parity.openvino_max_abs is not None:
        report(f"OpenVINO (fp32) differs from torch by at most {parity.openvino_max_abs:.2g}.")
    report(f"Weights stored as fp16: {parity.fp16_psnr_db:.1f} dB from fp32 weights.")
    report(f"{path}: {path.stat().st_size / 1e6:.1f} MB; its card is {path.stem}.toml.")
    return path


def load_weights(path: Path) -> dict[str, Tensor]:
    """Generator weights by name, from safetensors or from a model exported from here.

    Raises:
        UsageError: another suffix.
        UnreadableError: the file cannot be read.
    """
    if path.suffix == ".onnx":
        return read_weights(path)
    if path.suffix != ".safetensors":
        raise UsageError(
            f"{path} is no file of weights.", hint="--init takes .safetensors or .onnx."
        )
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UnreadableError(f"{path} cannot be read as safetensors: {error}.") from error


def _recipe(name: str | None, out: Path, resume: bool, init: Path | None) -> Recipe:
    """The run's own recipe when resuming, else the catalogue's; checks that the options agree."""
    if resume:
        if init is not None:
            raise UsageError("--init and --resume exclude each other.")
        recipe = load_recipe(out)
        if name not in (None, recipe.name):
            raise UsageError(f"The run in {out} is of '{recipe.name}', not '{name}'.")
        return recipe
    if name is None:
        raise UsageError("No recipe was named.", hint="Only --resume goes without one.")
    if holds_run(out):
        hint = "Go on with --resume, or name another folder."
        raise OutputError(f"{out} already holds a run.", hint=hint)
    return find_recipe(name)


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _tell(trainer: Trainer, crops: Crops, report: Report) -> None:
    """What a run would be: the recipe, its size, and one step of it, timed."""
    recipe, photos = trainer.recipe, crops.photos
    report(to_json(recipe))
    report(f"Generator: {count_parameters(trainer.generator):,} parameters on {trainer.device}.")
    if trainer.critic:
        report(f"Critic: {count_parameters(trainer.critic):,} parameters.")
    report(f"Photos: {len(photos)}.")
    notes = trainer.objective.notes
    report(f"Pretrained features: {notes or 'none'}.")
    left = max(0, recipe.images - trainer.images)
    report(f"Steps to go: {-(-left // recipe.batch)} of {recipe.batch} crops of {recipe.crop} px.")
    batch = crops.batch(trainer.images)
    trainer.step(batch)  # the first step also allocates, and picks kernels
    begun = time.monotonic()
    losses = trainer.step(batch)
    seconds = time.monotonic() - begun
    shown = " ".join(f"{key} {value:.4f}" for key, value in losses.items())
    report(f"One step: {seconds:.2f} s, {recipe.batch / seconds:.1f} images/s: {shown}")
    report(f"The whole run: {left / recipe.batch * seconds / 3600:.1f} hours.")
    memory = _memory(trainer.device)
    if memory is not None:
        report(f"Memory: {memory / 2**30:.1f} GiB at the most.")
    _report_unreadable(photos, report)


def _report_unreadable(photos: Photos, report: Report) -> None:
    if photos.unreadable:
        report(f"{len(photos.unreadable)} of {len(photos)} photos could not be decoded.")


def _memory(device: torch.device) -> int | None:
    """Peak bytes: of the device's allocator on CUDA, else of this process where it can tell."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # Unix has it
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
