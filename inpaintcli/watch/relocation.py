"""Moving and removing inputs so that no other file than the one that was filled is lost.

A file is first renamed into a hidden folder beside it, where no other program replaces it. If its
content is then not the one that was filled, it gets its name back. What a killed run leaves in such
a folder gets its name back at the next start.
"""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inpaintcli.batch.fingerprints import digest_of
from inpaintcli.errors import OutputError
from inpaintcli.imaging.images import already_exists, temporary_name
from inpaintcli.imaging.renaming import rename_new

HIDDEN_FOLDER = ".inpaintcli-moving-"
"""How the names of the hidden folders begin."""


@contextmanager
def taken(path: Path, sha256: str | None) -> Iterator[Path]:
    """Take a file away from its name, for the block to move it; it gets its name back on an error.

    Args:
        path: the file.
        sha256: the content that it must have; None for any.

    Raises:
        OutputError: it cannot be renamed, or has another content; it has its name again.
    """
    folder = path.with_name(f"{HIDDEN_FOLDER}{temporary_name().strip('.')}")
    private = folder / path.name
    try:
        folder.mkdir()
        path.rename(private)
    except OSError as error:
        _remove_folder(folder)
        raise OutputError(f"{path} cannot be moved: {error.strerror}.", hint="It stays.") from error
    try:
        if sha256 is not None and _sha256(private) != sha256:
            raise OutputError(f"{path} was replaced after it was filled.", hint="It stays.")
        yield private
    finally:
        if os.path.lexists(private):
            _put_back(private)
        _remove_folder(folder)


def relocate(private: Path, target: Path) -> None:
    """Move a file that is taken, never replacing an existing one; its mode and owner are kept.

    Of a link the target is copied, and only the link removed.

    Raises:
        OutputError: it cannot be moved.
    """
    try:
        is_link = private.is_symlink()
        if is_link or not (_linked(private, target) or _renamed(private, target)):
            _copy(_content_of(private), target)
        private.unlink(missing_ok=True)
    except FileExistsError as error:
        raise already_exists(target) from error
    except OSError as error:
        raise OutputError(f"It cannot be moved to {target}: {error.strerror}.") from error


def restore_interrupted(folders: Iterable[Path]) -> None:
    """Give what a killed run had taken its name back, in folders and their subfolders."""
    for folder in folders:
        for current, names, _ in os.walk(folder):
            for name in [name for name in names if name.startswith(HIDDEN_FOLDER)]:
                names.remove(name)
                hidden = Path(current, name)
                for private in list(hidden.iterdir()):
                    _put_back(private)
                _remove_folder(hidden)


def _put_back(private: Path) -> None:
    """Rename to the old name, or to one with a number where that is taken meanwhile."""
    name, number = private.parent.with_name(private.name), 2
    with suppress(OSError):
        while not _has_new_name(private, name):
            name = private.parent.with_name(f"{private.stem}-{number}{private.suffix}")
            number += 1


def _has_new_name(private: Path, name: Path) -> bool:
    try:
        rename_new(private, name)
    except FileExistsError:
        return False
    return True


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _content_of(private: Path) -> Path:
    """Where the content is: a link may be relative to the folder that it was in."""
    if private.is_symlink():
        return private.parent.parent / private.readlink()
    return private


def _sha256(private: Path) -> str | None:
    try:
        return digest_of(_content_of(private)).sha256
    except OSError:
        return None


def _linked(source: Path, target: Path) -> bool:
    """Whether the file could be given a second name: impossible across disks, and on some."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _renamed(source: Path, target: Path) -> bool:
    """Whether the file could be renamed: impossible across disks."""
    try:
        rename_new(source, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a file with its mode, times and owner; nobody else can read it before it has them."""
    temporary = target.with_name(temporary_name())
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | 0o200)
        with os.fdopen(descriptor, "wb") as new, source.open("rb") as old:
            shutil.copyfileobj(old, new)
            new.flush()
            os.fsync(new.fileno())
        _copy_status(source, temporary)
        if not _linked(temporary, target) and not _renamed(temporary, target):
            raise OSError(0, "the folder takes no file of that name")
    finally:
        temporary.unlink(missing_ok=True)


def _copy_status(source: Path, target: Path) -> None:
    found = source.stat()
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root may give a file away
            os.chown(target, found.st_uid, found.st_gid)
    with suppress(OSError):  # not every disk has modes
        shutil.copystat(source, target)
