"""What an output was made of: hashes of contents, by which a later run knows what has changed.

A file is read again only where its size or times differ from what was noted (as git does for its
index: Documentation/technical/racy-git.txt).
"""

import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

SETTLED_NS = 2_000_000_000
"""A file changed less long ago may change again within one tick of its clock (FAT: 2 s)."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size and times of a file: while they stay, so does its content.

    `changed_ns` (on Unix the time of the last change of content, rights or names) moves even
    where a program puts the time of modification back.
    """

    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The stamp of a file.

        Raises:
            OSError: it cannot be had.
        """
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_settled(self, now_ns: int) -> bool:
        """Whether a change after `now_ns` is sure to show in the stamp."""
        return max(self.modified_ns, self.changed_ns) + SETTLED_NS < now_ns


@dataclass(frozen=True, slots=True)
class Digest:
    """A file's content: its sha256, and the stamp by which to know it again, where one is sure."""

    sha256: str
    stamp: Stamp | None = None

    def still_of(self, path: Path) -> bool:
        """Whether the file holds that content still; it is read only where its stamp differs.

        Raises:
            OSError: it cannot be read.
        """
        found = Stamp.of(path)
        return found == self.stamp or digest_of(path).sha256 == self.sha256


@dataclass(frozen=True, slots=True)
class Key:
    """All that the pixels of an output depend on.

    `mask` is None where the photo's own transparency is the hole. `model` is the sha256 of the
    model's file, `options` those that change pixels, as JSON holds them.
    """

    photo: Digest
    mask: Digest | None
    model: str
    options: dict[str, Any]

    def changed(self, photo: Path, mask: Path | None, model: str, options: dict[str, Any]) -> str:
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


def key_of(photo: Path, mask: Path | None, model: str, options: dict[str, Any]) -> Key:
    """The key of the output that would be made now.

    Raises:
        OSError: photo or mask cannot be read.
    """
    return Key(digest_of(photo), digest_of(mask) if mask else None, model, options)


def digest_of(path: Path) -> Digest:
    """The content of a file, as it is now.

    Raises:
        OSError: it cannot be read.
    """
    stamp, now_ns = Stamp.of(path), time.time_ns()
    if not stamp.is_settled(now_ns):
        return Digest(_sha256(path))
    return Digest(_remembered(path, stamp), stamp)


def digest_of_bytes(data: bytes) -> str:
    """The sha256 of `data` as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=256)
def _remembered(path: Path, _stamp: Stamp) -> str:
    """The last few files by name and stamp: one mask may serve a hundred thousand photos."""
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
