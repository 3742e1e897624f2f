"""What an output was made from, so that a later run finds what has changed since.

A file's content is hashed. It is read again only where its size or times are no longer those that
were recorded (as git does for its index: Documentation/technical/racy-git.txt); in a store, where
the version that the store reports is another.
"""

import errno
import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from inpaintcli.storage.locations import TEMPORARY_PREFIX, Location
from inpaintcli.storage.stores import StoreUrl

CLOCK_RESOLUTION_NS = 2_000_000_000
"""A file may change again without another time if it changed less long ago (FAT: 2 s)."""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Size and times of a file: while they are the same, so is its content.

    `changed_ns` is Unix's ctime, which moves even where a program sets the time of modification
    back. A file in a store has no times but a `version`, which changes with the content.
    """

    size: int
    modified_ns: int
    changed_ns: int
    version: str = ""

    @classmethod
    def of(cls, location: Location) -> Self:
        """The stamp of a file.

        Raises:
            OSError: the file does not exist or cannot be accessed.
        """
        if isinstance(location, StoreUrl):
            info = location.file_info()
            if info.size is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(location))
            return cls(info.size, 0, 0, info.version)
        status = location.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_reliable(self, now_ns: int) -> bool:
        """Whether every change after `now_ns` changes the stamp."""
        if not self.modified_ns:
            return bool(self.version)
        return max(self.modified_ns, self.changed_ns) + CLOCK_RESOLUTION_NS < now_ns


@dataclass(frozen=True, slots=True)
class Digest:
    """A file's content: its sha256, and the file's stamp, or None where that is not reliable."""

    sha256: str
    stamp: FileStamp | None = None

    def matches(self, location: Location) -> bool:
        """Whether the file still has that content; it is read only where its stamp differs.

        Raises:
            OSError: it cannot be read.
        """
        stamp = FileStamp.of(location)
        return stamp == self.stamp or digest_of(location).sha256 == self.sha256


@dataclass(frozen=True, slots=True)
class JobFingerprint:
    """Everything that the pixels of one output depend on.

    `mask` is that of the mask file, if there is one. `model` is the sha256 of the model's file,
    `options` are those that change pixels, as JSON values. `parts` is `MaskParts.key`: what else is
    hole.
    """

    photo: Digest
    mask: Digest | None
    model: str
    options: dict[str, Any]
    parts: str = ""

    def difference(
        self, photo: Location, mask: Location | None, run: "RunFingerprint", parts: str = ""
    ) -> str:
        """What has changed since, in words; empty where the same output would come out.

        Args:
            photo: the photo as it is now.
            mask: its mask as it is now, or None.
            run: the model and options of the present run.
            parts: what else is hole now.

        Raises:
            OSError: photo or mask cannot be read.
        """
        if not self.photo.matches(photo):
            return "the photo"
        if (self.mask is None) != (mask is None) or self.parts != parts:
            return "the mask"
        if self.mask is not None and mask is not None and not self.mask.matches(mask):
            return "the mask"
        if self.model != run.model:
            return "the model"
        return "an option" if self.options != run.options else ""


@dataclass(frozen=True, kw_only=True)
class RunFingerprint:
    """What all outputs of a run depend on, as in a JobFingerprint: the model and the options."""

    model: str
    options: dict[str, Any]

    def of_job(
        self,
        photo: Location,
        mask: Location | None,
        copies: tuple[Path | None, Path | None] = (None, None),
        parts: str = "",
    ) -> JobFingerprint:
        """The fingerprint of the output that would be made now.

        Args:
            photo: the photo.
            mask: its mask, or None.
            copies: local copies of photo and mask, as for `digest_of`.
            parts: what else is hole, as in a JobFingerprint.

        Raises:
            OSError: photo or mask cannot be read.
        """
        mask_digest = digest_of(mask, copies[1]) if mask else None
        photo_digest = digest_of(photo, copies[0])
        return JobFingerprint(photo_digest, mask_digest, self.model, self.options, parts)


def digest_of(location: Location, copy: Path | None = None) -> Digest:
    """The content of a file, as it is now.

    Args:
        location: the file.
        copy: a local copy, if the file is in a store; without one it is downloaded.

    Raises:
        OSError: it cannot be read.
    """
    stamp, now_ns = FileStamp.of(location), time.time_ns()
    reliable = stamp if stamp.is_reliable(now_ns) else None
    if isinstance(location, StoreUrl):
        return Digest(_sha256_in_store(location) if copy is None else _sha256(copy), reliable)
    return Digest(
        _sha256(location) if reliable is None else _cached_sha256(location, reliable), reliable
    )


def content_of(photo: Path, mask: Path | None) -> str:
    """A text that identifies the contents of both: the sha256 of each, separated by a comma.

    Raises:
        OSError: one of them cannot be read.
    """
    return ",".join(digest_of(path).sha256 for path in (photo, mask) if path is not None)


def digest_of_bytes(data: bytes) -> str:
    """The sha256 of `data` as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=256)
def _cached_sha256(path: Path, _stamp: FileStamp) -> str:
    """Cached by path and stamp, as one mask may serve a hundred thousand photos."""
    return _sha256(path)


def _sha256_in_store(url: StoreUrl) -> str:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        copy = Path(folder) / "copy"
        url.fetch(copy)
        return _sha256(copy)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
