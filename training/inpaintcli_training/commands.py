"""What `inpaintcli train` and `inpaintcli export` do; the command line parses and calls these."""

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
from inpaintcli_training.catalog import find_recipe, recipes
from inpaintcli_training.data.crops import Crops, Photos
from inpaintcli_training.export.exporter import export_run, read_weights
from inpaintcli_training.loop.dry_run import rehearse, report_unreadable
from inpaintcli_training.loop.loop import Trainer, train
from inpaintcli_training.loop.plots import draw
from inpaintcli_training.loop.runs import holds_run, load_recipe, load_state
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
    """Train to the recipe's end, or until SIGINT or SIGTERM; either way the run can be resumed.

    Args:
        recipe_name: a name from the catalogue; may be None when resuming, when the run's own
            recipe is used.
        data: folders, tar shards, lists and photos to train on.
        out: the run folder.
        features: folder of the pretrained networks that the recipe's losses need.
        resume: go on with the run in `out`.
        dry_run: do one step and tell, but write nothing.
        settings: recipe fields to replace, as text; also those of a resumed run.
        init: weights to begin with, `.safetensors` or a model exported from here.
        report: called with each line for the user, in the first process only.
        device: as torch names it; `auto` is CUDA where there is one.
        masks: folders, tar shards and lists of mask pictures for the recipe's holes.
        validate: folder of photos with masks beside them, to choose the best weights by.
        workers: processes that cut crops, for each that trains; by default none beside a CPU,
            and some beside a GPU.

    Raises:
        UsageError: options or settings that do not fit, or no photo in `data`.
        UnreadableError: no run to resume, or photos, weights or features that cannot be read.
        OutputError: `out` holds a run already, or cannot be written.
        DivergedError: a loss is no longer a number.
    """
    recipe = with_settings(_recipe(recipe_name, out, resume, init), settings)
    masks_found = Photos(masks, masks=True, cache_bytes=1 << 30) if masks else None
    crops = Crops(Photos(data), recipe, masks_found)
    validation = read_validation(validate, recipe) if validate else None
    with distributed.joined(_device(device)) as own_device:
        if not distributed.group().first:
            report = _silent
        if "precision" not in settings:
            recipe = suited(recipe, torch.device(own_device), report)
        trainer = Trainer(recipe, features, device=own_device)
        if resume:
            trainer.restore(load_state(out))
            report(f"Resuming {out} at {trainer.images} of {recipe.images} images.")
        if init is not None:
            trainer.start_from(load_weights(init))
        if dry_run:
            rehearse(trainer, crops, report)
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
    """Draw the losses of the run in `out` anew.

    Raises:
        UnreadableError: the folder has no losses.
        OutputError: the folder cannot be written.
    """
    report(str(draw(out)))


def _silent(_line: str) -> None:
    pass


def _progress(recipe: Recipe, report: Report) -> Callable[[int, dict[str, float], float], None]:
    def progress(images: int, losses: dict[str, float], speed: float) -> None:
        shown = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        left = recipe.images - images
        time = f", {duration_in_words(left / speed)} left" if left > 0 else ""
        report(f"{images}/{recipe.images} images, {speed:.1f}/s{time}: {shown}")

    return progress


def _workers(device: torch.device) -> int:
    """Beside a CPU the thread of the loader does; a GPU gets its share of the cores, at most 8."""
    if device.type == "cpu":
        return 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(8, (os.cpu_count() or 1) // here - 1))


def run_export(
    run: Path, out: Path | None, *, name: str | None, report: Report, best: bool = False
) -> Path:
    """Export a run's averaged weights as `NAME.onnx` and its card, see `inpaintcli_training.export.exporter`.

    With `best`, those that were best on the validation photos, not the last.

    Returns:
        The ONNX file.

    Raises:
        UnreadableError: the folder holds no run, or one without a checkpoint.
        ExportError: the graph's output differs from torch's; no file is left behind.
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


def suited(recipe: Recipe, device: torch.device, report: Report) -> Recipe:
    """The recipe in fp32 where bf16 would be slow, and a word of it.

    Without AVX-512 torch emulates bf16: a step of `membrane-finish` took 50 s in place of 4.
    """
    if recipe.precision != "bf16" or device.type != "cpu" or has_bf16():
        return recipe
    report(
        "Training in fp32: this processor has no bf16, and to imitate it takes many times longer. "
        "--set precision=bf16 insists."
    )
    return replace(recipe, precision="fp32")


def has_bf16() -> bool:
    """Whether torch has kernels for bf16 on this processor; True where torch does not say."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 no other way to ask
    except (AttributeError, RuntimeError):
        return True


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
