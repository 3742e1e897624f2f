"""What a run is to do with each photo, and what it leaves alone: plain values."""

from dataclasses import dataclass
from pathlib import Path

from inpaintcli.errors import InpaintError
from inpaintcli.storage.locations import Location
from inpaintcli.storage.stores import StoreUrl

STDOUT = Path("-")
"""An output that is no file."""
THERE = "its output exists already"
NO_MASK = "it has no mask"


@dataclass(frozen=True)
class Job:
    """One photo to fill. `mask` is None where the photo's transparent pixels are the hole.

    `replaces`: what lies under the output's name is known to be ours, and may be replaced.
    """

    photo: Location
    mask: Location | None
    output: Location
    replaces: bool = False


@dataclass(frozen=True)
class LocalJob(Job):
    """An job_of among files of this machine."""

    photo: Path
    mask: Path | None
    output: Path


def job_of(photo: Location, mask: Location | None, output: Location) -> Job:
    """The job, a LocalJob where all are files."""
    if isinstance(photo, Path) and isinstance(output, Path) and not isinstance(mask, StoreUrl):
        return LocalJob(photo, mask, output)
    return Job(photo, mask, output)


@dataclass(frozen=True)
class Skip:
    """One photo that is left alone, and why: an error where that is a failure.

    `done`: there is nothing to do, and nothing to say unless asked.
    """

    photo: Location
    mask: Location | None
    output: Location | None
    reason: str
    error: InpaintError | None = None
    done: bool = False


@dataclass(frozen=True)
class BatchPlan:
    """What a run will do. Plain values: a plan may travel to another machine.

    `orphans` are masks without a photo, `links` folders that were not entered for being links,
    `strange` pictures of kinds that we do not read.
    """

    jobs: tuple[Job, ...]
    skips: tuple[Skip, ...] = ()
    orphans: tuple[Location, ...] = ()
    links: tuple[Path, ...] = ()
    strange: tuple[Location, ...] = ()
