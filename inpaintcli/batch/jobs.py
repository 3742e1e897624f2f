"""What a run does with each photo, and which photos it leaves alone: plain values."""

from dataclasses import dataclass
from pathlib import Path

from inpaintcli.errors import InpaintError
from inpaintcli.masks.source import NO_PARTS, MaskParts, PhotoMask
from inpaintcli.storage.locations import Location
from inpaintcli.storage.stores import StoreUrl

STDOUT = Path("-")
"""An output that goes to standard output."""
OUTPUT_EXISTS = "its output exists already"
NO_MASK = "it has no mask"


@dataclass(frozen=True)
class Job:
    """One photo to fill.

    `mask` is its mask file, if it has one; `parts` is what else is hole. `replaces`: an earlier run
    wrote the existing output, so that it may be replaced.
    """

    photo: Location
    mask: Location | None
    output: Location
    replaces: bool = False
    parts: MaskParts = NO_PARTS


@dataclass(frozen=True)
class LocalJob(Job):
    """A job whose photo, mask and output are all files of this machine."""

    photo: Path
    mask: Path | None
    output: Path


def make_job(photo: Location, mask: PhotoMask, output: Location) -> Job:
    """The job; a LocalJob where photo, mask file and output are files of this machine."""
    file, parts = mask.file, mask.parts
    if isinstance(photo, Path) and isinstance(output, Path) and not isinstance(file, StoreUrl):
        return LocalJob(photo, file, output, parts=parts)
    return Job(photo, file, output, parts=parts)


@dataclass(frozen=True)
class Skip:
    """One photo that is not filled, and why.

    `error` is set where that counts as a failure. `up_to_date`: an earlier run has filled it, which
    is reported only with --verbose.
    """

    photo: Location
    mask: Location | None
    output: Location | None
    reason: str
    error: InpaintError | None = None
    up_to_date: bool = False


@dataclass(frozen=True)
class BatchPlan:
    """What a run will do; it can be sent to another process.

    orphan_masks: masks without a photo. links: links to folders, which are not followed.
    unsupported: pictures in formats that are not read.
    """

    jobs: tuple[Job, ...]
    skips: tuple[Skip, ...] = ()
    orphan_masks: tuple[Location, ...] = ()
    links: tuple[Path, ...] = ()
    unsupported: tuple[Location, ...] = ()
