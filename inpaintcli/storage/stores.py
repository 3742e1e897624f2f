"""Names in a store: whatever fsspec knows (S3, Google Cloud Storage, Azure, SFTP, ...).

A Url has those of Path's methods that a plan and a journal need, and raises the same errors. fsspec
is imported only where one is asked something.
"""

import errno
import os
import posixpath
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Self

from inpaintcli.errors import UsageError

REFUSING = frozenset({"gcs", "gs", "memory", "s3", "s3a"})
"""Stores that refuse by themselves to replace, in the request that writes."""
RENAMING = frozenset(
    {"arrow_hdfs", "dbfs", "ftp", "hdfs", "sftp", "smb", "ssh", "webdav", "webhdfs"}
)
"""Stores of files in folders, where a file grows while it is written, and can be renamed."""
PACKAGES = {
    **dict.fromkeys(("http", "https"), "aiohttp requests"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
}
"""What fsspec needs besides itself, for the stores that are asked for most."""
TAGS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "mtime",
    "LastModified",
    "last_modified",
    "modified",
    "created",
)
"""What stores call that which changes with the content, best first."""
UNSURE_S = 3.0
"""Within so many seconds a clock of whole seconds may hide a change."""


@dataclass(frozen=True)
class Facts:
    """What a store says of a name: `size` in bytes, None where there is no file; `tag` as TAGS."""

    size: int | None = None
    tag: str = ""


@dataclass(frozen=True)
class Url:
    """A name in a store. `known`: what the store said of it when it was last listed.

    Methods that ask the store raise OSError where it does not answer, and UsageError where this
    machine has no package that speaks to it.
    """

    text: str
    known: Facts | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    @property
    def scheme(self) -> str:
        """What stands before ://, in small letters."""
        return self.text.partition("://")[0].lower()

    @property
    def path(self) -> PurePosixPath:
        """What stands behind ://."""
        return PurePosixPath(self.text.partition("://")[2])

    @property
    def name(self) -> str:
        """As Path's."""
        return self.path.name

    @property
    def stem(self) -> str:
        """As Path's."""
        return self.path.stem

    @property
    def parts(self) -> tuple[str, ...]:
        """As Path's."""
        return self.path.parts

    @property
    def suffix(self) -> str:
        """As Path's."""
        return self.path.suffix

    @property
    def parent(self) -> Self:
        """As Path's."""
        return self._at(self.path.parent.as_posix())

    def with_name(self, name: str) -> Self:
        """As Path's."""
        return self._at(self.path.with_name(name).as_posix())

    def __truediv__(self, other: str | PurePath) -> Self:
        """As Path's; `..` leads up."""
        parts = PurePath(other).as_posix()
        return self._at(posixpath.normpath(f"{self.path}/{parts}"))

    def _at(self, path: str) -> Self:
        return replace(self, text=f"{self.text.partition('://')[0]}://{path}", known=None)

    def is_relative_to(self, other: "Url | Path") -> bool:
        """As Path's."""
        if not isinstance(other, Url) or other.scheme != self.scheme:
            return False
        return self.path.is_relative_to(other.path)

    def exists(self) -> bool:
        """Whether there is a file of that name; a folder where it was not listed."""
        if self.known is not None:
            return self.known.size is not None
        with _asking(self) as (store, path):
            return bool(store.exists(path))

    def is_file(self) -> bool:
        """As Path's."""
        return self.facts().size is not None

    def is_dir(self) -> bool:
        """Whether something lies below that name."""
        if self.known is not None:
            return False
        with _asking(self) as (store, path):
            return bool(store.isdir(path))

    def facts(self) -> Facts:
        """What was known, or what the store says now."""
        if self.known is not None:
            return self.known
        with _asking(self) as (store, path):
            try:
                return _facts(store.info(path))
            except FileNotFoundError:
                return Facts()

    def fetch(self, target: Path) -> None:
        """Copy it into a file.

        Raises:
            OSError: it is not there, or does not come.
        """
        with _asking(self) as (store, path):
            store.get_file(path, str(target))

    def put(self, data: bytes, *, overwrite: bool, temporary: str) -> None:
        """Put data under this name: whole or not at all.

        Where the store holds objects, one request does it; S3 and Google Cloud also refuse by
        themselves to replace. Other stores are asked before whether the name is free. Where a
        store has files in folders, it is written under the name `temporary` and renamed.

        Raises:
            FileExistsError: the name is taken, and `overwrite` is false.
            OSError: it cannot be done.
        """
        with _asking(self) as (store, path):
            if not overwrite and self.scheme in REFUSING:
                store.pipe_file(path, data, mode="create")
                return
            if not overwrite and store.exists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            if self.scheme not in RENAMING:
                store.pipe_file(path, data)
                return
            begun = posixpath.join(posixpath.dirname(path), temporary)
            _make_folder(store, posixpath.dirname(path))
            try:
                store.pipe_file(begun, data)
                _rename(store, begun, path)
            except BaseException:
                with suppress(Exception):  # whatever a client calls a file that is not there
                    store.rm_file(begun)
                raise

    def unlink(self) -> None:
        """As Path's."""
        with _asking(self) as (store, path):
            store.rm_file(path)

    def below(self, *, recursive: bool = True) -> "list[Url]":
        """All files below, as the store lists them now."""
        with _asking(self) as (store, path):
            store.invalidate_cache()
            depth = None if recursive else 1
            try:
                found = store.find(path, maxdepth=depth, detail=True)
            except FileNotFoundError:
                return []
        start = len(path.strip("/"))
        named = ((name.strip("/")[start:].lstrip("/"), info) for name, info in found.items())
        return [replace(self / name, known=_facts(info)) for name, info in named if name]


def _rename(store: Any, begun: str, path: str) -> None:
    """Give a whole file its name; not every server renames onto what is there."""
    if store.exists(path):
        store.rm_file(path)
    store.mv(begun, path)


def _make_folder(store: Any, path: str) -> None:
    """Make a folder and those above it; others may be making them at the same time."""
    for _ in PurePosixPath(path).parts:  # each try comes one folder further at least
        with suppress(Exception):
            store.makedirs(path, exist_ok=True)
            return
        store.invalidate_cache()
    store.makedirs(path, exist_ok=True)


def _facts(info: dict[str, Any]) -> Facts:
    if info.get("type") != "file":
        return Facts()
    found = next((info[tag] for tag in TAGS if info.get(tag)), "")
    found = found.timestamp() if hasattr(found, "timestamp") else found
    if isinstance(found, int | float) and float(found).is_integer():
        # Of a clock of whole seconds: what is younger may change once more and look the same.
        found = found if found + UNSURE_S < time.time() else ""
    return Facts(int(info.get("size") or 0), str(found))


@contextmanager
def _asking(url: Url) -> Iterator[tuple[Any, str]]:
    """The store of a URL, and the name there; what goes wrong within is an OSError.

    Raises:
        UsageError: no package here speaks to such a store.
    """
    store, path = _opened(url)
    try:
        yield store, path
    except OSError:
        raise
    except Exception as error:  # each client of a store has errors of its own
        message = f"{type(error).__name__}: {error}"
        raise OSError(errno.EIO, message, url.text) from error


def _opened(url: Url) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise _missing(url, "fsspec", "'inpaintcli[remote]'", error) from error
    try:
        store, path = url_to_fs(url.text)
    except ImportError as error:
        package = PACKAGES.get(url.scheme, "")
        raise _missing(url, package or str(error), package, error) from error
    except Exception as error:
        raise UsageError(f"{url} cannot be opened: {error}.") from error
    return store, path


def _missing(url: Url, what: str, package: str, error: ImportError) -> UsageError:
    hint = f"pip install {package}" if package else str(error)
    return UsageError(f"{url.scheme}:// needs a package that is missing: {what}.", hint=hint)
