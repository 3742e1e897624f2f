"""What a run has still to do, by what earlier runs noted; and noting what it does itself."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.jobs import THERE, BatchPlan, Job, Skip
from inpaintcli.batch.journal import Journal
from inpaintcli.batch.outcome import Outcome, error_json
from inpaintcli.batch.records import JournalEntries, JournalEntry
from inpaintcli.errors import InpaintError, MaskMismatchError, UnreadableError
from inpaintcli.imaging.images import temporary_name
from inpaintcli.storage.locations import Location, relative_path
from inpaintcli.storage.stores import StoreUrl

LASTING: dict[int, type[InpaintError]] = {
    int(kind.code): kind for kind in (UnreadableError, MaskMismatchError)
}
"""Errors that lie in the photo and its mask: they come again as long as those stay as they are."""
DONE = "done already"
CHANGED_BY_OTHERS = "its output was changed since; --overwrite replaces it"
FAILED_BEFORE = "failed before, and nothing has changed since; --retry-failed tries again"


def remaining(
    plan: BatchPlan,
    records: JournalEntries,
    folder: Location,
    fingerprint: RunFingerprint,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
) -> BatchPlan:
    """The plan without what is done: what is missing, or made of something else than now, stays.

    An output that the records do not know, or that is no longer as it was written, is not
    replaced. A photo that failed for a reason that lies in its files fails again without work.

    Args:
        plan: all pairs, also those whose output exists.
        records: of the output folder.
        folder: the output folder.
        fingerprint: what the outputs are made with now.
        overwrite: do everything, whatever exists.
        retry_failed: also do what failed for a reason that lasts.
    """
    if overwrite:
        return plan
    jobs: list[Job] = []
    skips = list(plan.skips)
    past = Past(records, folder, fingerprint)
    for job in plan.jobs:
        decided = past.of(job).decided(retry_failed=retry_failed)
        if isinstance(decided, Job):
            jobs.append(decided)
        else:
            skips.append(decided)
    return replace(plan, jobs=tuple(jobs), skips=tuple(skips))


@dataclass(frozen=True)
class Past:
    """What earlier runs noted, beside what outputs are made with now."""

    records: JournalEntries
    folder: Location
    fingerprint: RunFingerprint

    def of(self, job: Job) -> "History":
        """What was noted of the output of a job."""
        name = _name_in(self.folder, job.output)
        last, filled = self.records.last(name), self.records.last_filled(name)
        return History(job, self.fingerprint, last, filled)


@dataclass(frozen=True)
class History:
    """What earlier runs noted of one output: the last entry, and that of its last filling."""

    job: Job
    fingerprint: RunFingerprint
    last: JournalEntry | None
    filled: JournalEntry | None

    def decided(self, *, retry_failed: bool) -> Job | Skip:
        """The job, as it is to be done now, or why it is not."""
        last, exists = self.last, self.job.output.exists()
        if last is None:
            return self._skip(THERE) if exists else self.job
        if exists and self.is_done:
            return self._skip(DONE, done=True)
        error = _lasting(last)
        if error is not None and not retry_failed and self._is_made_of_the_same(last):
            return self._skip(FAILED_BEFORE, error=error)
        if not exists:
            return self.job
        if self.is_ours:
            return replace(self.job, replaces=True)
        return self._skip(CHANGED_BY_OTHERS if self.was_filled else THERE)

    @property
    def was_filled(self) -> bool:
        """Whether the output was ever written."""
        return self.filled is not None

    @property
    def is_done(self) -> bool:
        """Whether the last run wrote it, of the same as now; whether it is there still or not."""
        last = self.last
        return last is not None and last.status == "filled" and self._is_made_of_the_same(last)

    @property
    def is_ours(self) -> bool:
        """Whether the output still holds what the last filling wrote."""
        try:
            return self.filled is not None and self.filled.holds(self.job.output)
        except OSError:
            return False

    def _skip(self, reason: str, *, error: InpaintError | None = None, done: bool = False) -> Skip:
        job = self.job
        return Skip(job.photo, job.mask, job.output, reason, error, done)

    def _is_made_of_the_same(self, entry: JournalEntry) -> bool:
        """False also where photo or mask cannot be read: doing the job tells why."""
        job, key, fingerprint = self.job, entry.key, self.fingerprint
        try:
            return key is not None and not key.changed(
                job.photo, job.mask, fingerprint.model, fingerprint.options
            )
        except OSError:
            return False


def _lasting(entry: JournalEntry) -> InpaintError | None:
    """The error of a failure that would come again, as it was told."""
    error = entry.error or {}
    kind = LASTING.get(error.get("code", 0))
    return kind(error["message"], hint=error["hint"] or "") if kind else None


class JournalRecorder:
    """Keeps book of a run in the journal of its output folder. A `batch.ProgressRecorder`."""

    def __init__(self, journal: Journal, fingerprint: RunFingerprint) -> None:
        self._journal = journal
        self.fingerprint = fingerprint

    def announce(self, outcome: Outcome) -> str:
        """As `ProgressRecorder.announce`.

        The line need not be on the disk: a process that is killed leaves it to the system. Where
        the power fails before it is, the output is at worst one that the journal does not know.
        """
        temporary = temporary_name()
        entry = replace(self._entry(outcome), status="writing", temporary=temporary, seconds=0.0)
        self._journal.append(entry, durable=False)
        return temporary

    def past(self) -> Past:
        """What earlier runs noted."""
        return Past(self._journal.records(), self._journal.folder, self.fingerprint)

    def is_there(self, outcome: Outcome, temporary: str) -> bool:
        """Whether an announced output has appeared, though nobody came to tell.

        If not, what its worker left is removed.
        """
        entry = replace(self._entry(outcome), status="writing", temporary=temporary)
        return self._journal.has_appeared(entry)

    def settle(self, outcome: Outcome) -> None:
        """Note how a job has ended.

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
            photo=str(outcome.input),
            mask=str(outcome.mask) if outcome.mask else None,
            key=outcome.key,
            sha256=outcome.sha256,
            seconds=outcome.seconds,
            error=error_json(outcome.error) if outcome.error else None,
        )


def bytes_needed(jobs: Iterable[Job]) -> int:
    """About what the outputs will take: as much as their photos. What cannot be told counts 0."""
    return sum(_size(job.photo) for job in jobs)


def _size(photo: Location) -> int:
    try:
        return (
            (photo.file_info().size or 0) if isinstance(photo, StoreUrl) else photo.stat().st_size
        )
    except OSError:
        return 0


def _name_in(folder: Location, output: Location) -> str:
    return relative_path(output, folder).as_posix()
