"""The orientation and the thumbnail of an EXIF block, which may be damaged.

An EXIF block is a small TIFF file (TIFF 6.0, section 2): a header, then directories of 12-byte
entries, each directory followed by the offset of the next one. The second is the thumbnail's.
"""

import struct
from collections.abc import Iterator

from inpaintcli.imaging.picture import Origin

ORIENTATION, THUMBNAIL_OFFSET, THUMBNAIL_LENGTH = 0x0112, 0x0201, 0x0202


def orientation(exif: bytes | None) -> int:
    """EXIF's orientation (1 to 8); 1 where it is missing or invalid."""
    try:
        order, first = _header(exif or b"")
        for tag, kind, _count, at in _entries(exif or b"", order, first):
            if tag == ORIENTATION:
                value = struct.unpack_from(order + ("H" if kind == 3 else "I"), exif or b"", at)[0]
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def without_thumbnail(exif: bytes) -> bytes:
    """The block with its thumbnail overwritten and unlinked, as that still shows the old pixels."""
    try:
        order, first = _header(exif)
        (count,) = struct.unpack_from(order + "H", exif, first)
        link = first + 2 + 12 * count
        (second,) = struct.unpack_from(order + "I", exif, link)
        if not second:
            return exif
        blank = bytearray(exif)
        struct.pack_into(order + "I", blank, link, 0)
        found = {tag: at for tag, _, _, at in _entries(exif, order, second)}
        (start,) = struct.unpack_from(order + "I", exif, found.get(THUMBNAIL_OFFSET, len(exif)))
        (size,) = struct.unpack_from(order + "I", exif, found.get(THUMBNAIL_LENGTH, len(exif)))
        end = min(start + size, len(exif))
        blank[start:end] = bytes(max(0, end - start))
        return bytes(blank)
    except struct.error:
        return exif


def block_to_write(origin: Origin, max_bytes: int = 1 << 31) -> bytes | None:
    """The EXIF block to write with pixels in `origin`'s stored orientation, or None.

    A block of more than `max_bytes`, which a format cannot hold, is reduced to its orientation.
    """
    exif = without_thumbnail(origin.exif) if origin.exif else None
    if orientation(exif) == origin.orientation and len(exif or b"") <= max_bytes:
        return exif
    # The tag cannot be added to a block in place; the orientation matters more than the rest.
    entry = struct.pack("<HHIHH", ORIENTATION, 3, 1, origin.orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def _header(exif: bytes) -> tuple[str, int]:
    """The byte order, as `struct` names it, and the offset of the first directory."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2], "<")
    return order, struct.unpack_from(order + "I", exif, 4)[0]


def _entries(exif: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and the offset of the value field of each entry of a directory."""
    (count,) = struct.unpack_from(order + "H", exif, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", exif, at)
        yield tag, kind, number, at + 8
