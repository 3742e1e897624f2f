"""For the tests of the watch: a clock without waiting, a folder, and what happens in it."""

import os
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from inpaintcli.batch.fingerprints import RunFingerprint, digest_of_bytes
from inpaintcli.batch.journal import NAME, Journal
from inpaintcli.batch.journal_entries import JournalIndex
from inpaintcli.batch.outcome import Outcome
from inpaintcli.batch.resume import JournalRecorder, PreviousRuns
from inpaintcli.errors import InpaintError
from inpaintcli.masks.source import mask_source
from inpaintcli.watch.layout import watch_layout
from inpaintcli.watch.pair_tracker import PairTracker
from inpaintcli.watch.stability import Event, FileSnapshot, StabilityTracker, Timing
from inpaintcli.watch.state import ReadyPair

RUN_FINGERPRINT = RunFingerprint(model="m", options={})


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Folder:
    """A watch over real files, with its clock and events in the test's hands."""

    root: Path
    mask: str | None = None
    overwrite: bool = False
    reports_closing: bool = True
    timing: Timing = field(default_factory=Timing)
    clock: Clock = field(default_factory=Clock)
    keeps_inputs: bool = True

    def __post_init__(self) -> None:
        self.photos, self.out = self.root / "in", self.root / "out"
        self.photos.mkdir(exist_ok=True)
        self.wall_clock = 2_000_000_000.0
        layout = watch_layout(self.photos, mask_source(self.mask), self.out, {})
        self.stability_tracker = StabilityTracker(
            file_filter=layout,
            timing=self.timing,
            reports_closing=self.reports_closing,
            clock=self.clock,
            wall_clock=lambda: self.wall_clock,
        )
        self.tracker = PairTracker(
            layout,
            self.stability_tracker,
            timing=self.timing,
            overwrite=self.overwrite,
            clock=self.clock,
            previous_runs=PreviousRuns(JournalIndex(self.out / NAME), self.out, RUN_FINGERPRINT),
            keeps_inputs=self.keeps_inputs,
        )
        self.layout = layout
        self.writes = 0

    def put(self, name: str, content: str = "x", *, event: str | None = "closed") -> Path:
        """Write a file, with a new time of change, and send the watch the event."""
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        self.writes += 1
        seconds = int(self.wall_clock) - 5000 + self.writes
        os.utime(path, (seconds, seconds))
        if event:
            self.tracker.handle(Event(event, path))
        return path

    def pair(self, name: str) -> Path:
        """A photo and its mask, whole."""
        self.put(f"{name}.mask.png", "mask")
        return self.put(f"{name}.png", "photo")

    def again(self, **changes: bool) -> "Folder":
        """The same folders, watched by another watch, which has looked once."""
        other = Folder(self.root, mask=self.mask, **changes)
        other.writes = self.writes + 100
        other.tracker.scan(other.layout.roots)
        return other

    def remove(self, name: str) -> None:
        (self.photos / name).unlink()
        self.tracker.handle(Event("deleted", self.photos / name))

    def wait(self, seconds: float) -> list[ReadyPair]:
        """Let time pass; what is ready then."""
        self.clock.now += seconds
        self.tracker.tick()
        return list(self.tracker.ready_pairs())

    def ready(self, seconds: float = 1.0) -> list[str]:
        """The names of the photos that are ready, done as they come."""
        ready_pairs = self.wait(seconds)
        for pair in ready_pairs:
            self.fill(pair)
        return [pair.job.photo.relative_to(self.photos).as_posix() for pair in ready_pairs]

    def fill(self, pair: ReadyPair, content: str = "filled", *, is_last: bool = True) -> None:
        """The pair is filled; `is_last`: its inputs have not changed."""
        pair.job.output.parent.mkdir(parents=True, exist_ok=True)
        pair.job.output.write_text(content)
        outcome = Outcome(
            status="filled", input=pair.job.photo, mask=pair.job.mask, output=pair.job.output
        )
        self.record(outcome)
        wait = self.tracker.finish(pair, outcome, FileSnapshot.of(pair.job.output))
        assert wait == (None if is_last else 0.0)

    def record(self, outcome: Outcome) -> None:
        """As a run does it, in a real journal."""
        fingerprint = None
        with suppress(OSError):  # gone meanwhile
            fingerprint = RUN_FINGERPRINT.of_job(outcome.input, outcome.mask)
        sha256 = digest_of_bytes(outcome.output.read_bytes())
        with closing(Journal(self.out)) as journal:
            JournalRecorder(journal, RUN_FINGERPRINT).record(
                replace(outcome, fingerprint=fingerprint, sha256=sha256)
            )

    def fail(self, pair: ReadyPair, error: InpaintError) -> float | None:
        """The pair fails; the wait until it is tried again."""
        outcome = Outcome(
            status="failed", input=pair.job.photo, mask=None, output=None, error=error
        )
        return self.tracker.finish(pair, outcome)

    def reported(self) -> list[tuple[str, str]]:
        """Names and notes of what was reported."""
        return [
            (o.input.name, o.note or (o.error.message if o.error else ""))
            for o in self.tracker.take_notices()
        ]
