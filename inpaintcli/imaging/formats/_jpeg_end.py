"""JPEG files without their last two bytes, the end mark: webcams and cut downloads give some.

Source: ITU-T T.81, sections B.2 (frames and scans) and G.1.1 (progressive scans).
"""

import io
import re
import struct
from collections.abc import Iterator

from inpaintcli.imaging.formats._jpeg_metadata import SOS, segment_positions
from inpaintcli.imaging.formats._reading import DamagedError

END = b"\xff\xd9"
MISSING = "the file's end mark is missing, but all pixels are there"
FRAMES = (0xC0, 0xC1, 0xC2)
"""Markers of frames: baseline, extended, progressive."""
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker within coded data: not a byte 255, and not a restart."""
PADDINGS = (b"\x55\xa3\x3c\x17" * 512, b"\xe8\x01\x9d\x62" * 512)
"""Two sorts of further data: pixels that are missing would be made of them, and differ."""


def completed(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The file with its end mark, and remarks on it; a whole file as it is.

    Raises:
        DamagedError: pixels are missing.
    """
    segments = list(segment_positions(data))
    if not segments or segments[-1][0] != SOS or data.find(END, segments[-1][2]) >= 0:
        return data, ()
    frame = next((data[a:b] for marker, a, b in segments if marker in FRAMES), b"")
    if not _is_complete(frame, list(_scans(data, segments[-1]))):
        raise DamagedError("the end is missing")
    data = data.removesuffix(b"\xff")
    first, second = (_decoded(data + padding + END) for padding in PADDINGS)
    if first is None or first != second:
        raise DamagedError("the end is missing")
    return data + END, (MISSING,)


def _scans(data: bytes, first: tuple[int, int, int]) -> Iterator[bytes]:
    """The headers of all scans, from the first one on, whose position is given."""
    _, start, end = first
    while True:
        yield data[start:end]
        found = MARKER.search(data, end)
        while found and data[found.start() + 1] != SOS:
            (size,) = struct.unpack_from(">H", data.ljust(found.end() + 2, b"\0"), found.end())
            found = MARKER.search(data, found.end() + max(2, size))
        if not found or found.end() + 2 > len(data):
            return
        start = found.end() + 2
        end = found.end() + struct.unpack_from(">H", data, found.end())[0]


def _is_complete(frame: bytes, scans: list[bytes]) -> bool:
    """Whether the scans hold every coefficient of every component, to its last bit."""
    numbers = {frame[at] for at in range(6, len(frame) - 2, 3)}
    found: set[tuple[int, int]] = set()
    for scan in scans:
        count = scan[0] if scan else 0
        if len(scan) != 4 + 2 * count:
            return False
        first, last, bits = scan[-3:]
        if bits & 15 == 0:
            components = scan[1 : 1 + 2 * count : 2]
            found |= {(number, at) for number in components for at in range(first, last + 1)}
    return bool(numbers) and found >= {(number, at) for number in numbers for at in range(64)}


def _decoded(data: bytes) -> bytes | None:
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        with JpegImageFile(io.BytesIO(data)) as image:
            return image.tobytes()
    except OSError:
        return None
