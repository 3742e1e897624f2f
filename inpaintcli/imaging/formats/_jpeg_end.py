"""JPEG files without their last two bytes, the end mark: webcams and cut downloads give some.

Source: ITU-T T.81, section B.1.1 (markers).
"""

import io

from inpaintcli.imaging.formats._jpeg_metadata import SOS, segment_positions
from inpaintcli.imaging.formats._reading import DamagedError

END = b"\xff\xd9"
MISSING = "the file's end mark is missing, but all pixels are there"
FRAMES = (0xC0, 0xC1)
"""Markers of frames that may consist of one scan."""
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
    _, start, end = segments[-1]
    frames = [data[a:b] for marker, a, b in segments if marker in FRAMES]
    if not frames or frames[-1][5:6] != data[start:end][:1]:
        # Several scans make up such a file, and nothing says how many there ought to be.
        raise DamagedError("the end is missing")
    data = data.removesuffix(b"\xff")
    first, second = (_decoded(data + padding + END) for padding in PADDINGS)
    if first is None or first != second:
        raise DamagedError("the end is missing")
    return data + END, (MISSING,)


def _decoded(data: bytes) -> bytes | None:
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        with JpegImageFile(io.BytesIO(data)) as image:
            return image.tobytes()
    except OSError:
        return None
