"""Maker notes: makers' own directories in EXIF. What is understood of one stays, unless a preview.

A note of an unknown form is not kept. Forms of the notes: Exiv2's page "Makernote formats and
specifications", and ExifTool's documentation of maker notes.
"""

import struct
from dataclasses import dataclass, field

from inpaintcli.imaging.metadata.content import SIGNATURES, holds_picture, is_text
from inpaintcli.imaging.metadata.ifd import (
    IFD,
    LONG,
    ByteOrder,
    DamagedBlockError,
    Entry,
    entries,
    header,
)

MAX_VALUE = 2048
"""Bytes of one value: makers' tables are mostly smaller, previews are larger."""
MAX_DEPTH = 4
OLYMPUS_DIRECTORIES = frozenset((*range(0x2010, 0x2060, 0x10), 0x3000))
PREVIEW_TAGS = {
    "olympus": (0x0081, 0x0088, 0x0089, 0x0100, 0x0101, 0x0102, 0x1035, 0x1036, 0x1037),
    "nikon": (0x0011,),
    "sony": (0x2001, 0xB04F),
    "pentax": (0x0002, 0x0003, 0x0004, 0x0035),
    "casio": (0x0002, 0x0003, 0x0004, 0x2000),
    "": (0x0035, 0x0081, 0x0088, 0x0089, 0x00B6),
}
"""Tags of previews, of their position and of their size, by maker; "" are notes that begin with the
directory: Canon, Minolta, Samsung and others."""
SKIPPED = (
    (b"OLYMP\0", "olympus", 8),
    (b"EPSON\0", "olympus", 8),
    (b"Panasonic\0", "panasonic", 12),
    (b"SONY", "sony", 12),
    (b"VHAB", "sony", 12),
    (b"QVC\0", "casio", 6),
    (b"SIGMA\0", "sigma", 10),
    (b"FOVEON\0", "sigma", 10),
    (b"Nikon\0\x01", "nikon", 8),
    (b"Ricoh", "ricoh", 8),
    (b"RICOH", "ricoh", 8),
    (b"LEICA\0", "leica", 8),
    (b"AOC\0", "pentax", 6),
)
"""First bytes, maker, and the bytes before the directory; offsets count from EXIF's header."""


@dataclass(frozen=True)
class _Form:
    """`start` and `base` are positions in the block; offsets of values are relative to `base`."""

    maker: str
    start: int
    base: int
    order: ByteOrder


@dataclass
class Parts:
    """What may stay of a note: pieces with their positions in the block; what was left out."""

    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    previews: bool = False
    unread: bool = False


def harmless_parts(block: bytes, at: int, size: int, order: ByteOrder) -> Parts | None:
    """What may stay of the maker note of `size` bytes at `at`; None where its form is unknown.

    Args:
        block: the whole EXIF block.
        at: position of the note.
        size: its bytes.
        order: the block's byte order.
    """
    note = block[at : at + size]
    try:
        form = _form(note, at, order)
        reader = _Reader(block, at, at + size, form)
        reader.directory(form.start, 0)
    except (DamagedBlockError, struct.error):
        return None
    reader.parts.pieces.append((at, note[: form.start - at]))
    return reader.parts


class _Reader:
    """Reads the directories of one note, and collects what may stay."""

    def __init__(self, block: bytes, first: int, end: int, form: _Form) -> None:
        self.block, self.first, self.end, self.form = block, first, end, form
        self.parts = Parts()
        self.picture = _picture(block[first:end], first)
        self.parts.previews = self.picture is not None

    def directory(self, start: int, depth: int) -> None:
        """Collect the harmless entries of a directory, and their values.

        Raises:
            DamagedBlockError: it is none, or lies outside the note.
        """
        form = self.form
        found, _ = entries(self.block, form.order, start, form.base)
        size = 2 + 12 * len(found)
        if not found or depth > MAX_DEPTH or not self._is_free(start, size):
            raise DamagedBlockError("a directory outside the note")
        staying = b"".join(entry.raw for entry in found if self._stays(entry, depth))
        table = struct.pack(form.order + "H", len(staying) // 12) + staying
        self.parts.pieces.append((start, table))

    def _stays(self, entry: Entry, depth: int) -> bool:
        if entry.tag in PREVIEW_TAGS.get(self.form.maker, ()):
            self.parts.previews = True
            return False
        if self._is_directory(entry):
            return self._stays_directory(entry, depth)
        if entry.is_inline:
            return entry.size >= 0
        value = entry.value(self.block)
        if not self._is_free(entry.start, entry.size) or holds_picture(value):
            self.parts.unread |= self.picture is None
            return False
        if entry.size > MAX_VALUE and not is_text(value.rstrip(b"\0")):
            self.parts.unread = True
            return False
        self.parts.pieces.append((entry.start, value))
        return True

    def _stays_directory(self, entry: Entry, depth: int) -> bool:
        start = self.form.base + entry.pointer(self.form.order, self.block)
        try:
            self.directory(start, depth + 1)
        except DamagedBlockError:
            self.parts.unread = True
            return False
        return True

    def _is_directory(self, entry: Entry) -> bool:
        if self.form.maker == "olympus" and entry.tag in OLYMPUS_DIRECTORIES:
            return entry.kind in (LONG, IFD) and entry.count == 1
        return entry.kind == IFD and entry.count == 1

    def _is_free(self, start: int, size: int) -> bool:
        """Whether bytes lie in the note, and not in a picture."""
        if start < self.first or start + size > self.end:
            return False
        if self.picture is None:
            return True
        return start + size <= self.picture[0] or start >= self.picture[1]


def _form(note: bytes, at: int, order: ByteOrder) -> _Form:
    """The form of a note, by its first bytes.

    Raises:
        DamagedBlockError: a note's own header is wrong.
    """
    special = _with_own_header(note, at)
    if special is not None:
        return special
    for first, maker, skipped in SKIPPED:
        if note.startswith(first):
            own = note[4:6] if maker == "pentax" else b""
            return _Form(maker, at + skipped, 0, _named_order(own, order))
    return _Form("", at, 0, _likely_order(note, order))


def _with_own_header(note: bytes, at: int) -> _Form | None:
    """The form of a note that states its byte order, or counts offsets from its own beginning."""
    if note.startswith(b"Nikon\0\x02"):
        order, first = header(note[10:])
        return _Form("nikon", at + 10 + first, at + 10, order)
    if note.startswith(b"FUJIFILM"):
        return _Form("fujifilm", at + struct.unpack_from("<I", note, 8)[0], at, "<")
    # The maker, where the byte order is stated, where the directory begins.
    for beginning, maker, letters, start in (
        (b"OLYMPUS\0", "olympus", 8, 12),
        (b"OM SYSTEM", "olympus", 12, 16),
        (b"Apple iOS\0", "apple", 12, 14),
        (b"PENTAX \0", "pentax", 8, 10),
        (b"SAMSUNG\0", "pentax", 8, 10),
    ):
        if note.startswith(beginning):
            return _Form(maker, at + start, at, _named_order(note[letters : letters + 2], "<"))
    return None


def _named_order(letters: bytes, otherwise: ByteOrder) -> ByteOrder:
    if letters == b"II":
        return "<"
    return ">" if letters == b"MM" else otherwise


def _likely_order(note: bytes, order: ByteOrder) -> ByteOrder:
    """The byte order in which the number of entries is possible."""
    (count,) = struct.unpack_from(order + "H", note)
    if 0 < count <= 300:
        return order
    return ">" if order == "<" else "<"


def _picture(note: bytes, at: int) -> tuple[int, int] | None:
    """From the first beginning of a picture in a note to the last end of one, or the note's."""
    found = SIGNATURES.search(note)
    if found is None:
        return None
    last = note.rfind(b"\xff\xd9")
    end = last + 2 if last > found.start() else len(note)
    return at + found.start(), at + end
