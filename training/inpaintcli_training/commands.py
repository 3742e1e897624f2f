"""What `inpaintcli train` and `inpaintcli export` do; the command line calls these functions."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from inpaintcli.batch.messages import duration_in_words
from inpaintcli.errors import OutputError, UnreadableError, UsageError
from inpaintcli_training import distributed
from inpaintcli_training.averaging import average_runs
from inpaintcli_training.catalog import find_recipe, recipes
from inpaintcli_training.data.crops import Crops, Photos
from inpaintcli_training.export.exporter import export_run, read_weights
from inpaintcli_training.loop.dry_run import do_dry_run, report_unreadable
from inpaintcli_training.loop.loss_plot import write_loss_plot
from inpaintcli_training.loop.run_folder import (
    damaged_checkpoint,
    holds_run,
    load_checkpoint,
    load_recipe,
)
from inpaintcli_training.loop.train import Trainer, train
from inpaintcli_training.loop.validation import read_validation
from inpaintcli_training.recipe import Recipe, with_settings

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
    masks: list[Path] | None = None,
    validate: Path | None = None,
    workers: int | None = None,
) -> None:
    """Train to the end of the recipe, or to SIGINT or SIGTERM; either way the run can be resumed.

    Args:
        recipe_name: a name from the catalogue; may be None with `resume`, which takes the run's own
            recipe.
        data: folders, tar shards, lists and photos to train on.
        out: the run folder.
        features: folder of the pretrained networks that the recipe's losses need.
        resume: continue the run in `out`.
        dry_run: do one step and report it, but write nothing.
        settings: recipe fields to replace, as text; also those of a resumed run.
        init: weights to begin with, `.safetensors` or an exported model.
        report: called with each line for the user, in the first process only.
        device: as torch names it; `auto` is CUDA where there is one.
        masks: folders, tar shards and lists of mask pictures for the recipe's holes.
        validate: folder of photos with masks beside them, to choose the best weights by.
        workers: processes that prepare crops, for each process that trains; by default none on a
            CPU, and several on a GPU.

    Raises:
        UsageError: options or settings that do not fit, or no photo in `data`.
        UnreadableError: no run to resume, or photos, weights or features that cannot be read.
        OutputError: `out` holds a run already, or cannot be written.
        DivergedError: a loss became NaN or infinite.
    """
    recipe = with_settings(_recipe(recipe_name, out, resume, init), settings)
    masks_found = Photos(masks, masks=True, cache_bytes=1 << 30) if masks else None
    crops = Crops(Photos(data), recipe, masks_found)
    validation = read_validation(validate, recipe) if validate else None
    with distributed.process_group(_device(device)) as own_device:
        if not distributed.group().first:
            report = _ignore
        if "precision" not in settings:
            recipe = with_supported_precision(recipe, torch.device(own_device), report)
        trainer = Trainer(recipe, features, device=own_device)
        if resume:
            _resume(trainer, out)
            report(f"Resuming {out} at {trainer.images} of {recipe.images} images.")
        if init is not None:
            trainer.start_from(load_weights(init))
        if dry_run:
            do_dry_run(trainer, crops, report)
            return
        if workers is None:
            workers = _workers(trainer.device)
        train(
            trainer,
            crops,
            out,
            report=_progress(recipe, report),
            validation=validation,
            workers=workers,
        )
        report(f"Stopped at {trainer.images} of {recipe.images} images; the run is in {out}.")
        report_unreadable(crops.photos, report)


def draw_losses(out: Path, *, report: Report) -> None:
    """Draw the loss plot of the run in `out` again.

    Raises:
        UnreadableError: the folder has no losses.
        OutputError: the folder cannot be written.
    """
    report(str(write_loss_plot(out)))


def _ignore(_line: str) -> None:
    pass


def _progress(recipe: Recipe, report: Report) -> Callable[[int, dict[str, float], float], None]:
    def progress(images: int, losses: dict[str, float], speed: float) -> None:
        shown = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        left = recipe.images - images
        time = f", {duration_in_words(left / speed)} left" if left > 0 else ""
        report(f"{images}/{recipe.images} images, {speed:.1f}/s{time}: {shown}")

    return progress


def _workers(device: torch.device) -> int:
    """0 on a CPU, where the loader's thread is enough; on a GPU its share of the cores, up to 8."""
    if device.type == "cpu":
        return 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(8, (os.cpu_count() or 1) // here - 1))


def run_export(
    run: Path, out: Path | None, *, name: str | None, report: Report, best: bool = False
) -> Path:
    """Export a run's EMA weights as `NAME.onnx` with its card, see `export.exporter`.

    With `best`, those that were best on the validation photos instead of the last ones.

    Returns:
        The ONNX file.

    Raises:
        UnreadableError: the folder holds no run, or one without a checkpoint.
        ExportError: the graph's output differs from torch's; nothing is written.
        OutputError: the files cannot be written.
    """
    path, parity = export_run(run, out, name=name, best=best)
    report(f"Compared with torch at {len(parity.sizes)} sizes, on {parity.pictures}.")
    report(f"ONNX Runtime differs from torch by at most {parity.max_abs:.2g} in a hole.")
    if parity.openvino_max_abs is not None:
        report(f"OpenVINO (fp32) differs from torch by at most {parity.openvino_max_abs:.2g}.")
    report(f"Weights stored as fp16: {parity.fp16_psnr_db:.1f} dB from fp32 weights.")
    report(f"{path}: {path.stat().st_size / 1e6:.1f} MB; its card is {path.stem}.toml.")
    return path


def run_averaging(
    runs: list[Path], out: Path, *, data: Path | None, report: Report, best: bool = False
) -> None:
    """Average the EMA weights of several runs into the run folder `out`, see `averaging`.

    With `data`, a folder of photos with masks beside them, the hole PSNR of every run and of the
    mean is reported.

    Raises:
        UsageError: fewer than two runs, or runs of different networks.
        UnreadableError: a folder holds no run, or one without weights.
        OutputError: `out` holds a run already, or cannot be written.
    """
    average_runs(runs, out, validate=data, report=report, best=best)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Generator weights by name, from safetensors or from an exported model.

    Raises:
        UsageError: another suffix.
        UnreadableError: the file cannot be read.
    """
    if path.suffix == ".onnx":
        return read_weights(path)
    if path.suffix != ".safetensors":
        raise UsageError(
            f"{path} is not a file of weights.", hint="--init takes .safetensors or .onnx."
        )
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UnreadableError(f"{path} cannot be read as safetensors: {error}.") from error


def _resume(trainer: Trainer, folder: Path) -> None:
    """Restore what the checkpoint holds.

    Raises:
        UnreadableError: there is none, or it is damaged.
        UsageError: it is of another network.
    """
    state = load_checkpoint(folder)
    try:
        trainer.load_state_dict(state)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged_checkpoint(folder) from error


def _recipe(name: str | None, out: Path, resume: bool, init: Path | None) -> Recipe:
    """The run's own recipe with `resume`, else the catalogue's; checks that the options agree."""
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


def with_supported_precision(recipe: Recipe, device: torch.device, report: Report) -> Recipe:
    """The recipe, changed to fp32 where bf16 would be slow; reports the change.

    Without AVX-512 torch emulates bf16: a step of `membrane-finish` took 50 s instead of 4.
    """
    if recipe.precision != "bf16" or device.type != "cpu" or has_bf16():
        return recipe
    report(
        "Training in fp32: this processor has no bf16, and emulating it takes many times longer. "
        "Force it with --set precision=bf16."
    )
    return replace(recipe, precision="fp32")


def has_bf16() -> bool:
    """Whether torch has kernels for bf16 on this processor; True where torch cannot be asked."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 no other way to ask
    except (AttributeError, RuntimeError):
        return True


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
