"""Photos to train on: found in folders, tars and lists, decoded and cached."""

import csv
import logging
import tarfile
import threading
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import UnreadableError, UsageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
LISTS = frozenset({".txt", ".csv"})
Rgb = NDArray[np.uint8]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhotoEntry:
    """Where the bytes of one photo are: a whole file, or a member of a tar."""

    path: Path
    offset: int = 0
    size: int = -1
    name: str = ""  # inside the tar

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.name else str(self.path)

    def read(self) -> bytes:
        """The encoded photo."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


class Photos:
    """The photos of folders, tar shards, lists and single files, in the order of their names.

    Decoded photos are cached in memory up to `cache_bytes`. A photo that cannot be decoded is left
    out, counted in `unreadable` and named once in the log.
    """

    def __init__(
        self, sources: list[Path], *, masks: bool = False, cache_bytes: int = 4 << 30
    ) -> None:
        """Index the members of all sources; masks, NAME.mask.EXT, only where they are wanted.

        Raises:
            UnreadableError: a source does not exist.
            UsageError: there is no photo in any of them.
        """
        self.sources = sources
        self.entries = [m for source in sources for m in list_photos(source, masks=masks)]
        if not self.entries:
            raise UsageError(
                f"No photo in {', '.join(map(str, sources))}.",
                hint=f"Name folders or tar files with {', '.join(sorted(SUFFIXES))} in them.",
            )
        self.unreadable: set[int] = set()
        self.cache_bytes = cache_bytes
        self._cache: dict[int, Rgb] = {}
        self._room = cache_bytes  # bytes left in the cache
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.entries)

    def __getstate__(self) -> dict[str, Any]:
        """Without the cache: another process decodes for itself."""
        pickled = ("sources", "entries", "unreadable", "cache_bytes")
        return {name: value for name, value in self.__dict__.items() if name in pickled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cache, self._room, self._lock = {}, self.cache_bytes, threading.Lock()

    def divided(self, processes: int) -> Self:
        """The same photos for one of so many processes, with its share of the cache."""
        part = copy(self)
        part.__setstate__({"cache_bytes": self.cache_bytes // processes})
        return part

    def get(self, index: int) -> Rgb:
        """The photo as uint8 RGB (h, w, 3); the next readable one if it cannot be decoded.

        Raises:
            UnreadableError: none of the photos can be read.
        """
        for step in range(len(self)):
            photo = self._read((index + step) % len(self))
            if photo is not None:
                return photo
        raise UnreadableError("None of the training photos can be decoded.")

    def leave_out(self, indices: Iterable[int]) -> None:
        """Count photos as unreadable, including those that another process found; log new ones."""
        for index in sorted(set(indices) - self.unreadable):
            self.unreadable.add(index)
            _log.warning("left out, cannot be decoded: %s", self.entries[index])

    def _read(self, index: int) -> Rgb | None:
        if index in self.unreadable:
            return None
        if index in self._cache:
            return self._cache[index]
        rgb = decode_photo(self.entries[index])
        if rgb is None:
            self.leave_out([index])
            return None
        with self._lock:
            if self._room >= rgb.nbytes:
                self._cache[index] = rgb
                self._room -= rgb.nbytes
        return rgb


def decode_photo(entry: PhotoEntry) -> Rgb | None:
    """The photo, upright by its EXIF, as uint8 RGB (h, w, 3); None if it cannot be decoded."""
    try:
        encoded = np.frombuffer(entry.read(), np.uint8)
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except (OSError, cv2.error):
        return None
    return None if bgr is None else np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)


def list_photos(source: Path, *, masks: bool) -> Iterator[PhotoEntry]:
    """The photos of a folder, a tar, a list or a single file; masks only with `masks`.

    Raises:
        UnreadableError: it does not exist, or cannot be read.
    """
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() == ".tar":
                yield from list_photos(path, masks=masks)
            elif _is_wanted(path, masks=masks) and path.is_file():
                yield PhotoEntry(path)
    elif not source.is_file():
        hint = "--data takes folders, tar files, lists of paths (.txt, .csv) and photos."
        raise UnreadableError(f"{source} does not exist.", hint=hint)
    elif source.suffix.lower() == ".tar":
        yield from _photos_of_tar(source, masks=masks)
    elif source.suffix.lower() in LISTS:
        yield from _photos_of_list(source, masks=masks)
    else:
        yield PhotoEntry(source)


def _is_wanted(path: Path, *, masks: bool) -> bool:
    """Whether it is the name of a photo; masks beside photos are called NAME.mask.EXT."""
    is_mask = path.stem.endswith((".mask", "_mask"))
    return path.suffix.lower() in SUFFIXES and (masks or not is_mask)


def _photos_of_tar(source: Path, *, masks: bool) -> Iterator[PhotoEntry]:
    """The photos of a tar; a compressed tar is refused, as it allows no random access."""
    try:
        with tarfile.open(source, "r:") as tar:
            for info in tar:
                if info.isfile() and _is_wanted(Path(info.name), masks=masks):
                    yield PhotoEntry(source, info.offset_data, info.size, info.name)
    except (tarfile.TarError, OSError) as error:
        hint = "Shards are uncompressed tar files."
        raise UnreadableError(f"{source} cannot be read as tar: {error}.", hint=hint) from error


def _photos_of_list(source: Path, *, masks: bool) -> Iterator[PhotoEntry]:
    """The photos that a list names, relative to it; whether they exist shows when they are read."""
    for line in _lines(source):
        path = source.parent / line
        if path.suffix.lower() in SUFFIXES:
            yield PhotoEntry(path)
        elif path.suffix.lower() in LISTS:
            raise UsageError(f"{source} names another list: {line}.", hint="Name photos instead.")
        else:
            yield from list_photos(path, masks=masks)


def _lines(source: Path) -> list[str]:
    """The paths of a list.

    In a .txt one a line; in a .csv the column `path` or `file`, or the first column if there is no
    such header. Empty lines and those that begin with # are left out.

    Raises:
        UnreadableError: it is not UTF-8 text.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{source} cannot be read as a list: {error}.") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if source.suffix.lower() == ".txt" or not lines:
        return lines
    head, *rows = csv.reader(lines)
    column = next((head.index(name) for name in ("path", "file") if name in head), None)
    if column is None:
        column, rows = 0, [head, *rows]
    return [row[column].strip() for row in rows if len(row) > column and row[column].strip()]
