"""What a watch knows of its photos and pairs: plain values."""

from dataclasses import dataclass

from inpaintcli.batch.jobs import LocalJob
from inpaintcli.watch.stability import FileSnapshot

PairSnapshots = tuple[FileSnapshot, FileSnapshot | None]
"""Of the photo, and of its mask if it has one of its own."""


@dataclass(frozen=True)
class ReadyPair:
    """A photo that is to be filled now: it and its mask are complete.

    snapshots: the files as they were found complete. digest: their contents, from `content_of`.
    replaces: the output exists, and may be replaced. ready_at: when it was queued, by the watch's
    clock. is_filled: an earlier run has written the output from it; only archiving it is left.
    """

    job: LocalJob
    snapshots: PairSnapshots
    digest: str
    replaces: bool
    ready_at: float
    is_filled: bool = False


@dataclass
class PhotoState:
    """What a watch knows of one photo besides its file."""

    queued: bool = False
    working: bool = False
    ready_at: float = 0.0
    tried: PairSnapshots | None = None
    """The files when they were last filled, failed or skipped."""
    digest: str = ""
    """The contents of photo and mask from which this watch made the output; empty if it has not."""
    output: FileSnapshot | None = None
    """The output when this watch wrote it."""
    reported: str = ""
    """The last message about the photo's masks."""
    tries: int = 0
    postponed: PairSnapshots | None = None
    """The files when they were postponed, to be tried again unchanged."""
    postponed_until: float = float("-inf")


@dataclass(frozen=True)
class WatchCounts:
    """Photos that are queued or being filled; files that have no partner or are incomplete."""

    queued: int
    working: int
    waiting: int
    arriving: int
