"""What a run has still to do, by what earlier runs noted; and noting what it does itself."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inpaintcli.batch import Outcome, error_json
from inpaintcli.errors import InpaintError, MisfitError, UnreadableError
from inpaintcli.images import temporary_beside
from inpaintcli.journal import Journal
from inpaintcli.keys import Key, key_of
from inpaintcli.pairs import THERE, Job, Plan, Skip
from inpaintcli.records import Entry, Records

LASTING: dict[int, type[InpaintError]] = {
    int(kind.code): kind for kind in (UnreadableError, MisfitError)
}
"""Errors that lie in the photo and its mask: they come again as long as those stay as they are."""
DONE = "done already"
CHANGED_BY_OTHERS = "its output was changed since; --overwrite replaces it"
FAILED_BEFORE = "failed before, and nothing has changed since; --retry-failed tries again"


@dataclass(frozen=True, kw_only=True)
class Making:
    """What all outputs of a run are made with: a part of every key.

    `model` is the sha256 of the model's file, `options` those that change pixels.
    """

    model: str
    options: dict[str, Any]


def remaining(
    plan: Plan,
    records: Records,
    folder: Path,
    making: Making,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
) -> Plan:
    """The plan without what is done: what is missing, or made of something else than now, stays.

    An output that the records do not know, or that is no longer as it was written, is not
    replaced. A photo that failed for a reason that lies in its files fails again without work.

    Args:
        plan: all pairs, also those whose output exists.
        records: of the output folder.
        folder: the output folder.
        making: what the outputs are made with now.
        overwrite: do everything, whatever exists.
        retry_failed: also do what failed for a reason that lasts.
    """
    if overwrite:
        return plan
    jobs: list[Job] = []
    skips = list(plan.skips)
    for job in plan.jobs:
        history = _History(job, records, _name_in(folder, job.output))
        decided = history.decided(making, retry_failed=retry_failed)
        if isinstance(decided, Job):
            jobs.append(decided)
        else:
            skips.append(decided)
    return replace(plan, jobs=tuple(jobs), skips=tuple(skips))


class _History:
    """What earlier runs noted of one output."""

    def __init__(self, job: Job, records: Records, output: str) -> None:
        self._job = job
        self._last = records.last(output)
        self._filled = records.last_filled(output)

    def decided(self, making: Making, *, retry_failed: bool) -> Job | Skip:
        """The job, as it is to be done now, or why it is not."""
        last, exists = self._last, self._job.output.exists()
        if last is None:
            return self._skip(THERE) if exists else self._job
        same = self._is_made_of_the_same(last, making)
        if last.status == "filled" and exists and same:
            return self._skip(DONE, done=True)
        error = _lasting(last)
        if error is not None and same and not retry_failed:
            return self._skip(FAILED_BEFORE, error=error)
        if not exists:
            return self._job
        if self._is_ours():
            return replace(self._job, replaces=True)
        return self._skip(THERE if self._filled is None else CHANGED_BY_OTHERS)

    def _skip(self, reason: str, *, error: InpaintError | None = None, done: bool = False) -> Skip:
        job = self._job
        return Skip(job.photo, job.mask, job.output, reason, error, done)

    def _is_made_of_the_same(self, entry: Entry, making: Making) -> bool:
        """False also where photo or mask cannot be read: doing the job tells why."""
        job, key = self._job, entry.key
        try:
            return key is not None and not key.changed(
                job.photo, job.mask, making.model, making.options
            )
        except OSError:
            return False

    def _is_ours(self) -> bool:
        """Whether the output still holds what the last filling wrote."""
        entry = self._filled
        try:
            return entry is not None and entry.holds(self._job.output)
        except OSError:
            return False


def _lasting(entry: Entry) -> InpaintError | None:
    """The error of a failure that would come again, as it was told."""
    error = entry.error or {}
    kind = LASTING.get(error.get("code", 0))
    return kind(error["message"], hint=error["hint"] or "") if kind else None


class JournalLedger:
    """Keeps book of a run in the journal of its output folder. A `batch.Ledger`."""

    def __init__(self, journal: Journal, making: Making) -> None:
        self._journal = journal
        self._making = making

    def key_of(self, job: Job) -> Key:
        """As `Ledger.key_of`."""
        return key_of(job.photo, job.mask, self._making.model, self._making.options)

    def announce(self, job: Job, key: Key | None, sha256: str) -> Path:
        """As `Ledger.announce`.

        The line need not be on the disk: a process that is killed leaves it to the system. Where
        the power fails before it is, the output is at worst one that the journal does not know.
        """
        temporary = temporary_beside(job.output)
        entry = Entry(
            status="writing",
            output=_name_in(self._journal.folder, job.output),
            photo=str(job.photo),
            mask=str(job.mask) if job.mask else None,
            key=key,
            sha256=sha256,
            temporary=temporary.name,
        )
        self._journal.append(entry, durable=False)
        return temporary

    def settle(self, outcome: Outcome) -> None:
        """Note how a job has ended.

        Raises:
            OutputError: the journal cannot be written.
        """
        if outcome.status == "skipped" or outcome.output is None:
            return
        self._journal.append(
            Entry(
                status=outcome.status,
                output=_name_in(self._journal.folder, outcome.output),
                photo=str(outcome.input),
                mask=str(outcome.mask) if outcome.mask else None,
                key=outcome.key,
                sha256=outcome.sha256,
                seconds=outcome.seconds,
                error=error_json(outcome.error) if outcome.error else None,
            )
        )


def bytes_needed(jobs: Iterable[Job]) -> int:
    """About what the outputs will take: as much as their photos. What cannot be told counts 0."""
    total = 0
    for job in jobs:
        try:
            total += job.photo.stat().st_size
        except OSError:
            continue
    return total


def _name_in(folder: Path, output: Path) -> str:
    return output.relative_to(folder).as_posix()
