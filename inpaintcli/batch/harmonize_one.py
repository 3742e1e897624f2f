"""The command `harmonize` for one photo: plan, open the model, harmonize, report."""

import time
from dataclasses import replace
from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_steps import empty_mask_note, read_pair
from inpaintcli.batch.job_runner import Remarks
from inpaintcli.batch.jobs import STDOUT, LocalJob
from inpaintcli.batch.messages import report_dry_run, report_model, report_outcome
from inpaintcli.batch.outcome import ModelUsed, Outcome, failed_outcome
from inpaintcli.batch.plan import plan_photo
from inpaintcli.batch.requests import PhotoRequest
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.imaging.images import picture_bytes, write_bytes
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.source import ALPHA, mask_source
from inpaintcli.models.cards import find_harmonizer
from inpaintcli.objects.harmonize import harmonize


def harmonize_photo(request: PhotoRequest, photo: Path, mask: str, output: Path | None) -> ExitCode:
    """Make the object under the mask fit the photo around it.

    Args:
        request: how.
        photo: the file.
        mask: a file or a folder of masks, white on the object.
        output: a file, an existing folder, or STDOUT; None for `NAME.harmonized.EXT`.

    Raises:
        InpaintError, EngineError: whatever is wrong; first reported as a result line.
    """
    if output == STDOUT and request.console.json:
        raise UsageError("-o - and --json both want standard output.", hint="Drop one of them.")
    if mask == ALPHA:
        raise UsageError("A transparent object cannot be harmonized.", hint="--mask takes a file.")
    target = output or photo.with_name(f"{photo.stem}.harmonized{photo.suffix}")
    job = LocalJob(photo, Path(mask), target)  # for early errors
    try:
        job = _planned(photo, mask, target, overwrite=request.overwrite)
        if request.dry_run:
            report_dry_run(request.console, job, verb="harmonize")
            return ExitCode.OK
        if request.model.model is None:
            request = replace(request, model=replace(request.model, model=find_harmonizer().name))
        with request.open_model() as model:
            report_model(request.console, model)
            _harmonize_file(request, job, model)
    except (InpaintError, EngineError) as error:
        request.console.record(failed_outcome(job, None, error).to_json())
        raise
    return ExitCode.OK


def _planned(photo: Path, mask: str, target: Path, *, overwrite: bool) -> LocalJob:
    job = plan_photo(photo, mask_source(mask), target, overwrite=overwrite)
    if not isinstance(job, LocalJob):
        raise UsageError(f"{mask} is in a store; harmonize takes files.", hint="Download it first.")
    return job


def _harmonize_file(request: PhotoRequest, job: LocalJob, model: Model) -> None:
    started = time.perf_counter()
    picture, foreground = read_pair(job.photo, job.mask, request.options)
    note = "" if foreground.any() else empty_mask_note(job, request.options)
    suffix = job.photo.suffix if job.output == STDOUT else job.output.suffix
    remarks = Remarks(request.console.say)
    if note and request.metadata != "strip" and suffix.lower() == job.photo.suffix.lower():
        data = job.photo.read_bytes()
    else:
        fitted = harmonize(picture, foreground, model)
        data = picture_bytes(
            fitted,
            suffix,
            name=job.photo.name,
            metadata=request.metadata,
            notes=remarks.report,
            removed=remarks.keep,
        )
    if job.output == STDOUT:
        if remarks.removed:
            request.console.say(remarks.removed)
        if note:
            request.console.say(f"{job.photo}: {note}")
        request.console.binary(data)
        return
    write_bytes(data, job.output, overwrite=request.overwrite)
    outcome = Outcome(
        status="filled",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        model_used=ModelUsed.of(model),
        seconds=time.perf_counter() - started,
        note=note,
        reported=tuple(remarks.reported),
        removed=remarks.removed,
    )
    report_outcome(request.console, outcome)
