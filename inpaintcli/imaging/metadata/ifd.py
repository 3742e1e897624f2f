"""Directories of TIFF and EXIF, byte for byte. Source: TIFF 6.0, section 2; Exif 3.0, section 4.6.

A block begins with a header; a directory has entries of 12 bytes and, after them, the offset of the
next directory.
"""

import struct
from dataclasses import dataclass
from typing import Literal, cast

ByteOrder = Literal["<", ">"]
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
"""Bytes of a value, by its type; 129 is UTF-8 of Exif 3.0."""
ASCII, LONG, UNDEFINED, IFD = 2, 4, 7, 13
MAX_ENTRIES = 1000


class DamagedBlockError(ValueError):
    """There is no header, or a directory is impossible or lies outside its block."""


@dataclass(frozen=True)
class Entry:
    """An entry of a directory: its value's bytes lie at `start` of the block, `size` of them.

    `at` is the position of the entry itself, `raw` are its 12 bytes. `size` is -1 where the type is
    unknown or the value lies outside the block.
    """

    tag: int
    kind: int
    count: int
    at: int
    start: int
    size: int
    raw: bytes

    @property
    def is_inline(self) -> bool:
        """Whether the value lies in the entry."""
        return self.size <= 4

    def value(self, block: bytes) -> bytes:
        """The value's bytes."""
        return block[self.start : self.start + self.size]

    def pointer(self, order: ByteOrder, block: bytes) -> int:
        """The value as an offset."""
        return int(struct.unpack_from(order + "I", block, self.at + 8)[0])


def header(block: bytes) -> tuple[ByteOrder, int]:
    """The byte order and the offset of the first directory.

    Raises:
        DamagedBlockError: this is no header.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        raise DamagedBlockError("no TIFF header")
    return cast("ByteOrder", order), int(struct.unpack_from(order + "I", block, 4)[0])


def entries(block: bytes, order: ByteOrder, start: int, base: int = 0) -> tuple[list[Entry], int]:
    """The entries of the directory at `start`, and the offset of the next directory.

    Args:
        block: all bytes.
        order: of the numbers.
        start: position of the directory in `block`.
        base: what is added to the offsets of values.

    Raises:
        DamagedBlockError: the directory is impossible.
    """
    try:
        (count,) = struct.unpack_from(order + "H", block, start)
        if count > MAX_ENTRIES:
            raise DamagedBlockError(f"{count} entries")
        found = [_entry(block, order, start + 2 + 12 * i, base) for i in range(count)]
    except struct.error as fault:
        raise DamagedBlockError("a directory ends early") from fault
    link = start + 2 + 12 * count
    following = struct.unpack_from(order + "I", block, link)[0] if link + 4 <= len(block) else 0
    return found, int(following)


def _entry(block: bytes, order: ByteOrder, at: int, base: int) -> Entry:
    tag, kind, count, offset = struct.unpack_from(order + "HHII", block, at)
    size = SIZES.get(kind, -1) * count
    start = at + 8 if size <= 4 else base + offset
    if kind not in SIZES or start < 0 or start + size > len(block):
        start, size = at + 8, -1
    return Entry(tag, kind, count, at, start, size, block[at : at + 12])
