"""A `Location` is a file of this machine or a URL in a remote store; what both can do alike.

Plans and journals hold either. To be read, a file in a store is first downloaded (`local_copy`,
`fetch_into`); to be written, it is uploaded whole (`publish`). A `file://` URL names a local file.
"""

import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from urllib.request import url2pathname

from inpaintcli.errors import OutputError, UnreadableError, UsageError
from inpaintcli.imaging.images import already_exists, write_bytes
from inpaintcli.storage.stores import FileInfo, StoreUrl

TEMPORARY_PREFIX = "inpaintcli-"
"""The names of temporary folders with downloaded files begin with this."""
PARALLEL_REQUESTS = 16
_LONGEST_NAME = 200
"""Bytes of a downloaded file's name; file systems take 255."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")  # two letters at least: C:// is a drive

Location = Path | StoreUrl


def parse_location(text: str) -> Location:
    """The file or URL that a text names.

    Raises:
        UsageError: it is a chain of URLs (`zip://a.png::s3://...`), which is not supported.
    """
    if not _URL.match(text):
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme.lower() in ("file", "local"):
        return Path(url2pathname(rest))
    if "::" in text:
        raise UsageError(f"{text} is a chain of URLs, which is not supported.")
    return StoreUrl(f"{scheme}://{rest.rstrip('/')}")


def resolve_in(folder: Location, text: str) -> Location:
    """What `text`, written in a file of that folder, names: absolute, a URL, or relative to it.

    A file of this machine is found, too, where its name has umlauts as two characters and the text
    has them as one, or the other way round.
    """
    location = _joined(folder, text)
    if text.isascii() or not isinstance(location, Path) or location.exists():
        return location
    spellings = (_joined(folder, unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))
    return next((other for other in spellings if other.exists()), location)


def _joined(folder: Location, text: str) -> Location:
    if _URL.match(text) or PurePath(text).is_absolute():
        return parse_location(text)
    return folder / text


def relative_path(inner: Location, folder: Location) -> PurePath:
    """The path of `inner` relative to the folder that it is in.

    Raises:
        ValueError: it is not in that folder.
    """
    if isinstance(inner, StoreUrl) and isinstance(folder, StoreUrl):
        if inner.is_relative_to(folder):
            return inner.path.relative_to(folder.path)
    elif isinstance(inner, Path) and isinstance(folder, Path):
        return inner.relative_to(folder)
    raise ValueError(f"{inner} is not in {folder}")


def is_same_file(one: Location, other: Location) -> bool:
    """Whether two locations name one file, also through links; False where one does not exist."""
    if isinstance(one, Path) and isinstance(other, Path):
        try:
            return one.samefile(other)
        except OSError:
            return False
    return one == other


def is_same_location(one: Location, other: Location) -> bool:
    """Whether two locations are the same, whether or not anything exists there."""
    if isinstance(one, Path) and isinstance(other, Path):
        return one.resolve() == other.resolve()
    return one == other


def with_file_info(locations: Iterable[Location]) -> list[Location]:
    """The same locations, each URL with what its store says of it; many are asked at a time."""
    found = list(locations)
    urls = {one for one in found if isinstance(one, StoreUrl)}
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        asked = pool.map(lambda url: replace(url, listed=url.file_info()), urls)
        informed = {url: url for url in asked}
    return [informed[one] if isinstance(one, StoreUrl) else one for one in found]


def locations_in(folder: Location) -> Callable[[PurePath], Location]:
    """A function from relative paths to locations in a folder; a store is listed once for all."""
    if isinstance(folder, Path):
        return folder.joinpath
    listed = {url: url for url in folder.files_below()}

    def location(relative: PurePath) -> Location:
        url = folder / relative
        return listed.get(url, replace(url, listed=FileInfo()))

    return location


def local_path(location: Location) -> Path:
    """The path, for callers that work with files of this machine only.

    Raises:
        TypeError: the location is in a store.
    """
    if isinstance(location, Path):
        return location
    raise TypeError(f"{location} is not a file of this machine")


@contextmanager
def local_copy(source: Location) -> Iterator[Path]:
    """A local file with that content: the file itself, or a download that is removed afterwards.

    Raises:
        UnreadableError: it cannot be downloaded.
    """
    if isinstance(source, Path):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        yield fetch_into(Path(folder), "copy", source)


def fetch_into(folder: Path, subfolder: str, source: Location) -> Path:
    """A local file with that content: the file itself, or a download to `folder/subfolder`.

    Raises:
        UnreadableError: it cannot be downloaded.
    """
    if isinstance(source, Path):
        return source
    # Messages show the file's own name; it is replaced only where no local file can have it.
    is_short = len(os.fsencode(source.name)) < _LONGEST_NAME
    target = folder / subfolder / (source.name if is_short else f"photo{source.suffix[:20]}")
    try:
        target.parent.mkdir()
        source.fetch(target)
    except FileNotFoundError as error:
        raise UnreadableError(f"{source} does not exist.") from error
    except OSError as error:
        raise UnreadableError(f"{source} cannot be read: {_reason(error)}.") from error
    return target


def publish(data: bytes, target: Location, *, overwrite: bool, temporary: str) -> None:
    """Write data under a name, whole or not at all.

    Args:
        data: the file's content.
        target: where it is to appear.
        overwrite: whether an existing file is replaced.
        temporary: a file name in the same folder, under which it is written first.

    Raises:
        OutputError: the target exists and `overwrite` is false, or it cannot be written.
    """
    if isinstance(target, Path):
        write_bytes(data, target, overwrite, temporary=target.with_name(temporary))
        return
    try:
        target.put(data, overwrite=overwrite, temporary=temporary)
    except FileExistsError as error:
        raise already_exists(target) from error
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {_reason(error)}.",
            hint="Check your rights to write there, and the store's address.",
        ) from error


def free_bytes(folder: Location) -> float:
    """Bytes that are free on the folder's disk; infinite for a store."""
    return shutil.disk_usage(folder).free if isinstance(folder, Path) else float("inf")


@contextmanager
def storage_errors_reported() -> Iterator[None]:
    """While a run is planned: turns errors of disks and stores into errors for the user.

    Raises:
        UnreadableError: a disk or store does not answer.
    """
    try:
        yield
    except OSError as error:
        name = error.filename or "The store"
        raise UnreadableError(f"{name} cannot be accessed: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
