"""Where photos, masks and outputs lie: files on this machine, or names in a store.

Plans and journals take either; the pictures themselves are fetched into local files (`held`,
`fetched`) and put back whole (`publish`). `file://` is not a store: it names a file.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from urllib.request import url2pathname

from inpaintcli.errors import OutputError, UnreadableError, UsageError
from inpaintcli.imaging.images import taken, write_bytes
from inpaintcli.storage.stores import Facts, Url

SPOOL = "inpaintcli-"
"""How the temporary folders of fetched files begin."""
AT_ONCE = 16
"""Questions to a store at a time."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")  # two letters at least: C:// is a drive

Place = Path | Url


def place(text: str) -> Place:
    """The file or URL that a text names.

    Raises:
        UsageError: it is a chain of URLs.
    """
    if not _URL.match(text):
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme.lower() in ("file", "local"):
        return Path(url2pathname(rest))
    if "::" in text:
        raise UsageError(f"{text} is a chain of URLs, which is not supported.")
    return Url(f"{scheme}://{rest.rstrip('/')}")


def joined(folder: Place, text: str) -> Place:
    """What a text in a file of that folder names: absolute, a URL, or relative to the folder."""
    if _URL.match(text) or PurePath(text).is_absolute():
        return place(text)
    return folder / text


def relative(inner: Place, folder: Place) -> PurePath:
    """The way from a folder to what is in it.

    Raises:
        ValueError: it is not in there.
    """
    if isinstance(inner, Url) and isinstance(folder, Url) and inner.is_relative_to(folder):
        return inner.path.relative_to(folder.path)
    if isinstance(inner, Path) and isinstance(folder, Path):
        return inner.relative_to(folder)
    raise ValueError(f"{inner} is not in {folder}")


def is_one(one: Place, other: Place) -> bool:
    """Whether two names are of one file; False where neither is there."""
    if isinstance(one, Path) and isinstance(other, Path):
        try:
            return one.samefile(other)
        except OSError:
            return False
    return one == other


def is_one_place(one: Place, other: Place) -> bool:
    """Whether two names are of one place, there or not."""
    if isinstance(one, Path) and isinstance(other, Path):
        return one.resolve() == other.resolve()
    return one == other


def looked_up(places: Iterable[Place]) -> list[Place]:
    """The same places; the store is asked for each Url, for many at a time."""
    found = list(places)
    urls = {one for one in found if isinstance(one, Url)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        known = {url: url for url in pool.map(lambda url: replace(url, known=url.facts()), urls)}
    return [known[one] if isinstance(one, Url) else one for one in found]


def names_in(folder: Place) -> Callable[[PurePath], Place]:
    """Gives the place of a relative name in a folder; a store is listed once, for all of them."""
    if isinstance(folder, Path):
        return folder.joinpath
    known = {found: found for found in folder.below()}

    def named(name: PurePath) -> Place:
        found = folder / name
        return known.get(found, replace(found, known=Facts()))

    return named


def file_of(one: Place) -> Path:
    """The path of what is known to be a file.

    Raises:
        TypeError: it is in a store.
    """
    if isinstance(one, Path):
        return one
    raise TypeError(f"{one} is no file of this machine")


@contextmanager
def held(source: Place) -> Iterator[Path]:
    """A file with that content: itself, or a copy for a while.

    Raises:
        UnreadableError: the store does not give it.
    """
    if isinstance(source, Path):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix=SPOOL) as folder:
        yield fetched(source, Path(folder), "copy")


def fetched(source: Place, folder: Path, name: str) -> Path:
    """A file with that content: itself, or a copy below `folder`.

    Raises:
        UnreadableError: the store does not give it.
    """
    if isinstance(source, Path):
        return source
    # Its own name, which messages tell; without it where no file can have that name.
    own = source.name if len(os.fsencode(source.name)) < 200 else f"photo{source.suffix[:20]}"
    target = folder / name / own
    try:
        target.parent.mkdir()
        source.fetch(target)
    except FileNotFoundError as error:
        raise UnreadableError(f"{source} does not exist.") from error
    except OSError as error:
        raise UnreadableError(f"{source} cannot be read: {_reason(error)}.") from error
    return target


def publish(data: bytes, target: Place, *, overwrite: bool, temporary: str) -> None:
    """Put data under a name, whole or not at all; `temporary` is a name beside it.

    Raises:
        OutputError: it exists and `overwrite` is false, or it cannot be written.
    """
    if isinstance(target, Path):
        write_bytes(data, target, overwrite, temporary=target.with_name(temporary))
        return
    try:
        target.put(data, overwrite=overwrite, temporary=temporary)
    except FileExistsError as error:
        raise taken(target) from error
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {_reason(error)}.",
            hint="See to the rights, and to the store's address.",
        ) from error


def free_bytes(folder: Place) -> float:
    """What still fits on a disk; a store has no end."""
    return shutil.disk_usage(folder).free if isinstance(folder, Path) else float("inf")


@contextmanager
def reachable() -> Iterator[None]:
    """Tell of a disk or a store that does not answer while a run is planned.

    Raises:
        UnreadableError: it does not.
    """
    try:
        yield
    except OSError as error:
        name = error.filename or "The store"
        raise UnreadableError(f"{name} cannot be asked: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
