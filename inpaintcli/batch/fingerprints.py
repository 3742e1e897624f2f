"""What an output was made of: hashes of contents, by which a later run knows what has changed.

A file is read again only where its size or times differ from what was noted (as git does for its
index: Documentation/technical/racy-git.txt); in a store, where the store says that it is another.
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

SETTLED_NS = 2_000_000_000
"""A file changed less long ago may change again within one tick of its clock (FAT: 2 s)."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size and times of a file: while they stay, so does its content.

    `changed_ns` (on Unix the time of the last change of content, rights or names) moves even
    where a program puts the time of modification back. In a store there are no such times, but a
    `tag` that changes with the content.
    """

    size: int
    modified_ns: int
    changed_ns: int
    tag: str = ""

    @classmethod
    def of(cls, place: Location) -> Self:
        """The stamp of a file.

        Raises:
            OSError: it cannot be had.
        """
        if isinstance(place, StoreUrl):
            info = place.file_info()
            if info.size is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
            return cls(info.size, 0, 0, info.version)
        status = place.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_settled(self, now_ns: int) -> bool:
        """Whether a change after `now_ns` is sure to show in the stamp."""
        if not self.modified_ns:
            return bool(self.tag)
        return max(self.modified_ns, self.changed_ns) + SETTLED_NS < now_ns


@dataclass(frozen=True, slots=True)
class Digest:
    """A file's content: its sha256, and the stamp by which to know it again, where one is sure."""

    sha256: str
    stamp: Stamp | None = None

    def still_of(self, place: Location) -> bool:
        """Whether the file holds that content still; it is read only where its stamp differs.

        Raises:
            OSError: it cannot be read.
        """
        found = Stamp.of(place)
        return found == self.stamp or digest_of(place).sha256 == self.sha256


@dataclass(frozen=True, slots=True)
class JobFingerprint:
    """All that the pixels of an output depend on.

    `mask` is None where the photo's own transparency is the hole. `model` is the sha256 of the
    model's file, `options` those that change pixels, as JSON holds them.
    """

    photo: Digest
    mask: Digest | None
    model: str
    options: dict[str, Any]

    def changed(
        self, photo: Location, mask: Location | None, model: str, options: dict[str, Any]
    ) -> str:
        """In words, what is no longer as it was; empty where the same output would come out.

        Raises:
            OSError: photo or mask cannot be read.
        """
        if not self.photo.still_of(photo):
            return "the photo"
        if (self.mask is None) != (mask is None):
            return "the mask"
        if self.mask is not None and mask is not None and not self.mask.still_of(mask):
            return "the mask"
        if self.model != model:
            return "the model"
        return "an option" if self.options != options else ""


@dataclass(frozen=True, kw_only=True)
class RunFingerprint:
    """What all outputs of a run are made with: a part of every key.

    `model` is the sha256 of the model's file, `options` those that change pixels.
    """

    model: str
    options: dict[str, Any]

    def key_of(
        self, photo: Location, mask: Location | None, copies: tuple[Path | None, Path | None]
    ) -> JobFingerprint:
        """As the function `key_of`."""
        return key_of(photo, mask, self.model, self.options, copies=copies)


def key_of(
    photo: Location,
    mask: Location | None,
    model: str,
    options: dict[str, Any],
    *,
    copies: tuple[Path | None, Path | None] = (None, None),
) -> JobFingerprint:
    """The key of the output that would be made now.

    Args:
        photo: the photo.
        mask: its mask, or None.
        model: as in a JobFingerprint.
        options: as in a JobFingerprint.
        copies: of photo and mask, as for `digest_of`.

    Raises:
        OSError: photo or mask cannot be read.
    """
    of_mask = digest_of(mask, copies[1]) if mask else None
    return JobFingerprint(digest_of(photo, copies[0]), of_mask, model, options)


def digest_of(place: Location, copy: Path | None = None) -> Digest:
    """The content of a file, as it is now.

    Args:
        place: the file.
        copy: where its content lies at hand, if it is in a store; None fetches it.

    Raises:
        OSError: it cannot be read.
    """
    stamp, now_ns = Stamp.of(place), time.time_ns()
    sure = stamp if stamp.is_settled(now_ns) else None
    if isinstance(place, StoreUrl):
        return Digest(_sha256_in_store(place) if copy is None else _sha256(copy), sure)
    return Digest(_sha256(place) if sure is None else _remembered(place, sure), sure)


def content_of(photo: Path, mask: Path | None) -> str:
    """What both hold, as one text: equal where both are.

    Raises:
        OSError: one of them cannot be read.
    """
    return ",".join(digest_of(path).sha256 for path in (photo, mask) if path is not None)


def digest_of_bytes(data: bytes) -> str:
    """The sha256 of `data` as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=256)
def _remembered(path: Path, _stamp: Stamp) -> str:
    """The last few files by name and stamp: one mask may serve a hundred thousand photos."""
    return _sha256(path)


def _sha256_in_store(url: StoreUrl) -> str:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        copy = Path(folder) / "copy"
        url.fetch(copy)
        return _sha256(copy)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
