"""For the tests of the watch: a clock that waits for nobody, a folder, and what happens in it."""

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from inpaintcli.batch.fingerprints import RunFingerprint, digest_of_bytes
from inpaintcli.batch.journal import NAME, Journal
from inpaintcli.batch.outcome import Outcome
from inpaintcli.batch.records import JournalEntries
from inpaintcli.batch.resume import JournalRecorder, Past
from inpaintcli.errors import InpaintError
from inpaintcli.watch.jobs import ReadyJob
from inpaintcli.watch.layout import lay_out
from inpaintcli.watch.pairs import PairTracker
from inpaintcli.watch.stability import Event, StabilityTracker, Stamp, Timing

MAKING = RunFingerprint(model="m", options={})


@dataclass
class Clock:
    """Seconds that pass only when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Folder:
    """A watch over real files, with its clock and events in the test's hands."""

    root: Path
    mask: str | None = None
    overwrite: bool = False
    tells_closing: bool = True
    timing: Timing = field(default_factory=Timing)
    clock: Clock = field(default_factory=Clock)
    keeps_inputs: bool = True

    def __post_init__(self) -> None:
        self.photos, self.out = self.root / "in", self.root / "out"
        self.photos.mkdir(exist_ok=True)
        self.wall = 2_000_000_000.0
        layout = lay_out(self.photos, self.mask, self.out, {})
        self.arrivals = StabilityTracker(
            places=layout,
            timing=self.timing,
            tells_closing=self.tells_closing,
            clock=self.clock,
            wall=lambda: self.wall,
        )
        self.watch = PairTracker(
            layout,
            self.arrivals,
            timing=self.timing,
            overwrite=self.overwrite,
            clock=self.clock,
            past=Past(JournalEntries(self.out / NAME), self.out, MAKING),
            keeps_inputs=self.keeps_inputs,
        )
        self.layout = layout
        self.writes = 0

    def put(self, name: str, content: str = "x", *, event: str | None = "closed") -> Path:
        """Write a file, with a new time of change, and tell the watch of it."""
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        self.writes += 1
        seconds = int(self.wall) - 5000 + self.writes
        os.utime(path, (seconds, seconds))
        if event:
            self.watch.see(Event(event, path))
        return path

    def pair(self, name: str) -> Path:
        """A photo and its mask, whole."""
        self.put(f"{name}.mask.png", "mask")
        return self.put(f"{name}.png", "photo")

    def again(self, **changes: bool) -> "Folder":
        """The same folders, watched by another watch, which has looked once."""
        other = Folder(self.root, mask=self.mask, **changes)
        other.writes = self.writes + 100
        other.watch.scan(other.layout.roots)
        return other

    def remove(self, name: str) -> None:
        (self.photos / name).unlink()
        self.watch.see(Event("deleted", self.photos / name))

    def wait(self, seconds: float) -> list[ReadyJob]:
        """Let time pass; what is ready then."""
        self.clock.now += seconds
        self.watch.tick()
        return list(self.watch.tasks())

    def ready(self, seconds: float = 1.0) -> list[str]:
        """The names of the photos that are ready, done as they come."""
        tasks = self.wait(seconds)
        for task in tasks:
            self.fill(task)
        return [task.job.photo.relative_to(self.photos).as_posix() for task in tasks]

    def fill(self, task: ReadyJob, content: str = "filled", *, is_last: bool = True) -> None:
        """The task succeeds; `is_last`: its inputs are as they were."""
        task.job.output.parent.mkdir(parents=True, exist_ok=True)
        task.job.output.write_text(content)
        outcome = Outcome(
            status="filled", input=task.job.photo, mask=task.job.mask, output=task.job.output
        )
        self.note(outcome)
        wait = self.watch.finish(task, outcome, Stamp.of(task.job.output))
        assert wait == (None if is_last else 0.0)

    def note(self, outcome: Outcome) -> None:
        """As a run does it, with the true journal."""
        key = None
        with suppress(OSError):  # gone meanwhile
            key = MAKING.key_of(outcome.input, outcome.mask, (None, None))
        sha256 = digest_of_bytes(outcome.output.read_bytes())
        with Journal(self.out) as journal:
            JournalRecorder(journal, MAKING).settle(replace(outcome, key=key, sha256=sha256))

    def fail(self, task: ReadyJob, error: InpaintError) -> float | None:
        """The task fails; the wait until it is tried again."""
        outcome = Outcome(
            status="failed", input=task.job.photo, mask=None, output=None, error=error
        )
        return self.watch.finish(task, outcome)

    def told(self) -> list[tuple[str, str]]:
        """Names and notes of what was reported."""
        return [
            (o.input.name, o.note or (o.error.message if o.error else ""))
            for o in self.watch.reports()
        ]
