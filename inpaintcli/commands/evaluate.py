"""The command `evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inpaintcli.commands.options import with_options
from inpaintcli.console import Console
from inpaintcli.errors import UnreadableError
from inpaintcli.options import Detail, EngineChoice, MaskOptions, Option, OverwriteOption

if TYPE_CHECKING:
    from inpaintcli.evaluation.scoring import FeatureScorer


@with_options
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
    study: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="Write pairs of fills for a blind comparison."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Keep the fills in this folder.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="A model or its card; may be repeated."),
    ] = None,
    detail: Annotated[
        list[Detail] | None, Option(help="Whose texture; may be repeated.  [auto]")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="A method of another library to compare with; may be repeated: telea, "
            "navier-stokes, biharmonic, shiftmap, fsr, pypatchmatch, patchmatch-cython.  "
            "[telea and navier-stokes]",
        ),
    ] = None,
    *,
    engine: EngineChoice,
    options: MaskOptions,
    overwrite: OverwriteOption = False,
    console: Console,
) -> None:
    """Score fills against untouched photos, beside OpenCV's Telea and Navier-Stokes or others.

    P, FD, LPIPS and FID need the extra `train` and --features DIR; without, they are left out, and
    that is said. Exit codes: as for fill; 1 where some photos could not be scored.
    """
    from inpaintcli.evaluation.evaluate import EvaluationRequest, evaluate_folder
    from inpaintcli.evaluation.masks import KINDS, parse_kinds
    from inpaintcli.evaluation.methods import CLASSICAL

    feature_scorer, left_out = _feature_scorer(features)
    request = EvaluationRequest(
        console=console,
        models=model or [None],
        details=detail or ["auto"],
        methods=method or list(CLASSICAL),
        engine=engine,
        mask_options=options,
        drawn_kinds=parse_kinds(holes) if holes is not None else KINDS,
        seed=seed,
        groups=groups,
        limit=limit,
        output=output,
        report=report,
        study=study,
        overwrite=overwrite,
        left_out=left_out,
    )
    raise typer.Exit(evaluate_folder(request, folder, mask, feature_scorer))


def _feature_scorer(features: Path | None) -> tuple["FeatureScorer | None", tuple[str, ...]]:
    """What computes scores from deep features, or why there is none.

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
