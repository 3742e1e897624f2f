"""Which outputs may be written: checked before any work, so that no photo is filled in vain."""

import errno
import os
import sys
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from inpaintcli.batch.jobs import OUTPUT_EXISTS, Job, Skip
from inpaintcli.errors import OutputError, UsageError
from inpaintcli.storage.locations import TEMPORARY_PREFIX, Location, is_same_file
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
    similar: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        similar[_comparable(job.output)].append(job)
    kept: list[Job] = []
    skips: list[Skip] = []
    for job in jobs:
        rivals = [
            other.photo
            for other in similar[_comparable(job.output)]
            if other != job and is_one_file(other.output, job.output)
        ]
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
    identities = _Identities()
    inputs: dict[object, Location] = {}
    for path in (*photos, *(path for job in jobs for path in (job.photo, job.mask) if path)):
        inputs.update(dict.fromkeys(identities.of(path), path))
    for job in jobs:
        found = next((key for key in identities.of(job.output) if key in inputs), None)
        if found is None:
            continue
        own = {key for path in (job.photo, job.mask) if path for key in identities.of(path)}
        if found not in own:
            raise OutputError(
                f"{job.output}, the output of {job.photo}, is an input of the same run.",
                hint="Inputs are never changed: name another output folder with -o.",
            )


class _Identities:
    """What two names of one file have in common; real paths of folders are looked up once."""

    def __init__(self) -> None:
        self._folders: dict[Path, str] = {}

    def of(self, location: Location) -> Iterator[object]:
        """The real path of a file; and its number, if it exists and has one name.

        A file with several names is no input under all of them: to replace one leaves the others.
        """
        if not isinstance(location, Path):
            yield location.text
            return
        if location.is_symlink():
            yield os.path.realpath(location)
        else:
            yield os.path.join(self._real_folder(location.parent), location.name)  # noqa: PTH118
        with suppress(OSError):
            status = location.stat()
            if status.st_nlink == 1:
                yield status.st_dev, status.st_ino

    def _real_folder(self, folder: Path) -> str:
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder]


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


def is_one_file(one: Location, other: Location) -> bool:
    """Whether the file system takes two names that look alike for one.

    It is asked by a file in a temporary folder, in the nearest folder above both that exists. Where
    that cannot be written to, what is usual for the system counts.
    """
    if not isinstance(one, Path) or not isinstance(other, Path) or one == other:
        return one == other
    shared = os.path.commonpath((one.absolute(), other.absolute()))
    folder = next(path for path in (Path(shared), *Path(shared).parents) if path.is_dir())
    differing = [
        (first, second)
        for first, second in zip(one.parts, other.parts, strict=False)
        if first != second
    ]
    try:
        return _are_one_in(folder, tuple(differing))
    except OSError:
        return sys.platform in ("darwin", "win32")


def _are_one_in(folder: Path, pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether each pair of names is one name in a folder.

    Raises:
        OSError: the folder cannot be written to.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{TEMPORARY_PREFIX}") as name:
        for first, second in pairs:
            Path(name, first).touch()
            if not Path(name, second).exists():
                return False
    return True


def _comparable(location: Location) -> str:
    """Equal for paths that may name one file: where case or Unicode normal forms are ignored."""
    if isinstance(location, StoreUrl):
        return location.text
    return unicodedata.normalize("NFC", str(location).casefold())
