"""A JPEG file's application segments: what may stay of each.

Source: ITU-T T.871 (JFIF), Exif 3.0, XMP Specification part 3 (section 1.1.3), C2PA Technical
Specification (section "Embedding manifests into JPEG").
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator

from inpaintcli.imaging.metadata import icc, photoshop, xmp
from inpaintcli.imaging.metadata.content import is_readable_text, is_text
from inpaintcli.imaging.metadata.policy import cleaned_exif
from inpaintcli.imaging.metadata.raw_profiles import EXIF_PREFIX, XMP_PREFIX
from inpaintcli.imaging.metadata.removals import Removals

APP0, APP1, APP2, APP11, APP12, APP13, APP14, COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xEC, 0xED, 0xEE, 0xFE
EXTENSION_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
SOS = 0xDA
PHOTOSHOP_PREFIX, ICC_PREFIX, MPF_PREFIX = b"Photoshop 3.0\0", b"ICC_PROFILE\0", b"MPF\0"
GAIN_MAP_PREFIX = b"urn:iso:std:iso:ts:21496:-1\0"
PLAIN_JFIF = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
MAX_CONTENT = 65533
EXTENSION_HEADER = len(EXTENSION_PREFIX) + 32 + 8
"""Prefix, digest, size of the whole and offset of the part."""

Segment = tuple[int, bytes]


def segment_positions(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, beginning and end of the content of each segment, up to that of the first scan.

    Bytes between segments that belong to none are skipped, as libjpeg does.
    """
    at = 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        if marker in (0, 0xFF):  # no marker; a fill byte
            at += 1
            continue
        (size,) = struct.unpack_from(">H", data, at + 2)
        if size < 2:
            return
        yield marker, at + 4, at + 2 + size
        if marker == SOS:
            return
        at += 2 + size


def is_metadata(marker: int) -> bool:
    """Whether a segment is not about the coding: a comment, or an application's but Adobe's."""
    return marker == COM or (APP0 <= marker <= 0xEF and marker != APP14)


def cleaned_segments(segments: Iterable[Segment], removals: Removals) -> tuple[Segment, ...]:
    """The segments without what may show the photo or is no longer true.

    Args:
        segments: marker and content of each.
        removals: takes the names of what does not stay.
    """
    joined = _with_cleaned_profile(_with_joined_resources(list(segments)), removals)
    extensions = _Extensions(joined)
    marks = extensions.cleaned(removals)
    found: list[Segment] = []
    for marker, content in joined:
        if marker == APP1 and content.startswith(EXTENSION_PREFIX):
            found += extensions.of(content)
        else:
            found += _cleaned(marker, content, removals, marks)
    return tuple(found)


def stripped_segments(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """The colour profile and the mark of JFIF, without metadata."""
    found = _with_cleaned_profile(list(segments), Removals())
    profile = [(m, c) for m, c in found if m == APP2 and c.startswith(ICC_PREFIX)]
    jfif = any(m == APP0 and c.startswith(b"JFIF\0") for m, c in found)
    return (*([(APP0, PLAIN_JFIF)] if jfif else []), *profile)


def _with_cleaned_profile(segments: list[Segment], removals: Removals) -> list[Segment]:
    """The segments with the colour profile as `icc.cleaned` leaves it."""
    parts = [(n, c) for n, (m, c) in enumerate(segments) if m == APP2 and c.startswith(ICC_PREFIX)]
    head = len(ICC_PREFIX) + 2  # after the prefix, which of how many parts it is
    profile = b"".join(c[head:] for _, c in sorted(parts, key=lambda part: part[1][:head]))
    cleaned = icc.cleaned(profile, removals) if profile else None
    if cleaned == profile or not profile:
        return segments
    places = {place for place, _ in parts}
    others = [one for place, one in enumerate(segments) if place not in places]
    step, whole = MAX_CONTENT - head, cleaned or b""
    pieces = [whole[at : at + step] for at in range(0, len(whole), step)]
    made = [
        (APP2, ICC_PREFIX + bytes((number, len(pieces))) + piece)
        for number, piece in enumerate(pieces, 1)
    ]
    first = min(places)
    return [*others[:first], *made, *others[first:]]


def only_in_jpeg(segments: Iterable[Segment]) -> str:
    """What of the segments other formats cannot hold, in words."""
    found = []
    for marker, content in segments:
        if content.startswith(EXTENSION_PREFIX):
            found.append("extended XMP")
        elif marker == COM:
            found.append("JPEG comments")
    return ", ".join(dict.fromkeys(found))


def resource_segments(resources: bytes) -> list[Segment]:
    """Photoshop's resources in as many segments as they need."""
    step = MAX_CONTENT - len(PHOTOSHOP_PREFIX)
    parts = [resources[at : at + step] for at in range(0, len(resources), step)]
    return [(APP13, PHOTOSHOP_PREFIX + part) for part in parts]


def resources_of(segments: Iterable[Segment]) -> bytes | None:
    """Photoshop's resources in the segments, or None."""
    parts = [c[len(PHOTOSHOP_PREFIX) :] for m, c in segments if _is_resources(m, c)]
    return b"".join(parts) or None


def _is_resources(marker: int, content: bytes) -> bool:
    return marker == APP13 and content.startswith(PHOTOSHOP_PREFIX)


def _with_joined_resources(segments: list[Segment]) -> list[Segment]:
    """The segments, with Photoshop's in one, where the first of them was."""
    resources, found = resources_of(segments), []
    for marker, content in segments:
        if not _is_resources(marker, content):
            found.append((marker, content))
        elif resources is not None:
            found.append((APP13, PHOTOSHOP_PREFIX + resources))
            resources = None
    return found


def _cleaned(
    marker: int, content: bytes, removals: Removals, marks: dict[bytes, bytes]
) -> list[Segment]:
    """What stays of one segment: none, itself, or others."""
    if marker == APP0:
        return _without_thumbnail(content, removals)
    if marker == APP1 and content.startswith(EXIF_PREFIX):
        block = cleaned_exif(content[len(EXIF_PREFIX) :], removals)
        return [(APP1, EXIF_PREFIX + block)] if block else []
    if marker == APP1 and content.startswith(XMP_PREFIX):
        return _cleaned_xmp(content[len(XMP_PREFIX) :], removals, marks)
    if _is_resources(marker, content):
        resources = photoshop.cleaned(content[len(PHOTOSHOP_PREFIX) :], removals)
        return resource_segments(resources) if resources else []
    return [(marker, content)] if _stays(marker, content, removals) else []


def _without_thumbnail(content: bytes, removals: Removals) -> list[Segment]:
    if content.startswith(b"JFIF\0"):
        if content[12:14].strip(b"\0"):
            removals.preview("JFIF's thumbnail")
        return [(APP0, content[:12] + bytes(2))]
    if content.startswith(b"JFXX\0"):
        removals.preview("JFIF's thumbnail")
    else:
        removals.unreadable(_name(APP0, content))
    return []


def _cleaned_xmp(packet: bytes, removals: Removals, marks: dict[bytes, bytes]) -> list[Segment]:
    """A segment of XMP, with the mark of its extension as that is now."""
    old = next((mark for mark in marks if mark in packet), b"")
    new = marks.get(old, b"")
    found = xmp.cleaned(packet, removals, extension=bool(new))
    if not found:
        return []
    return [(APP1, XMP_PREFIX + (found.replace(old, new) if new else found))]


def _stays(marker: int, content: bytes, removals: Removals) -> bool:
    """Whether a segment without a structure that is known here stays."""
    if content.startswith(MPF_PREFIX):
        return False  # an index of pictures behind this one, which are not kept
    if content.startswith(GAIN_MAP_PREFIX):
        removals.outdated("data on a gain map")
        return False
    if marker == APP11 and content.startswith(b"JP"):
        removals.outdated("the C2PA manifest (JUMBF)")
        return False
    known = (marker, content[: len(ICC_PREFIX)]) == (APP2, ICC_PREFIX)
    known = known or (marker == APP12 and content.startswith(b"Ducky"))
    if known or (is_text(content.rstrip(b"\0")) and is_readable_text(content)):
        return True
    removals.unreadable(_name(marker, content))
    return False


def _name(marker: int, content: bytes) -> str:
    if marker == COM:
        return "a JPEG comment"
    start = content[:12].split(b"\0")[0]
    label = f" {start.decode()}" if start.isalnum() and start.isascii() else ""
    return f"JPEG segment APP{marker - APP0}{label}"


class _Extensions:
    """Extended XMP: the parts of each, in the segments; put together, cleaned and cut again."""

    def __init__(self, segments: list[Segment]) -> None:
        self.parts: dict[bytes, list[tuple[int, int, bytes]]] = {}
        self.new: dict[bytes, list[Segment]] = {}
        for marker, content in segments:
            if marker == APP1 and content.startswith(EXTENSION_PREFIX):
                digest, size, at, data = _extension_part(content)
                self.parts.setdefault(digest, []).append((size, at, data))

    def cleaned(self, removals: Removals) -> dict[bytes, bytes]:
        """Clean each; returns their digests before and after, the latter empty where none stays."""
        marks = {}
        for digest, parts in self.parts.items():
            whole = _joined(parts)
            if whole is None:
                removals.unreadable("extended XMP")
            packet = xmp.cleaned(whole, removals) if whole else None
            marks[digest] = digest if packet == whole else _digest(packet)
            self.new[digest] = list(_cut(packet, marks[digest])) if packet else []
        return marks

    def of(self, content: bytes) -> list[Segment]:
        """The segments in place of the first segment of an extension; none for the others."""
        digest, *_ = _extension_part(content)
        return self.new.pop(digest, [])


def _extension_part(content: bytes) -> tuple[bytes, int, int, bytes]:
    """Digest, size of the whole, offset and content of a part; a damaged one is of size -1."""
    at = len(EXTENSION_PREFIX)
    if len(content) < EXTENSION_HEADER:
        return b"", -1, 0, b""
    size, offset = struct.unpack_from(">II", content, at + 32)
    return content[at : at + 32], size, offset, content[EXTENSION_HEADER:]


def _digest(packet: bytes | None) -> bytes:
    """The name of an extension by its content; empty where there is none."""
    if packet is None:
        return b""
    return hashlib.md5(packet, usedforsecurity=False).hexdigest().upper().encode()


def _joined(parts: list[tuple[int, int, bytes]]) -> bytes | None:
    """The whole packet, or None where a part is missing."""
    whole = b""
    for size, at, data in sorted(parts, key=lambda part: part[1]):
        if at != len(whole) or size != parts[0][0]:
            return None
        whole += data
    return whole if len(whole) == parts[0][0] else None


def _cut(packet: bytes, digest: bytes) -> Iterator[Segment]:
    step = MAX_CONTENT - EXTENSION_HEADER
    for at in range(0, len(packet), step):
        head = EXTENSION_PREFIX + digest + struct.pack(">II", len(packet), at)
        yield APP1, head + packet[at : at + step]
