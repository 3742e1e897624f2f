"""The command `mask`: the hole that `fill` would fill, written as a picture and not filled."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_many import begin_errors_recorded, is_many
from inpaintcli.batch.fill_steps import empty_mask_note, read_pair
from inpaintcli.batch.job_runner import as_expected, local_files
from inpaintcli.batch.jobs import STDOUT, BatchPlan, Job, LocalJob, make_job
from inpaintcli.batch.messages import (
    OutcomeCounts,
    report_dry_run,
    report_outcome,
    report_summary,
    report_unmatched,
)
from inpaintcli.batch.outcome import Outcome, failed_outcome, skipped_outcome
from inpaintcli.batch.plan import OutputNames, plan_folder, plan_photo
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.imaging.images import picture_bytes, temporary_name
from inpaintcli.imaging.masks import dilate
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.masks.source import MaskSource, PhotoMask
from inpaintcli.masks.views import mask_picture, overlay
from inpaintcli.options import MaskOptions
from inpaintcli.storage.folders import GlobFilter, make_folder
from inpaintcli.storage.locations import Location, publish, storage_errors_reported

VERB = "write the hole of"


@dataclass(frozen=True, kw_only=True)
class MaskRequest:
    """What `mask` is asked for.

    grow: pixels that the hole is widened by. overlay: the photo with the hole in colour is written
    instead. overwrite: existing outputs are replaced. dry_run: report only what would be done.
    selected: the photos of a folder.
    """

    console: Console
    options: MaskOptions = field(default_factory=MaskOptions)
    grow: int = 0
    overlay: bool = False
    overwrite: bool = False
    dry_run: bool = False
    selected: GlobFilter = field(default_factory=GlobFilter)

    @property
    def names(self) -> OutputNames:
        """How outputs are named: NAME.mask.png or NAME.overlay.png."""
        ending = ".overlay" if self.overlay else ".mask"
        return OutputNames(beside=ending, inside=ending, suffix=".png")


def write_masks(
    request: MaskRequest, source: Location, mask: MaskSource, output: Location | None
) -> ExitCode:
    """Write the holes of a photo, or of all photos of a folder.

    Args:
        request: how.
        source: a photo or a folder.
        mask: where holes come from.
        output: a file, a folder, or STDOUT; None for `NAME.mask.png` beside the photo.

    Raises:
        InpaintError, EngineError: whatever is wrong with one photo, or with the whole run; first
            reported as a result line.
    """
    if is_many(source):
        with begin_errors_recorded(request.console, Job(source, None, output or STDOUT)):
            return _write_many(request, source, mask, output)
    if output == STDOUT:
        request.console.check_takes_picture()
    target = output or request.names.beside_of(source)
    job = make_job(source, PhotoMask(mask.masks), target)  # for early errors
    try:
        with storage_errors_reported():
            job = plan_photo(source, mask, output, overwrite=request.overwrite, names=request.names)
        _check_format(request, job)
        if request.dry_run:
            report_dry_run(request.console, job, verb=VERB)
        else:
            _write_one(request, job)
    except (InpaintError, EngineError) as error:
        request.console.record(failed_outcome(job, None, error).to_json())
        raise
    return ExitCode.OK


def _check_format(request: MaskRequest, job: Job) -> None:
    is_png = job.output == STDOUT or job.output.suffix.lower() == ".png"
    if not is_png and not request.overlay:
        raise UsageError(f"{job.output} is no PNG; a mask is written as one.", hint="Name it .png.")


def _write_one(request: MaskRequest, job: Job) -> None:
    if job.output != STDOUT:
        report_outcome(request.console, _written(request, job))
        return
    with local_files(job) as local:
        picture, hole = _hole(request, local)
    request.console.binary(_encoded(request, picture, hole, ".png"))


def _write_many(
    request: MaskRequest, folder: Location, mask: MaskSource, output: Location | None
) -> ExitCode:
    if output is None or output == STDOUT:
        raise UsageError("Many photos need an output folder.", hint="Pass -o FOLDER.")
    if not folder.is_dir():
        raise UsageError(f"{folder} is a list; mask takes a photo or a folder.")
    started, console, counts = time.perf_counter(), request.console, OutcomeCounts()
    with storage_errors_reported():
        plan = plan_folder(
            folder,
            mask,
            output,
            overwrite=request.overwrite,
            selected=request.selected,
            names=request.names,
        )
    report_unmatched(console, plan)
    for outcome in _outcomes(request, plan):
        counts.add(outcome)
    if not plan.jobs and not plan.skips:
        console.say(f"{folder}: no photo.")
    report_summary(console, counts, time.perf_counter() - started, done="written")
    return counts.exit_code()


def _outcomes(request: MaskRequest, plan: BatchPlan) -> Iterable[Outcome]:
    """What happens to each photo, reported as soon as it has."""
    console = request.console
    for skip in plan.skips:
        outcome = skipped_outcome(skip)
        report_outcome(console, outcome)
        yield outcome
    with console.bar(len(plan.jobs)) as bar:
        for job in plan.jobs:
            if request.dry_run:
                yield report_dry_run(console, job, verb=VERB)
            else:
                outcome = _written_or_failed(request, job)
                report_outcome(console, outcome, brief=True)
                yield outcome
            bar.advance()


def _written_or_failed(request: MaskRequest, job: Job) -> Outcome:
    started = time.perf_counter()
    try:
        if isinstance(job.output, Path):
            make_folder(job.output.parent)
        return _written(request, job)
    except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
        return failed_outcome(job, None, as_expected(error), time.perf_counter() - started)


def _written(request: MaskRequest, job: Job) -> Outcome:
    started = time.perf_counter()
    with local_files(job) as local:
        picture, hole = _hole(request, local)
        note = "" if hole.any() else empty_mask_note(local, request.options)
    data = _encoded(request, picture, hole, job.output.suffix)
    publish(data, job.output, overwrite=request.overwrite, temporary=temporary_name())
    return Outcome(
        status="filled",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        seconds=time.perf_counter() - started,
        note=note.partition(":")[0],  # the rest is on filling
    )


def _hole(request: MaskRequest, job: LocalJob) -> tuple[Picture, Mask]:
    picture, mask = read_pair(job.photo, job.mask, request.options, job.parts)
    return picture, dilate(mask, request.grow)


def _encoded(request: MaskRequest, picture: Picture, hole: Mask, suffix: str) -> bytes:
    shown = overlay(picture, hole) if request.overlay else mask_picture(hole)
    return picture_bytes(shown, suffix)
