"""How strips of TIFF are compressed: by Deflate here, by Pillow's libtiff in all other ways.

Pillow cannot write every TIFF that there is, so libtiff is given the bytes of a strip as if they
were a grey picture, and the compressed strip is taken out again; the other way round to read one.
"""

import io
import struct
import zlib
from functools import lru_cache

from inpaintcli.imaging.formats._tiff_tags import DEFLATE, UNPACKED
from inpaintcli.imaging.formats._writing import DEFLATE_LEVEL

LZW, OLD_DEFLATE, PACKBITS, LZMA, ZSTD = 5, 32946, 32773, 34925, 50000
WRITTEN_BY_LIBTIFF = {LZW: "tiff_lzw", PACKBITS: "packbits", LZMA: "lzma", ZSTD: "zstd"}
"""Pillow's names."""
OFFSETS, ROWS, SIZES = 273, 278, 279


@lru_cache
def writable(codec: int) -> int:
    """The compression to write for a file of this one: the same where it can be had."""
    if codec in (UNPACKED, DEFLATE, OLD_DEFLATE):
        return codec
    if codec not in WRITTEN_BY_LIBTIFF:
        return DEFLATE
    try:
        compressed(bytes(8), codec, 8)
    except (OSError, ValueError, KeyError):  # this libtiff was built without it
        return DEFLATE
    return codec


def compressed(plain: bytes, codec: int, row_bytes: int) -> bytes:
    """A strip, compressed; `codec` is one that `writable` gives, `row_bytes` the length of a row.

    PackBits compresses every row on its own (TIFF 6.0, section 9).
    """
    if codec == UNPACKED:
        return plain
    if codec in (DEFLATE, OLD_DEFLATE):
        return zlib.compress(plain, DEFLATE_LEVEL)
    from PIL import Image
    from PIL.TiffImagePlugin import TiffImageFile

    rows, out = len(plain) // row_bytes, io.BytesIO()
    Image.frombytes("L", (row_bytes, rows), plain).save(
        out, "TIFF", compression=WRITTEN_BY_LIBTIFF[codec], tiffinfo={ROWS: rows}
    )
    coded = out.getvalue()
    with TiffImageFile(io.BytesIO(coded)) as file:
        (start,), (size,) = file.tag_v2[OFFSETS], file.tag_v2[SIZES]
    return coded[start : start + size]


def decompressed(data: bytes, codec: int, size: int) -> bytes:
    """`size` bytes of a strip or tile, decoded by libtiff as a TIFF of one row of 8-bit grey."""
    from PIL.TiffImagePlugin import TiffImageFile

    start = 8 + 2 + 8 * 12 + 4
    values = {256: size, 257: 1, 258: 8, 259: codec, 262: 1, OFFSETS: start, ROWS: 1}
    values[SIZES] = len(data)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    header = b"II*\0" + struct.pack("<IH", 8, len(values)) + entries + bytes(4)
    with TiffImageFile(io.BytesIO(header + data)) as image:
        return image.tobytes()
