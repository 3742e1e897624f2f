"""Find the pictures in a folder, and select among them by globs."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from operator import attrgetter
from pathlib import Path, PurePath

from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli.imaging.images import SUFFIXES, UNSUPPORTED_SUFFIXES
from inpaintcli.storage.locations import Location, relative_path
from inpaintcli.storage.stores import StoreUrl

ANNOTATED = ".json"
"""The suffix of files in which annotation tools keep shapes."""


@dataclass(frozen=True)
class FolderContents:
    """What was found in a folder and below.

    pictures: files of supported formats, sorted. unreadable: folders that could not be listed and
    links to nothing, each with its error. links: links to folders, which were not followed.
    unsupported: pictures of other formats, by their suffix. annotations: .json files, sorted.
    """

    pictures: list[Location] = field(default_factory=list)
    unreadable: list[tuple[Path, UnreadableError]] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    unsupported: list[Location] = field(default_factory=list)
    annotations: list[Location] = field(default_factory=list)


def find_pictures(
    folder: Location, *, recursive: bool = True, excluded: Iterable[Location] = ()
) -> FolderContents:
    """All files with a picture's suffix, except hidden ones and those in hidden folders.

    Links to folders are not followed, as they may form a loop; links to files count as files.

    Args:
        folder: where to search.
        recursive: whether to search its subfolders too.
        excluded: folders not to search, by whatever path they are reached.

    Raises:
        UnreadableError: the folder does not exist or cannot be listed.
    """
    if isinstance(folder, StoreUrl):
        return _find_in_store(folder, recursive, list(excluded))
    excluded_paths = {os.path.realpath(path) for path in excluded if isinstance(path, Path)}
    return _find_in_folder(folder, recursive, excluded_paths)


def _find_in_store(
    folder: StoreUrl, recursive: bool, excluded: Sequence[Location]
) -> FolderContents:
    """As `find_pictures`; a store has no links."""
    try:
        names = folder.files_below(recursive=recursive)
    except OSError as error:
        raise UnreadableError(f"{folder} cannot be listed: {error.strerror or error}.") from error
    if not names:
        raise UnreadableError(f"{folder} is empty, or not a folder.")
    visible = [
        url
        for url in names
        if not any(part.startswith(".") for part in relative_path(url, folder).parts)
        and not any(url.is_relative_to(other) for other in excluded)
    ]
    pictures: list[Location] = [url for url in visible if url.suffix.lower() in SUFFIXES]
    unsupported: list[Location] = [
        url for url in visible if url.suffix.lower() in UNSUPPORTED_SUFFIXES
    ]
    annotations: list[Location] = [url for url in visible if url.suffix.lower() == ANNOTATED]
    return FolderContents(
        sorted(pictures, key=attrgetter("parts")),
        unsupported=unsupported,
        annotations=sorted(annotations, key=attrgetter("parts")),
    )


def _find_in_folder(folder: Path, recursive: bool, excluded: set[str]) -> FolderContents:
    if not folder.is_dir():
        raise UnreadableError(f"{folder} is not a folder.")
    found = FolderContents()

    def cannot_list(error: OSError) -> None:
        path = Path(error.filename)
        reason = UnreadableError(f"{path} cannot be listed: {error.strerror}.")
        if path == folder:
            raise reason
        found.unreadable.append((path, reason))

    for name, subfolders, files in os.walk(folder, onerror=cannot_list):
        current = Path(name)
        _collect(current, files, found)
        subfolders[:] = _searched(current, subfolders, excluded, found) if recursive else []
    found.pictures.sort(key=attrgetter("parts"))
    found.annotations.sort(key=attrgetter("parts"))
    return found


@dataclass(frozen=True)
class GlobFilter:
    """Selects photos: those that match a glob of `include`, if there is one, and none of `exclude`.

    A glob without a slash is compared with the photo's name and with the name of each folder above
    it, one with a slash with the whole relative path. `*` matches slashes too. Case is ignored.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __call__(self, path: PurePath) -> bool:
        """Whether the photo at a relative path is selected."""
        return (not self.include or _matches(path, self.include)) and self.may_contain(path)

    def may_contain(self, folder: PurePath) -> bool:
        """Whether a folder may hold selected photos: no glob of `exclude` matches its path."""
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


def _collect(folder: Path, names: list[str], found: FolderContents) -> None:
    """Add the files of one folder to what was found."""
    for name in names:
        path = folder / name
        suffix = path.suffix.lower()
        if name.startswith("."):
            continue
        if suffix == ANNOTATED and path.is_file():
            found.annotations.append(path)
        if suffix not in SUFFIXES | UNSUPPORTED_SUFFIXES:
            continue
        if path.is_file():
            (found.pictures if suffix in SUFFIXES else found.unsupported).append(path)
        elif path.is_symlink() and suffix in SUFFIXES:
            reason = UnreadableError(f"{path} is a link to a file that does not exist.")
            found.unreadable.append((path, reason))


def _searched(
    folder: Path, names: list[str], excluded: set[str], found: FolderContents
) -> list[str]:
    """The subfolders to search, sorted; links are added to what was found instead."""
    searched = []
    for name in sorted(names):
        path = folder / name
        if name.startswith(".") or os.path.realpath(path) in excluded:
            continue
        if path.is_symlink():
            found.links.append(path)
        else:
            searched.append(name)
    return searched


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where they are missing.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be created: {error.strerror}.") from error
