"""JPEG: only the blocks of the hole are coded anew, all else stays bit for bit, metadata too.

Where that cannot be done, the picture is coded with the file's quantisation tables and sampling:
what was not filled changes by little or nothing, and the file keeps its size.
 Source: ITU-T T.81 (markers: table B.1), and T.871 for JFIF.
"""

import contextlib
import io
import re
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import OutputError
from inpaintcli.imaging.formats import _jpeg_blocks, _jpeg_sampling
from inpaintcli.imaging.formats._jpeg_blocks import Source, WholeOnlyError
from inpaintcli.imaging.formats._jpeg_end import completed
from inpaintcli.imaging.formats._jpeg_metadata import (
    APP0,
    APP1,
    APP14,
    COM,
    MPF_PREFIX,
    SOS,
    Segment,
    cleaned_segments,
    is_metadata,
    only_in_jpeg,
    resource_segments,
    resources_of,
    segment_positions,
    stripped_segments,
)
from inpaintcli.imaging.formats._reading import check_size, decoding, split_alpha, unsupported_mode
from inpaintcli.imaging.formats._writing import refuse_depth, resolution, stored_samples
from inpaintcli.imaging.metadata.orientation import block_to_write, orientation
from inpaintcli.imaging.metadata.raw_profiles import EXIF_PREFIX
from inpaintcli.imaging.metadata.removals import Removals
from inpaintcli.imaging.picture import Encoding, Origin, Picture, displayed
from inpaintcli.imaging.preservation import Preservation, Preserved, ignore

NAME = "JPEG"
SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".jpe", ".jfif")
HOLDS: frozenset[str] = frozenset(("icc", "exif", "xmp", "photoshop"))

QUALITY = 95
MAX_SIDE = 65500
MAX_BLOCK = 65000
"""Bytes of metadata that fit one segment for certain."""
DHT = 0xC4
MP_ENTRIES = 0xB002
STANDARD_HUFFMAN = (416, 208)
"""Bytes of the example tables of T.81, annex K, for colour and for grey."""
VIDEO = re.compile(rb"ftyp(?:isom|iso2|mp4|qt  |avc1|M4V|3gp)")
"""The beginning of the video that some phones append to a picture."""

_BUFFER_LOCK = threading.Lock()


@dataclass(frozen=True)
class JpegEncoding(Encoding):
    """How the file was coded, and its application and comment segments.

    `tables` are the quantisation tables in the order of their numbers, `sampling` is Pillow's
    number for the chroma sampling, `components` are those of a sampling that Pillow cannot write,
    `keep_rgb` is True for the rare files that are RGB instead of YCbCr, `dense` for files of more
    than a byte a pixel. `source` is the file itself, where its blocks may be kept.
    """

    tables: tuple[tuple[int, ...], ...]
    sampling: int
    progressive: bool
    optimised: bool
    keep_rgb: bool
    dense: bool
    segments: tuple[Segment, ...]
    components: tuple[_jpeg_sampling.Component, ...] = ()
    source: Source | None = field(default=None, compare=False, repr=False)

    def only_here(self) -> str:
        """Extended XMP and comments, which have no place in other formats."""
        return only_in_jpeg(self.segments)

    def whole(self) -> Self:
        """The encoding without the file's own blocks."""
        return replace(self, source=None)

    def cleaned(self, removals: Removals) -> Self:
        """The encoding without segments that may show the photo unfilled."""
        return replace(self, segments=cleaned_segments(self.segments, removals))

    def stripped(self) -> Self:
        """The encoding without metadata."""
        return replace(self, segments=stripped_segments(self.segments))


def accepts(head: bytes) -> bool:
    """Whether `head` is the beginning of a JPEG file."""
    return head.startswith(b"\xff\xd8\xff")


def read(data: bytes, name: str) -> Picture:
    """The picture of a JPEG file: the first one of a file with several.

    Raises:
        UnreadableError: damaged, CMYK, or larger than MAX_PIXELS.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    with decoding(name, NAME):
        data, remarks = completed(data)
        with JpegImageFile(io.BytesIO(data)) as image:
            check_size(image.width, image.height, name)
            if image.mode not in ("L", "RGB"):
                raise unsupported_mode(name, image.mode)
            origin = replace(_origin(image, data), remarks=remarks)
            image.load()
            pixels, _ = split_alpha(displayed(np.array(image), origin.orientation))
            return Picture(pixels, None, _with_source(origin, data, pixels))


def _with_source(origin: Origin, data: bytes, pixels: NDArray[np.uint8]) -> Origin:
    """The origin, with what single blocks are replaced in."""
    if not isinstance(origin.encoding, JpegEncoding):
        return origin
    source = Source(data, pixels, origin.orientation)
    return replace(origin, encoding=replace(origin.encoding, source=source))


def _origin(image: Any, data: bytes) -> Origin:
    encoding = _encoding(image, list(_segments(data)), len(data) > image.width * image.height)
    exif = next((c[6:] for m, c in encoding.segments if _is_exif(m, c)), None)
    return Origin(
        NAME,
        "grey" if image.mode == "L" else "rgb",
        orientation=orientation(exif),
        icc=image.info.get("icc_profile"),
        exif=exif,
        xmp=image.info.get("xmp"),
        photoshop=resources_of(encoding.segments),
        dpi=image.info.get("dpi"),
        encoding=encoding,
        **_behind(image, data),
    )


def write(picture: Picture) -> bytes:
    """The picture as a JPEG file, coded as the original where that was a JPEG.

    Raises:
        OutputError: 16 bits a channel, transparency, or a side longer than JPEG allows.
    """
    return write_preserving(picture, ignore, ignore)


def write_preserving(picture: Picture, preserved: Preserved, notes: Callable[[str], None]) -> bytes:
    """As `write`.

    Args:
        picture: what to write.
        preserved: takes whether all but what has changed is as it was in the file.
        notes: takes a sentence where code must be compiled first.

    Raises:
        OutputError: as `write`.
    """
    _refuse(picture)
    encoding = picture.origin.encoding
    if not isinstance(encoding, JpegEncoding):
        return _whole(picture)
    try:
        if encoding.source is None:
            data, result = _whole(picture), Preservation(lossless=False, reason=_jpeg_blocks.ASKED)
        else:
            data = _blocks(picture, encoding, encoding.source, notes)
            result = Preservation(lossless=True)
    except WholeOnlyError as fault:
        data, result = _whole(picture), Preservation(lossless=False, reason=str(fault))
    preserved(result)
    return data


def too_large(origin: Origin) -> list[str]:
    """The names of what a JPEG file has no room for, which is left out; of other formats' photos.

    Longer XMP could be written as an extension, which few programs read.
    """
    if isinstance(origin.encoding, JpegEncoding):
        return []
    found = []
    if origin.exif and block_to_write(origin, max_bytes=MAX_BLOCK) != origin.exif:
        found.append("EXIF")
    if origin.xmp and len(origin.xmp) > MAX_BLOCK:
        found.append("XMP")
    return found


def _blocks(
    picture: Picture, encoding: JpegEncoding, source: Source, notes: Callable[[str], None]
) -> bytes:
    return _jpeg_blocks.written(picture, source, encoding.segments, notes, is_rgb=encoding.keep_rgb)


def _whole(picture: Picture) -> bytes:
    """The file, with all of its blocks coded anew."""
    from PIL import Image

    samples = stored_samples(picture)[:, :, : picture.pixels.shape[2]]
    image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    encoding = picture.origin.encoding
    with _buffer_of(4 * samples.size if getattr(encoding, "dense", False) else 0):
        data = _coded(image, picture.origin)
    if isinstance(encoding, JpegEncoding):
        return _with_segments(data, encoding.segments)
    return data


def _coded(image: Any, origin: Origin) -> bytes:
    """The file of Pillow's picture `image`, with the metadata of other formats."""
    encoding = origin.encoding
    if isinstance(encoding, JpegEncoding) and encoding.components and image.mode == "RGB":
        return _jpeg_sampling.encoded(
            np.asarray(image),
            encoding.components,
            encoding.tables,
            progressive=encoding.progressive,
            optimize=encoding.optimised,
        )
    out = io.BytesIO()
    image.save(out, NAME, **_options(origin, image.mode))
    return out.getvalue()


@contextlib.contextmanager
def _buffer_of(size: int) -> Iterator[None]:
    """Give Pillow's buffer for progressive and optimised files at least `size` bytes.

    By default it has two bytes a pixel; it must hold the whole file, and encoding fails where noise
    needs more. The setting is global: other threads' buffers are larger than necessary for a while.
    It is never made smaller: Pillow's encoder loops for ever if the buffer cannot hold the tables.
    """
    from PIL import ImageFile

    if not size:
        yield
        return
    with _BUFFER_LOCK:
        usual = ImageFile.MAXBLOCK
        ImageFile.MAXBLOCK = max(usual, size)
        try:
            yield
        finally:
            ImageFile.MAXBLOCK = usual


def _refuse(picture: Picture) -> None:
    refuse_depth(picture, NAME)
    if picture.alpha is not None and (picture.alpha < 255).any():
        raise OutputError(
            "JPEG cannot hold the transparency of this picture.",
            hint="Write it as .png, .tif or .webp.",
        )
    if max(picture.height, picture.width) > MAX_SIDE:
        raise OutputError(
            f"JPEG cannot hold {picture.width}x{picture.height}, only sides up to {MAX_SIDE}.",
            hint="Write it as .png or .tif.",
        )


def _encoding(image: Any, segments: list[Segment], dense: bool) -> JpegEncoding:
    from PIL.JpegImagePlugin import get_sampling

    huffman = sum(len(content) for marker, content in segments if marker == DHT)
    by_number = dict(image.quantization)
    tables = tuple(tuple(by_number[number]) for number in sorted(by_number))
    return JpegEncoding(
        tables=tables,
        components=_jpeg_sampling.rare_components(image, tables),
        sampling=max(0, get_sampling(image)),
        progressive=bool(image.info.get("progressive")),
        optimised=huffman not in STANDARD_HUFFMAN,
        keep_rgb=_is_rgb(image),
        dense=dense,
        segments=tuple(segment for segment in segments if _is_kept(*segment)),
    )


def _is_rgb(image: Any) -> bool:
    """Whether a file holds RGB: by Adobe's mark or, without any, by its components' numbers."""
    marks = ("adobe_transform", "jfif")
    if not any(mark in image.info for mark in marks):
        return [component[0] for component in image.layer] == list(b"RGB")
    return bool(image.info.get("adobe_transform") == 0)


def _behind(image: Any, data: bytes) -> dict[str, Any]:
    """What the file holds behind the picture, in words: `left_out` and `copies` of an origin."""
    found, copies = ["a video"] if VIDEO.search(data) else [], 0
    with contextlib.suppress(Exception):  # a wrong index must not make the picture unreadable
        index = image._getmp() or {}  # noqa: SLF001 - no public API (CIPA DC-007)
        kinds = [entry["Attribute"]["MPType"] for entry in index.get(MP_ENTRIES, ())]
        copies = sum(kind.startswith("Large Thumbnail") for kind in kinds[1:])
        if others := len(kinds[1:]) - copies:
            found.append(f"{others} more picture{'s' * (others > 1)}, or maps of light or depth")
    names = ("previews behind the picture",) if copies else ()
    return {"left_out": " and ".join(found), "copies": names}


def _options(origin: Origin, mode: str) -> dict[str, Any]:
    encoding = origin.encoding
    if isinstance(encoding, JpegEncoding):
        return {
            "qtables": [list(table) for table in encoding.tables],
            "subsampling": encoding.sampling if mode == "RGB" else -1,
            "progressive": encoding.progressive,
            "optimize": encoding.optimised,
            "keep_rgb": encoding.keep_rgb and mode == "RGB",
        }
    exif = block_to_write(origin, max_bytes=MAX_BLOCK)
    resources = resource_segments(origin.photoshop) if origin.photoshop else []
    return {
        "quality": QUALITY,
        "subsampling": 0,
        "dpi": resolution(origin) or (0, 0),
        "icc_profile": origin.icc,
        "exif": EXIF_PREFIX + exif if exif else b"",
        "xmp": origin.xmp if origin.xmp and len(origin.xmp) <= MAX_BLOCK else b"",
        "extra": b"".join(_packed(*segment) for segment in resources),
    }


def _segments(data: bytes) -> Iterator[Segment]:
    """Marker and content of each segment before the first scan."""
    for marker, start, end in segment_positions(data):
        if marker != SOS:
            yield marker, data[start:end]


def _is_exif(marker: int, content: bytes) -> bool:
    return marker == APP1 and content.startswith(EXIF_PREFIX)


def _is_kept(marker: int, content: bytes) -> bool:
    """Whether a segment is metadata, not about the coding.

    The index MPF is of no use without the pictures behind this one.
    """
    if content.startswith(MPF_PREFIX):
        return False
    return is_metadata(marker)


def _with_segments(encoded: bytes, segments: tuple[Segment, ...]) -> bytes:
    """A JPEG with `segments` instead of the metadata that the encoder wrote."""
    at = 2
    own = []
    for marker, content in _segments(encoded):
        if marker == APP14 or (not APP0 <= marker <= 0xEF and marker != COM):
            own.append(encoded[at : at + 4 + len(content)])
        at += 4 + len(content)
    kept = [_packed(*segment) for segment in segments]
    return b"".join([encoded[:2], *kept, *own, encoded[at:]])


def _packed(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
