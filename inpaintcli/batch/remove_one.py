"""The command `remove` for one photo: plan, find the objects, fill what they covered, report."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_steps import Notify, fill_picture
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
from inpaintcli.imaging.masks import dilate
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.pipeline import Filled, Model
from inpaintcli.masks.views import mask_picture
from inpaintcli.objects.remove import FoundObjects, find_objects
from inpaintcli.objects.segment.segmenter import Segmenter
from inpaintcli.objects.segment.select import DEFAULT, open_segmenter
from inpaintcli.objects.segment.targets import Targets
from inpaintcli.options import FillOptions, Shadow


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

    def remover(self, segmenter: Segmenter, model: Model) -> "Remover":
        """What does it, once segmenter and model are open."""
        return Remover(
            model=model,
            segmenter=segmenter,
            options=self.options,
            shadow=self.shadow,
            notify=self.console.say,
            overwrite=self.overwrite,
        )


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
    job = RemovalJob(photo, mask_out, output or beside(photo), targets=targets)
    try:
        job = plan_removal(job, overwrite=request.overwrite)
        if request.dry_run:
            report_dry_removal(console, job)
            return ExitCode.OK
        with request.open_segmenter() as segmenter, request.open_model() as model:
            report_model(console, model)
            remover = request.remover(segmenter, model)
            if job.output == STDOUT:
                draft = remover.draft(job, job.photo.suffix)
                remover.write_mask(job, draft)
                console.binary(draft.data)
            else:
                report_outcome(console, remover.run(job))
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
    job.targets.check_any()
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


@dataclass(frozen=True, eq=False)
class RemovalDraft:
    """A photo without its objects that is not yet written. data: the bytes of the file."""

    found: FoundObjects
    filled: Filled
    remarks: Remarks
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Remover:
    """Removes objects from photos, one at a time. notify: takes sentences for the user."""

    model: Model
    segmenter: Segmenter
    options: FillOptions
    shadow: Shadow
    notify: Notify
    overwrite: bool = False

    def removed(
        self, picture: Picture, targets: Targets, notify: Notify
    ) -> tuple[FoundObjects, Filled]:
        """What was found in a picture, and the picture without it.

        Raises:
            ObjectNotFoundError, MaskMismatchError: an object was not found.
            EngineError: an engine failed.
        """
        prompts = targets.on((picture.height, picture.width))
        found = find_objects(picture, prompts, self.segmenter, self.shadow)
        filled = fill_picture(
            picture, found.hole, self.model, self.options, mask_is_alpha=False, notify=notify
        )
        return found, filled

    def draft(self, job: RemovalJob, suffix: str) -> RemovalDraft:
        """Do everything except writing; `suffix` is that of the format.

        Raises:
            InpaintError, EngineError: whatever is wrong.
        """
        picture, remarks = read_picture(job.photo), Remarks(self.notify)
        found, filled = self.removed(picture, job.targets, remarks.report)
        data = picture_bytes(
            filled.picture,
            suffix,
            name=job.photo.name,
            metadata=self.options.metadata,
            notes=remarks.report,
            removed=remarks.keep,
            jpeg_method=self.options.jpeg,
            preserved=remarks.preserve,
        )
        return RemovalDraft(found, filled, remarks, data)

    def run(self, job: RemovalJob) -> Outcome:
        """Remove the objects of one photo, and write what is to be written.

        Raises:
            InpaintError, EngineError: whatever is wrong.
        """
        started = time.perf_counter()
        draft = self.draft(job, job.output.suffix)
        self.write_mask(job, draft)
        write_bytes(draft.data, job.output, overwrite=self.overwrite)
        return Outcome(
            status="filled",
            input=job.photo,
            mask=job.mask,
            output=job.output,
            model_used=ModelUsed.of(self.model),
            seconds=time.perf_counter() - started,
            tiles=draft.filled.tiles,
            decisions=draft.filled.decisions,
            grain=draft.filled.grain,
            note=draft.found.in_words(),
            reported=tuple(draft.remarks.reported),
            removed=draft.remarks.removed,
            lossless=draft.remarks.lossless,
        )

    def write_mask(self, job: RemovalJob, draft: RemovalDraft) -> None:
        """Write what was filled, if the job wants it.

        Raises:
            OutputError: it cannot be written.
        """
        if job.mask is not None:
            hole = dilate(draft.found.hole, self.options.grow)
            write_picture(mask_picture(hole), job.mask, overwrite=self.overwrite)


def beside(photo: Path) -> Path:
    """The output without -o: NAME.filled.EXT beside the photo."""
    return photo.with_name(f"{photo.stem}.filled{photo.suffix}")
