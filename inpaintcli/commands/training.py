"""The commands `train`, `average` and `export`."""

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.errors import UsageError
from inpaintcli.options import DeviceOption


@with_options
def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe's name; left out: list them.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER|TAR|LIST", help="Photos; may be given more than once. [.txt .csv: LIST]"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="The run folder.")] = None,
    features: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Feature networks that the losses need.")
    ] = None,
    masks: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER|TAR|LIST", help="Pictures of holes, white is hole, for holes.pictures."
        ),
    ] = None,
    validate: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Photos with NAME.mask.EXT beside them; the best is kept."
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights to begin with: .safetensors or .onnx."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a field of the recipe."),
    ] = None,
    device: DeviceOption = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that cut crops.  [0 beside a CPU, some beside a GPU]"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, write nothing.")
    ] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Only draw the losses of the run in --out.")
    ] = False,
) -> None:
    """Train a generator (needs the extra `train`); several GPUs or machines by torchrun."""
    commands = _training()
    console = Console()
    if plot and out is not None:
        commands.draw_losses(out, report=console.data)
        return
    if recipe is None and not resume:
        commands.list_recipes(report=console.data)
        return
    if out is None or not data:
        raise UsageError("train needs --data FOLDER and --out RUN.")
    commands.run_training(
        recipe,
        data,
        out,
        features=features,
        resume=resume,
        dry_run=dry_run,
        settings=_pairs(setting or []),
        init=init,
        report=console.say,
        device=device,
        masks=masks,
        validate=validate,
        workers=workers,
    )


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for model and card.  [RUN]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name.  [the recipe's]")] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The best weights of the validation, not the last.")
    ] = False,
) -> None:
    """Turn a run into an ONNX model and its card (needs the extra `train`)."""
    console = Console()
    path = _training().run_export(run, out, name=name, best=best, report=console.say)
    console.data(str(path))


def average(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of one recipe.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="A new run folder.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Photos with NAME.mask.EXT beside them: score the runs and their mean.",
        ),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The best weights of the validations, not the last.")
    ] = False,
) -> None:
    """Average the weights of several runs (needs the extra `train`); `export` takes the result."""
    console = Console()
    _training().run_averaging(runs, out, data=data, report=console.say, best=best)
    console.data(str(out))


def _training() -> ModuleType:
    """The training commands.

    Raises:
        UsageError: the extra is not installed.
    """
    try:
        from inpaintcli_training import commands
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Training needs the package {error.name}, which is not installed.",
            hint="Install the extra: pip install torch, then pip install 'inpaintcli[train]'.",
        ) from error
    return commands


def _pairs(settings: list[str]) -> dict[str, str]:
    """NAME=VALUE texts as a dictionary.

    Raises:
        UsageError: one has no equals sign.
    """
    for text in settings:
        if "=" not in text:
            raise UsageError(f"--set takes NAME=VALUE, not '{text}'.")
    return dict(text.split("=", 1) for text in settings)
