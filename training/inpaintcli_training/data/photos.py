"""Photos to train on: where their bytes lie, and how they are decoded. Nothing random in here."""

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
class Member:
    """Where the bytes of one photo lie: a whole file, or a stretch of a tar shard."""

    path: Path
    offset: int = 0
    size: int = -1
    name: str = ""  # inside the shard

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.name else str(self.path)

    def read(self) -> bytes:
        """The encoded photo."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


class Photos:
    """The photos of folders, tar shards, lists and single files, in the order of their names.

    Decoded photos are kept in memory up to `cache_bytes`. A photo that cannot be decoded is
    left out of the draw, counted in `unreadable` and named once in the log.
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
        self.members = [m for source in sources for m in members(source, masks=masks)]
        if not self.members:
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
        return len(self.members)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is decoded: another process reads for itself."""
        kept = ("sources", "members", "unreadable", "cache_bytes")
        return {name: value for name, value in self.__dict__.items() if name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cache, self._room, self._lock = {}, self.cache_bytes, threading.Lock()

    def divided(self, processes: int) -> Self:
        """The same photos for one of so many processes: it keeps its share of the memory."""
        part = copy(self)
        part.__setstate__({"cache_bytes": self.cache_bytes // processes})
        return part

    def get(self, index: int) -> Rgb:
        """The photo as uint8 RGB (h, w, 3); the next readable one where `index` is not.

        Raises:
            UnreadableError: none of the photos can be read.
        """
        for step in range(len(self)):
            photo = self._read((index + step) % len(self))
            if photo is not None:
                return photo
        raise UnreadableError("None of the training photos can be decoded.")

    def leave_out(self, indices: Iterable[int]) -> None:
        """Count photos as unreadable, also those that another process met, and name the new."""
        for index in sorted(set(indices) - self.unreadable):
            self.unreadable.add(index)
            _log.warning("left out, cannot be decoded: %s", self.members[index])

    def _read(self, index: int) -> Rgb | None:
        if index in self.unreadable:
            return None
        if index in self._cache:
            return self._cache[index]
        rgb = decoded(self.members[index])
        if rgb is None:
            self.leave_out([index])
            return None
        with self._lock:
            if self._room >= rgb.nbytes:
                self._cache[index] = rgb
                self._room -= rgb.nbytes
        return rgb


def decoded(member: Member) -> Rgb | None:
    """The photo upright, as uint8 RGB (h, w, 3); None where that is not possible."""
    try:
        encoded = np.frombuffer(member.read(), np.uint8)
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except (OSError, cv2.error):
        return None
    return None if bgr is None else np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)


def members(source: Path, *, masks: bool) -> Iterator[Member]:
    """The photos of a folder, a tar, a list or a single file; masks only where they are wanted.

    Raises:
        UnreadableError: it does not exist, or cannot be read.
    """
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() == ".tar":
                yield from members(path, masks=masks)
            elif _is_wanted(path, masks=masks) and path.is_file():
                yield Member(path)
    elif not source.is_file():
        hint = "--data takes folders, tar files, lists of paths (.txt, .csv) and photos."
        raise UnreadableError(f"{source} does not exist.", hint=hint)
    elif source.suffix.lower() == ".tar":
        yield from _shard(source, masks=masks)
    elif source.suffix.lower() in LISTS:
        yield from _listed(source, masks=masks)
    else:
        yield Member(source)


def _is_wanted(path: Path, *, masks: bool) -> bool:
    """Whether the name is a photo's; masks that lie beside photos are called NAME.mask.EXT."""
    is_mask = path.stem.endswith((".mask", "_mask"))
    return path.suffix.lower() in SUFFIXES and (masks or not is_mask)


def _shard(source: Path, *, masks: bool) -> Iterator[Member]:
    """The photos of a tar; compressed ones are refused, for they cannot be read at random."""
    try:
        with tarfile.open(source, "r:") as tar:
            for info in tar:
                if info.isfile() and _is_wanted(Path(info.name), masks=masks):
                    yield Member(source, info.offset_data, info.size, info.name)
    except (tarfile.TarError, OSError) as error:
        hint = "Shards are uncompressed tar files."
        raise UnreadableError(f"{source} cannot be read as tar: {error}.", hint=hint) from error


def _listed(source: Path, *, masks: bool) -> Iterator[Member]:
    """What a list names, relative to the list; a photo that is missing is met when it is read."""
    for line in _lines(source):
        path = source.parent / line
        if path.suffix.lower() in SUFFIXES:
            yield Member(path)
        elif path.suffix.lower() in LISTS:
            raise UsageError(f"{source} names another list: {line}.", hint="Name photos instead.")
        else:
            yield from members(path, masks=masks)


def _lines(source: Path) -> list[str]:
    """The paths of a list.

    In a .txt one a line, in a .csv the column `path` or `file`, or the first where the first row
    has neither; empty lines and those that begin with # are left out.

    Raises:
        UnreadableError: it is no text in UTF-8.
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
