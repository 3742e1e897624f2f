"""Writing TIFF in one layout, contiguous strips; everything else stays as in the original file.

Source: TIFF revision 6.0.
"""

import contextlib
import io
import struct
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import OutputError
from inpaintcli.imaging.formats._tiff_coding import (
    LZW,
    OLD_DEFLATE,
    ZSTD,
    compressed,
    writable,
)
from inpaintcli.imaging.formats._tiff_tags import (
    ASSOCIATED,
    BLACK_IS_0,
    BLOCKS,
    COLOUR_MAP,
    DEFLATE,
    EXIF_IFD,
    GPS_IFD,
    ICC,
    INDEXED,
    INTEROP_IFD,
    IPTC,
    ORIENTATION,
    PHOTOSHOP,
    RGB,
    STRUCTURE,
    UNASSOCIATED,
    WHITE_IS_0,
    XMP,
    TiffEncoding,
    colours_of,
)
from inpaintcli.imaging.formats._writing import (
    is_bilevel,
    resolution,
    stored_samples,
    updated_palette,
)
from inpaintcli.imaging.metadata.ifd import UNDEFINED, entries, header
from inpaintcli.imaging.metadata.photoshop import has_more_than_iptc, iptc_of
from inpaintcli.imaging.picture import Origin, Palette, Picture, stored

STRIP_BYTES = 1 << 20
DIFFERENCES = 2
"""The predictor that stores how each sample differs from the one before."""
PREDICTED = (DEFLATE, OLD_DEFLATE, LZW, ZSTD)
"""Compressions with a predictor."""
BYTE = 1
UNDEFINED_TAGS = frozenset(
    (0x8828, 0x9101, 0x927C, 0x9286, 0xA20C, 0xA300, 0xA301, 0xA302, 0xA40B, 0xA462)
)
"""Tags of EXIF, of type UNDEFINED by Exif 3.0 (section 4.6), for which Pillow takes another."""
Layout = tuple[dict[int, Any], NDArray[Any]]
"""The tags that describe the samples; the samples (h, w, c), fewer than 8 bits packed to bytes."""


def encoded(picture: Picture) -> bytes:
    """As `tiff.write`.

    Raises:
        OutputError: it would be larger than the 4 GiB that a TIFF can address.
    """
    encoding = picture.origin.encoding
    if not isinstance(encoding, TiffEncoding):
        encoding = TiffEncoding()
    layout, rows = _layout(picture, encoding)
    codec = writable(encoding.compression)
    in_order = rows.astype(rows.dtype.newbyteorder(encoding.byte_order), copy=False)
    strips, rows_per_strip = _strips(in_order, layout, codec, encoding.predictor)
    starts = np.cumsum([0, *(len(strip) + len(strip) % 2 for strip in strips)])
    if int(starts[-1]) + (1 << 24) > 0xFFFFFFFF:
        raise OutputError("TIFF cannot hold more than 4 GiB.", hint="Write it as .png.")
    tags = {
        **layout,
        256: stored(picture.pixels, picture.origin.orientation).shape[1],
        257: len(rows),
        259: codec,
        273: tuple(int(start) for start in starts[:-1]),
        278: rows_per_strip,
        279: tuple(len(strip) for strip in strips),
    }
    out = io.BytesIO()
    _directory(tags, picture.origin, encoding).save(out)
    with out.getbuffer() as head:
        _name_undefined(head)
    for strip in strips:
        out.write(strip + bytes(len(strip) % 2))
    return out.getvalue()


def _layout(picture: Picture, encoding: TiffEncoding) -> Layout:
    palette = updated_palette(picture, 1 << encoding.bits) if picture.alpha is None else None
    if palette is not None:
        return _indexed(palette, picture.origin.orientation, encoding)
    samples = stored_samples(picture)
    channels = samples.shape[2]
    tags = {258: (picture.depth,) * channels, 277: channels, 284: 1}
    tags[262] = RGB if channels >= 3 else WHITE_IS_0 if encoding.white_is_0 else BLACK_IS_0
    extras = _extras(picture, encoding)
    if ASSOCIATED in extras[:1]:
        samples = _multiplied(samples)
    if tags[262] == WHITE_IS_0:
        grey = np.iinfo(samples.dtype).max - samples[:, :, :1]
        samples = np.concatenate([grey, samples[:, :, 1:]], axis=2)
    if encoding.others is not None and encoding.others.shape[:2] == picture.pixels.shape[:2]:
        samples, extras = _with_others(samples, picture, encoding)
        channels = samples.shape[2]
        tags |= {258: (picture.depth,) * channels, 277: channels}
    if extras:
        tags[338] = extras
    bits = 1 if is_bilevel(picture) else encoding.bits
    if channels == 1 and picture.depth == 8 and bits < 8:
        top = (1 << bits) - 1
        tags[258], samples = bits, _packed((samples * np.uint16(top) + 127) // 255, bits)
    return tags, samples


def _extras(picture: Picture, encoding: TiffEncoding) -> tuple[int, ...]:
    """The kind of the alpha, if there is one."""
    if picture.alpha is None:
        return ()
    at = encoding.alpha_at
    return (UNASSOCIATED if at is None else encoding.extras[at],)


def _with_others(
    samples: NDArray[Any], picture: Picture, encoding: TiffEncoding
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Samples with the channels that are no alpha, in the file's order; the kinds of all extras."""
    others = stored(cast("NDArray[Any]", encoding.others), picture.origin.orientation)
    colours, at = picture.pixels.shape[2], encoding.alpha_at
    if picture.alpha is None:
        kinds = tuple(kind for i, kind in enumerate(encoding.extras) if i != at)
        return np.concatenate([samples, others], axis=2), kinds
    before = 0 if at is None else at
    first, last = others[..., :before], others[..., before:]
    parts = (samples[..., :colours], first, samples[..., colours:], last)
    kinds = encoding.extras if at is not None else (UNASSOCIATED, *encoding.extras)
    return np.concatenate(parts, axis=2), kinds


def _indexed(palette: Palette, orientation: int, encoding: TiffEncoding) -> Layout:
    bits = encoding.bits if len(palette.colours) <= 1 << encoding.bits else 8
    table = np.zeros((3, 1 << bits), np.uint16)
    table[:, : len(palette.colours)] = palette.colours.T.astype(np.uint16) * 257
    original = np.asarray(encoding.colour_map, np.uint16)
    if original.size == table.size and original.max() > 255:
        # The original's 16 bits, where their upper 8 are unchanged.
        same = np.all(table >> 8 == colours_of(encoding.colour_map).T, axis=0)
        table[:, same] = original.reshape(table.shape)[:, same]
    tags = {258: bits, 262: INDEXED, 277: 1, COLOUR_MAP: tuple(table.reshape(-1).tolist())}
    return tags, _packed(stored(palette.indices, orientation)[:, :, None], bits)


def _packed(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Values (h, w, 1) below 2 ** `bits`, packed to bytes; each row begins with a new byte."""
    if bits == 8:
        return values.astype(np.uint8, copy=False)
    digits = np.unpackbits(values.astype(np.uint8), axis=2)[:, :, 8 - bits :]
    return np.packbits(digits.reshape(len(values), -1), axis=1)[:, :, None]


def _multiplied(samples: NDArray[Any]) -> NDArray[Any]:
    """Samples (h, w, c + 1) with the colours multiplied by the alpha, their last channel."""
    top = int(np.iinfo(samples.dtype).max)
    alpha = samples[:, :, -1:].astype(np.uint64)
    colours = (samples[:, :, :-1].astype(np.uint64) * alpha + top // 2) // top
    return np.concatenate([colours.astype(samples.dtype), samples[:, :, -1:]], axis=2)


def _strips(
    rows: NDArray[Any], tags: dict[int, Any], codec: int, predictor: int
) -> tuple[list[bytes], int]:
    """The strips, compressed; the rows of each.

    Sets the predictor (horizontal differencing, section 14) in `tags` where it can be.
    """
    is_whole = tags[262] != INDEXED and tags[258] not in (1, 2, 4)
    predicted = predictor == DIFFERENCES and is_whole and codec in PREDICTED
    if predicted:
        tags[317] = DIFFERENCES
    a_row = int(np.prod(rows.shape[1:])) * rows.dtype.itemsize
    count = min(len(rows), max(1, STRIP_BYTES // a_row))
    strips = []
    for first in range(0, len(rows), count):
        part = rows[first : first + count]
        if predicted:
            differences = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
            part = differences.astype(rows.dtype, copy=False)
        strips.append(compressed(part.tobytes(), codec, a_row))
    return strips, count


def _directory(tags: dict[int, Any], origin: Origin, encoding: TiffEncoding) -> Any:
    """The file's header and directory: `tags`, and the metadata of `origin`."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    directory = ImageFileDirectory_v2(prefix=b"II" if encoding.byte_order == "<" else b"MM")
    for tag, value in _exif_tags(origin).items():
        # A tag of a wrong type must not prevent writing the picture or the other tags.
        with contextlib.suppress(Exception):
            directory[tag] = value
            directory.tobytes()
            continue
        directory.pop(tag, None)
    if dpi := resolution(origin):
        directory[282], directory[283], directory[296] = float(dpi[0]), float(dpi[1]), 2
    directory[ORIENTATION] = origin.orientation
    for tag, block in _blocks(origin):
        directory.tagtype[tag] = 1 if tag in (XMP, PHOTOSHOP) else 7
        directory[tag] = block
    for tag, value in tags.items():
        directory[tag] = value
    return directory


def _name_undefined(data: memoryview) -> None:
    """Give bytes in the EXIF directory the type that Exif wants; Pillow gives them another.

    Args:
        data: a file's header and directory, changed in place.
    """
    block = data.tobytes()
    order, first = header(block)
    for entry in entries(block, order, first)[0]:
        if entry.tag != EXIF_IFD:
            continue
        for inner in entries(block, order, entry.pointer(order, block))[0]:
            if inner.tag in UNDEFINED_TAGS and inner.kind == BYTE:
                struct.pack_into(order + "H", data, inner.at + 2, UNDEFINED)


def _blocks(origin: Origin) -> Iterator[tuple[int, bytes]]:
    """The tags of blocks with a structure of their own, and the blocks."""
    if origin.xmp:
        yield XMP, origin.xmp
    if origin.icc:
        yield ICC, origin.icc
    if origin.photoshop and (iptc := iptc_of(origin.photoshop)):
        yield IPTC, iptc
    if origin.photoshop and has_more_than_iptc(origin.photoshop):
        yield PHOTOSHOP, origin.photoshop


def _exif_tags(origin: Origin) -> dict[int, Any]:
    from PIL import Image

    found: dict[int, Any] = {}
    with contextlib.suppress(Exception):  # see `_exif_block`
        exif = Image.Exif()
        exif.load(origin.exif or b"")
        for tag in exif:
            if tag in (EXIF_IFD, GPS_IFD):
                block = exif.get_ifd(tag)
                found[tag] = {t: v for t, v in block.items() if t != INTEROP_IFD}
            elif tag not in STRUCTURE and tag not in BLOCKS:
                found[tag] = exif[tag]
    return found
