"""Which metadata differ, tag by tag, and whether the metadata policy asks for it."""

from collections.abc import Iterator

from inpaintcli.imaging.formats.jpeg import JpegEncoding
from inpaintcli.imaging.formats.png import PngEncoding
from inpaintcli.imaging.metadata import ifd, policy
from inpaintcli.imaging.metadata.orientation import orientation
from inpaintcli.imaging.metadata.removals import Removals
from inpaintcli.imaging.picture import Origin
from inpaintcli.options import MetadataPolicy
from inpaintcli.verification.report import Difference

POINTERS = {0x8769: "Exif", 0x8825: "GPS", 0xA005: "Interoperability"}
"""Entries that lead to another directory."""
Tags = dict[str, bytes]


def compare_metadata(before: Origin, after: Origin, asked: MetadataPolicy) -> Iterator[Difference]:
    """What differs, of a photo and of what was made of it.

    What is as the policy leaves it is expected.
    """
    removals = Removals()
    applied = policy.applied(before, asked, removals)
    yield from _profile(before, after)
    yield from _blocks(before, applied, after)
    if applied.orientation != after.orientation:
        pair = str(applied.orientation), str(after.orientation)
        yield Difference("metadata", "orientation", *pair)
    yield from _tags("EXIF", *(exif_tags(one.exif) for one in (before, applied, after)))
    same_format = before.format == after.format
    parts = (segments_of(one) for one in (before, applied, after))
    if same_format:
        yield from _tags("", *parts)


def _profile(before: Origin, after: Origin) -> Iterator[Difference]:
    if before.icc != after.icc:
        yield Difference("profile", "ICC", _size(before.icc), _size(after.icc))


def _blocks(before: Origin, applied: Origin, after: Origin) -> Iterator[Difference]:
    for name in ("xmp", "photoshop"):
        old, meant, new = (getattr(one, name) for one in (before, applied, after))
        if old != new:
            label = "XMP" if name == "xmp" else "Photoshop's resources, and IPTC"
            yield Difference("metadata", label, _size(old), _size(new), expected=meant == new)
    pairs = [one.dpi or (0.0, 0.0) for one in (before, applied, after)]
    if not _is_near(pairs[0], pairs[2]):
        expected = _is_near(pairs[1], pairs[2])
        values = [f"{one[0]:g} x {one[1]:g}" for one in pairs]
        yield Difference("metadata", "dots per inch", values[0], values[2], expected=expected)


def _is_near(one: tuple[float, float], two: tuple[float, float]) -> bool:
    return all(abs(a - b) < 0.02 for a, b in zip(one, two, strict=True))


def _tags(group: str, before: Tags, meant: Tags, after: Tags) -> Iterator[Difference]:
    for tag in sorted({*before, *after}):
        old, new = before.get(tag), after.get(tag)
        if old != new:
            expected = meant.get(tag) == new
            name = f"{group} {tag}".strip()
            yield Difference("metadata", name, _shown(old), _shown(new), expected=expected)


def exif_tags(block: bytes | None) -> Tags:
    """The values in an EXIF block by name; the whole block where it cannot be understood."""
    if not block:
        return {}
    try:
        order, start = ifd.header(block)
        found = dict(_directory(block, order, start, "IFD0", 0))
    except ifd.DamagedBlockError:
        return {"block": block}
    if orientation(block) == 1:
        found.pop("IFD0:Orientation", None)  # the same as none
    return found


def _directory(
    block: bytes, order: ifd.ByteOrder, start: int, name: str, depth: int
) -> Iterator[tuple[str, bytes]]:
    from PIL import ExifTags

    entries, following = ifd.entries(block, order, start)
    names = {**ExifTags.TAGS, **ExifTags.GPSTAGS} if name == "GPS" else ExifTags.TAGS
    for entry in entries:
        if entry.tag in POINTERS and depth < 2:
            inner = entry.pointer(order, block)
            yield from _directory(block, order, inner, POINTERS[entry.tag], depth + 1)
        else:
            yield f"{name}:{names.get(entry.tag, hex(entry.tag))}", entry.value(block)
    if following and depth == 0:
        yield from _directory(block, order, following, "IFD1", 2)


def segments_of(origin: Origin) -> Tags:
    """What else the file holds in its own form: segments of JPEG, chunks of PNG, by name."""
    found: Tags = {}
    for kind, content in _parts(origin):
        name = _name(kind, content)
        if name:
            found[name] = found.get(name, b"") + content
    return found


def _parts(origin: Origin) -> tuple[tuple[int | bytes, bytes], ...]:
    encoding = origin.encoding
    if isinstance(encoding, JpegEncoding):
        return encoding.segments
    return encoding.chunks if isinstance(encoding, PngEncoding) else ()


def _name(kind: int | bytes, content: bytes) -> str:
    """The name of a segment or chunk; empty where it is compared by its tags."""
    if isinstance(kind, bytes):
        return "" if kind in (b"eXIf", b"iCCP", b"pHYs") else f"chunk {kind.decode('latin-1')}"
    if kind == 0xFE:
        return "comment"
    start = content.split(b"\0")[0][:40].decode("latin-1")
    known = ("Exif", "http://ns.adobe.com/xap/1.0/", "ICC_PROFILE", "Photoshop 3.0", "JFIF")
    return "" if start in known else f"segment APP{kind - 0xE0} {start}".rstrip()


def _size(block: bytes | None) -> str:
    return f"{len(block):,} bytes" if block else ""


def _shown(value: bytes | None) -> str:
    if value is None:
        return ""
    text = value.rstrip(b"\0")
    if text and len(text) <= 40 and text.isascii() and text.decode().isprintable():
        return text.decode()
    return f"{len(value):,} bytes"
