"""One job to its Outcome, whatever happens in it; inpaintcli/batch/thread_pool.py does many at a time.

A job is done in two steps: its draft, which is the whole output in memory, and the moment in which
that appears under its name. In between it is announced to whoever keeps book.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_settings import FillSettings, Notes, empty_note, fill_picture, read_pair
from inpaintcli.batch.fingerprints import JobFingerprint, RunFingerprint, digest_of, digest_of_bytes
from inpaintcli.batch.jobs import Job, LocalJob
from inpaintcli.batch.outcome import ModelUsed, Outcome, ProgressRecorder, failed_outcome
from inpaintcli.errors import FaultError, InpaintError
from inpaintcli.imaging.images import check_readable, check_writable, picture_bytes, temporary_name
from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint.attention import AttentionMap
from inpaintcli.inpaint.pipeline import Filled, Model
from inpaintcli.storage.folders import make_folder
from inpaintcli.storage.locations import TEMPORARY_PREFIX, fetch_into, publish


def fill_file(
    job: Job,
    model: Model,
    settings: FillSettings,
    notes: Notes,
    attention: AttentionMap | None = None,
) -> Outcome:
    """Read, fill and write one photo; `attention` takes where the model looked.

    Raises:
        InpaintError, EngineError: whatever is wrong with the files, the output or the engine.
    """
    filler = JobRunner(
        lambda: nullcontext(model), ModelUsed.of(model), settings, notes, attention=attention
    )
    return filler.fill(job)


@dataclass(frozen=True)
class Draft:
    """What will have happened once the output, `data`, has appeared under its name.

    `data` is None where no output is to appear: the outcome is a failure.
    """

    job: Job
    outcome: Outcome
    data: bytes | None = None


@dataclass(frozen=True)
class JobRunner:
    """Does jobs, one at a time in each thread; holds a model only while it fills.

    `lend` gives a model for a while, `ran` names it. `fingerprint`, where outputs are to have keys;
    `recorder` keeps book, or is None. `attention` takes where the model looked (of one photo).
    """

    lend: Callable[[], AbstractContextManager[Model]]
    ran: ModelUsed
    settings: FillSettings
    notes: Notes
    fingerprint: RunFingerprint | None = None
    recorder: ProgressRecorder | None = None
    attention: AttentionMap | None = None

    def settle(self, job: Job) -> Outcome:
        """The outcome of a job, whatever happens in it; missing folders are made."""
        draft = self.draft(job)
        if draft.data is None or self.recorder is None:
            return self.publish(draft, temporary_name())
        try:
            temporary = self.recorder.announce(draft.outcome)
        except InpaintError as error:
            return _undone(draft, error)
        return self.publish(draft, temporary)

    def draft(self, job: Job) -> Draft:
        """Everything but the output's appearance, whatever happens; missing folders are made."""
        started, key = time.perf_counter(), None
        try:
            if isinstance(job.output, Path):
                make_folder(job.output.parent)
            with at_hand(job) as local:
                # Before the files are read for work: what changes later is seen as changed.
                key = self._key_of(job, local)
                return self._drafted(job, local, key)
        except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
            outcome = failed_outcome(job, None, _expected(error), time.perf_counter() - started)
            return Draft(job, replace(outcome, ran=self.ran, key=key))

    def publish(self, draft: Draft, temporary: str) -> Outcome:
        """Let the output appear, whatever happens; `temporary`: a name beside it."""
        try:
            return self._published(draft, temporary)
        except Exception as error:  # noqa: BLE001 - as above
            if self._is_there(draft):
                return draft.outcome
            return _undone(draft, _expected(error))

    def fill(self, job: Job) -> Outcome:
        """As `fill_file`."""
        with at_hand(job) as local:
            draft = self._drafted(job, local, None)
        return self._published(draft, temporary_name())

    def _published(self, draft: Draft, temporary: str) -> Outcome:
        if draft.data is None:
            return draft.outcome
        started, overwrite = time.perf_counter(), self._replaces(draft.job)
        publish(draft.data, draft.job.output, overwrite=overwrite, temporary=temporary)
        seconds = draft.outcome.seconds + time.perf_counter() - started
        return replace(draft.outcome, seconds=seconds)

    def _is_there(self, draft: Draft) -> bool:
        """Whether that very output has come under its name from elsewhere.

        A worker on another machine may outlive the run that sent it.
        """
        if draft.outcome.sha256 is None:
            return False
        try:
            return digest_of(draft.job.output).sha256 == draft.outcome.sha256
        except OSError:
            return False

    def _drafted(self, job: Job, local: LocalJob, key: JobFingerprint | None) -> Draft:
        """The draft of a job whose files are at hand."""
        started = time.perf_counter()
        check_readable(local.photo)  # what we cannot read is seldom of a name that we can write
        check_writable(local.output, source=local.photo, overwrite=self._replaces(job))
        picture, mask = read_pair(local, self.settings)
        filled: Filled | None = None
        if mask.any():
            with self.lend() as model:
                filled = fill_picture(
                    local, picture, mask, model, self.settings, self.notes, self.attention
                )
            picture = filled.picture
        data = self._encoded(local, picture, changed=filled is not None)
        outcome = Outcome(
            status="filled",
            input=job.photo,
            mask=job.mask,
            output=job.output,
            ran=self.ran,
            seconds=time.perf_counter() - started,
            tiles=filled.tiles if filled else 0,
            decisions=filled.decisions if filled else (),
            grain=filled.grain if filled else 0.0,
            note="" if filled else empty_note(local, self.settings),
            key=key,
            sha256=digest_of_bytes(data) if self.fingerprint else None,
        )
        return Draft(job, outcome, data)

    def _replaces(self, job: Job) -> bool:
        return self.settings.overwrite or job.replaces

    def _key_of(self, job: Job, local: LocalJob) -> JobFingerprint | None:
        if self.fingerprint is None:
            return None
        with suppress(OSError):  # told when the photo itself is read
            return self.fingerprint.key_of(job.photo, job.mask, (local.photo, local.mask))
        return None

    def _encoded(self, job: LocalJob, picture: Picture, *, changed: bool) -> bytes:
        """The output's bytes: those of the photo where nothing was filled and the format stays."""
        if not changed and job.output.suffix.lower() == job.photo.suffix.lower():
            return job.photo.read_bytes()
        return picture_bytes(picture, job.output.suffix, source=job.photo, notes=self.notes)


@contextmanager
def at_hand(job: Job) -> Iterator[LocalJob]:
    """The job among files of this machine, where they are now; the output is not yet written.

    Raises:
        UnreadableError: a store does not give photo or mask. Errors that name our copies are told
            with the names that the user knows.
    """
    if isinstance(job, LocalJob):
        yield job
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as name:
        folder = Path(name)
        photo = fetch_into(folder, "photo", job.photo)
        mask = fetch_into(folder, "mask", job.mask) if job.mask else None
        try:
            yield LocalJob(photo, mask, folder / f"output{job.output.suffix}", job.replaces)
        except InpaintError as error:
            pairs = ((photo, job.photo), (mask, job.mask))
            known = {str(copy): str(place) for copy, place in pairs if copy is not None}
            raise _renamed(error, known) from error


def _renamed(error: InpaintError, names: dict[str, str]) -> InpaintError:
    message, hint = error.message, error.hint
    for name, known in names.items():
        message, hint = message.replace(name, known), hint.replace(name, known)
    return type(error)(message, hint=hint)


def _expected(error: Exception) -> InpaintError | EngineError:
    """The error itself, or a fault of the program."""
    if isinstance(error, InpaintError | EngineError):
        return error
    return FaultError(f"A fault of the program: {type(error).__name__}: {error}")


def _undone(draft: Draft, error: InpaintError | EngineError) -> Outcome:
    """The outcome of a draft whose output did not appear."""
    outcome = failed_outcome(draft.job, None, error, draft.outcome.seconds)
    return replace(outcome, ran=draft.outcome.ran, key=draft.outcome.key)
