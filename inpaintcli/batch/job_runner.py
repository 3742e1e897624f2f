"""Run one job: photo and mask in, Outcome out, whatever happens. thread_pool.py runs many.

A job has two steps: `prepare` makes a draft, the whole output in memory; `publish` writes it under
its name. In between the output is announced to the recorder, so that a run that is killed can be
resumed.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_steps import Notify, empty_mask_note, fill_picture, read_pair
from inpaintcli.batch.fingerprints import (
    JobFingerprint,
    RunFingerprint,
    digest_of,
    digest_of_bytes,
)
from inpaintcli.batch.jobs import Job, LocalJob
from inpaintcli.batch.outcome import ModelUsed, Outcome, ProgressRecorder, failed_outcome
from inpaintcli.batch.verify_one import check_output
from inpaintcli.errors import FaultError, InpaintError
from inpaintcli.imaging.images import check_readable, check_writable, picture_bytes, temporary_name
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.preservation import Preservation
from inpaintcli.inpaint.attention import AttentionMap
from inpaintcli.inpaint.pipeline import Filled, Model
from inpaintcli.options import FillOptions
from inpaintcli.storage.folders import make_folder
from inpaintcli.storage.locations import TEMPORARY_PREFIX, fetch_into, publish


@dataclass(frozen=True)
class Draft:
    """An output that is not yet written, and the outcome of its job once it is.

    `data` are the bytes of the file; None where the job has failed.
    """

    job: Job
    outcome: Outcome
    data: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class JobRunner:
    """Runs jobs, one at a time in each thread; borrows a model only while it fills.

    borrow_model: lends a model for the time of a `with` block. model_used: its names. notify: takes
    sentences for the user. overwrite: existing outputs are replaced. run_fingerprint: set where
    outcomes are to have fingerprints. recorder: records the progress, or None. attention: collects
    where the model looked (for one photo).
    """

    borrow_model: Callable[[], AbstractContextManager[Model]]
    model_used: ModelUsed
    options: FillOptions
    notify: Notify
    overwrite: bool = False
    run_fingerprint: RunFingerprint | None = None
    recorder: ProgressRecorder | None = None
    attention: AttentionMap | None = None

    @classmethod
    def for_one(
        cls,
        model: Model,
        options: FillOptions,
        notify: Notify,
        *,
        overwrite: bool = False,
        attention: AttentionMap | None = None,
    ) -> "JobRunner":
        """A runner with one model, for one thread, that records nothing."""
        return cls(
            borrow_model=lambda: nullcontext(model),
            model_used=ModelUsed.of(model),
            options=options,
            notify=notify,
            overwrite=overwrite,
            attention=attention,
        )

    def run(self, job: Job) -> Outcome:
        """Prepare, announce and publish; errors become the outcome. Creates missing folders."""
        draft = self.prepare(job)
        if draft.data is None or self.recorder is None:
            return self.publish(draft, temporary_name())
        try:
            temporary = self.recorder.announce(draft.outcome)
        except InpaintError as error:
            return _failed_draft(draft, error)
        return self.publish(draft, temporary)

    def run_or_raise(self, job: Job) -> Outcome:
        """Prepare and publish without recording; the output's folder must exist.

        Raises:
            InpaintError, EngineError: whatever is wrong with the files, the output or the engine.
        """
        with local_files(job) as local:
            draft = self._draft(job, local, None)
        return self._write(draft, temporary_name())

    def prepare(self, job: Job) -> Draft:
        """Do everything except publishing; errors become the outcome. Creates missing folders."""
        started, fingerprint = time.perf_counter(), None
        try:
            if isinstance(job.output, Path):
                make_folder(job.output.parent)
            with local_files(job) as local:
                # Before the files are read to be filled: a later change is then seen as a change.
                fingerprint = self._fingerprint(job, local)
                return self._draft(job, local, fingerprint)
        except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
            seconds = time.perf_counter() - started
            if isinstance(error.__cause__, OSError | MemoryError):
                fingerprint = None  # the files may be sound: the next run tries again
            outcome = failed_outcome(job, None, as_expected(error), seconds)
            return Draft(job, replace(outcome, model_used=self.model_used, fingerprint=fingerprint))

    def publish(self, draft: Draft, temporary: str) -> Outcome:
        """Write the output; errors become the outcome.

        Args:
            draft: from `prepare`.
            temporary: a file name in the output's folder, under which it is written first.
        """
        try:
            return self._write(draft, temporary)
        except Exception as error:  # noqa: BLE001 - as above
            if self._is_published(draft):
                return draft.outcome
            return _failed_draft(draft, as_expected(error))

    def _write(self, draft: Draft, temporary: str) -> Outcome:
        if draft.data is None:
            return draft.outcome
        started, overwrite = time.perf_counter(), self._may_replace(draft.job)
        publish(draft.data, draft.job.output, overwrite=overwrite, temporary=temporary)
        seconds = draft.outcome.seconds + time.perf_counter() - started
        return replace(draft.outcome, seconds=seconds)

    def _is_published(self, draft: Draft) -> bool:
        """Whether another process has written this very output.

        A worker on another machine may outlive the run that started it.
        """
        if draft.outcome.sha256 is None:
            return False
        try:
            return digest_of(draft.job.output).sha256 == draft.outcome.sha256
        except OSError:
            return False

    def _draft(self, job: Job, local: LocalJob, fingerprint: JobFingerprint | None) -> Draft:
        """The draft of a job; `local` names the same files on this machine."""
        started = time.perf_counter()
        # The photo first: if its format is not supported, the output's, of the same suffix, is not
        # either, and the error should name the photo.
        check_readable(local.photo)
        check_writable(local.output, source=local.photo, overwrite=self._may_replace(job))
        picture, mask = read_pair(local.photo, local.mask, self.options, local.parts)
        filled = self._fill(job, picture, mask) if mask.any() else None
        remarks = Remarks(self.notify)
        data = self._encoded(local, filled.picture if filled else None, picture, remarks)
        if self.options.verify:
            exact = bool(remarks.lossless)
            remarks.verified = check_output(local, picture, data, mask, self.options, exact)
        outcome = Outcome(
            status="filled",
            input=job.photo,
            mask=job.mask,
            output=job.output,
            model_used=replace(self.model_used, precision=filled.precision)
            if filled
            else self.model_used,
            seconds=time.perf_counter() - started,
            tiles=filled.tiles if filled else 0,
            decisions=filled.decisions if filled else (),
            grain=filled.grain if filled else 0.0,
            note="" if filled else empty_mask_note(local, self.options),
            reported=tuple(remarks.reported),
            removed=remarks.removed,
            lossless=remarks.lossless,
            verified=remarks.verified,
            fingerprint=fingerprint,
            sha256=digest_of_bytes(data) if self.run_fingerprint else None,
        )
        return Draft(job, outcome, data)

    def _fill(self, job: Job, picture: Picture, mask: Mask) -> Filled:
        with self.borrow_model() as model:
            return fill_picture(
                picture,
                mask,
                model,
                self.options,
                mask_is_alpha=job.parts.alpha,
                notify=self.notify,
                attention=self.attention,
            )

    def _may_replace(self, job: Job) -> bool:
        return self.overwrite or job.replaces

    def _fingerprint(self, job: Job, local: LocalJob) -> JobFingerprint | None:
        if self.run_fingerprint is None:
            return None
        with suppress(OSError):  # reported when the photo itself is read
            copies = (local.photo, local.mask)
            return self.run_fingerprint.of_job(job.photo, job.mask, copies, job.parts.key())
        return None

    def _encoded(
        self, job: LocalJob, filled: Picture | None, photo: Picture, remarks: "Remarks"
    ) -> bytes:
        """The output's bytes: the photo's own where nothing was filled and the format stays."""
        suffix, stripped = job.output.suffix, self.options.metadata == "strip"
        if filled is None and not stripped and suffix.lower() == job.photo.suffix.lower():
            remarks.lossless = True if photo.origin.format == "JPEG" else None
            return job.photo.read_bytes()
        return picture_bytes(
            filled or photo,
            suffix,
            name=job.photo.name,
            metadata=self.options.metadata,
            notes=remarks.report,
            removed=remarks.keep,
            jpeg_method=self.options.jpeg,
            preserved=remarks.preserve,
        )


class Remarks:
    """Remarks on one output.

    `reported` sentences were passed on at once, the `removed` one not. `lossless` is whether a JPEG
    kept all but the hole; None of other formats. `verified` is whether the output was compared.
    """

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self.reported: list[str] = []
        self.removed = ""
        self.lossless: bool | None = None
        self.verified: bool | None = None

    def preserve(self, preservation: Preservation) -> None:
        """Keep whether a JPEG came back without loss."""
        self.lossless = preservation.lossless

    def report(self, sentence: str) -> None:
        """Pass a sentence on, and collect it."""
        self.reported.append(sentence)
        self._notify(sentence)

    def keep(self, sentence: str) -> None:
        """Keep the sentence on previews that were removed, for the photo's own line."""
        self.removed = sentence


@contextmanager
def local_files(job: Job) -> Iterator[LocalJob]:
    """The job with local copies of files that are in a store; its output is not written there.

    Raises:
        UnreadableError: photo or mask cannot be downloaded. Errors within the block that name a
            copy are raised again with the name of the original.
    """
    if isinstance(job, LocalJob):
        yield job
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as name:
        folder = Path(name)
        photo = fetch_into(folder, "photo", job.photo)
        mask = fetch_into(folder, "mask", job.mask) if job.mask else None
        try:
            output = folder / f"output{job.output.suffix}"
            yield LocalJob(photo, mask, output, job.replaces, job.parts)
        except InpaintError as error:
            pairs = ((photo, job.photo), (mask, job.mask))
            originals = {str(copy): str(original) for copy, original in pairs if copy is not None}
            raise _renamed(error, originals) from error


def _renamed(error: InpaintError, originals: dict[str, str]) -> InpaintError:
    message, hint = error.message, error.hint
    for copy, original in originals.items():
        message, hint = message.replace(copy, original), hint.replace(copy, original)
    return type(error)(message, hint=hint)


def as_expected(error: Exception) -> InpaintError | EngineError:
    """The error itself if it is an expected one, else a FaultError."""
    if isinstance(error, InpaintError | EngineError):
        return error
    return FaultError(f"A fault of the program: {type(error).__name__}: {error}")


def _failed_draft(draft: Draft, error: InpaintError | EngineError) -> Outcome:
    """The outcome of a draft that could not be published."""
    outcome = failed_outcome(draft.job, None, error, draft.outcome.seconds)
    return replace(
        outcome, model_used=draft.outcome.model_used, fingerprint=draft.outcome.fingerprint
    )
