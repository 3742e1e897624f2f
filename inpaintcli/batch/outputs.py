"""Which outputs may be written: known before any work, so that no photo is filled in vain."""

import errno
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from inpaintcli.batch.jobs import THERE, Job, Skip
from inpaintcli.errors import OutputError, UsageError
from inpaintcli.storage.locations import Location, is_same_file
from inpaintcli.storage.stores import StoreUrl


def check_folder(output: Location) -> None:
    """Refuse an output folder that is none.

    Raises:
        UsageError: it is a file.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; -o takes a folder for many photos.")


def checked(jobs: Sequence[Job], *, overwrite: bool) -> tuple[list[Job], list[Skip]]:
    """The jobs without those that must not, or need not, be done; and those, with the reasons."""
    writers: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        writers[_name_key(job.output)].append(job)
    kept: list[Job] = []
    skips: list[Skip] = []
    for job in jobs:
        rivals = [other.photo for other in writers[_name_key(job.output)] if other != job]
        try:
            exists = check_output(job.photo, job.mask, job.output, rivals)
        except OutputError as error:
            skips.append(Skip(job.photo, job.mask, job.output, error.message, error))
            continue
        if exists and not overwrite:
            skips.append(Skip(job.photo, job.mask, job.output, THERE))
        else:
            kept.append(job)
    return kept, skips


def check_output(
    photo: Location, mask: Location | None, output: Location, rivals: Sequence[Location] = ()
) -> bool:
    """Whether the output exists.

    Raises:
        OutputError: it must not be written, or its name cannot be.
    """
    with nameable(output):
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


@contextmanager
def nameable(output: Location) -> Iterator[None]:
    """Tell of an output that cannot even be looked for, for a name that is too long, say.

    Raises:
        OutputError: it cannot.
    """
    try:
        yield
    except OSError as error:
        hint = "Shorten its name." if error.errno == errno.ENAMETOOLONG else ""
        told = f"{output} cannot be written: {error.strerror or error}."
        raise OutputError(told, hint=hint) from error


def _name_key(path: Location) -> str:
    """Equal for paths that are one on file systems that ignore case or forms of Unicode."""
    if isinstance(path, StoreUrl):
        return path.text
    return unicodedata.normalize("NFC", str(path).casefold())
