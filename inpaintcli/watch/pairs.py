"""Which pair is ready: files come and go, tasks come out, each pair once.

The watch knows nothing of engines, consoles or where events come from: `see` and `scan` tell it of
files, `tick` lets time pass, `tasks` yields what is ready, `finish` takes what became of it and
`reports` says what waits. The clock is a parameter.

A photo is filled again when it or its mask changed in content; the output is replaced only where
this watch wrote it and nobody changed it since, or with `overwrite`. For photos that are there at
the start, what earlier runs noted counts as if this watch had done it.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from inpaintcli.batch.fingerprints import content_of
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.outcome import Outcome
from inpaintcli.batch.resume import History, Past
from inpaintcli.errors import ExitCode, MaskMismatchError
from inpaintcli.watch.jobs import Counts, Progress, ReadyJob, Stamps
from inpaintcli.watch.layout import Layout
from inpaintcli.watch.notices import Notices
from inpaintcli.watch.pairing import PairFinder
from inpaintcli.watch.stability import Clock, Event, StabilityTracker, Stamp, Timing


class PairTracker:
    """Pairs of whole files, each once.

    Args:
        layout: the places.
        arrivals: the files.
        timing: the waits.
        overwrite: outputs that are not ours may be replaced.
        clock: monotonic seconds, the same as the arrivals'.
        past: what earlier runs noted, or None.
        keeps_inputs: inputs stay where they are once they are filled.
    """

    def __init__(
        self,
        layout: Layout,
        arrivals: StabilityTracker,
        *,
        timing: Timing,
        overwrite: bool = False,
        clock: Clock = time.monotonic,
        past: Past | None = None,
        keeps_inputs: bool = True,
    ) -> None:
        self._layout, self._arrivals, self._timing = layout, arrivals, timing
        self._overwrite, self._clock = overwrite, clock
        self._partners = PairFinder(layout, clock)
        self._progress: defaultdict[Path, Progress] = defaultdict(Progress)
        self._queue: deque[Path] = deque()
        self._held: set[Path] = set()
        self._gone: dict[Path, float] = {}
        self._working = 0
        self._notices = Notices()
        self._past, self._keeps_inputs = past, keeps_inputs
        self._at_start: set[Path] = set()
        self._has_begun = False

    # What happens to files

    def see(self, event: Event) -> None:
        """Take note of what the system told."""
        self._arrivals.see(event)

    def scan(self, folders: Iterable[Path]) -> int:
        """Look into folders for what no event told; returns how many files were new or changed."""
        found = self._arrivals.scan(folders)
        self._notices.closed(self._arrivals.closed)
        if not self._has_begun:
            self._at_start, self._has_begun = self._arrivals.known, True
        return found

    def tick(self) -> None:
        """Let time pass: files become whole, waits end."""
        whole, gone = self._arrivals.changes()
        for path in gone:
            self._leave(path)
        for path in whole:
            self._enter(path)
        now = self._clock()
        for photo in [p for p in self._held if self._progress[p].held_until <= now]:
            self._held.discard(photo)
            self._consider(photo)
        for photo in [p for p, since in self._gone.items() if since + self._timing.forget_s <= now]:
            self._forget(photo)
        self._report_overdue(now - self._timing.mask_s)

    def _enter(self, path: Path) -> None:
        self._gone.pop(path, None)
        for photo in self._partners.enter(path):
            self._consider(photo)

    def _leave(self, path: Path) -> None:
        for photo in self._partners.leave(path):
            self._consider(photo)
        self._at_start.discard(path)
        if path in self._progress:
            self._held.discard(path)
            self._gone[path] = self._clock()

    def _forget(self, photo: Path) -> None:
        if not self._progress[photo].working:
            del self._progress[photo]
            del self._gone[photo]

    # Which pair is ready

    def _consider(self, photo: Path) -> None:
        """Queue a photo if it and its mask are whole and not yet done as they are."""
        progress = self._progress[photo]
        if progress.queued or progress.working:
            return
        try:
            _, stamps = self._pair(photo)
        except MaskMismatchError as error:
            self._ambiguous(photo, error)
            return
        if stamps is None or stamps == progress.tried:
            return
        if photo in self._held and stamps == progress.held:
            return
        self._held.discard(photo)
        progress.queued, progress.ready_at = True, self._clock()
        self._queue.append(photo)

    def _pair(self, photo: Path) -> tuple[Path | None, Stamps | None]:
        """The mask and the stamps of a pair; no stamps where something is missing or not whole.

        Raises:
            MaskMismatchError: there is more than one mask.
        """
        stamp = self._arrivals.whole(photo)
        if not self._layout.needs_masks:
            return self._layout.one_mask, None if stamp is None else (stamp, None)
        mask = self._partners.mask_of(photo)
        of_mask = self._arrivals.whole(mask) if mask is not None else None
        return mask, None if stamp is None or of_mask is None else (stamp, of_mask)

    def tasks(self) -> Iterator[ReadyJob]:
        """What is ready, longest first; each task is at work once it was yielded."""
        while self._queue:
            photo = self._queue.popleft()
            progress = self._progress.get(photo)
            if progress is None or not progress.queued:
                continue  # forgotten while it waited, and perhaps queued anew
            progress.queued = False
            task = self._task(photo)
            if task is not None:
                progress.working = True
                self._working += 1
                yield task

    def _task(self, photo: Path) -> ReadyJob | None:
        """The task for a queued photo, unless something has changed meanwhile."""
        progress = self._progress[photo]
        try:
            mask, stamps = self._pair(photo)
        except MaskMismatchError as error:
            self._ambiguous(photo, error)
            return None
        if stamps is None or not self._are_still(photo, mask, stamps):
            return None
        job = LocalJob(photo, mask, self._layout.output_of(photo))
        there = Stamp.of(job.output)
        history = self._history(job) if there is not None else None
        if history is not None and history.is_done and self._keeps_inputs:
            if progress.tried is None:
                self._notices.done(job)
            progress.tried = stamps
            return None
        self._at_start.discard(photo)
        digest = _content(photo, mask) if progress.digest else ""
        if digest and digest == progress.digest and there is not None:
            progress.tried = stamps  # somebody touched them, no more
            return None
        ours = there is not None and (there == progress.output or self._was_ours(history))
        if there is not None and not (ours or self._overwrite):
            progress.tried = stamps
            was_ours = bool(progress.digest or (history and self._keeps_inputs))
            self._notices.not_ours(job, was_ours=was_ours)
            return None
        digest = digest or _content(photo, mask)
        return ReadyJob(job, stamps, digest, ours or self._overwrite, progress.ready_at)

    def _history(self, job: LocalJob) -> History | None:
        """What earlier runs noted of the output of a photo that was there at the start."""
        if self._past is None or job.photo not in self._at_start:
            return None
        history = self._past.of(job)
        return history if history.was_filled else None

    def _was_ours(self, history: History | None) -> bool:
        """Whether the output of an earlier run may be replaced.

        Where inputs are put away, one that is still there, and the same, was not: it is done again,
        which puts it away. Another one is another photo of the same name.
        """
        if history is None or history.is_done == self._keeps_inputs:
            return False
        return history.is_ours

    def _are_still(self, photo: Path, mask: Path | None, stamps: Stamps) -> bool:
        """Whether files are there as they were when they became whole."""
        return all(self._looked_at(photo, mask, stamps))

    def _looked_at(self, photo: Path, mask: Path | None, stamps: Stamps) -> Iterator[bool | None]:
        """For each file True as it was, False changed, None gone; the latter two arrive anew."""
        for path, stamp in zip((photo, mask), stamps, strict=True):
            if path is None or stamp is None:
                continue
            found = Stamp.of(path)
            if found is None:
                self._arrivals.forget(path)
            elif found != stamp:
                self._arrivals.see(Event("created", path))
            yield None if found is None else found == stamp

    # What became of it

    def finish(
        self, task: ReadyJob, outcome: Outcome, written: Stamp | None = None
    ) -> float | None:
        """Take the outcome of a task.

        Args:
            task: what `tasks` yielded.
            outcome: what became of it.
            written: the output as we left it, where we wrote one.

        Returns:
            None where that was all; else the seconds after which it is tried again. An outcome
            that is not the last is not told: of changed files, or of one perhaps not whole yet.
        """
        photo, now = task.job.photo, self._clock()
        progress = self._progress[photo]
        progress.working = False
        self._working -= 1
        if written is not None:
            progress.output, progress.digest, progress.tried = written, "", None
        wait = self._wait(task, outcome, now)
        if wait is not None:
            progress.held, progress.held_until = task.stamps, now + wait
            self._held.add(photo)
            return wait
        progress.tried, progress.tries = task.stamps, 0
        if outcome.status == "filled":
            progress.digest = task.digest
        self._consider(photo)
        return None

    def _wait(self, task: ReadyJob, outcome: Outcome, now: float) -> float | None:
        """How long to wait before an outcome is believed; None if it is."""
        if outcome.error is None:
            # Nobody can say which content it shows; the fill that follows is the one that counts.
            looks = list(self._looked_at(task.job.photo, task.job.mask, task.stamps))
            return 0.0 if False in looks else None
        job, progress = task.job, self._progress[task.job.photo]
        if outcome.error.code == ExitCode.OUTPUT and progress.tries < len(self._timing.retry_s):
            progress.tries += 1
            return self._timing.retry_s[progress.tries - 1]
        if outcome.error.code in (ExitCode.UNREADABLE, ExitCode.MASK_MISMATCH):
            files = [path for path in (job.photo, job.mask) if path is not None]
            if not self._are_still(job.photo, job.mask, task.stamps):
                return 0.0
            until = max(self._arrivals.young_until(path) for path in files)
            return until - now if until > now else None
        return None

    def left(self, path: Path) -> None:
        """We moved or removed an input: it is forgotten at once."""
        self._arrivals.forget(path)
        self._leave(path)
        if path in self._gone:
            self._forget(path)

    def is_shared(self, mask: Path, photo: Path) -> bool:
        """Whether a mask is for other photos, too, that are here."""
        return bool(self._partners.photos_of(mask) - {photo})

    # What is told

    def reports(self) -> list[Outcome]:
        """What is to be told besides the outcomes of tasks, once."""
        return self._notices.take()

    def report_waiting(self) -> None:
        """Report all that waits, however short: nothing more will come."""
        self._report_overdue(float("inf"))

    def _report_overdue(self, before: float) -> None:
        for path in self._partners.overdue(before):
            self._notices.alone(path, is_mask=self._layout.is_mask(path))

    def _ambiguous(self, photo: Path, error: MaskMismatchError) -> None:
        progress = self._progress[photo]
        if progress.told != error.message:
            progress.told = error.message
            self._notices.ambiguous(photo, error)

    def counts(self) -> Counts:
        """How much is queued, at work, waiting for a partner and not yet whole."""
        waiting, arriving = self._partners.waiting, self._arrivals.unsettled
        return Counts(len(self._queue), self._working, waiting, arriving)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued, at work, held or arriving."""
        counts = self.counts()
        return not (counts.queued or counts.working or counts.arriving or self._held)

    def next_due(self) -> float:
        """When `tick` may have something to do, by the clock."""
        held = min((self._progress[photo].held_until for photo in self._held), default=float("inf"))
        return min(self._arrivals.next_due(), held)


def _content(photo: Path, mask: Path | None) -> str:
    """As `content_of`; empty where they cannot be read, which the fill will tell."""
    try:
        return content_of(photo, mask)
    except OSError:
        return ""
