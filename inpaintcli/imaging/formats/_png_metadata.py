"""A PNG file's ancillary chunks: what may stay of each.

Source: PNG (third edition), W3C 2025, sections 11.3 and 14; C2PA Technical Specification.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inpaintcli.imaging.metadata import icc, photoshop, raw_profiles, xmp
from inpaintcli.imaging.metadata.content import is_harmless, is_readable_text
from inpaintcli.imaging.metadata.policy import cleaned_exif
from inpaintcli.imaging.metadata.removals import Removals

OF_COLOUR = (b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI")
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
PLAIN = (
    *OF_COLOUR,
    b"bKGD",
    b"pHYs",
    b"sPLT",
    b"tIME",
    b"hIST",
    b"oFFs",
    b"pCAL",
    b"sCAL",
    b"sTER",
)
"""Chunks of numbers, none of which is a picture."""
PREVIEWS = (b"prVW", b"mkBF", b"mkBS", b"mkBT", b"mkTS")
"""Fireworks' preview and its layered original."""
XMP_KEY = b"XML:com.adobe.xmp"
MAX_TEXT = 1 << 28
"""Bytes of a text when decompressed; a longer one is not looked into."""

Chunk = tuple[bytes, bytes]


def cleaned_chunks(chunks: Iterable[Chunk], removals: Removals) -> tuple[Chunk, ...]:
    """The chunks without what may show the photo or is no longer true."""
    found = ((kind, _cleaned(kind, content, removals)) for kind, content in chunks)
    return tuple((kind, content) for kind, content in found if content is not None)


def stripped_chunks(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """The chunks that say what the colours are."""
    return cleaned_chunks((one for one in chunks if one[0] in OF_COLOUR), Removals())


def _cleaned(kind: bytes, content: bytes, removals: Removals) -> bytes | None:
    """The content of a chunk that stays, or None."""
    if kind == b"eXIf":
        return cleaned_exif(content, removals)
    if kind in TEXTS:
        return _cleaned_text(kind, content, removals)
    if kind == b"iCCP":
        return _cleaned_profile_chunk(content, removals)
    if kind in PREVIEWS:
        removals.preview("Fireworks' original")
    elif kind == b"caBX":
        removals.outdated("the C2PA manifest")
    elif kind in PLAIN or (_is_safe_to_copy(kind) and is_harmless(content)):
        return content
    elif _is_safe_to_copy(kind):
        removals.unreadable(f"PNG chunk {kind.decode('latin-1')}")
    return None


def _is_safe_to_copy(kind: bytes) -> bool:
    """Whether a program that does not know a chunk may copy it (PNG, section 14.2)."""
    return kind[3:].islower()


@dataclass(frozen=True)
class Text:
    """A text chunk: its key, what lies between key and text, and the text, decompressed."""

    key: bytes
    head: bytes
    text: bytes
    compressed: bool

    @classmethod
    def of(cls, kind: bytes, content: bytes) -> "Text | None":
        """The text of a chunk; None where it is damaged or too long."""
        key, zero, rest = content.partition(b"\0")
        if not zero:
            return None
        if kind == b"tEXt":
            return cls(key, b"", rest, False)
        if kind == b"zTXt":
            text = _decompressed(rest[1:])
            return None if text is None else cls(key, rest[:1], text, True)
        flags, (language, _, after) = rest[:2], rest[2:].partition(b"\0")
        translated, zero, body = after.partition(b"\0")
        if not zero or len(flags) < 2:
            return None
        packed = flags[0] == 1
        text = _decompressed(body) if packed else body
        head = flags + language + b"\0" + translated + b"\0"
        return None if text is None else cls(key, head, text, packed)

    def with_text(self, text: bytes) -> bytes:
        """The content of a chunk with another text."""
        return self.key + b"\0" + self.head + (zlib.compress(text) if self.compressed else text)


def _cleaned_profile_chunk(content: bytes, removals: Removals) -> bytes | None:
    """The content of an iCCP chunk with the profile as `icc.cleaned` leaves it; None without."""
    name, _, rest = content.partition(b"\0")
    profile = _decompressed(rest[1:])
    if profile is None:
        removals.unreadable("a colour profile that is none")
        return None
    cleaned = icc.cleaned(profile, removals)
    if cleaned is None or cleaned == profile:
        return None if cleaned is None else content
    return name + b"\0\0" + zlib.compress(cleaned)


def _cleaned_text(kind: bytes, content: bytes, removals: Removals) -> bytes | None:
    """The content of a text chunk that stays: as it is where nothing had to go."""
    text = Text.of(kind, content)
    if text is None:
        removals.unreadable("a PNG text")
        return None
    if text.key.startswith(raw_profiles.PREFIX):
        cleaned = _cleaned_profile(text, removals)
    elif text.key == XMP_KEY:
        cleaned = xmp.cleaned(text.text, removals)
    else:
        cleaned = text.text if is_readable_text(text.text) else None
        if cleaned is None:
            removals.unreadable(f"PNG text '{text.key.decode('latin-1')}'")
    if cleaned is None:
        return None
    return content if cleaned == text.text else text.with_text(cleaned)


def _cleaned_profile(text: Text, removals: Removals) -> bytes | None:
    """The text of a raw profile that stays, or None."""
    name = text.key.removeprefix(raw_profiles.PREFIX).decode("latin-1").lower()
    data = raw_profiles.decoded(text.text)
    if data is None:
        cleaned = None
    elif name in ("icc", "icm"):
        cleaned = icc.cleaned(data, removals)
    else:
        cleaned = _cleaned_data(name, data, removals)
    if cleaned is None:
        if data is None:
            removals.unreadable(f"PNG text 'Raw profile type {name}'")
        return None
    return text.text if cleaned == data else raw_profiles.encoded(name, cleaned)


def _cleaned_data(name: str, data: bytes, removals: Removals) -> bytes | None:
    """The bytes of a raw profile that stay, or None."""
    for prefix in (raw_profiles.EXIF_PREFIX, raw_profiles.XMP_PREFIX):
        if data.startswith(prefix):
            found = _cleaned_data(name, data[len(prefix) :], removals)
            return None if found is None else prefix + found
    cleaners: tuple[tuple[bytes, Callable[[bytes, Removals], bytes | None]], ...] = (
        (b"II*\0", cleaned_exif),
        (b"MM\0*", cleaned_exif),
        (b"8BIM", photoshop.cleaned),
        (b"\x1c", photoshop.cleaned_iptc),
        (b"<", xmp.cleaned),
    )
    for start, cleaner in cleaners:
        if data.startswith(start):
            return cleaner(data, removals)
    if is_harmless(data):
        return data
    removals.unreadable(f"PNG text 'Raw profile type {name}'")
    return None


@dataclass(frozen=True)
class Found:
    """The metadata of a PNG in the form that all formats share, each None where it is missing."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None


def found_in(chunks: Iterable[Chunk]) -> Found:
    """The metadata of a file; a chunk of its own counts more than a raw profile."""
    found: dict[str, bytes | None] = {}
    for kind, content in chunks:
        for name, data in _shared(kind, content):
            if kind == b"eXIf" or not found.get(name):
                found[name] = data
    return Found(**found)


def _shared(kind: bytes, content: bytes) -> list[tuple[str, bytes | None]]:
    """What of `Found` a chunk holds."""
    if kind == b"eXIf":
        return [("exif", content.removeprefix(raw_profiles.EXIF_PREFIX))]
    if kind == b"iCCP":
        return [("icc", _decompressed(content.partition(b"\0")[2][1:]))]
    text = Text.of(kind, content) if kind in TEXTS else None
    if text is None:
        return []
    if text.key == XMP_KEY:
        return [("xmp", text.text)]
    if text.key.startswith(raw_profiles.PREFIX):
        return _of_profile(raw_profiles.decoded(text.text) or b"")
    return []


def _of_profile(data: bytes) -> list[tuple[str, bytes | None]]:
    if data.startswith(raw_profiles.EXIF_PREFIX):
        return [("exif", data[len(raw_profiles.EXIF_PREFIX) :])]
    if data.startswith(raw_profiles.XMP_PREFIX):
        return [("xmp", data[len(raw_profiles.XMP_PREFIX) :])]
    if data.startswith(b"8BIM"):
        return [("photoshop", data)]
    return [("photoshop", photoshop.with_iptc(data))] if data.startswith(b"\x1c") else []


def _decompressed(data: bytes) -> bytes | None:
    """Decompressed bytes; None where they are damaged or too many."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, MAX_TEXT)
    except zlib.error:
        return None
    return found if unpacker.eof else None


def texts_in_words(chunks: Iterable[Chunk]) -> str:
    """Which texts a file holds besides those with EXIF, XMP and the like."""
    keys = [content.partition(b"\0")[0] for kind, content in chunks if kind in TEXTS]
    own = [key for key in keys if key != XMP_KEY and not key.startswith(raw_profiles.PREFIX)]
    names = [key.decode("latin-1") for key in dict.fromkeys(own)]
    more = ", ..." if len(names) > 3 else ""
    return f"PNG texts ({', '.join(names[:3])}{more})" if names else ""
