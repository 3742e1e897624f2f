"""TIFF: every mode, 1 to 16 bits a channel, in strips or tiles, contiguous or planar.

Pillow has no 16-bit RGB, and OpenCV multiplies alpha into 8-bit colours and loses 16-bit planes,
so tifffile reads the samples. Compressions that it cannot decode without a large dependency (LZW,
Zstandard) are decoded by Pillow's libtiff, a strip or tile at a time; files that are not an array
of samples (JPEG and fax coding, YCbCr, fewer than 8 bits) are read by Pillow as a whole. Source:
TIFF revision 6.0.
"""

import contextlib
import io
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import UnreadableError
from inpaintcli.imaging.formats import _tiff_writing, _tiff_ycbcr
from inpaintcli.imaging.formats._reading import (
    DamagedError,
    check_size,
    decoding,
    padded_palette,
    several_pictures,
    split_alpha,
    unsupported_mode,
)
from inpaintcli.imaging.formats._tiff_coding import LZW, ZSTD, decompressed
from inpaintcli.imaging.formats._tiff_tags import (
    ASSOCIATED,
    BLACK_IS_0,
    BLOCKS,
    C2PA,
    COLOUR_MAP,
    ICC,
    INDEXED,
    IPTC,
    LAYERS,
    ORIENTATION,
    PHOTOSHOP,
    RGB,
    STRUCTURE,
    SUB_IFDS,
    UNASSOCIATED,
    UNPACKED,
    WHITE_IS_0,
    XMP,
    YCBCR,
    TiffEncoding,
    colours_of,
)
from inpaintcli.imaging.metadata.photoshop import iptc_of, with_iptc
from inpaintcli.imaging.picture import Mode, Origin, Picture, displayed

NAME = "TIFF"
SUFFIXES: tuple[str, ...] = (".tif", ".tiff")
HOLDS: frozenset[str] = frozenset(("icc", "exif", "xmp", "photoshop"))

DECODED_BY_TIFFFILE = (UNPACKED, 8, 32946, 32773, 34925)  # Deflate by two numbers, PackBits, LZMA
DECODED_BY_LIBTIFF = (LZW, ZSTD)
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""For files of fill order 2: each byte with its bits in the opposite order."""
YCBCR_CODECS = (UNPACKED, LZW, 8, 32946, 32773)
MAX_EXTRAS = 8
"""Channels besides the colours: alpha, selections, infrared."""
READ_BY_PILLOW = (2, 3, 4, 7)  # fax codings and JPEG
UNSUPPORTED_COLOURS = {
    5: "CMYK",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "a camera's raw mosaic",
}


def accepts(head: bytes) -> bool:
    """Whether `head` is the beginning of a TIFF or BigTIFF file."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read(data: bytes, name: str) -> Picture:
    """The picture of a TIFF file.

    Raises:
        UnreadableError: damaged, of several pages, floating point, CMYK and the like, or larger
            than MAX_PIXELS.
    """
    import logging

    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # it logs what it then raises
    _silence_libtiff()
    with decoding(name, NAME), tifffile.TiffFile(io.BytesIO(data)) as file:
        page = _only_page(file, name)
        check_size(int(page.imagewidth), int(page.imagelength), name)
        _check_kind(page, name)
        if any(at + size > len(data) for at, size in _segments(page)):
            raise DamagedError("the end is missing")
        origin = replace(_origin(data, page), copies=_copies(file, page), left_out=_left_out(page))
        if _needs_pillow(page):
            return _read_by_pillow(data, origin, name)
        if page.photometric == YCBCR:
            samples = displayed(_tiff_ycbcr.samples(page, _decoder(page)), origin.orientation)
            return Picture(samples, None, origin)
        samples = displayed(_samples(page, name), origin.orientation)
        return _interpreted(samples, page, origin)


def write(picture: Picture) -> bytes:
    """The picture as a TIFF file: in contiguous strips, compressed as the original, or by Deflate.

    Raises:
        OutputError: it would be larger than the 4 GiB that a TIFF can address.
    """
    return _tiff_writing.encoded(picture)


def _silence_libtiff() -> None:
    """Keep Pillow's libtiff from printing about damaged files; Pillow raises in any case."""
    import ctypes

    from PIL import _imaging

    # Where libtiff is linked so that it cannot be found, it prints; that harms nothing.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _only_page(file: Any, name: str) -> Any:
    """The one picture of the file; reduced copies of it do not count."""
    pages = [page for page in (file.pages[i] for i in range(len(file.pages))) if page is not None]
    pictures = [page for page in pages if not getattr(page, "is_reduced", False)] or pages[:1]
    if len(pictures) > 1:
        raise several_pictures(name, f"a TIFF of {len(pictures)} pages")
    return pictures[0]


def _check_kind(page: Any, name: str) -> None:
    photometric, depth = int(page.photometric), int(page.bitspersample)
    if int(page.sampleformat) != 1:
        kind = {2: "signed", 3: "floating-point"}.get(int(page.sampleformat), "unusual")
        raise unsupported_mode(name, f"a TIFF of {depth}-bit {kind} samples")
    if depth not in (1, 2, 4, 8, 16):
        raise unsupported_mode(name, f"a TIFF of {depth} bits a channel")
    if photometric not in (WHITE_IS_0, BLACK_IS_0, RGB, INDEXED, YCBCR):
        raise unsupported_mode(
            name, UNSUPPORTED_COLOURS.get(photometric, f"a TIFF of colour kind {photometric}")
        )
    wanted = 3 if photometric in (RGB, YCBCR) else 1
    most = wanted if photometric in (INDEXED, YCBCR) else wanted + MAX_EXTRAS
    if not wanted <= int(page.samplesperpixel) <= most or int(page.imagedepth) != 1:
        raise unsupported_mode(name, f"a TIFF of {page.samplesperpixel} channels")


def _segments(page: Any) -> list[tuple[int, int]]:
    return list(zip(page.dataoffsets, page.databytecounts, strict=True))


def _needs_pillow(page: Any) -> bool:
    return (
        page.bitspersample < 8
        or (page.photometric == YCBCR and int(page.compression) not in YCBCR_CODECS)
        or int(page.compression) in READ_BY_PILLOW
    )


def _origin(data: bytes, page: Any) -> Origin:
    def tag(code: int) -> Any:
        found = page.tags.get(code)
        return None if found is None else found.value

    def block(code: int) -> bytes | None:
        value = tag(code)
        return value if isinstance(value, bytes) and value else None

    orientation, colour_map = tag(ORIENTATION), tag(COLOUR_MAP)
    return Origin(
        NAME,
        _mode(page),
        orientation=int(orientation) if orientation in range(1, 9) else 1,
        icc=block(ICC),
        exif=_exif_block(data),
        xmp=block(XMP),
        photoshop=_resources(block(PHOTOSHOP), _iptc(tag(IPTC), page.parent.byteorder)),
        dpi=_dpi(tag(282), tag(283), tag(296)),
        encoding=TiffEncoding(
            byte_order=page.parent.byteorder,
            compression=int(page.compression),
            predictor=int(page.predictor),
            bits=min(8, int(page.bitspersample)),
            white_is_0=page.photometric == WHITE_IS_0,
            extras=_extras(page),
            colour_map=tuple(colour_map) if page.photometric == INDEXED else (),
        ),
    )


def _copies(file: Any, page: Any) -> tuple[str, ...]:
    """What else of the file shows the picture: other pages, SubIFDs, Photoshop's layers."""
    found = []
    if len(file.pages) > 1 or SUB_IFDS in page.tags:
        found.append("reduced copies of the picture")
    if LAYERS in page.tags:
        found.append("Photoshop's layers")
    return tuple(found)


def _left_out(page: Any) -> str:
    return "the C2PA manifest, which is no longer true" if C2PA in page.tags else ""


def _iptc(value: Any, byte_order: str) -> bytes | None:
    """The bytes of the tag of IPTC, which many programs write as numbers of 32 bits."""
    if isinstance(value, tuple):
        return struct.pack(f"{byte_order}{len(value)}I", *value)
    return value if isinstance(value, bytes) and value else None


def _resources(resources: bytes | None, iptc: bytes | None) -> bytes | None:
    """Photoshop's resources, with the IPTC of the tag of its own if they have none."""
    if iptc and not iptc_of(resources or b""):
        return with_iptc(iptc) + (resources or b"")
    return resources


def _extras(page: Any) -> tuple[int, ...]:
    """The kinds of the channels besides the colours; those that the file does not state are 0.

    A single one in a file without the tag is the alpha: OpenCV, for one, writes such files.
    """
    count = int(page.samplesperpixel) - (3 if page.photometric in (RGB, YCBCR) else 1)
    stated = tuple(int(kind) for kind in page.extrasamples)
    if count == 1 and not stated:
        return (UNASSOCIATED,)
    return (*stated, *(0,) * count)[:count]


def _mode(page: Any) -> Mode:
    if page.photometric == INDEXED:
        return "palette"
    if page.photometric in (RGB, YCBCR):
        return "rgb"
    return "bilevel" if page.bitspersample == 1 else "grey"


def _dpi(x: Any, y: Any, unit: Any) -> tuple[float, float] | None:
    """Dots per inch, of whatever type the file's numbers are."""
    across, down = _number(x), _number(y)
    if not (across and down) or unit not in (None, 2, 3):
        return None
    scale = 2.54 if unit == 3 else 1.0
    return scale * across, scale * down


def _number(value: Any) -> float:
    """A tag's value as a number: a rational or one of another type; 0 where it is none."""
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, IndexError):
        if isinstance(value, tuple):
            return float(value[0]) / (float(value[1]) if len(value) > 1 else 1.0)
        return float(value)
    return 0.0


def _exif_block(data: bytes) -> bytes | None:
    """An EXIF block of the file's tags except those about its structure."""
    from PIL import Image

    # Wrong tags must not make the picture unreadable.
    with contextlib.suppress(Exception):
        exif = Image.Exif()
        exif.load(data)
        for tag in list(exif):
            if tag in STRUCTURE or tag in BLOCKS:
                del exif[tag]
        return exif.tobytes().removeprefix(b"Exif\0\0") if len(exif) else None
    return None


def _read_by_pillow(data: bytes, origin: Origin, name: str) -> Picture:
    from PIL.TiffImagePlugin import TiffImageFile

    with TiffImageFile(io.BytesIO(data)) as image:
        image.load()  # Pillow applies the orientation
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            raise unsupported_mode(name, f"a TIFF of mode {image.mode}")
        if image.mode == "P":
            indices = np.array(image, np.uint8)
            colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            palette = padded_palette(colours, indices, None)
            return Picture(*palette.expanded(), replace(origin, palette=palette))
        samples = np.array(image.convert("L") if image.mode == "1" else image)
        return Picture(*split_alpha(samples), origin)


def _samples(page: Any, name: str) -> NDArray[Any]:
    """The samples as they lie in the file, uint8 or uint16 (h, w, channels)."""
    codec = int(page.compression)
    if codec not in (*DECODED_BY_TIFFFILE, *DECODED_BY_LIBTIFF):
        raise UnreadableError(
            f"{name} is a TIFF compressed by {getattr(page.compression, 'name', codec)}, "
            "which is not supported.",
            hint="Save it with Deflate or LZW compression, or none.",
        )
    whole = (
        _decoded_by_libtiff(page, codec)
        if codec in DECODED_BY_LIBTIFF
        else page.asarray(squeeze=False)
    )
    planes = np.asarray(whole)[:, 0]  # (planes, depth, h, w, channels), depth is 1
    return np.ascontiguousarray(
        planes[0] if len(planes) == 1 else np.moveaxis(planes[..., 0], 0, -1)
    )


def _decoded_by_libtiff(page: Any, codec: int) -> NDArray[Any]:
    """As `page.asarray`, each strip or tile decoded by libtiff."""
    reversed_bits, page.fillorder = int(page.fillorder) == 2, 1
    page.compression = UNPACKED  # so that `decode` undoes only the predictor and the byte order
    found = np.zeros(page.shaped, page.dtype)
    height, width = int(page.imagelength), int(page.imagewidth)
    for data, index in page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts):
        if data is None:
            continue
        in_order = data.translate(REVERSED_BITS) if reversed_bits else data
        decoded = decompressed(in_order, codec, _segment_bytes(page, index))
        part, (plane, _, y, x, _), shape = page.decode(decoded, index, _fullsize=page.is_tiled)
        area = found[plane, 0, y : y + shape[1], x : x + shape[2]]
        area[:] = part[0, : height - y, : width - x]
    return found


def _segment_bytes(page: Any, index: int) -> int:
    """Bytes of strip or tile `index` when decoded."""
    pixel = page.dtype.itemsize * page.shaped[-1]
    if page.is_tiled:
        return int(page.tilelength * page.tilewidth * pixel)
    height, rows = int(page.imagelength), min(int(page.rowsperstrip), int(page.imagelength))
    first = index % -(-height // rows) * rows
    return int(min(rows, height - first) * page.imagewidth * pixel)


def _decoder(page: Any) -> Callable[[bytes, int], bytes]:
    """What decompresses a strip or tile of a page to so many bytes."""
    codec, reversed_bits = int(page.compression), int(page.fillorder) == 2

    def decode(data: bytes, size: int) -> bytes:
        data = data.translate(REVERSED_BITS) if reversed_bits else data
        return data if codec == UNPACKED else decompressed(data, codec, size)

    return decode


def _interpreted(samples: NDArray[Any], page: Any, origin: Origin) -> Picture:
    """The picture of displayed samples (h, w, channels): palette, black and alpha interpreted."""
    if page.photometric == INDEXED:
        colours = colours_of(page.tags[COLOUR_MAP].value)[:256]
        palette = padded_palette(colours, samples[:, :, 0].astype(np.uint8), None)
        return Picture(*palette.expanded(), replace(origin, palette=palette))
    encoding = cast("TiffEncoding", origin.encoding)
    count, at = samples.shape[2] - len(encoding.extras), encoding.alpha_at
    pixels, others = np.ascontiguousarray(samples[:, :, :count]), samples[:, :, count:]
    alpha = None if at is None else np.ascontiguousarray(others[:, :, at])
    if page.photometric == WHITE_IS_0:
        pixels = np.iinfo(pixels.dtype).max - pixels
    if at is not None and alpha is not None:
        others = np.delete(others, at, axis=2)
        pixels = _divided(pixels, alpha) if encoding.extras[at] == ASSOCIATED else pixels
    if others.shape[2]:
        encoding = replace(encoding, others=np.ascontiguousarray(others))
    return Picture(pixels, alpha, replace(origin, encoding=encoding))


def _divided(pixels: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Straight colours (h, w, c) from colours multiplied by alpha (h, w), rounded.

    As both rounds, `_tiff_writing` is the exact inverse for alpha above 0: the error of half a step
    is scaled by alpha <= 1. Where alpha is 0 the file holds no colour.
    """
    top = np.iinfo(pixels.dtype).max
    part = np.maximum(alpha, 1).astype(np.uint64)[:, :, None]
    straight = (pixels.astype(np.uint64) * top + part // 2) // part
    return np.asarray(np.minimum(straight, top).astype(pixels.dtype))
