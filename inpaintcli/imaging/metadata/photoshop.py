"""Photoshop's image resources, and the IPTC in them.

Source: Adobe Photoshop File Formats Specification, "Image Resource Blocks"; IPTC-NAA Information
Interchange Model 4.2.
"""

import struct
from collections.abc import Iterator

from inpaintcli.imaging.metadata import xmp
from inpaintcli.imaging.metadata.content import is_harmless
from inpaintcli.imaging.metadata.removals import Removals

SIGNATURES = (b"8BIM", b"AgHg", b"DCSR", b"MeSa", b"PHUT")
IPTC, ICC, THUMBNAILS, EXIF, XMP = 1028, 1039, (1033, 1036), (1058, 1059), 1060
CAPTION_DIGEST = 1061
KNOWN = frozenset((1005, 1010, 1011, 1013, 1034, 1035, 1037, 1044, 1045, 1049, 1062, ICC))
"""Resolution, print settings, copyright, URL, angle of light, ids, names of channels, profile."""
PREVIEW_DATASETS = frozenset((200, 201, 202))
"""Of IPTC's record 2: format, version and data of a preview of the object."""

Resource = tuple[bytes, int, bytes, bytes]
"""Signature, number, name with its length and padding, content."""


def cleaned(resources: bytes, removals: Removals) -> bytes | None:
    """The resources without what may show the photo; None where nothing stays.

    Args:
        resources: resource blocks, one after another.
        removals: takes the names of what does not stay.
    """
    try:
        found = list(_resources(resources))
    except (struct.error, ValueError):
        removals.unreadable("Photoshop's resources")
        return None
    staying = b"".join(
        _packed(signature, number, name, content)
        for signature, number, name, old in found
        if (content := _content(number, old, removals)) is not None
    )
    return staying or None


def cleaned_iptc(iptc: bytes, removals: Removals) -> bytes | None:
    """IPTC datasets without a preview of the object; None where they cannot be read."""
    parts, at = [], 0
    while at + 5 <= len(iptc) and iptc[at] == 0x1C:
        record, dataset, size = struct.unpack_from(">BBH", iptc, at + 1)
        end, harmless = at + 5 + size, size < 0x8000  # a longer dataset states its size otherwise
        if not harmless or end > len(iptc):
            removals.unreadable("a part of IPTC")
            break
        if record == 2 and dataset in PREVIEW_DATASETS:
            removals.preview("IPTC's preview")
        elif not is_harmless(iptc[at + 5 : end]):
            removals.unreadable(f"IPTC {record}:{dataset:02d}")
        else:
            parts.append(iptc[at:end])
        at = end
    return b"".join(parts) or None


def iptc_of(resources: bytes) -> bytes | None:
    """The IPTC in resource blocks, or None."""
    try:
        return next((c for _, number, _, c in _resources(resources) if number == IPTC), None)
    except (struct.error, ValueError):
        return None


def with_iptc(iptc: bytes) -> bytes:
    """A resource block that holds IPTC."""
    return _packed(b"8BIM", IPTC, b"\0\0", iptc)


def has_more_than_iptc(resources: bytes) -> bool:
    """Whether there are other resources besides IPTC."""
    try:
        return any(number != IPTC for _, number, _, _ in _resources(resources))
    except (struct.error, ValueError):
        return False


def _content(number: int, content: bytes, removals: Removals) -> bytes | None:
    """The content of a resource that stays, or None."""
    from inpaintcli.imaging.metadata import exif

    if number in THUMBNAILS:
        removals.preview("Photoshop's thumbnail")
        return None
    if number == IPTC:
        return cleaned_iptc(content, removals)
    if number in EXIF:
        return exif.cleaned(content, removals)
    if number == XMP:
        return xmp.cleaned(content, removals)
    if number in KNOWN or is_harmless(content):
        return content
    removals.unreadable(f"Photoshop's resource {number}")
    return None


def _resources(data: bytes) -> Iterator[Resource]:
    """The resources, one after another.

    Raises:
        ValueError, struct.error: they are damaged.
    """
    at = 0
    while at + 12 <= len(data):
        signature, number, length = struct.unpack_from(">4sHB", data, at)
        if signature not in SIGNATURES:
            raise ValueError("no signature")
        content_at = at + 6 + 1 + length + (1 + length) % 2
        (size,) = struct.unpack_from(">I", data, content_at)
        end = content_at + 4 + size
        if end > len(data):
            raise ValueError("a resource ends early")
        yield signature, number, data[at + 6 : content_at], data[content_at + 4 : end]
        at = end + size % 2


def _packed(signature: bytes, number: int, name: bytes, content: bytes) -> bytes:
    size = struct.pack(">I", len(content))
    head = signature + struct.pack(">H", number) + name
    return head + size + content + bytes(len(content) % 2)
