"""The command `evaluate`: find photos and holes, fill and score them, tell."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inpaintcli import __version__
from inpaintcli.batch.jobs import LocalJob, Skip
from inpaintcli.batch.mask_lookup import ALPHA
from inpaintcli.batch.outcome import SCHEMA, error_json
from inpaintcli.batch.plan import match_folder, photos_in
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, InpaintError, MaskMismatchError, OutputError, UsageError
from inpaintcli.evaluation.masks import KINDS
from inpaintcli.evaluation.methods import Method, by_model, classical
from inpaintcli.evaluation.report import Examples, render
from inpaintcli.evaluation.score_table import ScoreTable, table, worth_telling
from inpaintcli.evaluation.scoring import (
    Case,
    Failed,
    FeatureScorer,
    Reading,
    Scored,
    evaluate,
    read_kinds,
)
from inpaintcli.imaging.images import write_bytes, write_picture
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.detail import Detail
from inpaintcli.inpaint.pipeline import open_model
from inpaintcli.storage.folders import make_folder


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """One call of the command.

    `drawn` are the kinds of holes to draw, `seed` theirs; `groups` a CSV file that says of which
    kind own masks are. `left_out` says why a score that was asked for cannot be had.
    """

    console: Console
    models: Sequence[str | None] = (None,)
    details: Sequence[Detail] = ("auto",)
    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    reading: Reading = field(default_factory=Reading)
    drawn: tuple[str, ...] = KINDS
    seed: int = 1
    groups: Path | None = None
    limit: int | None = None
    output: Path | None = None
    report: Path | None = None
    overwrite: bool = False
    left_out: tuple[str, ...] = ()


@dataclass
class _Result:
    """What has come of the cases so far: counts, and `failures` a line each."""

    tally: ScoreTable
    holes: int = 0
    failed: int = 0
    skipped: int = 0
    examples: Examples = field(default_factory=Examples)
    failures: list[str] = field(default_factory=list)


def evaluate_folder(
    run: EvaluationRequest, folder: Path, mask: str | None, judge: FeatureScorer | None
) -> ExitCode:
    """Score the fills of a folder of untouched photos.

    Args:
        run: how.
        folder: of the photos; subfolders too.
        mask: a folder of masks or one file; None to draw them.
        judge: scores by deep features, where they can be had.

    Raises:
        InpaintError, EngineError: the run cannot begin, or its report cannot be written.
    """
    started = time.perf_counter()
    _check_outputs(run)
    cases, skips = _cases(run, folder, mask)
    if not cases:
        run.console.say(f"{folder}: no photo to evaluate.")
    for reason in _left_out(run, judge):
        run.console.say(f"left out: {reason}")
    with ExitStack() as stack:
        methods = _methods(run, stack) if cases else []
        result = _Result(ScoreTable(tuple(method.name for method in methods), judge))
        _take_skips(run, skips, result)
        _score(run, cases, methods, judge, result)
    facts = {
        "version": __version__,
        "photos": len({row.photo for row in result.tally.rows}),
        "holes": result.holes,
        "failed": result.failed,
        "skipped": result.skipped,
        "seconds": round(time.perf_counter() - started, 3),
        "masks": "drawn" if mask is None else str(mask),
        "seed": run.seed if mask is None else None,
        "masks_sha256": result.tally.masks_sha256(),
        "methods": {method.name: method.facts for method in methods},
        "networks": judge.networks if judge else (),
        "left_out": _left_out(run, judge),
        "remarks": judge.remarks() if judge else (),
    }
    _tell(run, result, facts)
    return ExitCode.SOME_FAILED if result.failed else ExitCode.OK


def _left_out(run: EvaluationRequest, judge: FeatureScorer | None) -> tuple[str, ...]:
    return (*run.left_out, *(judge.left_out if judge else ()))


def _take_skips(run: EvaluationRequest, skips: Sequence[Skip], result: _Result) -> None:
    for skip in skips:
        run.console.say(f"{skip.photo}: skipped, {skip.reason}")
        result.failures.append(f"{skip.photo}: {skip.reason}")
        result.failed += skip.error is not None
        result.skipped += skip.error is None


def _check_outputs(run: EvaluationRequest) -> None:
    """Refuse before the work what would be refused after it."""
    if run.report is not None:
        if run.report.exists() and not run.overwrite:
            raise OutputError(
                f"{run.report} exists.", hint="Name another report, or pass --overwrite."
            )
        if not run.report.parent.is_dir():
            raise OutputError(f"{run.report.parent} is not a folder.", hint="Create it.")
    if run.output is not None and run.output.exists() and not run.output.is_dir():
        raise UsageError(f"{run.output} is a file; -o takes a folder.")


def _cases(
    run: EvaluationRequest, folder: Path, mask: str | None
) -> tuple[list[Case], tuple[Skip, ...]]:
    """The cases, photo by photo, and the photos that have no mask."""
    if mask == ALPHA:
        raise UsageError("Transparent pixels hide no truth to compare with.")
    if mask is not None:
        plan = match_folder(folder, mask, leave=run.output)
        kinds = read_kinds(run.groups) if run.groups else {}
        jobs = [job for job in plan.jobs if isinstance(job, LocalJob)][: run.limit]
        cases = [
            Case(
                name=_name(job.photo, folder),
                photo=job.photo,
                mask=job.mask,
                kind=kinds.get(_name(job.photo, folder)),
            )
            for job in jobs
        ]
        for orphan in plan.orphans:
            run.console.say(f"{orphan}: a mask without a photo")
        return cases, plan.skips
    if run.groups is not None:
        raise UsageError("--groups is for masks of your own.", hint="Name them with --mask.")
    photos, masks = photos_in(folder, leave=run.output)
    if masks:
        run.console.say(
            f"{len(masks)} masks lie beside the photos; holes are drawn all the same. "
            f"To use them, pass --mask {folder}."
        )
    cases = [
        Case(name=_name(photo, folder), photo=photo, kind=kind, seed=run.seed)
        for photo in photos[: run.limit]
        for kind in run.drawn
    ]
    return cases, ()


def _name(photo: Path, folder: Path) -> str:
    return photo.relative_to(folder).as_posix()


def _methods(run: EvaluationRequest, stack: ExitStack) -> list[Method]:
    """Each model with each choice of texture, then the classical ones; no two of one name."""
    methods: list[Method] = []
    for name in run.models:
        model = stack.enter_context(
            open_model(name, engine=run.engine, device=run.device, precision=run.precision)
        )
        run.console.detail(f"model {model.card.name}, {model.engine.info.name}: {model.why}")
        methods += [by_model(model, detail, run.console.detail) for detail in run.details]
    methods += classical()
    named: list[Method] = []
    for method in methods:
        twins = sum(other.name.partition("#")[0] == method.name for other in named)
        named.append(replace(method, name=f"{method.name}#{twins + 1}") if twins else method)
    return named


def _score(
    run: EvaluationRequest,
    cases: Sequence[Case],
    methods: Sequence[Method],
    judge: FeatureScorer | None,
    result: _Result,
) -> None:
    """Score and tell case by case."""
    with run.console.bar(len(cases)) as bar:
        for outcome in _saved(run, evaluate(cases, methods, run.reading, judge)):
            bar.advance()
            if isinstance(outcome, Failed):
                result.failed += 1
                _tell_failure(run, outcome, result)
                continue
            result.holes += 1
            for row in result.tally.add(outcome):
                run.console.record(row.to_json(SCHEMA))
            if run.report is not None:
                result.examples.add(outcome)
            run.console.detail(f"{outcome.case.name}, {outcome.group}: scored")


def _saved(
    run: EvaluationRequest, outcomes: Iterable[Scored | Failed]
) -> Iterator[Scored | Failed]:
    """The same outcomes, each with its fills, and a drawn mask, written to the output folder."""
    taken: dict[str, str] = {}
    for outcome in outcomes:
        if run.output is None or isinstance(outcome, Failed):
            yield outcome
            continue
        try:
            _save(run.output, outcome, taken, overwrite=run.overwrite)
        except InpaintError as error:
            yield Failed(outcome.case, error)
        else:
            yield outcome


def _save(folder: Path, scored: Scored, taken: dict[str, str], *, overwrite: bool) -> None:
    """`fills/METHOD/NAME.png`; of drawn holes `fills/METHOD/KIND/NAME.png`, `masks/KIND/NAME.png`.

    Raises:
        OutputError: two photos have one name but for the suffix, or a file cannot be written.
    """
    case = scored.case
    name = Path(case.name).with_suffix(".png")
    place = (Path(scored.group) if case.mask is None else Path()) / name
    if taken.setdefault(str(place).casefold(), case.name) != case.name:
        other = taken[str(place).casefold()]
        raise MaskMismatchError(f"{case.name} and {other} would both be saved as {place}.")
    pictures = {
        folder / "fills" / fill.method / place: Picture(fill.pixels, scored.photo.alpha)
        for fill in scored.fills
    }
    if case.mask is None:
        mask = scored.hole.astype("uint8")[..., None] * 255
        pictures[folder / "masks" / place] = Picture(mask)
    for path, picture in pictures.items():
        make_folder(path.parent)
        write_picture(picture, path, overwrite=overwrite)


def _tell_failure(run: EvaluationRequest, failure: Failed, result: _Result) -> None:
    case, error = failure.case, failure.error
    run.console.record(
        {
            "schema": SCHEMA,
            "photo": case.name,
            "holes": case.kind,
            "error": error_json(error),
        }
    )
    line = str(error) if case.name in error.message else f"{case.name}: {error}"
    if line not in result.failures:  # an unreadable photo fails for every kind of hole
        result.failures.append(line)
        run.console.say(line)


def _tell(run: EvaluationRequest, result: _Result, facts: dict[str, Any]) -> None:
    """The table, or the summary line; and the report."""
    console, tally = run.console, result.tally
    groups = tally.groups()
    if console.json:
        told = {**facts, "groups": [group.to_json() for group in groups]}
        console.record({"schema": SCHEMA, "summary": told})
    else:
        for line in table(worth_telling(groups), tally.metrics, tally.methods):
            console.data(line)
    for remark in facts["remarks"]:
        console.say(remark)
    console.say(
        f"photos {facts['photos']}, holes {facts['holes']}, failed {facts['failed']}, "
        f"skipped {facts['skipped']}; {facts['seconds']:.1f} s; "
        f"sha256 of the masks {facts['masks_sha256'][:16]}..."
    )
    if run.report is not None:
        html = render(tally, result.examples, facts, result.failures)
        write_bytes(html.encode(), run.report, overwrite=run.overwrite)
        console.say(f"The report is {run.report}.")
