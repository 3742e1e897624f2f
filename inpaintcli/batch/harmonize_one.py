"""The command `harmonize` for one photo: plan, open a model if one is asked for, harmonize, report.

harmonize_many.py does a folder of photos.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from inpaintcli_engines.base import EngineError
from numpy.typing import NDArray

from inpaintcli.batch.fill_steps import empty_mask_note
from inpaintcli.batch.job_runner import Remarks
from inpaintcli.batch.jobs import STDOUT, Job, LocalJob
from inpaintcli.batch.messages import report_dry_run, report_model, report_outcome
from inpaintcli.batch.outcome import ModelUsed, Outcome, failed_outcome
from inpaintcli.batch.plan import OutputNames, plan_photo
from inpaintcli.batch.requests import PhotoRequest
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.imaging.images import picture_bytes, read_picture, write_bytes
from inpaintcli.imaging.masks import fit_opacity, opacity_from_picture
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.hole import hole_of
from inpaintcli.masks.source import MaskSource, mask_source
from inpaintcli.objects.harmonize import Harmonized, harmonize, harmonizer_name
from inpaintcli.options import MaskOptions, Method
from inpaintcli.storage.folders import ANNOTATED

HARMONIZED = OutputNames(beside=".harmonized")


@dataclass(frozen=True, kw_only=True)
class HarmonizeRequest(PhotoRequest):
    """What `harmonize` is asked for: also what chooses the change, and how much of it is made."""

    method: Method = "auto"
    amount: float = 1.0

    def open_harmonizer(self, stack: ExitStack) -> Model | None:
        """The model, where one is asked for by its name or by the method; else None.

        Args:
            stack: closes it.

        Raises:
            UsageError: a model is named for a method that has none.
            ModelError, EngineError: as `open_model`.
        """
        name = harmonizer_name(self.method, self.model.model)
        if name is None:
            return None
        request = replace(self, model=replace(self.model, model=name))
        model = stack.enter_context(request.open_model())
        report_model(self.console, model)
        return model


@dataclass(frozen=True, kw_only=True)
class HarmonizeOutcome(Outcome):
    """What happened to one photo; also the method that chose the change, and its amount."""

    method: str | None = None
    amount: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The result line, with two fields more."""
        return super().to_json() | {"method": self.method, "amount": self.amount}


def harmonize_photo(
    request: HarmonizeRequest, photo: Path, mask: str, output: Path | None
) -> ExitCode:
    """Make the object under the mask fit the photo around it.

    Args:
        request: how.
        photo: the file.
        mask: a file or a folder of masks, white on the object, grey on its soft edges.
        output: a file, an existing folder, or STDOUT; None for `NAME.harmonized.EXT`.

    Raises:
        InpaintError, EngineError: whatever is wrong; first reported as a result line.
    """
    if output == STDOUT:
        request.console.check_takes_picture()
    target = output or HARMONIZED.beside_of(photo)
    job: Job = LocalJob(photo, Path(mask), Path(str(target)))  # for early errors
    try:
        job = plan_photo(
            photo,
            foreground_source(mask),
            output,
            overwrite=request.overwrite,
            names=HARMONIZED,
        )
        local = local_job(job)
        if request.dry_run:
            report_dry_run(request.console, job, verb="harmonize")
            return ExitCode.OK
        with ExitStack() as stack:
            outcome = run_harmonize(request, local, request.open_harmonizer(stack))
    except (InpaintError, EngineError) as error:
        request.console.record(failed_outcome(job, None, error).to_json())
        raise
    if outcome is not None:
        report_outcome(request.console, outcome)
    return ExitCode.OK


def foreground_source(mask: str) -> MaskSource:
    """Where objects are, from the option --mask.

    Raises:
        UsageError: it names transparency, which objects do not have.
    """
    source = mask_source(mask)
    if source.is_alpha:
        raise UsageError("A transparent object cannot be harmonized.", hint="--mask takes a file.")
    return source


def local_job(job: Job) -> LocalJob:
    """The job itself, as one of this machine.

    Raises:
        UsageError: a file is in a store.
    """
    if not isinstance(job, LocalJob):
        raise UsageError(
            f"{job.photo}, its mask or its output is in a store; harmonize takes files.",
            hint="Download them first.",
        )
    return job


def run_harmonize(
    request: HarmonizeRequest, job: LocalJob, model: Model | None
) -> HarmonizeOutcome | None:
    """Harmonize one photo and write it.

    Returns:
        The outcome; None where the picture went to standard output.

    Raises:
        InpaintError, EngineError: whatever is wrong.
    """
    started = time.perf_counter()
    picture = read_picture(job.photo)
    opacity = read_opacity(picture, job, request.options)
    note = "" if opacity.any() else empty_mask_note(job, request.options)
    fitted = harmonize(picture, opacity, method=request.method, amount=request.amount, model=model)
    remarks = Remarks(request.console.say)
    data = _encoded(request, job, fitted.picture, remarks, unchanged=bool(note))
    if job.output == STDOUT:
        for sentence in (remarks.removed, f"{job.photo}: {note}" if note else ""):
            if sentence:
                request.console.say(sentence)
        request.console.binary(data)
        return None
    write_bytes(data, job.output, overwrite=request.overwrite)
    seconds = time.perf_counter() - started
    return _outcome(job, fitted, model, note, remarks, seconds)


def read_opacity(picture: Picture, job: LocalJob, options: MaskOptions) -> NDArray[np.float32]:
    """The object's opacity, (h, w), 0 to 1, from the grey levels of its mask.

    With --mask-threshold, and for shapes and colours, an object is opaque where its mask is.

    Raises:
        UnreadableError: the mask cannot be read.
        MaskMismatchError: it does not fit the photo.
    """
    mask = job.mask
    is_picture = mask is not None and mask.suffix.lower() != ANNOTATED
    if mask is None or not is_picture or job.parts or options.mask_threshold is not None:
        whole = hole_of(picture, mask, job.parts, options, job.photo.name)
        return whole.astype(np.float32)
    opacity = opacity_from_picture(read_picture(mask), invert=options.invert_mask)
    return fit_opacity(
        opacity,
        picture,
        resize=options.resize_mask,
        mask_name=mask.name,
        picture_name=job.photo.name,
    )


def _encoded(
    request: HarmonizeRequest, job: LocalJob, picture: Picture, remarks: Remarks, *, unchanged: bool
) -> bytes:
    """The output's bytes: the photo's own where nothing was changed and the format stays."""
    suffix = job.photo.suffix if job.output == STDOUT else job.output.suffix
    if unchanged and request.metadata != "strip" and suffix.lower() == job.photo.suffix.lower():
        return job.photo.read_bytes()
    return picture_bytes(
        picture,
        suffix,
        name=job.photo.name,
        metadata=request.metadata,
        notes=remarks.report,
        removed=remarks.keep,
    )


def _outcome(
    job: LocalJob,
    fitted: Harmonized,
    model: Model | None,
    note: str,
    remarks: Remarks,
    seconds: float,
) -> HarmonizeOutcome:
    return HarmonizeOutcome(
        status="filled",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        model_used=ModelUsed.of(model) if model else None,
        seconds=seconds,
        note=note,
        reported=tuple(remarks.reported),
        removed=remarks.removed,
        method=fitted.method,
        amount=fitted.amount,
    )
