"""PNG: every mode, 8 and 16 bits a channel; a PNG's own chunks are copied byte for byte.

Pillow reads and writes 8 bits. It has no 16-bit RGB, so OpenCV reads 16 bits; OpenCV writes no
grey with alpha, so 16 bits are written here. Source: PNG (third edition), W3C 2025.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.formats._png_filters import filtered
from inpaintcli.imaging.formats._png_metadata import (
    OF_COLOUR,
    XMP_KEY,
    Chunk,
    cleaned_chunks,
    found_in,
    stripped_chunks,
    texts_in_words,
)
from inpaintcli.imaging.formats._reading import (
    DamagedError,
    check_size,
    decoding,
    padded_palette,
    several_pictures,
    split_alpha,
)
from inpaintcli.imaging.formats._writing import (
    DEFLATE_LEVEL,
    bits,
    is_bilevel,
    resolution,
    stored_samples,
    updated_palette,
)
from inpaintcli.imaging.metadata import raw_profiles
from inpaintcli.imaging.metadata.orientation import block_to_write, orientation
from inpaintcli.imaging.metadata.removals import Removals
from inpaintcli.imaging.picture import Encoding, Mode, Origin, Palette, Picture, displayed, stored

NAME = "PNG"
SUFFIXES: tuple[str, ...] = (".png",)
HOLDS: frozenset[str] = frozenset(("icc", "exif", "xmp", "photoshop"))

MAGIC = b"\x89PNG\r\n\x1a\n"
GREY, RGB, INDEXED, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
"""Chunks on which the pixels depend; libraries refuse files for the size of the others."""
OF_COLOUR_TYPE = (b"sBIT", b"bKGD")
"""Chunks whose content depends on the colour type."""
OF_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
INCHES_PER_METRE = 39.37007874


@dataclass(frozen=True)
class PngEncoding(Encoding):
    """How the file was coded, and its metadata chunks.

    `key` is the colour that means full transparency, in samples of the file's depth, or None.
    """

    colour_type: int
    bit_depth: int
    key: tuple[int, ...] | None
    chunks: tuple[Chunk, ...]

    def only_here(self) -> str:
        """Texts that have no place in other formats."""
        return texts_in_words(self.chunks)

    def cleaned(self, removals: Removals) -> Self:
        """The encoding without chunks that may show the photo unfilled."""
        return replace(self, chunks=cleaned_chunks(self.chunks, removals))

    def stripped(self) -> Self:
        """The encoding without metadata."""
        return replace(self, chunks=stripped_chunks(self.chunks))


def accepts(head: bytes) -> bool:
    """Whether `head` is the beginning of a PNG file."""
    return head.startswith(MAGIC)


def read(data: bytes, name: str) -> Picture:
    """The picture of a PNG file.

    Raises:
        UnreadableError: damaged, animated, or larger than MAX_PIXELS.
    """
    with decoding(name, NAME):
        chunks, remarks = _whole_chunks(data)
        width, height, depth, colour_type = _header(chunks, name)
        check_size(width, height, name)
        content = dict(chunks)
        origin = replace(_origin(chunks, colour_type, depth), remarks=remarks)
        plain = _file([chunk for chunk in chunks if chunk[0] in NEEDED])
        if colour_type == INDEXED:
            return _indexed(plain, content, origin)
        samples = _samples_16(plain, colour_type) if depth == 16 else _samples_8(plain, colour_type)
        pixels, alpha = split_alpha(displayed(samples, origin.orientation))
        return Picture(pixels, _keyed_alpha(pixels, origin.encoding, alpha), origin)


def write(picture: Picture) -> bytes:
    """The picture as a PNG file, in the mode and depth of the original where that was a PNG."""
    palette = updated_palette(picture, _palette_size(picture.origin))
    if palette is not None:
        return _write_indexed(picture, palette)
    if is_bilevel(picture):
        return _assembled(picture, _body(bits(picture)), b"")
    picture, key = _with_key(picture)
    samples = stored_samples(picture)
    body = _body_16(samples) if picture.depth == 16 else _body(*_few_bits(picture, samples))
    return _assembled(picture, body, b"".join(struct.pack(">H", k) for k in key or ()))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Type and content of each chunk up to IEND, or to the end; whether its checksum is right."""
    at = len(MAGIC)
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if at + 12 + size > len(data):
            return
        (checksum,) = struct.unpack_from(">I", data, at + 8 + size)
        yield kind, content, checksum == zlib.crc32(kind + content)
        if kind == b"IEND":
            return
        at += 12 + size


def _whole_chunks(data: bytes) -> tuple[list[Chunk], tuple[str, ...]]:
    """The chunks, without ancillary ones of a wrong checksum; remarks on what was wrong.

    Raises:
        DamagedError: a checksum of the pixels is wrong, or some of them are missing.
    """
    chunks: list[Chunk] = []
    remarks: dict[str, None] = {}
    for kind, content, right in _chunks(data):
        if right:
            chunks.append((kind, content))
        elif kind[:1].islower():
            what = f"the chunk {kind.decode('latin-1')} was not read: its checksum is wrong"
            remarks[what] = None
        else:
            raise DamagedError(f"the checksum of {kind.decode('latin-1')} is wrong")
    if not chunks or chunks[-1][0] != b"IEND":
        unpacker = zlib.decompressobj()
        unpacker.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
        if not unpacker.eof:
            raise DamagedError("the end is missing")
        remarks["the end of the file is missing, but all pixels are there"] = None
    return chunks, tuple(remarks)


def _header(chunks: list[Chunk], name: str) -> tuple[int, int, int, int]:
    kind, content = chunks[0]
    if kind != b"IHDR":
        raise DamagedError("it does not begin with a header")
    width, height, depth, colour_type, *_ = struct.unpack(">IIBBBBB", content)
    frames = next((c for k, c in chunks if k == b"acTL"), None)
    if frames is not None and struct.unpack_from(">I", frames)[0] > 1:
        raise several_pictures(name, "an animated PNG")
    return width, height, depth, colour_type


def _origin(chunks: list[Chunk], colour_type: int, depth: int) -> Origin:
    content, found = dict(chunks), found_in(chunks)
    key = _key(content.get(b"tRNS"), colour_type)
    bilevel = colour_type == GREY and depth == 1 and key is None
    mode: Mode = "palette" if colour_type == INDEXED else "rgb" if colour_type & RGB else "grey"
    return Origin(
        format=NAME,
        mode="bilevel" if bilevel else mode,
        orientation=orientation(found.exif),
        icc=found.icc,
        exif=found.exif,
        xmp=found.xmp,
        photoshop=found.photoshop,
        dpi=_dpi(content.get(b"pHYs", b"")),
        encoding=PngEncoding(colour_type, depth, key, tuple(c for c in chunks if _is_kept(c[0]))),
    )


def _dpi(content: bytes) -> tuple[float, float] | None:
    """Dots per inch, from the chunk pHYs; None where that states no unit."""
    if len(content) != 9 or content[8] != 1:
        return None
    x, y = struct.unpack_from(">II", content)
    return x / INCHES_PER_METRE, y / INCHES_PER_METRE


def _is_kept(kind: bytes) -> bool:
    """Whether a chunk is metadata; what of it is written is decided later."""
    return kind[:1].islower() and kind not in OF_ANIMATION and kind != b"tRNS"


def _key(content: bytes | None, colour_type: int) -> tuple[int, ...] | None:
    if content is None or colour_type not in (GREY, RGB):
        return None
    return struct.unpack(">H" if colour_type == GREY else ">HHH", content)


def _indexed(data: bytes, content: dict[bytes, bytes], origin: Origin) -> Picture:
    from PIL.PngImagePlugin import PngImageFile

    with PngImageFile(io.BytesIO(data)) as image:
        image.load()
        indices = displayed(np.array(image, np.uint8), origin.orientation)
    colours = np.frombuffer(content[b"PLTE"], np.uint8).reshape(-1, 3)
    alphas = np.frombuffer(content[b"tRNS"], np.uint8) if b"tRNS" in content else None
    palette = padded_palette(colours, indices, alphas)
    return Picture(*palette.expanded(), replace(origin, palette=palette))


def _samples_8(data: bytes, colour_type: int) -> NDArray[Any]:
    """Samples of up to 8 bits (h, w, channels), fewer bits scaled to 8."""
    from PIL.PngImagePlugin import PngImageFile

    with PngImageFile(io.BytesIO(data)) as image:
        image.load()
        wanted = {GREY: "L", RGB: "RGB", GREY_ALPHA: "LA", RGB_ALPHA: "RGBA"}[colour_type]
        return np.array(image if image.mode == wanted else image.convert(wanted))


def _samples_16(data: bytes, colour_type: int) -> NDArray[Any]:
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise DamagedError("its samples cannot be decoded")
    channels = found.reshape(*found.shape[:2], -1)
    # OpenCV gives BGR or BGRA, and BGRA for grey with alpha; it adds alpha for a key colour.
    order = {GREY: [0], RGB: [2, 1, 0], GREY_ALPHA: [0, 3], RGB_ALPHA: [2, 1, 0, 3]}[colour_type]
    return np.ascontiguousarray(channels[:, :, order])


def _key_samples(encoding: PngEncoding, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The key colour in samples as read: fewer than 8 bits are scaled to 8."""
    scale = 1 if encoding.bit_depth >= 8 else 255 // ((1 << encoding.bit_depth) - 1)
    return (np.asarray(encoding.key) * scale).astype(dtype)


def _keyed_alpha(
    pixels: NDArray[Any], encoding: Encoding, alpha: NDArray[Any] | None
) -> NDArray[Any] | None:
    if not isinstance(encoding, PngEncoding) or encoding.key is None:
        return alpha
    clear = np.all(pixels == _key_samples(encoding, pixels.dtype), axis=2)
    return np.where(clear, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)


def _with_key(picture: Picture) -> tuple[Picture, tuple[int, ...] | None]:
    """The picture without alpha, and the key colour for its alpha; else the same and None.

    A filled pixel that happens to have the key's colour would become transparent: it is changed by
    one step.
    """
    encoding, alpha = picture.origin.encoding, picture.alpha
    if not isinstance(encoding, PngEncoding) or encoding.key is None or alpha is None:
        return picture, None
    key = _key_samples(encoding, picture.pixels.dtype)
    top = np.iinfo(alpha.dtype).max
    if len(key) != picture.pixels.shape[2] or not np.all((alpha == 0) | (alpha == top)):
        return picture, None
    pixels = picture.pixels.copy()
    step = 1 if encoding.bit_depth >= 8 else 255 // ((1 << encoding.bit_depth) - 1)
    near = key[-1] - step if key[-1] >= step else key[-1] + step
    pixels[_is_key(pixels, key, step) & (alpha == top), -1] = near
    pixels[alpha == 0] = key
    return replace(picture, pixels=pixels, alpha=None), encoding.key


def _is_key(pixels: NDArray[Any], key: NDArray[Any], step: int) -> NDArray[np.bool_]:
    """(h, w): where pixels (h, w, c) will have the key's colour when rounded to steps."""
    return np.asarray(np.all((pixels.astype(np.int32) - key + step // 2) // step == 0, axis=2))


def _palette_size(origin: Origin) -> int:
    """Number of palette entries for the bits that an index had in the file."""
    encoding = origin.encoding
    return 1 << encoding.bit_depth if isinstance(encoding, PngEncoding) else 256


def _write_indexed(picture: Picture, palette: Palette) -> bytes:
    from PIL import Image

    indices = np.ascontiguousarray(stored(palette.indices, picture.origin.orientation))
    image = Image.frombytes("P", (indices.shape[1], indices.shape[0]), indices.tobytes())
    encoding = picture.origin.encoding
    depth = encoding.bit_depth if isinstance(encoding, PngEncoding) else 8
    # Pillow derives the bits of an index from the size of the palette; `_assembled` replaces it.
    image.putpalette(bytes(3 << depth))
    out = io.BytesIO()
    image.save(out, "PNG", bits=depth, compress_level=DEFLATE_LEVEL)
    alphas = b"" if palette.alphas is None else palette.alphas.tobytes().rstrip(b"\xff")
    return _assembled(picture, out.getvalue(), alphas, palette.colours.tobytes())


def _few_bits(picture: Picture, samples: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Samples rounded to the bits of the grey file that was read; the number of these bits."""
    encoding = picture.origin.encoding
    depth = encoding.bit_depth if isinstance(encoding, PngEncoding) else 8
    if depth >= 8 or samples.shape[2] != 1:
        return samples, 8
    step = 255 // ((1 << depth) - 1)
    return ((samples.astype(np.uint16) + step // 2) // step * step).astype(np.uint8), depth


def _body(samples: NDArray[Any], depth: int = 8) -> bytes:
    """A plain PNG of samples bool (h, w), or uint8 (h, w, 1 to 4) to be written in `depth` bits."""
    from PIL import Image

    out = io.BytesIO()
    squeezed = samples[:, :, 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples
    image = Image.fromarray(squeezed)
    options = {"bits": depth} if image.mode == "L" else {}
    image.save(out, "PNG", compress_level=DEFLATE_LEVEL, **options)
    return out.getvalue()


def _body_16(samples: NDArray[Any]) -> bytes:
    """A plain PNG of samples uint16 (h, w, 1 to 4)."""
    height, width, channels = samples.shape
    colour_type = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGB_ALPHA}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    packer = zlib.compressobj(DEFLATE_LEVEL)
    above = np.zeros((1, rows.shape[1]), np.uint8)
    parts = []
    for first in range(0, height, 64):  # bounds the memory of the working copies
        part = rows[first : first + 64]
        parts.append(packer.compress(filtered(part, above, 2 * channels).tobytes()))
        above = part[-1:]
    parts.append(packer.flush())
    return _file([(b"IHDR", header), (b"IDAT", b"".join(parts))])


def _assembled(picture: Picture, body: bytes, transparency: bytes, colours: bytes = b"") -> bytes:
    """The header and pixels of `body` with the picture's own chunks around them."""
    plain, _ = _whole_chunks(body)
    kept = list(_metadata(picture.origin, plain[0][1]))
    return _file(
        [
            plain[0],
            *(c for c in kept if c[0] in OF_COLOUR),
            *([(b"PLTE", colours)] if colours else []),
            *([(b"tRNS", transparency)] if transparency else []),
            *(c for c in kept if c[0] not in OF_COLOUR),
            *(c for c in plain if c[0] == b"IDAT"),
        ]
    )


def _metadata(origin: Origin, header: bytes) -> Iterator[Chunk]:
    """Metadata chunks: the original's own, or those made from another format's metadata."""
    encoding = origin.encoding
    if not isinstance(encoding, PngEncoding):
        yield from _converted_metadata(origin)
        return
    same = (encoding.bit_depth, encoding.colour_type) == (header[8], header[9])
    for kind, content in encoding.chunks:
        if same or kind not in OF_COLOUR_TYPE:
            yield kind, content


def _converted_metadata(origin: Origin) -> Iterator[Chunk]:
    if origin.icc:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(origin.icc)
    if dpi := resolution(origin):
        x, y = (round(value * INCHES_PER_METRE) for value in dpi)
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    if exif := block_to_write(origin):
        yield b"eXIf", exif
    if origin.xmp:
        yield b"iTXt", XMP_KEY + bytes(5) + origin.xmp
    if origin.photoshop:
        text = raw_profiles.encoded("iptc", origin.photoshop)
        yield b"zTXt", raw_profiles.PREFIX + b"iptc\0\0" + zlib.compress(text)


def _file(chunks: list[Chunk]) -> bytes:
    parts = [MAGIC]
    for kind, content in [*chunks, (b"IEND", b"")]:
        checksum = zlib.crc32(kind + content)
        parts.append(struct.pack(">I", len(content)) + kind + content)
        parts.append(struct.pack(">I", checksum))
    return b"".join(parts)
