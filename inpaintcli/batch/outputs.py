"""Which outputs may be written: checked before any work, so that no photo is filled in vain."""

import errno
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inpaintcli.batch.jobs import OUTPUT_EXISTS, Job, Skip
from inpaintcli.errors import OutputError, UsageError
from inpaintcli.storage.locations import Location, is_same_file
from inpaintcli.storage.stores import StoreUrl


def check_output_folder(output: Location) -> None:
    """Refuse an output folder that is a file.

    Raises:
        UsageError: it is a file.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; -o takes a folder for many photos.")


def split_by_output(jobs: Sequence[Job], *, overwrite: bool) -> tuple[list[Job], list[Skip]]:
    """The jobs whose output may be written, and the others with the reasons.

    Existing outputs may be written with `overwrite` only, outputs that two jobs would write never.
    """
    jobs_by_output: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        jobs_by_output[_comparable(job.output)].append(job)
    kept: list[Job] = []
    skips: list[Skip] = []
    for job in jobs:
        same_output = jobs_by_output[_comparable(job.output)]
        rivals = [other.photo for other in same_output if other != job]
        try:
            exists = check_output(job.photo, job.mask, job.output, rivals)
        except OutputError as error:
            skips.append(Skip(job.photo, job.mask, job.output, error.message, error))
            continue
        if exists and not overwrite:
            skips.append(Skip(job.photo, job.mask, job.output, OUTPUT_EXISTS))
        else:
            kept.append(job)
    return kept, skips


def check_output(
    photo: Location, mask: Location | None, output: Location, rivals: Sequence[Location] = ()
) -> bool:
    """Whether the output exists.

    Args:
        photo: the photo that would be filled.
        mask: its mask, or None.
        output: what would be written.
        rivals: other photos that would write the same output.

    Raises:
        OutputError: it is the photo or the mask itself, there are rivals, or no file can have its
            name.
    """
    with name_errors_reported(output):
        exists = output.exists()
    for kind, path in (("photo", photo), ("mask", mask)):
        if exists and path is not None and is_same_file(path, output):
            raise OutputError(
                f"{output} is the {kind} itself; inputs are never changed.",
                hint="Name another output with -o.",
            )
    if rivals:
        raise OutputError(f"{rivals[0]} would write {output} too.", hint="Rename one of them.")
    return exists


def refuse_to_write_inputs(jobs: Sequence[Job], photos: Iterable[Location] = ()) -> None:
    """Refuse a run in which the output of one job is the photo or the mask of another.

    A job that would write its own input is refused by `check_output`, alone.

    Args:
        jobs: of the run.
        photos: more photos of the run, of which no job was made because they do not exist yet.

    Raises:
        OutputError: there is such an output; nothing has been written.
    """
    inputs: dict[object, Location] = {}
    for path in (*photos, *(path for job in jobs for path in (job.photo, job.mask) if path)):
        inputs.update(dict.fromkeys(_identities(path), path))
    for job in jobs:
        own = {key for path in (job.photo, job.mask) if path for key in _identities(path)}
        found = next((key for key in _identities(job.output) if key in inputs), None)
        if found is not None and found not in own:
            raise OutputError(
                f"{job.output}, the output of {job.photo}, is an input of the same run.",
                hint="Inputs are never changed: name another output folder with -o.",
            )


def _identities(location: Location) -> Iterator[object]:
    """What two names of one file have in common: its real path; or its number, if it exists."""
    if not isinstance(location, Path):
        yield location.text
        return
    yield os.path.realpath(location)
    try:
        status = location.stat()
    except OSError:
        return
    yield status.st_dev, status.st_ino


@contextmanager
def name_errors_reported(output: Location) -> Iterator[None]:
    """Turns errors of a name that no file can have, one that is too long, say, into OutputError.

    Raises:
        OutputError: the system refuses the name.
    """
    try:
        yield
    except OSError as error:
        hint = "Shorten its name." if error.errno == errno.ENAMETOOLONG else ""
        message = f"{output} cannot be written: {error.strerror or error}."
        raise OutputError(message, hint=hint) from error


def _comparable(location: Location) -> str:
    """Equal for paths that name one file where case or Unicode normal forms are ignored."""
    if isinstance(location, StoreUrl):
        return location.text
    return unicodedata.normalize("NFC", str(location).casefold())
