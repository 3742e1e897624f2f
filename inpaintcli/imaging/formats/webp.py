"""WebP: lossless files stay lossless and exact, lossy ones lossy.

A lossy file does not record its quality; it is written at `QUALITY`, where a second encoding loses
little. Source: the WebP container specification, Google, and RFC 9649.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inpaintcli.errors import OutputError
from inpaintcli.imaging.formats._reading import check_size, decoding, several_pictures, split_alpha
from inpaintcli.imaging.formats._writing import refuse_depth, stored_samples
from inpaintcli.imaging.metadata.orientation import block_to_write, orientation
from inpaintcli.imaging.picture import Encoding, Origin, Picture, displayed

NAME = "WebP"
SUFFIXES: tuple[str, ...] = (".webp",)
HOLDS: frozenset[str] = frozenset(("icc", "exif", "xmp"))

KNOWN_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"EXIF", b"XMP ", b"ANIM", b"ANMF")
QUALITY = 90
MAX_SIDE = 16383


@dataclass(frozen=True)
class WebpEncoding(Encoding):
    """`lossless`: whether the file's pixels are coded without loss ("VP8L")."""

    lossless: bool


def accepts(head: bytes) -> bool:
    """Whether `head` is the beginning of a WebP file."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def read(data: bytes, name: str) -> Picture:
    """The picture of a WebP file.

    Raises:
        UnreadableError: damaged, animated, or larger than MAX_PIXELS.
    """
    from PIL.WebPImagePlugin import WebPImageFile

    with decoding(name, NAME):
        kinds = [kind for kind, _ in _chunks(data)]
        if b"ANIM" in kinds:
            raise several_pictures(name, "an animated WebP")
        with WebPImageFile(io.BytesIO(data)) as image:
            check_size(image.width, image.height, name)
            image.load()
            samples, info = np.array(image), image.info
        exif = _without_prefix(info.get("exif"))
        origin = Origin(
            NAME,
            orientation=orientation(exif),
            icc=info.get("icc_profile"),
            exif=exif,
            xmp=info.get("xmp"),
            encoding=WebpEncoding(lossless=b"VP8L" in kinds),
            left_out=_left_out(kinds),
        )
        return Picture(*split_alpha(displayed(samples, origin.orientation)), origin)


def write(picture: Picture) -> bytes:
    """The picture as a WebP file: lossy where it came from a lossy WebP or a JPEG, else lossless.

    Raises:
        OutputError: 16 bits a channel, or a side longer than WebP allows.
    """
    from PIL import Image

    refuse_depth(picture, NAME)
    if max(picture.height, picture.width) > MAX_SIDE:
        raise OutputError(
            f"WebP cannot hold {picture.width}x{picture.height}, only sides up to {MAX_SIDE}.",
            hint="Write it as .png or .tif.",
        )
    samples = stored_samples(picture)
    if samples.shape[2] < 3:  # WebP has no grey
        samples = samples[:, :, [0, 0, 0, 1][: 2 + samples.shape[2]]]
    out = io.BytesIO()
    origin, lossless = picture.origin, _is_lossless(picture.origin)
    Image.fromarray(np.ascontiguousarray(samples)).save(
        out,
        NAME,
        lossless=lossless,
        quality=75 if lossless else QUALITY,  # for lossless files this is the effort
        exact=True,  # keeps the colours of transparent pixels
        icc_profile=origin.icc,
        exif=block_to_write(origin) or b"",
        xmp=origin.xmp or b"",
    )
    return out.getvalue()


def _chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Type and size of each chunk of the RIFF container."""
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, size
        at += 8 + size + size % 2


def _left_out(kinds: list[bytes]) -> str:
    """Chunks that no writer keeps, in words."""
    names = {b"C2PA": "the C2PA manifest, which is no longer true"}
    unknown = dict.fromkeys(kind for kind in kinds if kind not in KNOWN_CHUNKS)
    return ", ".join(
        names.get(kind, f"the WebP chunk {kind.decode('latin-1').strip()}") for kind in unknown
    )


def _without_prefix(exif: bytes | None) -> bytes | None:
    return exif.removeprefix(b"Exif\0\0") if exif else None


def _is_lossless(origin: Origin) -> bool:
    if isinstance(origin.encoding, WebpEncoding):
        return origin.encoding.lossless
    return origin.format != "JPEG"
