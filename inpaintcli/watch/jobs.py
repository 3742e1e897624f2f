"""What a watch has to do, and what it knows of each photo: plain values."""

from dataclasses import dataclass

from inpaintcli.batch.jobs import LocalJob
from inpaintcli.watch.stability import Stamp

Stamps = tuple[Stamp, Stamp | None]


@dataclass(frozen=True)
class ReadyJob:
    """A pair that is ready. `replaces`: its output is there and may be replaced.

    `ready_at` is when it was queued, by the watch's clock.
    """

    job: LocalJob
    stamps: Stamps
    digest: str
    replaces: bool
    ready_at: float


@dataclass
class Progress:
    """What is known of one photo besides its file."""

    queued: bool = False
    working: bool = False
    ready_at: float = 0.0
    tried: Stamps | None = None
    """The files as they were when they were last filled, failed or skipped."""
    digest: str = ""
    """The content of photo and mask of our output; empty where there is none."""
    output: Stamp | None = None
    """Our output as we left it."""
    told: str = ""
    """What was last reported of it."""
    tries: int = 0
    held: Stamps | None = None
    """The files as they were when they were held back, to be tried again as they are."""
    held_until: float = float("-inf")


@dataclass(frozen=True)
class Counts:
    """What a watch has before it."""

    queued: int
    working: int
    waiting: int
    arriving: int
