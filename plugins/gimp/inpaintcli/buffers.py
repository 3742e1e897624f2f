"""Bytes of GIMP's buffers, and the formats in which they are passed on."""

from collections.abc import Iterator

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from answers import FailureError
from gi.repository import Babl, Gegl, Gimp

_STRIP_BYTES = 16 * 2**20
_NAMES = {1: "Y'", 2: "Y'A", 3: "R'G'B'", 4: "R'G'B'A"}
_SAMPLES = {"u8": "u8", "u16": "u16", "f32": "float"}


def samples_of(image: Gimp.Image) -> str:
    """How samples are passed on: 8 and 16 bit as they are where they have the profile's curve."""
    kinds = {Gimp.Precision.U8_NON_LINEAR: "u8", Gimp.Precision.U16_NON_LINEAR: "u16"}
    return kinds.get(image.get_precision(), "f32")


def format_name(layer: Gimp.Layer, channels: int, samples: str) -> str:
    """The name of the format in which pixels are passed on, in the layer's own colour space."""
    plain = f"{_NAMES[channels]} {_SAMPLES[samples]}"
    return Babl.get_name(Babl.format_with_space(plain, layer.get_format()))


def read(
    buffer: Gegl.Buffer, place: "tuple[int, int, int, int]", format_: "str | None", count: int
) -> bytes:
    """The bytes of a rectangle; `count` is how many there must be, 0 where any number goes."""
    x, y, width, height = place
    rectangle = Gegl.Rectangle.new(x, y, width, height)
    data = bytes(buffer.get(rectangle, 1.0, format_, Gegl.AbyssPolicy.NONE))
    if count and len(data) != count:
        raise FailureError(f"GIMP gave {len(data)} bytes of pixels instead of {count}.")
    return data


def read_strips(
    layer: Gimp.Drawable,
    origin: "tuple[int, int]",
    area: "tuple[int, int, int, int]",
    format_: str,
    pixel_bytes: int,
) -> "Iterator[bytes]":
    """The bytes of an area of the image in which the layer's buffer begins at `origin`."""
    x, y, width, height = area
    row = width * pixel_bytes
    rows = max(1, _STRIP_BYTES // row)
    buffer = layer.get_buffer()
    for at in range(0, height, rows):
        count = min(rows, height - at)
        place = (x - origin[0], y - origin[1] + at, width, count)
        yield read(buffer, place, format_, count * row)
