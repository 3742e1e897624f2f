"""The command `remove` for one photo: plan, find the objects, fill what they covered, report."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_steps import fill_picture
from inpaintcli.batch.job_runner import Remarks
from inpaintcli.batch.jobs import STDOUT, LocalJob
from inpaintcli.batch.messages import DRY_RUN, report_model, report_outcome
from inpaintcli.batch.outcome import ModelUsed, Outcome, failed_outcome
from inpaintcli.batch.outputs import check_output, name_errors_reported
from inpaintcli.batch.requests import FillRequest
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.imaging.images import (
    check_readable,
    check_writable,
    picture_bytes,
    read_picture,
    write_bytes,
    write_picture,
)
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.inpaint.pipeline import Filled, Model
from inpaintcli.objects.remove import FoundObjects, find_objects
from inpaintcli.objects.segment.segmenter import Segmenter
from inpaintcli.objects.segment.select import DEFAULT, open_segmenter
from inpaintcli.objects.segment.targets import Targets
from inpaintcli.options import Shadow


@dataclass(frozen=True, kw_only=True)
class RemoveRequest(FillRequest):
    """What `remove` is asked for.

    segmenter: grabcut, or an ONNX file or two. shadow: whether cast shadows are searched for.
    """

    segmenter: str = DEFAULT
    shadow: Shadow = "auto"

    def open_segmenter(self) -> Segmenter:
        """The segmenter asked for.

        Raises:
            UsageError, UnreadableError, EngineError: as `select.open_segmenter`.
        """
        return open_segmenter(self.segmenter, engine=self.model.engine, device=self.model.device)


@dataclass(frozen=True)
class RemovalJob(LocalJob):
    """One photo with its objects. Its `mask`, if any, is written: what was filled."""

    targets: Targets = field(default_factory=Targets)


def remove_from_photo(
    request: RemoveRequest,
    photo: Path,
    targets: Targets,
    mask_out: Path | None,
    output: Path | None,
) -> ExitCode:
    """Remove objects from one photo.

    Args:
        request: how.
        photo: the file.
        targets: the objects.
        mask_out: where to write what was filled, as a mask; None for nowhere.
        output: a file, an existing folder, or STDOUT; None for `NAME.filled.EXT` beside the photo.

    Raises:
        InpaintError, EngineError: whatever is wrong; first reported as a result line.
    """
    console = request.console
    if output == STDOUT:
        console.check_takes_picture()
    job = RemovalJob(photo, mask_out, output or _beside(photo), targets=targets)
    try:
        job = plan_removal(job, overwrite=request.overwrite)
        if request.dry_run:
            report_dry_removal(console, job)
            return ExitCode.OK
        with request.open_segmenter() as segmenter, request.open_model() as model:
            report_model(console, model)
            outcome = run_removal(request, job, segmenter, model)
        if outcome is not None:
            report_outcome(console, outcome)
    except (InpaintError, EngineError) as error:
        console.record(failed_outcome(job, None, error).to_json())
        raise
    return ExitCode.OK


def plan_removal(job: RemovalJob, *, overwrite: bool) -> RemovalJob:
    """The job with its files checked, so that nothing is computed in vain.

    Raises:
        UnreadableError: the photo does not exist, or is no picture.
        UsageError: it names no object, or mask and output are one file.
        OutputError: an output exists, or is the photo itself.
    """
    if not job.targets:
        raise UsageError(
            "Nothing says which object is to be removed.",
            hint="Pass --box X,Y,W,H around it, --point X,Y on it, or --polygon.",
        )
    photo, mask, target = job.photo, job.mask, job.output
    check_readable(photo)
    if target != STDOUT:
        with name_errors_reported(target):
            target = target / photo.name if target.is_dir() else target
        check_output(photo, None, target)
        check_writable(target, source=photo, overwrite=overwrite)
    if mask is not None:
        if mask.absolute() == target.absolute():
            raise UsageError(f"{mask} cannot be both the output and its mask.")
        check_output(photo, None, mask)
        check_writable(mask, source=photo, overwrite=overwrite)
    return RemovalJob(photo, mask, target, targets=job.targets)


def report_dry_removal(console: Console, job: RemovalJob) -> Outcome:
    """Report what would be done; returns it as an outcome, for the totals."""
    outcome = Outcome(
        status="skipped", input=job.photo, mask=job.mask, output=job.output, note=DRY_RUN
    )
    console.record(outcome.to_json())
    if not console.json:
        count = job.targets.count
        console.data(
            f"would remove {count} object{'' if count == 1 else 's'} from {job.photo} "
            f"into {job.output}"
        )
    return outcome


def run_removal(
    request: RemoveRequest, job: RemovalJob, segmenter: Segmenter, model: Model
) -> Outcome | None:
    """Find and remove the objects of one photo, and write what is to be written.

    Returns:
        The outcome; None where the picture went to standard output.

    Raises:
        InpaintError, EngineError: whatever is wrong.
    """
    started = time.perf_counter()
    picture = read_picture(job.photo)
    prompts = job.targets.on((picture.height, picture.width))
    found = find_objects(picture, prompts, segmenter, request.shadow)
    remarks = Remarks(request.console.say)
    filled = fill_picture(
        picture, found.hole, model, request.options, mask_is_alpha=False, notify=remarks.report
    )
    suffix = job.output.suffix
    if job.output == STDOUT:
        suffix = request.stdout_suffix or job.photo.suffix
    data = picture_bytes(
        filled.picture,
        suffix,
        name=job.photo.name,
        metadata=request.options.metadata,
        notes=remarks.report,
        removed=remarks.keep,
    )
    if job.mask is not None:
        write_picture(mask_picture(found.hole), job.mask, overwrite=request.overwrite)
    if job.output == STDOUT:
        request.console.binary(data)
        return None
    write_bytes(data, job.output, overwrite=request.overwrite)
    seconds = time.perf_counter() - started
    return _outcome(job, model, found, filled, remarks, seconds)


def _outcome(
    job: RemovalJob,
    model: Model,
    found: FoundObjects,
    filled: Filled,
    remarks: Remarks,
    seconds: float,
) -> Outcome:
    return Outcome(
        status="filled",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        model_used=ModelUsed.of(model),
        seconds=seconds,
        tiles=filled.tiles,
        decisions=filled.decisions,
        grain=filled.grain,
        note=found.in_words(),
        reported=tuple(remarks.reported),
        removed=remarks.removed,
    )


def mask_picture(mask: Mask) -> Picture:
    """A mask as a grey picture, white on True."""
    return Picture(np.where(mask, np.uint8(255), np.uint8(0))[..., None])


def _beside(photo: Path) -> Path:
    return photo.with_name(f"{photo.stem}.filled{photo.suffix}")
