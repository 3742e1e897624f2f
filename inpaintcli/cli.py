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
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from inpaintcli import __version__
from inpaintcli.console import Console, complain
from inpaintcli.errors import ExitCode, InpaintError, UsageError

if TYPE_CHECKING:
    from inpaintcli.evaluation.run import Judge

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
engine_app = typer.Typer(help="Compiled engines and their cache.", no_args_is_help=True)
app.add_typer(engine_app, name="engine")


POLL_S = 2.0
"""Between two looks, where --poll says no number."""


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
    known = ("auto", "cpu", "cuda", "coreml", "directml")
    if text not in known and not (kind == "cuda" and number.isdigit()):
        message = f"'{text}' is not a device: auto, cpu, cuda, cuda:N, coreml or directml."
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
        "--device",
        callback=_device,
        help="auto, cpu, cuda[:N], coreml or directml; one asked for is never replaced.",
    ),
]
PrecisionOption = Annotated[PrecisionName, typer.Option("--precision", help="Arithmetic.")]
MaskOption = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="FILE|FOLDER|alpha",
        help="White is the hole. A folder holds NAME.EXT, NAME.mask.EXT or NAME_mask.EXT; "
        "alpha takes the transparent pixels; left out: NAME.mask.EXT beside the photo.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="File or folder; - is standard output. [NAME.filled.EXT]"),
]
DetailOption = Annotated[
    Detail,
    typer.Option("--detail", help="Whose texture: the network's, patches of the photo, or both."),
]
InvertOption = Annotated[bool, typer.Option("--invert-mask", help="Black is the hole.")]
ThresholdOption = Annotated[
    int,
    typer.Option(
        "--mask-threshold", min=0, max=254, help="Mask values above this are the hole (0-255)."
    ),
]
GrowOption = Annotated[int, typer.Option("--grow", min=0, help="Widen the hole by so many pixels.")]
FeatherOption = Annotated[
    int, typer.Option("--feather", min=0, help="Blend over so many pixels inside the hole's rim.")
]
ResizeOption = Annotated[bool, typer.Option("--resize-mask", help="Accept a mask of another size.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Photos at a time.  [one a core]")
]
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
        Path,
        typer.Argument(
            metavar="IMAGE|FOLDER|LIST",
            help="A photo, a folder of them, or a list of pairs: .csv or .jsonl with the columns "
            "photo, mask, output.",
        ),
    ],
    mask: MaskOption = None,
    output: OutputOption = None,
    model: ModelOption = None,
    engine: EngineOption = EngineName.auto,
    device: DeviceOption = "auto",
    precision: PrecisionOption = PrecisionName.auto,
    detail: DetailOption = Detail.auto,
    attention_map: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Write where a model with attention looked, each hole pixel in colour.",
        ),
    ] = None,
    invert_mask: InvertOption = False,
    mask_threshold: ThresholdOption = 127,
    grow: GrowOption = 0,
    feather: FeatherOption = 0,
    resize_mask: ResizeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    workers: WorkersOption = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only photos that match; may be given more than once."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="No photos that match; may be given more than once."),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Also try unreadable and unfitting photos again, unchanged."
        ),
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Begin no other photo once one has failed.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="A contact sheet of many photos, before and after."),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Fill the holes of one photo, or of all photos in a folder or a list.

    Many photos: a journal in the output folder lets a second run do only what is missing or
    changed.

    Exit codes: 0 done, 1 some photos failed, 2 wrong command line, 3 unreadable photo or mask,
    4 mask and photo do not fit, 5 output exists or cannot be written, 6 model missing or damaged,
    7 engine or device not available, 8 engine failed, 70 fault of the program, 130 interrupted.
    """
    from inpaintcli import filling, filling_many
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
    if filling_many.is_many(photo):
        many = filling_many.Many(
            source=photo,
            mask=mask,
            output=output,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            retry_failed=retry_failed,
            fail_fast=fail_fast,
            report=report,
            workers=workers,
        )
        raise typer.Exit(filling_many.fill_many(run, many))
    raise typer.Exit(filling.fill_photo(run, photo, mask, output))


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Untouched photos.")],
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|FILE",
            help="Your own masks, white is the hole; left out: holes are drawn from the seed.",
        ),
    ] = None,
    holes: Annotated[
        str | None,
        typer.Option(metavar="KIND,...", help="Kinds to draw: 00-10 ... 50-60 (%), centre.  [all]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawn holes.")] = 1,
    groups: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Columns file, kind: how to group your own masks."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many photos.")] = None,
    features: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Feature networks, for P, FD and LPIPS.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write tables, plots and pictures.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Keep the fills in this folder.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="A model or its card; may be repeated."),
    ] = None,
    detail: Annotated[
        list[Detail] | None, typer.Option(help="Whose texture; may be repeated.  [auto]")
    ] = None,
    engine: EngineOption = EngineName.auto,
    device: DeviceOption = "auto",
    precision: PrecisionOption = PrecisionName.auto,
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="Black is the hole.")] = False,
    mask_threshold: Annotated[
        int, typer.Option(min=0, max=254, help="Mask values above this are the hole (0-255).")
    ] = 127,
    resize_mask: Annotated[
        bool, typer.Option("--resize-mask", help="Accept a mask of another size.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing outputs.")
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Score fills against untouched photos, beside OpenCV's Telea and Navier-Stokes.

    P, FD and LPIPS need the extra `train` and --features DIR; without, they are left out, and that
    is said. Exit codes: as for fill; 1 where some photos could not be scored.
    """
    from inpaintcli.evaluate import Run, evaluate_folder
    from inpaintcli.evaluation.masks import KINDS, parse_kinds
    from inpaintcli.evaluation.run import Reading

    judge, left_out = _judge(features)
    run = Run(
        console=Console(json=json, quiet=quiet, verbose=verbose),
        models=model or [None],
        details=[choice.value for choice in detail or [Detail.auto]],
        engine=engine.value,
        device=device,
        precision=precision.value,
        reading=Reading(
            invert_mask=invert_mask, mask_threshold=mask_threshold, resize_mask=resize_mask
        ),
        drawn=parse_kinds(holes) if holes is not None else KINDS,
        seed=seed,
        groups=groups,
        limit=limit,
        output=output,
        report=report,
        overwrite=overwrite,
        left_out=left_out,
    )
    raise typer.Exit(evaluate_folder(run, folder, mask, judge))


def _judge(features: Path | None) -> tuple["Judge | None", tuple[str, ...]]:
    """What scores by deep features, or why there is nothing."""
    if features is None:
        return None, ("P, FD and LPIPS: they need --features DIR.",)
    try:
        from training.scores import FeatureScores
    except ModuleNotFoundError as error:
        reason = f"the package {error.name} is not installed (extra `train`)."
        return None, (f"P, FD and LPIPS: {reason}",)
    return FeatureScores(features), ()


class _OptionalSeconds(TyperCommand):
    """A command whose `--poll` may stand without its number of seconds."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write the number where it was left out."""
        words = []
        for word, following in zip(args, [*args[1:], ""], strict=True):
            bare = word == "--poll" and not following.replace(".", "", 1).isdigit()
            words.append(f"--poll={POLL_S}" if bare else word)
        return super().parse_args(ctx, words)


@app.command(cls=_OptionalSeconds)
def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where photos come in.")],
    mask: MaskOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the fills; mirrors FOLDER.")
    ] = None,
    done: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Move inputs there once the output is proven."),
    ] = None,
    failed: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Move inputs that failed there, with NAME.error.txt."),
    ] = None,
    delete_inputs: Annotated[
        bool, typer.Option("--delete-inputs", help="Remove inputs once the output is proven.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Do what is there, then stop.")] = False,
    poll: Annotated[
        float | None,
        typer.Option(
            metavar="[SECONDS]", min=0.1, help=f"Look at intervals: network shares.  [{POLL_S:g}]"
        ),
    ] = None,
    mask_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Report a missing mask after that.")
    ] = 60.0,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON lines; may be rotated.")
    ] = None,
    status: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the watch is doing, as JSON.")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65535, help="For Prometheus, on 127.0.0.1."),
    ] = None,
    model: ModelOption = None,
    engine: EngineOption = EngineName.auto,
    device: DeviceOption = "auto",
    precision: PrecisionOption = PrecisionName.auto,
    detail: DetailOption = Detail.auto,
    invert_mask: InvertOption = False,
    mask_threshold: ThresholdOption = 127,
    grow: GrowOption = 0,
    feather: FeatherOption = 0,
    resize_mask: ResizeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    workers: WorkersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Fill what comes into a folder, until stopped.

    SIGINT and SIGTERM let the photos at work finish; exit codes 130 and 0. What is there already
    is done first; photos whose output exists are skipped. docs/watch.md tells the rest.
    """
    from inpaintcli import filling, watching
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
    )
    options = watching.Options(
        mask_timeout_s=mask_timeout,
        poll_s=poll,
        once=once,
        done=done,
        failed=failed,
        delete_inputs=delete_inputs,
        log=log,
        status=status,
        metrics_port=metrics_port,
        workers=workers,
    )
    raise typer.Exit(watching.watch_folder(run, options, folder, mask, output))


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


@engine_app.command("build")
def engine_build(
    model: ModelOption = None,
    device: Annotated[
        str, typer.Option("--device", callback=_device, help="cuda or cuda:N.")
    ] = "cuda",
    precision: PrecisionOption = PrecisionName.auto,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compile a model for the GPU now, so that the first photo need not wait for it."""
    from inpaintcli import engines_command

    console = Console(json=json, quiet=quiet)
    engines_command.build(console, model, device, precision.value)


@engine_app.command("list")
def engine_list(json: JsonOption = False) -> None:
    """List the compiled engines, the last used first."""
    from inpaintcli import engines_command

    engines_command.list_plans(Console(json=json))


@engine_app.command("show")
def engine_show(
    key: Annotated[str, typer.Argument(help="An engine's key, or the beginning of one.")],
    json: JsonOption = False,
) -> None:
    """Show all that is known of a compiled engine, and how it agrees with the CPU."""
    from inpaintcli import engines_command

    engines_command.show_plan(Console(json=json), key)


@engine_app.command("clear")
def engine_clear(json: JsonOption = False) -> None:
    """Remove all compiled engines."""
    from inpaintcli import engines_command

    engines_command.clear_plans(Console(json=json))


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Say what this machine can use, what is missing, and the command that would install it.

    Exit codes: 0 photos can be filled, 6 the model is damaged, 7 no engine can run.
    """
    from inpaintcli import doctor as examination

    raise typer.Exit(examination.examine(Console(json=json)))


@app.command()
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


@app.command()
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
