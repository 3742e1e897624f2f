"""The orientation in an EXIF block, which may be damaged, and a block that holds nothing else.

Source: Exif 3.0, section 4.6.5; TIFF 6.0, section 2.
"""

import struct

from inpaintcli.imaging.picture import Origin

ORIENTATION = 0x0112


def orientation(exif: bytes | None) -> int:
    """EXIF's orientation (1 to 8); 1 where it is missing or invalid."""
    block = exif or b""
    order = {b"II": "<", b"MM": ">"}.get(block[:2], "<")
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", block, at)
            if tag == ORIENTATION:
                value = struct.unpack_from(order + ("H" if kind == 3 else "I"), block, at + 8)[0]
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def block_of(orientation: int) -> bytes:
    """An EXIF block that holds the orientation alone."""
    entry = struct.pack("<HHIHH", ORIENTATION, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def block_to_write(origin: Origin, max_bytes: int = 1 << 31) -> bytes | None:
    """The EXIF block to write with pixels in `origin`'s stored orientation, or None.

    A block of more than `max_bytes`, which a format cannot hold, is reduced to its orientation.
    """
    exif = origin.exif
    if orientation(exif) == origin.orientation and len(exif or b"") <= max_bytes:
        return exif
    # The tag cannot be added to a block in place; the orientation matters more than the rest.
    return block_of(origin.orientation)
