"""The command `guided`: plan, find the object in the guide, put it into the photo, report."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inpaintcli_engines.base import EngineError
from numpy.typing import NDArray

from inpaintcli.batch.harmonize_one import HarmonizeOutcome, HarmonizeRequest
from inpaintcli.batch.job_runner import Remarks
from inpaintcli.batch.jobs import STDOUT, LocalJob
from inpaintcli.batch.messages import DRY_RUN, report_outcome
from inpaintcli.batch.outcome import ModelUsed, Outcome, failed_outcome
from inpaintcli.batch.outputs import check_output, name_errors_reported
from inpaintcli.batch.plan import OutputNames
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.imaging.images import (
    check_readable,
    check_writable,
    picture_bytes,
    read_picture,
    write_bytes,
)
from inpaintcli.imaging.masks import fit_opacity, opacity_from_picture
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.objects.guided import Guided, put_in
from inpaintcli.objects.placement import Placement, find_in_guide
from inpaintcli.objects.segment.select import DEFAULT, open_segmenter

NAMES = OutputNames(beside=".guided")


@dataclass(frozen=True, kw_only=True)
class GuidedRequest(HarmonizeRequest):
    """What `guided` is asked for: also what finds the object.

    `options` say how the guide's mask is read.
    """

    segmenter: str = DEFAULT

    def opacity_of(self, guide: Picture, job: "GuidedJob") -> NDArray[np.float32]:
        """The object's opacity in the guide, (h, w), 0 to 1: from its mask, or segmented.

        Raises:
            InpaintError, EngineError: it cannot be read, or no object is found.
        """
        if job.mask is not None:
            return fit_opacity(
                opacity_from_picture(read_picture(job.mask), invert=self.options.invert_mask),
                guide,
                resize=self.options.resize_mask,
                mask_name=job.mask.name,
                picture_name=job.guide.name,
            )
        return self.segmented(guide, job.placement)

    def segmented(self, guide: Picture, placement: Placement) -> NDArray[np.float32]:
        """The opacity of the object in its box, (h, w), 0 to 1.

        Raises:
            UsageError: there is no box.
            InpaintError, EngineError: no object is found.
        """
        if placement.box is None:
            raise _nothing_named()
        choice = self.model
        with open_segmenter(self.segmenter, engine=choice.engine, device=choice.device) as opened:
            return find_in_guide(guide, placement.box, opened)


@dataclass(frozen=True, kw_only=True)
class GuidedJob(LocalJob):
    """One photo, and the guide with the object; `mask` is the guide's, or None."""

    guide: Path
    placement: Placement


@dataclass(frozen=True, kw_only=True)
class GuidedOutcome(HarmonizeOutcome):
    """What happened; also where the object went: left, top, width and height in the photo."""

    guide: Path
    placed: tuple[int, int, int, int]

    def to_json(self) -> dict[str, Any]:
        """The result line, with two fields more."""
        return super().to_json() | {"guide": str(self.guide), "placed": list(self.placed)}


def put_into_photo(request: GuidedRequest, job: GuidedJob) -> ExitCode:
    """Put the guide's object into a photo.

    Raises:
        InpaintError, EngineError: whatever is wrong; first reported as a result line.
    """
    console = request.console
    if job.output == STDOUT:
        console.check_takes_picture()
    try:
        job = plan_guided(job, overwrite=request.overwrite)
        if request.dry_run:
            _report_dry_run(console, job)
            return ExitCode.OK
        with ExitStack() as stack:
            outcome = run_guided(request, job, request.open_harmonizer(stack))
    except (InpaintError, EngineError) as error:
        console.record(failed_outcome(job, None, error).to_json())
        raise
    if outcome is not None:
        report_outcome(console, outcome)
    return ExitCode.OK


def plan_guided(job: GuidedJob, *, overwrite: bool) -> GuidedJob:
    """The job with its files checked, so that nothing is computed in vain.

    Raises:
        UnreadableError: a file does not exist, or is no picture.
        UsageError: nothing says where the object is.
        OutputError: the output exists, or is one of the inputs.
    """
    if job.placement.box is None and job.mask is None:
        raise _nothing_named()
    for path in (job.photo, job.guide, *([job.mask] if job.mask else [])):
        check_readable(path)
    target = job.output
    if target != STDOUT:
        with name_errors_reported(target):
            target = target / job.photo.name if target.is_dir() else target
        check_output(job.photo, job.mask, target)
        check_output(job.guide, None, target)
        check_writable(target, source=job.photo, overwrite=overwrite)
    return GuidedJob(job.photo, job.mask, target, guide=job.guide, placement=job.placement)


def _nothing_named() -> UsageError:
    return UsageError(
        "Nothing says where in the guide the object is.",
        hint="Pass --box X,Y,W,H around it, or its outline as --guide-mask FILE.",
    )


def _report_dry_run(console: Console, job: GuidedJob) -> None:
    outcome = Outcome(
        status="skipped", input=job.photo, mask=job.mask, output=job.output, note=DRY_RUN
    )
    console.record(outcome.to_json())
    if not console.json:
        source = job.mask if job.placement.box is None else job.placement.box.name
        console.data(f"would put {source} of {job.guide} into {job.photo}, as {job.output}")


def run_guided(request: GuidedRequest, job: GuidedJob, model: Model | None) -> GuidedOutcome | None:
    """Put the object in, and write the photo.

    Returns:
        The outcome; None where the picture went to standard output.

    Raises:
        InpaintError, EngineError: whatever is wrong.
    """
    started = time.perf_counter()
    picture, guide = read_picture(job.photo), read_picture(job.guide)
    opacity = request.opacity_of(guide, job)
    region = job.placement.region(opacity)
    place = job.placement.place(region, picture)
    made = put_in(
        picture,
        guide,
        opacity,
        region,
        place,
        method=request.method,
        amount=request.amount,
        model=model,
    )
    remarks = Remarks(request.console.say)
    data = picture_bytes(
        made.picture,
        job.photo.suffix if job.output == STDOUT else job.output.suffix,
        name=job.photo.name,
        metadata=request.metadata,
        notes=remarks.report,
        removed=remarks.keep,
    )
    if job.output == STDOUT:
        for sentence in (*made.notes, remarks.removed):
            if sentence:
                request.console.say(f"{job.photo}: {sentence}")
        request.console.binary(data)
        return None
    write_bytes(data, job.output, overwrite=request.overwrite)
    return _outcome(job, made, model, remarks, time.perf_counter() - started)


def _outcome(
    job: GuidedJob, made: Guided, model: Model | None, remarks: Remarks, seconds: float
) -> GuidedOutcome:
    box = made.box
    return GuidedOutcome(
        status="filled",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        model_used=ModelUsed.of(model) if model else None,
        seconds=seconds,
        note="; ".join(made.notes),
        reported=tuple(remarks.reported),
        removed=remarks.removed,
        method=made.method,
        amount=made.amount,
        guide=job.guide,
        placed=(box.left, box.top, box.width, box.height),
    )
