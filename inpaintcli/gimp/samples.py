"""GIMP's samples as the pipeline's pictures, and back: 8 and 16 bit as they are, floats by a range.

The pipeline works on uint8 and uint16. Floats go through it as uint16 over 0 to 1, or over more
where the photo near the hole has values outside of that: a hole in a bright window of a picture
with high dynamic range is filled as bright as the window.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.gimp.picture_request import FillRequest
from inpaintcli.imaging.picture import Mask, Picture, Samples
from inpaintcli.imaging.regions import Box

_DTYPES = {"u8": np.uint8, "u16": np.uint16, "f32": np.float32}
NEAR = 64
"""Pixels around the hole's box in which values outside 0 to 1 count."""
WIDEST = 16.0
"""A range is at most so many times 0 to 1: a step of uint16 is then 1/4096, as of 12 bits."""


@dataclass(frozen=True)
class Range:
    """What stands for 0 and for 65535 of uint16."""

    low: float = 0.0
    high: float = 1.0

    def to_uint16(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Floats to uint16, clipped; NaN counts as `low`."""
        unit = (np.nan_to_num(values, nan=self.low) - self.low) / (self.high - self.low)
        return np.asarray(np.rint(np.clip(unit, 0, 1) * 65535), np.uint16)

    def to_float(self, values: NDArray[np.uint16]) -> NDArray[np.float32]:
        """The inverse of `to_uint16`, to within half a step."""
        span = (self.high - self.low) / 65535
        return (values.astype(np.float64) * span + self.low).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Work:
    """A request as the pipeline takes it. `span` is None where the samples are integers already."""

    picture: Picture
    hole: Mask
    box: Box
    span: Range | None

    def answer(self, filled: Picture) -> bytes:
        """The part of the filled picture in the box, as the request has its samples."""
        inside = self.box.slices
        planes: list[NDArray[Any]] = [filled.pixels[inside]]
        if filled.alpha is not None:
            planes.append(filled.alpha[inside][..., None])
        if self.span is not None:
            colours = self.span.to_float(np.asarray(planes[0], np.uint16))
            # Alpha is 0 to 1 whatever the colours are.
            planes = [colours, *(Range().to_float(np.asarray(p, np.uint16)) for p in planes[1:])]
        return np.concatenate(planes, axis=2).tobytes()


def work_of(request: FillRequest, payload: bytes | bytearray) -> Work:
    """The picture and the hole that a request's bytes stand for."""
    shape = (request.height, request.width, request.channels)
    count = request.picture_bytes
    dtype: np.dtype[Any] = np.dtype(_DTYPES[request.samples])
    samples = np.frombuffer(payload, dtype, count=count // dtype.itemsize).reshape(shape)
    left, top, width, height = request.box
    box = Box(top, left, top + height, left + width)
    hole = np.zeros(shape[:2], np.bool_)
    inside = np.frombuffer(payload, np.uint8, request.hole_bytes, offset=count)
    hole[box.slices] = inside.reshape(height, width) > 0
    span = None
    if request.samples == "f32":
        span = range_of(samples[..., : 1 if request.channels < 3 else 3], hole, box)
    return Work(_picture(samples, span), hole, box, span)


def guide_of(request: FillRequest, payload: bytes | bytearray, work: Work) -> Picture:
    """The guide that a request's bytes stand for, its floats in the range of the other picture.

    So a colour is the same number in both; what is brighter than the range becomes as bright as it.
    """
    guide = request.guide
    assert guide is not None  # noqa: S101 - asked for guided alone
    dtype: np.dtype[Any] = np.dtype(_DTYPES[request.samples])
    at = request.picture_bytes + request.hole_bytes
    data = payload[at:]  # a copy: the hole's bytes may leave the samples unaligned
    samples = np.frombuffer(data, dtype).reshape(guide.height, guide.width, guide.channels)
    return _picture(samples, work.span)


def _picture(samples: NDArray[Any], span: Range | None) -> Picture:
    """Samples of (h, w, 1 to 4) as a picture; `span` is that of floats."""
    channels = samples.shape[2]
    colours = 1 if channels < 3 else 3
    pixels = samples[..., :colours]
    alpha = samples[..., colours] if channels in (2, 4) else None
    if span is not None:
        opacity = None if alpha is None else Range().to_uint16(alpha)
        return Picture(span.to_uint16(pixels), opacity)
    return Picture(_tight(pixels), None if alpha is None else _tight(alpha))


def range_of(pixels: NDArray[Any], hole: Mask, box: Box) -> Range:
    """0 to 1, or the range of the known values near the hole where that is wider."""
    near = box.grown(NEAR, *hole.shape).slices
    values = pixels[near][~hole[near]]
    values = values[np.isfinite(values)]
    if not values.size:
        return Range()
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    if high - low > WIDEST:
        low = max(low, -WIDEST / 2)
        high = min(high, low + WIDEST)
    return Range(low, high)


def _tight(samples: NDArray[Any]) -> Samples:
    """Samples without alpha between them, as files give them."""
    return np.ascontiguousarray(samples)
