"""Which pairs are ready to be filled: files come and go, each pair is yielded once.

It knows nothing of engines, consoles or the source of events: `handle` and `scan` say what happens
to files, `tick` lets time pass, `ready_pairs` yields what is ready, `finish` takes the outcome, and
`take_notices` returns what else is to be reported. The clock is a parameter.

A photo is filled again when its content or that of its mask has changed. An output is replaced
only if this watch wrote it and nobody has changed it since, or with `overwrite`. For photos that
exist at the start, what earlier runs recorded counts as if this watch had done it.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from inpaintcli.batch.fingerprints import content_of
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.outcome import Outcome
from inpaintcli.batch.resume import OutputHistory, PreviousRuns
from inpaintcli.errors import ExitCode, InpaintError, MaskMismatchError
from inpaintcli.watch.layout import WatchLayout
from inpaintcli.watch.notices import Notices
from inpaintcli.watch.pair_finder import PairFinder
from inpaintcli.watch.stability import Clock, Event, FileSnapshot, StabilityTracker, Timing
from inpaintcli.watch.state import PairSnapshots, PhotoState, ReadyPair, WatchCounts


class PairTracker:
    """Pairs of complete files, each yielded once.

    Args:
        layout: the folders.
        stability_tracker: the files.
        timing: the waiting times.
        overwrite: outputs that others wrote may be replaced.
        clock: monotonic seconds, the same as the stability tracker's.
        previous_runs: what earlier runs recorded, or None.
        keeps_inputs: inputs stay where they are once they are filled.
    """

    def __init__(
        self,
        layout: WatchLayout,
        stability_tracker: StabilityTracker,
        *,
        timing: Timing,
        overwrite: bool = False,
        clock: Clock = time.monotonic,
        previous_runs: PreviousRuns | None = None,
        keeps_inputs: bool = True,
    ) -> None:
        self._layout, self._stability, self._timing = layout, stability_tracker, timing
        self._overwrite, self._clock = overwrite, clock
        self._pair_finder = PairFinder(layout, clock)
        self._states: defaultdict[Path, PhotoState] = defaultdict(PhotoState)
        self._queue: deque[Path] = deque()
        self._postponed: set[Path] = set()
        self._gone: dict[Path, float] = {}
        self._working = 0
        self._notices = Notices()
        self._previous_runs, self._keeps_inputs = previous_runs, keeps_inputs
        self._at_start: set[Path] = set()
        self._has_begun = False

    # What happens to files

    def handle(self, event: Event) -> None:
        """Update the files by an event."""
        self._stability.handle(event)

    def scan(self, folders: Iterable[Path]) -> int:
        """Scan folders for changes without an event; returns how many files were new or changed."""
        found = self._stability.scan(folders)
        self._notices.unlistable(self._stability.unlistable)
        if not self._has_begun:
            self._at_start, self._has_begun = self._stability.known, True
        return found

    def tick(self) -> None:
        """Let time pass: files become complete, waiting times end."""
        complete, gone = self._stability.take_changes()
        for path in gone:
            self._file_gone(path)
        for path in complete:
            self._file_complete(path)
        now = self._clock()
        for photo in [p for p in self._postponed if self._states[p].postponed_until <= now]:
            self._postponed.discard(photo)
            self._consider(photo)
        for photo in [p for p, since in self._gone.items() if since + self._timing.forget_s <= now]:
            self._forget(photo)
        self._report_overdue(now - self._timing.mask_s)

    def _file_complete(self, path: Path) -> None:
        self._gone.pop(path, None)
        for photo in self._pair_finder.add(path):
            self._consider(photo)

    def _file_gone(self, path: Path) -> None:
        for photo in self._pair_finder.remove(path):
            self._consider(photo)
        self._at_start.discard(path)
        if path in self._states:
            self._postponed.discard(path)
            self._gone[path] = self._clock()

    def _forget(self, photo: Path) -> None:
        if not self._states[photo].working:
            del self._states[photo]
            del self._gone[photo]

    # Which pair is ready

    def _consider(self, photo: Path) -> None:
        """Queue a photo if it and its mask are complete and have changed since they were tried."""
        state = self._states[photo]
        if state.queued or state.working:
            return
        try:
            _, snapshots = self._pair(photo)
        except MaskMismatchError as error:
            self._several_masks(photo, error)
            return
        if snapshots is None or snapshots == state.tried:
            return
        if photo in self._postponed and snapshots == state.postponed:
            return
        self._postponed.discard(photo)
        state.queued, state.ready_at = True, self._clock()
        self._queue.append(photo)

    def _pair(self, photo: Path) -> tuple[Path | None, PairSnapshots | None]:
        """The mask and the snapshots of a pair; no snapshots if a file is missing or incomplete.

        Raises:
            MaskMismatchError: there is more than one mask.
        """
        snapshot = self._stability.complete(photo)
        if not self._layout.needs_masks:
            return self._layout.one_mask, None if snapshot is None else (snapshot, None)
        mask = self._pair_finder.mask_of(photo)
        of_mask = self._stability.complete(mask) if mask is not None else None
        return mask, None if snapshot is None or of_mask is None else (snapshot, of_mask)

    def ready_pairs(self) -> Iterator[ReadyPair]:
        """The pairs that are ready, in the order of the queue; one that is yielded is in state."""
        while self._queue:
            photo = self._queue.popleft()
            state = self._states.get(photo)
            if state is None or not state.queued:
                continue  # forgotten while it was queued, and perhaps queued again
            state.queued = False
            pair = self._ready_pair(photo)
            if pair is not None:
                state.working = True
                self._working += 1
                yield pair

    def _ready_pair(self, photo: Path) -> ReadyPair | None:
        """A queued photo as a pair; None if a file has changed or nothing is to be done."""
        try:
            mask, snapshots = self._pair(photo)
        except MaskMismatchError as error:
            self._several_masks(photo, error)
            return None
        if snapshots is None or not self._are_unchanged(photo, mask, snapshots):
            return None
        try:
            parts = self._layout.parts_of(photo)
        except InpaintError as error:
            self._states[photo].tried = snapshots
            self._notices.without_shapes(photo, error)
            return None
        job = LocalJob(photo, mask, self._layout.output_of(photo), parts=parts)
        return self._unless_done(job, snapshots)

    def _unless_done(self, job: LocalJob, snapshots: PairSnapshots) -> ReadyPair | None:
        """The pair; None if its output is up to date, or may not be replaced."""
        photo, mask = job.photo, job.mask
        state, output = self._states[photo], FileSnapshot.of(job.output)
        history = self._history(job) if output is not None else None
        if history is not None and history.is_up_to_date and self._keeps_inputs:
            if state.tried is None:
                self._notices.done(job)
            state.tried = snapshots
            return None
        self._at_start.discard(photo)
        digest = _content(photo, mask) if state.digest else ""
        if digest and digest == state.digest and output is not None:
            state.tried = snapshots  # the files have new times, but the same contents
            return None
        is_ours = output is not None and (
            output.has_content_of(state.output) or self._was_written_before(history)
        )
        if output is not None and not (is_ours or self._overwrite):
            state.tried = snapshots
            was_written_here = bool(state.digest or (history and self._keeps_inputs))
            self._notices.output_not_ours(job, was_written_here=was_written_here)
            return None
        digest = digest or _content(photo, mask)
        is_filled = is_ours and history is not None and history.is_up_to_date
        replaces = is_ours or self._overwrite
        return ReadyPair(job, snapshots, digest, replaces, state.ready_at, is_filled)

    def _history(self, job: LocalJob) -> OutputHistory | None:
        """What earlier runs recorded of the output of a photo that existed at the start."""
        if self._previous_runs is None or job.photo not in self._at_start:
            return None
        history = self._previous_runs.of(job)
        return history if history.was_filled else None

    def _was_written_before(self, history: OutputHistory | None) -> bool:
        """Whether the output was written by an earlier run, and may be replaced.

        Where inputs are archived, an input that is still here and unchanged was not archived, which
        is then done. A changed one is another photo of the same name.
        """
        if history is None or history.is_up_to_date == self._keeps_inputs:
            return False
        return history.is_unchanged

    def _are_unchanged(self, photo: Path, mask: Path | None, snapshots: PairSnapshots) -> bool:
        """Whether the files are unchanged since they were found complete."""
        return all(self._checked(photo, mask, snapshots))

    def _checked(
        self, photo: Path, mask: Path | None, snapshots: PairSnapshots
    ) -> Iterator[bool | None]:
        """For each file: True unchanged, False changed, None gone; changed ones count as new."""
        for path, snapshot in zip((photo, mask), snapshots, strict=True):
            if path is None or snapshot is None:
                continue
            found = FileSnapshot.of(path)
            if found is None:
                self._stability.forget(path)
            elif found != snapshot:
                self._stability.handle(Event("created", path))
            yield None if found is None else found == snapshot

    # Outcomes

    def finish(
        self, pair: ReadyPair, outcome: Outcome, written: FileSnapshot | None = None
    ) -> float | None:
        """Take the outcome of a pair.

        Args:
            pair: what `ready_pairs` yielded.
            outcome: its outcome.
            written: the output after it was written, if it was.

        Returns:
            None if the outcome is final, else the seconds until the pair is tried again. An outcome
            that is not final is not to be reported: it is that of files that have changed since, or
            of one that may be incomplete.
        """
        photo, now = pair.job.photo, self._clock()
        state = self._states[photo]
        state.working = False
        self._working -= 1
        if written is not None:
            state.output, state.digest, state.tried = written, "", None
        wait = self._wait(pair, outcome, now)
        if wait is not None:
            state.postponed, state.postponed_until = pair.snapshots, now + wait
            self._postponed.add(photo)
            return wait
        state.tried, state.tries = pair.snapshots, 0
        if outcome.status == "filled":
            state.digest = pair.digest
        self._consider(photo)
        return None

    def _wait(self, pair: ReadyPair, outcome: Outcome, now: float) -> float | None:
        """The seconds until a pair is tried again; None if its outcome is final."""
        if outcome.error is None:
            # Of a file that changed while it was read, the output may show either content.
            checked = list(self._checked(pair.job.photo, pair.job.mask, pair.snapshots))
            return 0.0 if False in checked else None
        job, state = pair.job, self._states[pair.job.photo]
        if outcome.error.code == ExitCode.OUTPUT and state.tries < len(self._timing.retry_s):
            state.tries += 1
            return self._timing.retry_s[state.tries - 1]
        if outcome.error.code in (ExitCode.UNREADABLE, ExitCode.MASK_MISMATCH):
            files = [path for path in (job.photo, job.mask) if path is not None]
            if not self._are_unchanged(job.photo, job.mask, pair.snapshots):
                return 0.0
            until = max(self._stability.incomplete_until(path) for path in files)
            return until - now if until > now else None
        return None

    def input_removed(self, path: Path) -> None:
        """The watch itself has moved or removed an input: forget it at once."""
        self._stability.forget(path)
        self._file_gone(path)
        if path in self._gone:
            self._forget(path)

    def is_shared(self, mask: Path, photo: Path) -> bool:
        """Whether a mask is also for other photos that exist."""
        return bool(self._pair_finder.photos_of(mask) - {photo})

    # Reports

    def take_notices(self) -> list[Outcome]:
        """What is to be reported besides the outcomes of pairs; each notice is returned once."""
        return self._notices.take()

    def report_unpaired(self) -> None:
        """Add notices of all files without a partner, for a watch that ends."""
        self._report_overdue(float("inf"))

    def _report_overdue(self, before: float) -> None:
        for path in self._pair_finder.overdue(before):
            self._notices.unpaired(path, is_mask=self._layout.is_mask(path))

    def _several_masks(self, photo: Path, error: MaskMismatchError) -> None:
        state = self._states[photo]
        if state.reported != error.message:
            state.reported = error.message
            self._notices.several_masks(photo, error)

    def counts(self) -> WatchCounts:
        """How many photos and files are in each state."""
        waiting, arriving = self._pair_finder.waiting, self._stability.incomplete
        return WatchCounts(len(self._queue), self._working, waiting, arriving)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued, in progress, postponed or incomplete."""
        counts = self.counts()
        return not (counts.queued or counts.working or counts.arriving or self._postponed)

    def next_due(self) -> float:
        """When `tick` may have something to do, by the clock."""
        postponed = min(
            (self._states[photo].postponed_until for photo in self._postponed), default=float("inf")
        )
        return min(self._stability.next_due(), postponed)


def _content(photo: Path, mask: Path | None) -> str:
    """As `content_of`; empty where they cannot be read, which filling will report."""
    try:
        return content_of(photo, mask)
    except OSError:
        return ""
