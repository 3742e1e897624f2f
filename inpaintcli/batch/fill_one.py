"""The command `fill` for one photo: plan, open the model, fill, report."""

from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_steps import empty_mask_note, fill_picture, read_pair
from inpaintcli.batch.job_runner import JobRunner, local_files
from inpaintcli.batch.jobs import STDOUT, Job, LocalJob, make_job
from inpaintcli.batch.messages import report_dry_run, report_model, report_outcome
from inpaintcli.batch.outcome import failed_outcome
from inpaintcli.batch.outputs import check_output
from inpaintcli.batch.plan import FILLED, plan_photo
from inpaintcli.batch.requests import FillRequest
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.imaging.images import check_writable, picture_bytes, write_picture
from inpaintcli.inpaint.attention import AttentionMap, check_outputs
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.source import MaskSource, PhotoMask
from inpaintcli.storage.locations import (
    Location,
    is_same_location,
    storage_errors_reported,
)


def fill_photo(
    request: FillRequest, photo: Location, mask: MaskSource, output: Location | None
) -> ExitCode:
    """Fill one photo.

    Args:
        request: how.
        photo: the file.
        mask: where the hole comes from.
        output: a file, an existing folder, or STDOUT; None for `NAME.filled.EXT` beside the photo.

    Raises:
        InpaintError, EngineError: whatever is wrong; first reported as a result line.
    """
    console = request.console
    if output == STDOUT:
        console.check_takes_picture()
    target = output or FILLED.beside_of(photo)
    job = make_job(photo, PhotoMask(mask.masks), target)  # for early errors
    try:
        with storage_errors_reported():
            job = plan_photo(photo, mask, output, overwrite=request.overwrite)
        _check_attention_map(request, job)
        if request.dry_run:
            report_dry_run(console, job)
        else:
            _fill(request, job)
    except (InpaintError, EngineError) as error:
        console.record(failed_outcome(job, None, error).to_json())
        raise
    return ExitCode.OK


def _fill(request: FillRequest, job: Job) -> None:
    console = request.console
    with request.open_model() as model:
        report_model(console, model)
        attention = _new_attention_map(request, model)
        if job.output == STDOUT:
            with local_files(job) as local:
                _to_stdout(local, model, request, attention)
        else:
            runner = JobRunner.for_one(
                model,
                request.options,
                console.say,
                overwrite=request.overwrite,
                attention=attention,
            )
            report_outcome(console, runner.run_or_raise(job))
    _write_attention_map(request, job, attention)


def _check_attention_map(request: FillRequest, job: Job) -> None:
    """Refuse, before the work, an attention map that could not be written after it."""
    path = request.attention_map
    if path is None:
        return
    if job.output != STDOUT and is_same_location(path, job.output):
        raise UsageError(f"{path} cannot be both the output and its attention map.")
    check_output(job.photo, job.mask, path)
    check_writable(path, source=_path_or_none(job.photo), overwrite=request.overwrite)


def _new_attention_map(request: FillRequest, model: Model) -> AttentionMap | None:
    """What collects where the model looked, if a map is asked for."""
    if request.attention_map is None:
        return None
    check_outputs(model.card.name, model.engine.outputs)
    return AttentionMap()


def _write_attention_map(request: FillRequest, job: Job, attention: AttentionMap | None) -> None:
    path = request.attention_map
    if attention is None or path is None:
        return
    if not attention.offsets.size:
        request.console.say(f"{job.photo.name}: no hole, so no attention map")
        return
    source = _path_or_none(job.photo)
    write_picture(attention.picture(), path, source=source, overwrite=request.overwrite)
    request.console.detail(f"attention map -> {path}")


def _path_or_none(photo: Location) -> Path | None:
    """The photo, where it is a file of this machine."""
    return photo if isinstance(photo, Path) else None


def _to_stdout(
    job: LocalJob, model: Model, request: FillRequest, attention: AttentionMap | None
) -> None:
    picture, mask = read_pair(job.photo, job.mask, request.options, job.parts)
    notify, suffix = request.console.say, request.stdout_suffix or job.photo.suffix
    if mask.any():
        picture = fill_picture(
            picture,
            mask,
            model,
            request.options,
            mask_is_alpha=job.parts.alpha,
            notify=notify,
            attention=attention,
        ).picture
    else:
        notify(f"{job.photo.name}: {empty_mask_note(job, request.options)}")
        if request.options.metadata != "strip" and suffix.lower() == job.photo.suffix.lower():
            request.console.binary(job.photo.read_bytes())
            return
    data = picture_bytes(
        picture,
        suffix,
        name=job.photo.name,
        metadata=request.options.metadata,
        notes=notify,
        removed=notify,
        jpeg_method=request.options.jpeg,
    )
    request.console.binary(data)
