"""The command `evaluate`: find photos and masks, fill and score them, report."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from inpaintcli import __version__
from inpaintcli.batch.fill_steps import open_chosen_model
from inpaintcli.batch.jobs import LocalJob, Skip
from inpaintcli.batch.outcome import SCHEMA, error_to_json
from inpaintcli.batch.plan import match_folder, photos_in
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, InpaintError, MaskMismatchError, OutputError, UsageError
from inpaintcli.evaluation.masks import KINDS
from inpaintcli.evaluation.methods import CLASSICAL, Method, model_method
from inpaintcli.evaluation.peers import methods_named
from inpaintcli.evaluation.report import Examples, render
from inpaintcli.evaluation.score_table import ScoreTable, groups_to_show, table
from inpaintcli.evaluation.scoring import (
    Case,
    Failed,
    FeatureScorer,
    Scored,
    evaluate,
    read_kinds,
)
from inpaintcli.evaluation.study import Study, render_study
from inpaintcli.imaging.images import write_bytes, write_picture
from inpaintcli.imaging.picture import Picture
from inpaintcli.masks.source import ALPHA, mask_source
from inpaintcli.options import Detail, EngineChoice, MaskOptions, ModelChoice
from inpaintcli.storage.folders import make_folder


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """What a call of the command asks for.

    models, details: every model is scored with every choice of --detail. methods: names
    of methods of other libraries. engine: what runs the models.
    mask_options: how mask files are read. drawn_kinds, seed: of the holes that are drawn. groups: a
    CSV file that groups the user's masks. limit: at most so many photos. output: a folder for the
    fills. report, study: HTML files. left_out: why scores that were asked for cannot be computed.
    """

    console: Console
    models: Sequence[str | None] = (None,)
    details: Sequence[Detail] = ("auto",)
    methods: Sequence[str] = CLASSICAL
    engine: EngineChoice = field(default_factory=EngineChoice)
    mask_options: MaskOptions = field(default_factory=MaskOptions)
    drawn_kinds: tuple[str, ...] = KINDS
    seed: int = 1
    groups: Path | None = None
    limit: int | None = None
    output: Path | None = None
    report: Path | None = None
    study: Path | None = None
    overwrite: bool = False
    left_out: tuple[str, ...] = ()


@dataclass
class _Result:
    """The results of the cases so far; `failures` are messages, each without repetition."""

    score_table: ScoreTable
    holes: int = 0
    failed: int = 0
    skipped: int = 0
    examples: Examples = field(default_factory=Examples)
    study: Study = field(default_factory=lambda: Study(1))
    failures: list[str] = field(default_factory=list)


def evaluate_folder(
    request: EvaluationRequest, folder: Path, mask: str | None, feature_scorer: FeatureScorer | None
) -> ExitCode:
    """Score the fills of a folder of original photos.

    Args:
        request: how.
        folder: the photos; its subfolders are searched too.
        mask: a folder of masks or one file; None to draw them.
        feature_scorer: computes scores from deep features; None leaves them out.

    Raises:
        InpaintError, EngineError: the evaluation cannot begin, or its report cannot be written.
    """
    started = time.perf_counter()
    _check_outputs(request)
    cases, skips = _cases(request, folder, mask)
    if not cases:
        request.console.say(f"{folder}: no photo to evaluate.")
    for reason in _reasons_left_out(request, feature_scorer):
        request.console.say(f"left out: {reason}")
    with ExitStack() as stack:
        methods = _methods(request, stack) if cases else []
        score_table = ScoreTable(tuple(method.name for method in methods), feature_scorer)
        result = _Result(score_table, study=Study(request.seed))
        _add_skips(request, skips, result)
        _score(request, cases, methods, feature_scorer, result)
    summary = {
        "version": __version__,
        "photos": len({row.photo for row in result.score_table.rows}),
        "holes": result.holes,
        "failed": result.failed,
        "skipped": result.skipped,
        "seconds": round(time.perf_counter() - started, 3),
        "masks": "drawn" if mask is None else str(mask),
        "seed": request.seed if mask is None else None,
        "masks_sha256": result.score_table.masks_sha256(),
        "methods": {method.name: method.details for method in methods},
        "networks": feature_scorer.networks if feature_scorer else (),
        "left_out": _reasons_left_out(request, feature_scorer),
        "remarks": feature_scorer.remarks() if feature_scorer else (),
    }
    _report(request, result, summary)
    return ExitCode.SOME_FAILED if result.failed else ExitCode.OK


def _reasons_left_out(
    request: EvaluationRequest, feature_scorer: FeatureScorer | None
) -> tuple[str, ...]:
    return (*request.left_out, *(feature_scorer.left_out if feature_scorer else ()))


def _add_skips(request: EvaluationRequest, skips: Sequence[Skip], result: _Result) -> None:
    for skip in skips:
        request.console.say(f"{skip.photo}: skipped, {skip.reason}")
        result.failures.append(f"{skip.photo}: {skip.reason}")
        result.failed += skip.error is not None
        result.skipped += skip.error is None


def _check_outputs(request: EvaluationRequest) -> None:
    """Refuse outputs that could not be written later: called before any work."""
    for path in filter(None, (request.report, request.study)):
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is no regular file.", hint="Name another file.")
        if path.exists() and not request.overwrite:
            raise OutputError(f"{path} exists.", hint="Name another file, or pass --overwrite.")
        if not path.parent.is_dir():
            raise OutputError(f"{path.parent} is not a folder.", hint="Create it.")
    if request.report is not None and request.report == request.study:
        raise UsageError(f"{request.report} cannot be both the report and the study.")
    if request.output is not None and request.output.exists() and not request.output.is_dir():
        raise UsageError(f"{request.output} is a file; -o takes a folder.")


def _cases(
    request: EvaluationRequest, folder: Path, mask: str | None
) -> tuple[list[Case], tuple[Skip, ...]]:
    """The cases, photo by photo, and the photos that are skipped."""
    if mask == ALPHA:
        raise UsageError("Under transparent pixels there is no original to compare with.")
    if mask is not None:
        return _cases_with_masks(request, folder, mask)
    if request.groups is not None:
        raise UsageError("--groups is for masks of your own.", hint="Name them with --mask.")
    photos, masks = photos_in(folder, excluded=request.output)
    if masks:
        request.console.say(
            f"{len(masks)} masks lie beside the photos; holes are drawn all the same. "
            f"To use them, pass --mask {folder}."
        )
    cases = [
        Case(name=_name_below(folder, photo), photo=photo, kind=kind, seed=request.seed)
        for photo in photos[: request.limit]
        for kind in request.drawn_kinds
    ]
    return cases, ()


def _cases_with_masks(
    request: EvaluationRequest, folder: Path, mask: str
) -> tuple[list[Case], tuple[Skip, ...]]:
    """As `_cases`, for the user's own masks."""
    plan = match_folder(folder, mask_source(mask), excluded=request.output)
    kinds = read_kinds(request.groups) if request.groups else {}
    jobs = [job for job in plan.jobs if isinstance(job, LocalJob)][: request.limit]
    for orphan in plan.orphan_masks:
        request.console.say(f"{orphan}: a mask without a photo")
    cases = []
    for job in jobs:
        name = _name_below(folder, job.photo)
        kind = kinds.get(name)
        cases.append(Case(name=name, photo=job.photo, mask=job.mask, parts=job.parts, kind=kind))
    return cases, plan.skips


def _name_below(folder: Path, photo: Path) -> str:
    return photo.relative_to(folder).as_posix()


def _methods(request: EvaluationRequest, stack: ExitStack) -> list[Method]:
    """Each model with each choice of --detail, then those of other libraries; names are unique."""
    methods: list[Method] = []
    for name in request.models:
        choice = ModelChoice(model=name, **asdict(request.engine))
        model = stack.enter_context(open_chosen_model(choice))
        request.console.detail(f"model {model.card.name}, {model.engine.info.name}: {model.why}")
        methods += [
            model_method(model, detail, request.console.detail) for detail in request.details
        ]
    methods += methods_named(request.methods)
    named: list[Method] = []
    for method in methods:
        same = sum(other.name.partition("#")[0] == method.name for other in named)
        named.append(replace(method, name=f"{method.name}#{same + 1}") if same else method)
    return named


def _score(
    request: EvaluationRequest,
    cases: Sequence[Case],
    methods: Sequence[Method],
    feature_scorer: FeatureScorer | None,
    result: _Result,
) -> None:
    """Score and report case by case."""
    with request.console.bar(len(cases)) as bar:
        for outcome in _saved(
            request, evaluate(cases, methods, request.mask_options, feature_scorer)
        ):
            bar.advance()
            if isinstance(outcome, Failed):
                result.failed += 1
                _report_failure(request, outcome, result)
                continue
            result.holes += 1
            for row in result.score_table.add(outcome):
                request.console.record(row.to_json(SCHEMA))
            if request.report is not None:
                result.examples.add(outcome)
            if request.study is not None:
                result.study.add(outcome)
            request.console.detail(f"{outcome.case.name}, {outcome.group}: scored")


def _saved(
    request: EvaluationRequest, outcomes: Iterable[Scored | Failed]
) -> Iterator[Scored | Failed]:
    """The same outcomes, after writing fills and drawn masks to the output folder."""
    saved: dict[tuple[int, int], str] = {}
    for outcome in outcomes:
        if request.output is None or isinstance(outcome, Failed):
            yield outcome
            continue
        try:
            _save(request.output, outcome, saved, overwrite=request.overwrite)
        except InpaintError as error:
            yield Failed(outcome.case, error)
        else:
            yield outcome


def _save(
    folder: Path, scored: Scored, saved: dict[tuple[int, int], str], *, overwrite: bool
) -> None:
    """`fills/METHOD/NAME.png`; of drawn holes `fills/METHOD/KIND/NAME.png`, `masks/KIND/NAME.png`.

    Args:
        folder: the output folder.
        scored: what is saved.
        saved: the photos of the files that were saved before, by the files' identities: the file
            system decides which names are one. New ones are added.
        overwrite: whether files of earlier runs are replaced.

    Raises:
        MaskMismatchError: two photos have one name but for the suffix, or for the case where the
            file system ignores it.
        OutputError: a file cannot be written.
    """
    case = scored.case
    name = Path(case.name).with_suffix(".png")
    path_below = (Path(scored.group) if case.is_drawn else Path()) / name
    pictures = {
        folder / "fills" / fill.method / path_below: Picture(fill.pixels, scored.photo.alpha)
        for fill in scored.fills
    }
    if case.is_drawn:
        mask = scored.hole.astype("uint8")[..., None] * 255
        pictures[folder / "masks" / path_below] = Picture(mask)
    for path, picture in pictures.items():
        make_folder(path.parent)
        other = saved.get(_identity(path), case.name) if path.exists() else case.name
        if other != case.name:
            raise MaskMismatchError(f"{case.name} and {other} would both be saved as {path_below}.")
        write_picture(picture, path, overwrite=overwrite)
        saved[_identity(path)] = case.name


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _report_failure(request: EvaluationRequest, failure: Failed, result: _Result) -> None:
    case, error = failure.case, failure.error
    request.console.record(
        {
            "schema": SCHEMA,
            "photo": case.name,
            "holes": case.kind,
            "error": error_to_json(error),
        }
    )
    line = str(error) if case.name in error.message else f"{case.name}: {error}"
    if line not in result.failures:  # an unreadable photo fails once for each kind of hole
        result.failures.append(line)
        request.console.say(line)


def _report(request: EvaluationRequest, result: _Result, summary: dict[str, Any]) -> None:
    """Print the table, or the summary line; write the report."""
    console, score_table = request.console, result.score_table
    groups = score_table.groups()
    if console.json:
        full = {**summary, "groups": [group.to_json() for group in groups]}
        console.record({"schema": SCHEMA, "summary": full})
    else:
        for line in table(groups_to_show(groups), score_table.metrics, score_table.methods):
            console.data(line)
    for remark in summary["remarks"]:
        console.say(remark)
    console.say(
        f"photos {summary['photos']}, holes {summary['holes']}, failed {summary['failed']}, "
        f"skipped {summary['skipped']}; {summary['seconds']:.1f} s; "
        f"sha256 of the masks {summary['masks_sha256'][:16]}..."
    )
    if request.study is not None:
        page = render_study(result.study)
        write_bytes(
            page.encode(errors="backslashreplace"), request.study, overwrite=request.overwrite
        )
        console.say(f"The study of {len(result.study.pairs)} pairs is {request.study}.")
    if request.report is not None:
        html = render(score_table, result.examples, summary, result.failures)
        write_bytes(
            html.encode(errors="backslashreplace"), request.report, overwrite=request.overwrite
        )
        console.say(f"The report is {request.report}.")
