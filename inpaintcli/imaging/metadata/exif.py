"""EXIF blocks: everything that is understood stays in place, every other byte becomes zero.

So previews and what lies between the values cannot stay, and offsets in maker notes remain true.
"""

import struct

from inpaintcli.imaging.metadata import maker_notes, photoshop, xmp
from inpaintcli.imaging.metadata.content import is_harmless, is_readable_text
from inpaintcli.imaging.metadata.ifd import (
    ASCII,
    ByteOrder,
    DamagedBlockError,
    Entry,
    entries,
    header,
)
from inpaintcli.imaging.metadata.removals import Removals

EXIF_IFD, GPS_IFD, INTEROP_IFD, MAKER_NOTE, USER_COMMENT = 0x8769, 0x8825, 0xA005, 0x927C, 0x9286
SUB_DIRECTORIES = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
SUB_IFDS, XMP, PHOTOSHOP, IPTC, C2PA = 0x014A, 700, 34377, 33723, 0xCD41
POINTERS_TO_PICTURES = frozenset(
    (SUB_IFDS, 0x0111, 0x0117, 0x0144, 0x0145, 0x0201, 0x0202, 37724, 0xC6F4)
)
"""SubIFDs, strips, tiles and JPEG data of other pictures, and Photoshop's layers."""
PADDING = 0xEA1C
UTF16 = frozenset(range(0x9C9B, 0x9CA0))
"""Windows' title, comment, author, keywords and subject."""
KNOWN = frozenset(
    (
        *(301, 318, 319, 320, 532, 34675, 37393, 41484, 41730),  # curves, colours, profile, sensor
        *(0x8828, 0xC4A5),  # OECF, PrintIM
        *(33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50844),  # GeoTIFF, GDAL
        *range(50706, 50780),  # DNG
    )
)
"""Tags whose values may be longer than others: their content is numbers of another kind."""


def cleaned(block: bytes, removals: Removals) -> bytes | None:
    """The block without what may show the photo; None where nothing of it can be understood.

    Args:
        block: begins with the TIFF header.
        removals: takes the names of what does not stay.
    """
    try:
        order, first = header(block)
        cleaner = _Cleaner(block, order, removals)
        link = cleaner.directory(first)
    except DamagedBlockError:
        removals.unreadable("EXIF")
        return None
    if link:
        removals.preview("the EXIF thumbnail")
    return cleaner.result()


class _Cleaner:
    """Copies what may stay to a block of zeros."""

    def __init__(self, block: bytes, order: ByteOrder, removals: Removals) -> None:
        self.block, self.order, self.removals = block, order, removals
        self.kept = bytearray(len(block))
        self.kept[:8] = block[:8]
        self.end = 8
        self.visited: set[int] = set()

    def directory(self, start: int) -> int:
        """Copy a directory and the values of its entries; returns the offset of the next one."""
        if start in self.visited or len(self.visited) > 16:
            raise DamagedBlockError("a directory within itself")
        self.visited.add(start)
        found, following = entries(self.block, self.order, start)
        staying = [raw for entry in found if (raw := self._entry(entry)) is not None]
        table = struct.pack(self.order + "H", len(staying)) + b"".join(staying) + bytes(4)
        self._put(start, table)
        return following

    def result(self) -> bytes:
        """The block, without the zeros at its end."""
        return bytes(self.kept[: self.end])

    def _put(self, at: int, data: bytes) -> None:
        self.kept[at : at + len(data)] = data
        self.end = max(self.end, at + len(data))

    def _entry(self, entry: Entry) -> bytes | None:
        """The 12 bytes of an entry that stays, with its value copied; else None."""
        if entry.size < 0 or entry.tag in POINTERS_TO_PICTURES:
            if entry.tag in POINTERS_TO_PICTURES:
                self.removals.preview("a second picture in the EXIF")
            return None
        if entry.tag in SUB_DIRECTORIES:
            return self._sub_directory(entry)
        if entry.tag == MAKER_NOTE:
            return self._maker_note(entry)
        value = self._value(entry)
        if value is None:
            return None
        raw = entry.raw
        if value != entry.value(self.block):
            raw = raw[:4] + struct.pack(self.order + "I", len(value)) + raw[8:]
        if not entry.is_inline:
            self._put(entry.start, value.ljust(min(5, entry.size), b"\0"))
        return raw

    def _sub_directory(self, entry: Entry) -> bytes | None:
        try:
            self.directory(entry.pointer(self.order, self.block))
        except DamagedBlockError:
            self.removals.unreadable("a part of the EXIF")
            return None
        return entry.raw

    def _maker_note(self, entry: Entry) -> bytes | None:
        parts = maker_notes.harmless_parts(self.block, entry.start, entry.size, self.order)
        if parts is None:
            self.removals.unreadable("the maker note")
            return None
        if parts.previews:
            self.removals.preview("previews in the maker note")
        if parts.unread:
            self.removals.preview("large values in the maker note")
        for at, data in parts.pieces:
            self._put(at, data)
        self.end = max(self.end, entry.start + entry.size)
        return entry.raw

    def _value(self, entry: Entry) -> bytes | None:
        """The value that stays, which may be shorter than it was, or None."""
        data = entry.value(self.block)
        block = self._block(entry.tag, data)
        if block is not data:
            return block if block is not None and len(block) > 4 else None
        if entry.tag in (XMP, PHOTOSHOP, IPTC) or entry.tag in KNOWN:
            return data
        if entry.tag == PADDING:
            return None
        if self._is_harmless(entry, data):
            return data
        self.removals.unreadable(f"EXIF tag {entry.tag}")
        return None

    def _block(self, tag: int, data: bytes) -> bytes | None:
        """A value with a structure of its own, cleaned; others as they are."""
        if tag == XMP:
            return xmp.cleaned(data, self.removals)
        if tag == PHOTOSHOP:
            return photoshop.cleaned(data, self.removals)
        if tag == IPTC:
            return photoshop.cleaned_iptc(data, self.removals)
        if tag == C2PA:
            self.removals.outdated("the C2PA manifest")
            return None
        return data

    def _is_harmless(self, entry: Entry, data: bytes) -> bool:
        if entry.tag in UTF16:
            return is_readable_text(data.decode("utf-16-le", "replace").encode())
        code = data[:8].rstrip(b"\0")
        if entry.tag == USER_COMMENT and code == b"UNICODE":
            return is_readable_text(data[8:].replace(b"\0", b""))
        if entry.tag == USER_COMMENT and code in (b"ASCII", b"JIS", b""):
            return is_harmless(data[8:])
        if entry.kind in (ASCII, 129):
            return is_readable_text(data)
        return is_harmless(data)
