"""BMP: 8 bits a channel, palettes and bilevel; of metadata it holds only the resolution.

No common program reads the alpha that Pillow writes, so pictures with alpha are written here.
"""

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np

from inpaintcli.errors import OutputError
from inpaintcli.imaging.formats._reading import check_size, decoding, padded_palette, split_alpha
from inpaintcli.imaging.formats._writing import (
    bits,
    is_bilevel,
    refuse_depth,
    resolution,
    stored_samples,
    updated_palette,
)
from inpaintcli.imaging.picture import Mode, Origin, Palette, Picture

NAME = "BMP"
SUFFIXES: tuple[str, ...] = (".bmp", ".dib")
HOLDS: frozenset[str] = frozenset()

INCHES_PER_METRE = 39.37007874


def accepts(head: bytes) -> bool:
    """Whether `head` is the beginning of a BMP file."""
    return head.startswith(b"BM")


def read(data: bytes, name: str) -> Picture:
    """The picture of a BMP file.

    Raises:
        UnreadableError: damaged, or larger than MAX_PIXELS.
    """
    from PIL.BmpImagePlugin import BmpImageFile

    with decoding(name, NAME), BmpImageFile(io.BytesIO(data)) as image:
        check_size(image.width, image.height, name)
        image.load()
        modes: dict[str, Mode] = {"1": "bilevel", "L": "grey", "P": "palette"}
        origin = Origin(NAME, modes.get(image.mode, "rgb"), dpi=image.info.get("dpi"))
        if image.mode == "P":
            indices = np.array(image, np.uint8)
            colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            palette = padded_palette(colours, indices, None)
            return Picture(*palette.expanded(), replace(origin, palette=palette))
        samples = np.array(image.convert("L") if image.mode == "1" else image)
        return Picture(*split_alpha(samples), origin)


def write(picture: Picture) -> bytes:
    """The picture as a BMP file, as displayed: BMP has no orientation.

    Raises:
        OutputError: 16 bits a channel.
    """
    from PIL import Image

    refuse_depth(picture, NAME)
    picture = _turned(picture)
    palette = updated_palette(picture)
    if picture.alpha is not None:
        return _with_alpha(picture)
    if palette is not None:
        image = _indexed(palette)
    elif is_bilevel(picture):
        image = Image.fromarray(bits(picture))
    else:
        samples = stored_samples(picture)
        image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    out = io.BytesIO()
    image.save(out, NAME, dpi=resolution(picture.origin) or (96, 96))
    return out.getvalue()


def _turned(picture: Picture) -> Picture:
    """The same picture with the displayed arrangement as the stored one."""
    return replace(picture, origin=replace(picture.origin, orientation=1))


def _indexed(palette: Palette) -> Any:
    from PIL import Image

    height, width = palette.indices.shape
    image = Image.frombytes("P", (width, height), palette.indices.tobytes())
    image.putpalette(palette.colours.tobytes())
    return image


def _with_alpha(picture: Picture) -> bytes:
    """A BMP of 32 bits with the BITMAPV4HEADER, whose masks include one for alpha."""
    height, width = picture.height, picture.width
    pixels = np.broadcast_to(picture.pixels, (height, width, 3))
    bgra = np.dstack([pixels[::-1, :, ::-1], np.asarray(picture.alpha)[::-1]]).tobytes()
    start = 14 + 108
    if start + len(bgra) >= 1 << 32:
        raise OutputError("BMP cannot hold more than 4 GiB.", hint="Write it as .png.")
    x, y = (round(value * INCHES_PER_METRE) for value in resolution(picture.origin) or (96, 96))
    header = struct.pack(
        "<2sIIIIiiHHI", b"BM", start + len(bgra), 0, start, 108, width, height, 1, 32, 3
    )
    header += struct.pack("<IiiII", len(bgra), x, y, 0, 0)
    header += struct.pack("<IIII4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")
    return header + bytes(start - len(header)) + bgra
