"""Files in remote stores: whatever fsspec supports (S3, Google Cloud Storage, Azure, SFTP, ...).

A `StoreUrl` has the methods of `Path` that plans and journals need, and raises the same errors.
fsspec is imported when a store is first accessed.
"""

import errno
import os
import posixpath
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Self

from inpaintcli.errors import UsageError

CREATE_ONLY_STORES = frozenset({"gcs", "gs", "memory", "s3", "s3a"})
"""Schemes of stores whose write request itself can refuse to replace an existing file."""
RENAMING_STORES = frozenset(
    {"arrow_hdfs", "dbfs", "ftp", "hdfs", "sftp", "smb", "ssh", "webdav", "webhdfs"}
)
"""Schemes of file servers: a file is visible while it is written, and can be renamed."""
PACKAGES = {
    **dict.fromkeys(("http", "https"), "aiohttp requests"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
}
"""What fsspec needs besides itself, by scheme."""
VERSION_FIELDS = (
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
"""Fields in which a store describes the version of a file's content, the most reliable first."""
CLOCK_RESOLUTION_S = 3.0
"""A time in whole seconds that is more recent than this may stay the same after another change."""


@dataclass(frozen=True)
class FileInfo:
    """What a store says of a file.

    `size` is in bytes, None where there is no file; `version` changes with the content, and is
    empty where the store has no reliable information.
    """

    size: int | None = None
    version: str = ""


@dataclass(frozen=True)
class StoreUrl:
    """A name in a store. `listed`: what the store said of it when it was listed, or None.

    Methods that access the store raise OSError where it does not answer, and UsageError where the
    package for this kind of store is not installed.
    """

    text: str
    listed: FileInfo | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    @property
    def scheme(self) -> str:
        """The part before ://, in lower case."""
        return self.text.partition("://")[0].lower()

    @property
    def path(self) -> PurePosixPath:
        """The part after ://, without the empty folders that keys of object stores may have."""
        return PurePosixPath(self._rest)

    @property
    def _rest(self) -> str:
        return self.text.partition("://")[2]

    @property
    def name(self) -> str:
        """As in `Path`; without the query of a URL."""
        return PurePosixPath(self._without_query).name

    @property
    def stem(self) -> str:
        """As in `Path`."""
        return PurePosixPath(self.name).stem

    @property
    def parts(self) -> tuple[str, ...]:
        """As in `Path`."""
        return self.path.parts

    @property
    def suffix(self) -> str:
        """As in `Path`."""
        return PurePosixPath(self.name).suffix

    @property
    def _without_query(self) -> str:
        """The part after :// without what says which version is meant, or who may read it.

        A question mark may be part of a key in a store, but not of the path in a URL of the web.
        """
        rest = self._rest
        if self.scheme in ("http", "https"):
            return re.split("[?#]", rest, maxsplit=1)[0]
        return re.sub(r"[?]versionId=[^/]*$", "", rest, flags=re.IGNORECASE)

    @property
    def parent(self) -> Self:
        """As in `Path`."""
        return self._at(self._without_query.rpartition("/")[0])

    def with_name(self, name: str) -> Self:
        """As in `Path`; without a query, which is for the other file only."""
        folder, slash, _ = self._without_query.rpartition("/")
        return self._at(f"{folder}{slash}{name}")

    def __truediv__(self, other: str | PurePath) -> Self:
        """As in `Path`; `..` goes up one folder, and empty folders (`a//b`) stay."""
        text = other if isinstance(other, str) else other.as_posix()
        rest = self._rest
        for part in text.split("/"):
            if part == "..":
                rest = rest.rpartition("/")[0]
            elif part != ".":
                rest = f"{rest}/{part}" if rest else part
        return self._at(rest)

    def _at(self, rest: str) -> Self:
        return replace(self, text=f"{self.text.partition('://')[0]}://{rest}", listed=None)

    def is_relative_to(self, other: "StoreUrl | Path") -> bool:
        """As in `Path`."""
        if not isinstance(other, StoreUrl) or other.scheme != self.scheme:
            return False
        return self.path.is_relative_to(other.path)

    def exists(self) -> bool:
        """Whether there is a file; without `listed` information, also whether there is a folder."""
        if self.listed is not None:
            return self.listed.size is not None
        with _accessing(self) as (store, path):
            return bool(store.exists(path))

    def is_file(self) -> bool:
        """As in `Path`."""
        return self.file_info().size is not None

    def is_dir(self) -> bool:
        """Whether there are files below that name."""
        if self.listed is not None:
            return False
        with _accessing(self) as (store, path):
            return bool(store.isdir(path))

    def file_info(self) -> FileInfo:
        """The information from the listing, else what the store says now."""
        if self.listed is not None:
            return self.listed
        with _accessing(self) as (store, path):
            try:
                return _parsed(store.info(path))
            except FileNotFoundError:
                return FileInfo()

    def fetch(self, target: Path) -> None:
        """Download it to a local file.

        Raises:
            OSError: it does not exist, or the download fails.
        """
        with _accessing(self) as (store, path):
            store.get_file(path, str(target))

    def put(self, data: bytes, *, overwrite: bool, temporary: str) -> None:
        """Write data under this name: whole or not at all.

        An object store takes it in one request. CREATE_ONLY_STORES refuse to replace in that same
        request; for other stores, whether the name is free is asked before. On file servers the
        data is written under the name `temporary` in the same folder, and renamed.

        Raises:
            FileExistsError: a file of that name exists, and `overwrite` is false.
            OSError: the data cannot be written.
        """
        with _accessing(self) as (store, path):
            if not overwrite and self.scheme in CREATE_ONLY_STORES:
                store.pipe_file(path, data, mode="create")
                return
            if not overwrite and store.exists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            if self.scheme not in RENAMING_STORES:
                store.pipe_file(path, data)
                return
            partial = posixpath.join(posixpath.dirname(path), temporary)
            _make_folder(store, posixpath.dirname(path))
            try:
                store.pipe_file(partial, data)
                _rename(store, partial, path)
            except BaseException:
                with suppress(Exception):  # each client has its own "file not found"
                    store.rm_file(partial)
                raise

    def unlink(self) -> None:
        """As in `Path`."""
        with _accessing(self) as (store, path):
            store.rm_file(path)

    def files_below(self, *, recursive: bool = True) -> "list[StoreUrl]":
        """All files below this name, as the store lists them now."""
        with _accessing(self) as (store, path):
            store.invalidate_cache()
            depth = None if recursive else 1
            try:
                found = store.find(path, maxdepth=depth, detail=True)
            except FileNotFoundError:
                return []
        start = len(path.strip("/"))
        named = ((name.strip("/")[start:].removeprefix("/"), info) for name, info in found.items())
        folder = self._at(self._rest.rstrip("/"))
        return [replace(folder / name, listed=_parsed(info)) for name, info in named if name]


def _rename(store: Any, partial: str, path: str) -> None:
    """Rename a complete file; not every server can rename onto an existing one."""
    if store.exists(path):
        store.rm_file(path)
    store.mv(partial, path)


def _make_folder(store: Any, path: str) -> None:
    """Make a folder and its parents; other processes may be making them at the same time."""
    for _ in PurePosixPath(path).parts:  # each attempt makes at least one more folder
        with suppress(Exception):
            store.makedirs(path, exist_ok=True)
            return
        store.invalidate_cache()
    store.makedirs(path, exist_ok=True)


def _parsed(info: dict[str, Any]) -> FileInfo:
    """What fsspec says of a name."""
    if info.get("type") != "file":
        return FileInfo()
    version = next((info[name] for name in VERSION_FIELDS if info.get(name)), "")
    version = version.timestamp() if hasattr(version, "timestamp") else version
    if isinstance(version, int | float) and float(version).is_integer():
        version = version if version + CLOCK_RESOLUTION_S < time.time() else ""
    return FileInfo(int(info.get("size") or 0), str(version))


@contextmanager
def _accessing(url: StoreUrl) -> Iterator[tuple[Any, str]]:
    """The fsspec file system of a URL, and the path in it; every error within becomes an OSError.

    Raises:
        UsageError: the package for this kind of store is not installed.
    """
    store, path = _opened(url)
    try:
        yield store, path
    except OSError:
        raise
    except Exception as error:  # each store's client library has its own errors
        message = f"{type(error).__name__}: {error}"
        raise OSError(errno.EIO, message, url.text) from error


def _opened(url: StoreUrl) -> tuple[Any, str]:
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


def _missing(url: StoreUrl, what: str, package: str, error: ImportError) -> UsageError:
    hint = f"pip install {package}" if package else str(error)
    return UsageError(f"{url.scheme}:// needs a package that is not installed: {what}.", hint=hint)
