"""How a file is made, apart from its pixels and metadata: facts by name, in words."""

import io
import struct
from collections.abc import Callable
from contextlib import suppress

from inpaintcli.imaging.jpeg_blocks.structure import (
    FRAMES,
    NotBlockwiseError,
    Structure,
    parse_structure,
)

Facts = dict[str, str]
COLOUR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGB and alpha"}
PASSES = {FRAMES[0]: "baseline", FRAMES[1]: "extended sequential", FRAMES[2]: "progressive"}


def facts_of(data: bytes, name: str) -> Facts:
    """The facts of a file of a format (its `NAME`); none where they cannot be read."""
    with suppress(struct.error, IndexError, ValueError, KeyError):
        return READERS[name](data) if name in READERS else {}
    return {}


def _jpeg(data: bytes) -> Facts:
    try:
        structure = parse_structure(data)
    except NotBlockwiseError as fault:
        return {"coding": str(fault)}
    tables = [structure.quantisation[one.table].tolist() for one in structure.components]
    return {
        "coding": PASSES[structure.frame],
        "chroma sampling": ", ".join(f"{c.across}x{c.down}" for c in structure.components),
        "sums of quantisation tables": ", ".join(str(sum(one)) for one in tables),
        "passes": str(len(structure.scans)),
        "restart interval": str(structure.scans[0].interval or "none"),
        "Adobe's colour transform": _adobe(data, structure),
    }


def _adobe(data: bytes, structure: Structure) -> str:
    for piece in structure.pieces:
        content = data[piece.content : piece.end]
        if piece.marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12:
            return str(content[11])
    return "none"


def _png(data: bytes) -> Facts:
    depth, colour, _, _, interlaced = struct.unpack_from(">BBBBB", data, 24)
    return {
        "bits a sample": str(depth),
        "colours": COLOUR_TYPES.get(colour, str(colour)),
        "interlaced": "yes" if interlaced else "no",
    }


def _tiff(data: bytes) -> Facts:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        return {
            "byte order": {"<": "little", ">": "big"}[file.byteorder],
            "BigTIFF": "yes" if file.is_bigtiff else "no",
            "pages": str(len(file.pages)),
            "compression": getattr(page.compression, "name", str(page.compression)),
            "predictor": str(int(page.predictor)),
            "planes": getattr(page.planarconfig, "name", str(page.planarconfig)),
            "tiles": f"{page.tilewidth}x{page.tilelength}" if page.is_tiled else "strips",
            "colours": getattr(page.photometric, "name", str(page.photometric)),
            "bits a sample": str(page.bitspersample),
        }


def _webp(data: bytes) -> Facts:
    return {"coding": "lossless" if b"VP8L" in data[12:64] else "lossy"}


def _bmp(data: bytes) -> Facts:
    bits, compression = struct.unpack_from("<HI", data, 28)
    return {"bits a pixel": str(bits), "compression": str(compression)}


READERS: dict[str, Callable[[bytes], Facts]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "TIFF": _tiff,
    "WebP": _webp,
    "BMP": _bmp,
}
