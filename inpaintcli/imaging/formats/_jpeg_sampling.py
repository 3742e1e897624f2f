"""JPEG files of rare chroma samplings (4:4:0, 4:1:1 ...), which Pillow reads but cannot write.

Each component is coded by Pillow as a grey picture, and the scans are put into one file: a scan of
one component holds the same bits as that of a grey picture (ITU-T T.81, section A.2.2).
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DQT, DHT, SOS, EOI = 0xDB, 0xC4, 0xDA, 0xD9
FRAMES = (0xC0, 0xC1, 0xC2)


@dataclass(frozen=True)
class Component:
    """A colour component: its number in the file, its sampling factors, the place of its table."""

    number: int
    across: int
    down: int
    table: int


def rare_components(image: Any, tables: tuple[tuple[int, ...], ...]) -> tuple[Component, ...]:
    """The components of a file that Pillow cannot write alike; none where it can.

    Args:
        image: an open JPEG of Pillow's.
        tables: its quantisation tables, in the order of their numbers.
    """
    from PIL.JpegImagePlugin import get_sampling

    numbers = sorted(image.quantization)
    if get_sampling(image) >= 0 or len(image.layer) != 3 or image.mode != "RGB":
        return ()
    found = tuple(Component(one[0], one[1], one[2], numbers.index(one[3])) for one in image.layer)
    across, down = max(one.across for one in found), max(one.down for one in found)
    whole = all(across % one.across == 0 and down % one.down == 0 for one in found)
    return found if whole and max(map(max, tables)) < 256 else ()


def encoded(
    rgb: NDArray[np.uint8],
    components: tuple[Component, ...],
    tables: tuple[tuple[int, ...], ...],
    **options: Any,
) -> bytes:
    """A JPEG file of pixels uint8 (h, w, 3); `options` are `progressive` and `optimize`."""
    from PIL import Image

    planes = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    across, down = max(one.across for one in components), max(one.down for one in components)
    head: dict[int, bytes] = {}
    scans, frame = [], 0xC0
    for i, one in enumerate(components):
        plane = _averaged(planes[..., i], down // one.down, across // one.across)
        out = io.BytesIO()
        Image.fromarray(plane).save(out, "JPEG", qtables=[list(tables[one.table])], **options)
        for marker, content, bits in _segments(out.getvalue()):
            if marker == DQT:
                head[one.table] = _packed(DQT, bytes([one.table]) + content[1:])
            elif marker in FRAMES:
                frame = marker
            elif marker == DHT:
                scans.append(_packed(DHT, content))
            elif marker == SOS:
                scans.append(_packed(SOS, b"\x01" + bytes([one.number]) + content[2:]) + bits)
    size = struct.pack(">BHHB", 8, *rgb.shape[:2], len(components))
    factors = b"".join(
        bytes([one.number, one.across << 4 | one.down, one.table]) for one in components
    )
    parts = [*head.values(), _packed(frame, size + factors), *scans]
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"


def _averaged(plane: NDArray[np.uint8], down: int, across: int) -> NDArray[np.uint8]:
    """The means of blocks of `down` rows and `across` columns; the edge is repeated to fill one."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % down), (0, -width % across)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
    return np.asarray(blocks.mean(axis=(1, 3)) + 0.5).astype(np.uint8)


def _segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Marker, content, and the coded bits behind it, of each segment of a file of Pillow's."""
    at = 2
    while data[at + 1] != EOI:
        marker, (size,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        end = following = at + 2 + size
        if marker == SOS:
            while data[(following := data.index(0xFF, following)) + 1] == 0:
                following += 2
        yield marker, data[at + 4 : end], data[end:following]
        at = following


def _packed(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
