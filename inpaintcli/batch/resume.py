"""What earlier runs have left to do, from their journal; and recording what this run does."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.jobs import OUTPUT_EXISTS, BatchPlan, Job, Skip
from inpaintcli.batch.journal import Journal
from inpaintcli.batch.journal_entries import JournalEntry, JournalIndex, portable_name
from inpaintcli.batch.outcome import Outcome, error_to_json
from inpaintcli.errors import InpaintError, MaskMismatchError, UnreadableError
from inpaintcli.imaging.images import temporary_name
from inpaintcli.storage.locations import Location, relative_path
from inpaintcli.storage.stores import StoreUrl

PERMANENT_ERRORS: dict[int, type[InpaintError]] = {
    int(kind.code): kind for kind in (UnreadableError, MaskMismatchError)
}
"""Errors whose cause is in the photo and its mask: they recur until one of these changes."""
DONE = "done already"
CHANGED_BY_OTHERS = "its output was changed since; --overwrite replaces it"
FAILED_BEFORE = "failed before, and nothing has changed since; --retry-failed tries again"


def remaining(
    plan: BatchPlan,
    index: JournalIndex,
    folder: Location,
    fingerprint: RunFingerprint,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
) -> BatchPlan:
    """The plan with only those jobs whose output is missing, or was made from something else.

    An output that the journal does not know, or that was changed since it was written, is not
    replaced. A photo that failed with one of PERMANENT_ERRORS is reported again without work.

    Args:
        plan: all pairs, also those whose output exists.
        index: the journal of the output folder.
        folder: the output folder.
        fingerprint: the model and options of this run.
        overwrite: keep all jobs, whatever exists.
        retry_failed: keep also the jobs that failed with one of PERMANENT_ERRORS.
    """
    if overwrite:
        return plan
    jobs: list[Job] = []
    skips = list(plan.skips)
    previous = PreviousRuns(index, folder, fingerprint)
    for job in plan.jobs:
        decision = previous.of(job).decide(retry_failed=retry_failed)
        if isinstance(decision, Job):
            jobs.append(decision)
        else:
            skips.append(decision)
    return replace(plan, jobs=tuple(jobs), skips=tuple(skips))


@dataclass(frozen=True)
class PreviousRuns:
    """What earlier runs recorded in the journal of an output folder.

    `fingerprint` is that of the present run, with which theirs are compared.
    """

    index: JournalIndex
    folder: Location
    fingerprint: RunFingerprint

    def of(self, job: Job) -> "OutputHistory":
        """What was recorded of the output of a job."""
        name = _name_in(self.folder, job.output)
        last, filled = self.index.last(name), self.index.last_filled(name)
        return OutputHistory(job, self.fingerprint, last, filled)


@dataclass(frozen=True)
class OutputHistory:
    """What earlier runs recorded of one output: the last entry, and the last one that filled it."""

    job: Job
    fingerprint: RunFingerprint
    last: JournalEntry | None
    filled: JournalEntry | None

    def decide(self, *, retry_failed: bool) -> Job | Skip:
        """The job, as it is to be done now, or why it is not done."""
        last, exists = self.last, self.job.output.exists()
        if last is None:
            return self._skip(OUTPUT_EXISTS) if exists else self.job
        if exists and self.is_up_to_date:
            return self._skip(DONE, up_to_date=True)
        error = _permanent_error(last)
        if error is not None and not retry_failed and self._has_same_inputs(last):
            return self._skip(FAILED_BEFORE, error=error)
        if not exists:
            return self.job
        if self.is_unchanged:
            return replace(self.job, replaces=True)
        return self._skip(CHANGED_BY_OTHERS if self.was_filled else OUTPUT_EXISTS)

    @property
    def was_filled(self) -> bool:
        """Whether the output was ever written."""
        return self.filled is not None

    @property
    def is_up_to_date(self) -> bool:
        """Whether the last run wrote it from the present inputs; it may be gone since."""
        last = self.last
        return last is not None and last.status == "filled" and self._has_same_inputs(last)

    @property
    def is_unchanged(self) -> bool:
        """Whether the output still has the content that the last filling wrote."""
        try:
            return self.filled is not None and self.filled.matches(self.job.output)
        except OSError:
            return False

    def _skip(
        self, reason: str, *, error: InpaintError | None = None, up_to_date: bool = False
    ) -> Skip:
        job = self.job
        return Skip(job.photo, job.mask, job.output, reason, error, up_to_date)

    def _has_same_inputs(self, entry: JournalEntry) -> bool:
        """False also where photo or mask cannot be read: doing the job will report why."""
        recorded = entry.fingerprint
        try:
            return recorded is not None and not recorded.difference(
                self.job.photo, self.job.mask, self.fingerprint, self.job.parts.key()
            )
        except OSError:
            return False


def _permanent_error(entry: JournalEntry) -> InpaintError | None:
    """The recorded error, if it is one of PERMANENT_ERRORS."""
    error = entry.error or {}
    kind = PERMANENT_ERRORS.get(error.get("code", 0))
    return kind(error["message"], hint=error["hint"] or "") if kind else None


class JournalRecorder:
    """Records a run in the journal of its output folder; an `outcome.ProgressRecorder`."""

    def __init__(self, journal: Journal, fingerprint: RunFingerprint) -> None:
        self._journal = journal
        self.run_fingerprint = fingerprint

    def announce(self, outcome: Outcome) -> str:
        """As `ProgressRecorder.announce`.

        The line is not forced to the disk: if the process is killed, the system still writes it. If
        the power fails before that, there is at worst an output that the journal does not know.
        """
        temporary = temporary_name()
        entry = replace(self._entry(outcome), status="writing", temporary=temporary, seconds=0.0)
        self._journal.append(entry, durable=False)
        return temporary

    def previous_runs(self) -> PreviousRuns:
        """What earlier runs recorded."""
        return PreviousRuns(self._journal.index(), self._journal.folder, self.run_fingerprint)

    def was_published(self, outcome: Outcome, temporary: str) -> bool:
        """Whether an announced output exists, though its worker was lost before it reported that.

        If not, what the worker left is removed.
        """
        entry = replace(self._entry(outcome), status="writing", temporary=temporary)
        return self._journal.was_published(entry)

    def record(self, outcome: Outcome) -> None:
        """Record how a job ended.

        Raises:
            OutputError: the journal cannot be written.
        """
        if outcome.status != "skipped" and outcome.output is not None:
            self._journal.append(self._entry(outcome))

    def _entry(self, outcome: Outcome) -> JournalEntry:
        assert outcome.output is not None  # noqa: S101 - a plan names one for every job
        return JournalEntry(
            status="failed" if outcome.status == "failed" else "filled",
            output=_name_in(self._journal.folder, outcome.output),
            photo=_text(outcome.input),
            mask=_text(outcome.mask) if outcome.mask else None,
            fingerprint=outcome.fingerprint,
            sha256=outcome.sha256,
            seconds=outcome.seconds,
            error=error_to_json(outcome.error) if outcome.error else None,
        )


def bytes_needed(jobs: Iterable[Job]) -> int:
    """An estimate of the outputs' size: that of their photos. An unknown size counts as 0."""
    return sum(_size(job.photo) for job in jobs)


def _size(photo: Location) -> int:
    try:
        size = photo.file_info().size if isinstance(photo, StoreUrl) else photo.stat().st_size
    except OSError:
        return 0
    return size or 0


def _name_in(folder: Location, output: Location) -> str:
    name = relative_path(output, folder).as_posix()
    return portable_name(name) if isinstance(folder, Path) else name


def _text(location: Location) -> str:
    return portable_name(str(location)) if isinstance(location, Path) else str(location)
