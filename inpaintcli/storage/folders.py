"""What lies in a folder: its pictures, what could not be looked at, and globs to choose by."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from operator import attrgetter
from pathlib import Path, PurePath

from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli.imaging.images import STRANGE_SUFFIXES, SUFFIXES
from inpaintcli.storage.places import Place, relative
from inpaintcli.storage.stores import Url


@dataclass(frozen=True)
class Found:
    """The pictures in a folder, sorted; broken ones with their errors; links not entered.

    `strange` are pictures by their suffix, of kinds that we do not read.
    """

    pictures: list[Place] = field(default_factory=list)
    broken: list[tuple[Path, UnreadableError]] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    strange: list[Place] = field(default_factory=list)


def look_into(folder: Place, *, recursive: bool = True, leave_out: Iterable[Place] = ()) -> Found:
    """All files with a picture's suffix; hidden files and folders are left out.

    Links to folders are not entered, so that no loop of links is followed; links to files are
    taken for files.

    Args:
        folder: where to look.
        recursive: whether to look into its subfolders.
        leave_out: folders not to look into, whatever their path here.

    Raises:
        UnreadableError: the folder does not exist or cannot be listed.
    """
    closed = list(leave_out)
    if isinstance(folder, Url):
        return _look_into_store(folder, recursive, closed)
    return _look_into_folder(
        folder, recursive, {os.path.realpath(path) for path in closed if isinstance(path, Path)}
    )


def _look_into_store(folder: Url, recursive: bool, closed: Sequence[Place]) -> Found:
    """As `look_into`; there are no links in a store."""
    try:
        names = folder.below(recursive=recursive)
    except OSError as error:
        raise UnreadableError(f"{folder} cannot be listed: {error.strerror or error}.") from error
    if not names:
        raise UnreadableError(f"{folder} is not a folder, or an empty one.")
    visible = [
        url
        for url in names
        if not any(part.startswith(".") for part in relative(url, folder).parts)
        and not any(url.is_relative_to(place) for place in closed)
    ]
    pictures: list[Place] = [url for url in visible if url.suffix.lower() in SUFFIXES]
    strange: list[Place] = [url for url in visible if url.suffix.lower() in STRANGE_SUFFIXES]
    return Found(sorted(pictures, key=attrgetter("parts")), strange=strange)


def _look_into_folder(folder: Path, recursive: bool, closed: set[str]) -> Found:
    if not folder.is_dir():
        raise UnreadableError(f"{folder} is not a folder.")
    found = Found()

    def refused(error: OSError) -> None:
        where = Path(error.filename)
        told = UnreadableError(f"{where} cannot be listed: {error.strerror}.")
        if where == folder:
            raise told
        found.broken.append((where, told))

    for name, below, files in os.walk(folder, onerror=refused):
        here = Path(name)
        _sort_out(here, files, found)
        below[:] = _to_enter(here, below, closed, found) if recursive else []
    found.pictures.sort(key=attrgetter("parts"))
    return found


@dataclass(frozen=True)
class GlobFilter:
    """Which photos are wanted: those that match `include`, if any, and no `exclude`.

    A glob without a slash is for the name of the photo or of any folder above it, one with a
    slash for the whole relative path; `*` stands for anything, also for slashes. Case does not
    matter.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __call__(self, path: PurePath) -> bool:
        """Whether the photo at a relative path is wanted."""
        return (not self.include or _matches(path, self.include)) and self.may_hold(path)

    def may_hold(self, folder: PurePath) -> bool:
        """Whether wanted photos may be below a relative path, as far as `exclude` tells."""
        return not _matches(folder, self.exclude)


def _matches(path: PurePath, globs: Sequence[str]) -> bool:
    whole = path.as_posix().casefold()
    parts = whole.split("/")
    for pattern in (text.casefold().rstrip("/") for text in globs):
        names = [whole] if "/" in pattern else parts
        if any(fnmatchcase(name, pattern) for name in names):
            return True
        if pattern.startswith("**/") and fnmatchcase(whole, pattern[3:]):
            return True
    return False


def _sort_out(folder: Path, names: list[str], found: Found) -> None:
    for name in names:
        path = folder / name
        suffix = path.suffix.lower()
        if name.startswith(".") or suffix not in SUFFIXES | STRANGE_SUFFIXES:
            continue
        if path.is_file():
            (found.pictures if suffix in SUFFIXES else found.strange).append(path)
        elif path.is_symlink() and suffix in SUFFIXES:
            told = UnreadableError(f"{path} is a link that leads to no file.")
            found.broken.append((path, told))


def _to_enter(folder: Path, names: list[str], closed: set[str], found: Found) -> list[str]:
    """The subfolders to look into; those that are links are noted."""
    enter = []
    for name in sorted(names):
        path = folder / name
        if name.startswith(".") or os.path.realpath(path) in closed:
            continue
        if path.is_symlink():
            found.links.append(path)
        else:
            enter.append(name)
    return enter


def make_folder(folder: Path) -> None:
    """The folder, made with all above it where it is missing.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
