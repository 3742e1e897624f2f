"""The two things that we must know of an EXIF block, read without trusting it.

An EXIF block is a small TIFF file (TIFF 6.0, section 2): a header, then directories of 12-byte
entries, each directory followed by the offset of the next one. The second is the thumbnail's.
"""

import struct
from collections.abc import Iterator

from inpaintcli.imaging.picture import Origin

ORIENTATION, THUMBNAIL_OFFSET, THUMBNAIL_LENGTH = 0x0112, 0x0201, 0x0202


def orientation(exif: bytes | None) -> int:
    """EXIF's orientation (1 to 8); 1 where there is none or it makes no sense."""
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
    """The same block with its thumbnail blanked and unlinked: it shows what was there before."""
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


def carried(origin: Origin, most: int = 1 << 31) -> bytes | None:
    """The EXIF block to write with pixels in `origin`'s stored arrangement, or None.

    One of more bytes than `most`, which a format cannot hold, shrinks to its orientation.
    """
    exif = without_thumbnail(origin.exif) if origin.exif else None
    if orientation(exif) == origin.orientation and len(exif or b"") <= most:
        return exif
    # A block that lacks the tag cannot be given one in place; the right way up comes first.
    entry = struct.pack("<HHIHH", ORIENTATION, 3, 1, origin.orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def _header(exif: bytes) -> tuple[str, int]:
    """The byte order for `struct` and the offset of the first directory."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2], "<")
    return order, struct.unpack_from(order + "I", exif, 4)[0]


def _entries(exif: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and the offset of the value field of each entry of a directory."""
    (count,) = struct.unpack_from(order + "H", exif, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", exif, at)
        yield tag, kind, number, at + 8
