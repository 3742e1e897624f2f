"""The command `evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inpaintcli.commands.options import (
    Detail,
    DeviceOption,
    EngineName,
    EngineOption,
    InvertOption,
    JsonOption,
    OverwriteOption,
    PrecisionName,
    PrecisionOption,
    QuietOption,
    ResizeOption,
    ThresholdOption,
    VerboseOption,
)
from inpaintcli.console import Console
from inpaintcli.errors import UnreadableError

if TYPE_CHECKING:
    from inpaintcli.evaluation.scoring import FeatureScorer


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
        typer.Option(
            metavar="KIND,...",
            help="Kinds to draw: 00-10 ... 50-60 (%), centre, box.  [all but box]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawn holes.")] = 1,
    groups: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Columns file, kind: how to group your own masks."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many photos.")] = None,
    features: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Feature networks, for P, FD, LPIPS and FID.")
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
    invert_mask: InvertOption = False,
    mask_threshold: ThresholdOption = 127,
    resize_mask: ResizeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Score fills against untouched photos, beside OpenCV's Telea and Navier-Stokes.

    P, FD, LPIPS and FID need the extra `train` and --features DIR; without, they are left out, and
    that is said. Exit codes: as for fill; 1 where some photos could not be scored.
    """
    from inpaintcli.evaluation.evaluate import EvaluationRequest, evaluate_folder
    from inpaintcli.evaluation.masks import KINDS, parse_kinds
    from inpaintcli.evaluation.scoring import Reading

    judge, left_out = _judge(features)
    request = EvaluationRequest(
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
    raise typer.Exit(evaluate_folder(request, folder, mask, judge))


def _judge(features: Path | None) -> tuple["FeatureScorer | None", tuple[str, ...]]:
    """What scores by deep features, or why there is nothing.

    Raises:
        UnreadableError: there is no such folder.
    """
    if features is None:
        return None, ("P, FD, LPIPS and FID: they need --features DIR.",)
    if not features.is_dir():
        raise UnreadableError(f"{features} is not a folder.", hint="--features takes one.")
    try:
        from inpaintcli_training.scores.scorer import FeatureScores
    except ModuleNotFoundError as error:
        reason = f"the package {error.name} is not installed (extra `train`)."
        return None, (f"P, FD, LPIPS and FID: {reason}",)
    return FeatureScores(features), ()
