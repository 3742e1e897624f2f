"""The commands: parse, call once, print. Expected errors are caught in `main` and nowhere else.

Standard output carries data only; messages and progress bars go to standard error. What a command
needs is imported when it runs, so that `--help` answers at once.
"""

import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from types import FrameType, ModuleType
from typing import Annotated

import typer

from inpaintcli import __version__
from inpaintcli.console import Console, complain
from inpaintcli.errors import ExitCode, InpaintError, UsageError

app = typer.Typer(
    name="inpaintcli",
    help="Fill holes in photographs; everything outside the hole comes back untouched.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="The models that are shipped or installed.", no_args_is_help=True)
app.add_typer(models_app, name="models")


class EngineName(StrEnum):
    """What runs the model."""

    auto = "auto"
    openvino = "openvino"
    onnxruntime = "onnxruntime"
    tensorrt = "tensorrt"


class PrecisionName(StrEnum):
    """Arithmetic of the engine."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class Detail(StrEnum):
    """Whose texture fills a hole."""

    auto = "auto"
    network = "network"
    patches = "patches"


def _device(text: str) -> str:
    kind, _, number = text.partition(":")
    if text not in ("auto", "cpu", "cuda") and not (kind == "cuda" and number.isdigit()):
        message = f"'{text}' is not a device: auto, cpu, cuda or cuda:N."
        raise typer.BadParameter(message)
    return text


ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="A model's name, or the path of its card."),
]
EngineOption = Annotated[EngineName, typer.Option("--engine", help="What runs the model.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", callback=_device, help="auto, cpu or cuda[:N]; never replaced silently."
    ),
]
PrecisionOption = Annotated[PrecisionName, typer.Option("--precision", help="Arithmetic.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object a line on standard output.")
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"inpaintcli {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fill holes in photographs; everything outside the hole comes back untouched."""


@app.command()
def fill(
    photo: Annotated[
        Path, typer.Argument(metavar="IMAGE|FOLDER", help="A photo, or a folder of them.")
    ],
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|FOLDER|alpha",
            help="White is the hole. A folder holds NAME.EXT, NAME.mask.EXT or NAME_mask.EXT; "
            "alpha takes the transparent pixels; left out: NAME.mask.EXT beside the photo.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File or folder; - is standard output. [NAME.filled.EXT]"
        ),
    ] = None,
    model: ModelOption = None,
    engine: EngineOption = EngineName.auto,
    device: DeviceOption = "auto",
    precision: PrecisionOption = PrecisionName.auto,
    detail: Annotated[
        Detail,
        typer.Option(help="Whose texture: the network's, patches of the photo, or both."),
    ] = Detail.auto,
    attention_map: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Write where a model with attention looked, each hole pixel in colour.",
        ),
    ] = None,
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="Black is the hole.")] = False,
    mask_threshold: Annotated[
        int, typer.Option(min=0, max=254, help="Mask values above this are the hole (0-255).")
    ] = 127,
    grow: Annotated[int, typer.Option(min=0, help="Widen the hole by so many pixels.")] = 0,
    feather: Annotated[
        int, typer.Option(min=0, help="Blend over so many pixels inside the hole's rim.")
    ] = 0,
    resize_mask: Annotated[
        bool, typer.Option("--resize-mask", help="Accept a mask of another size.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing outputs.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Photos at a time.  [one a core]")
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Fill the holes of one photo, or of all photos in a folder.

    Exit codes: 0 done, 1 some photos failed, 2 wrong command line, 3 unreadable photo or mask,
    4 mask and photo do not fit, 5 output exists or cannot be written, 6 model missing or damaged,
    7 engine or device not available, 8 engine failed, 70 fault of the program, 130 interrupted.
    """
    from inpaintcli import filling
    from inpaintcli.batch import Settings

    settings = Settings(
        invert_mask=invert_mask,
        mask_threshold=mask_threshold,
        grow=grow,
        feather=feather,
        resize_mask=resize_mask,
        detail=detail.value,
        overwrite=overwrite,
    )
    run = filling.Run(
        settings=settings,
        console=Console(json=json, quiet=quiet, verbose=verbose),
        model=model,
        engine=engine.value,
        device=device,
        precision=precision.value,
        dry_run=dry_run,
        attention_map=attention_map,
    )
    if photo.is_dir():
        code = filling.fill_folder(run, photo, mask, output, workers=workers)
    else:
        code = filling.fill_photo(run, photo, mask, output)
    raise typer.Exit(code)


@models_app.command("list")
def models_list(json: JsonOption = False) -> None:
    """List the models by name; the default is marked."""
    from inpaintcli import showing

    showing.list_models(Console(json=json))


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="A model's name, or the path of its card.")],
    json: JsonOption = False,
) -> None:
    """Show a model's card."""
    from inpaintcli import showing

    showing.show_model(Console(json=json), name)


@models_app.command("verify")
def models_verify(json: JsonOption = False) -> None:
    """Check every model's file against the sha256 of its card."""
    from inpaintcli import showing

    raise typer.Exit(showing.verify_models(Console(json=json)))


@app.command()
def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe's name; left out: list them.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER|TAR", help="Photos; may be given more than once."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="The run folder.")] = None,
    features: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Feature networks that the losses need.")
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights to begin with: .safetensors or .onnx."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a field of the recipe."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, write nothing.")
    ] = False,
) -> None:
    """Train a generator (needs the extra `train`)."""
    commands = _training()
    console = Console()
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
    )


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for model and card.  [RUN]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name.  [the recipe's]")] = None,
) -> None:
    """Turn a run into an ONNX model and its card (needs the extra `train`)."""
    console = Console()
    console.data(str(_training().run_export(run, out, name=name, report=console.say)))


def _training() -> ModuleType:
    """The training commands.

    Raises:
        UsageError: the extra is not installed.
    """
    try:
        from training import commands
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


class _Interrupted(BaseException):
    """SIGINT or SIGTERM came. Not a KeyboardInterrupt: typer has ideas of its own about those."""


def main() -> None:
    """Run the program: the one place where errors become messages and exit codes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.exit(_run())


def _run() -> int:
    try:
        app()
    except InpaintError as error:
        return _failed(error.message, error.hint, error.code)
    except _Interrupted:
        complain("Interrupted; what is written is whole.")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OUTPUT
    except Exception as error:  # noqa: BLE001 - the last line of defence, and the only one
        return _unexpected(error)
    return ExitCode.OK


def _unexpected(error: Exception) -> int:
    """An engine's error, which engines own, or a fault of the program."""
    from engines.base import EngineError

    if isinstance(error, EngineError):
        return _failed(error.message, error.hint, error.code)
    if os.environ.get("INPAINTCLI_DEBUG"):
        raise error
    hint = "Set INPAINTCLI_DEBUG=1 to see where, and please report it."
    return _failed(f"A fault of the program: {type(error).__name__}: {error}", hint, ExitCode.FAULT)


def _failed(message: str, hint: str, code: int) -> int:
    complain(f"inpaintcli: {message}")
    if hint:
        complain(hint)
    return int(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise _Interrupted
