"""An object of one picture put into another as GIMP asks, by what the command `guided` calls."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from inpaintcli.gimp.picture_request import FillRequest, Guide, Rectangle
from inpaintcli.gimp.samples import Work, guide_of, work_of
from inpaintcli.imaging.regions import Box
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.parse import parse_box
from inpaintcli.objects.guided import Guided, put_in
from inpaintcli.objects.placement import find_in_guide
from inpaintcli.objects.segment.segmenter import Segmenter
from inpaintcli.options import Method


def put_in_as_asked(
    request: FillRequest, payload: bytes | bytearray, segmenter: Segmenter, model: Model | None
) -> tuple[bytes, tuple[str, ...]]:
    """The answer's bytes, opacity then samples, and sentences for the user.

    Args:
        request: a `guided` one.
        payload: its bytes.
        segmenter: finds the object in its box.
        model: for the method `model`; None for the others.

    Raises:
        MaskMismatchError: no object is found, or nothing of it lies within the picture.
        UsageError, EngineError: as `put_in`.
    """
    work, guide = work_of(request, payload), cast("Guide", request.guide)
    shown = guide_of(request, payload, work)
    opacity = find_in_guide(shown, parse_box(guide.box), segmenter)
    made = put_in(
        work.picture,
        shown,
        opacity,
        _box(guide.box),
        _box(guide.place),
        method=cast("Method", request.method),  # checked with the request
        amount=request.amount / 100,
        model=model,
    )
    return _opacity(work, made).tobytes() + work.answer(made.picture), made.notes


def _box(rectangle: Rectangle) -> Box:
    left, top, width, height = rectangle
    return Box(top, left, top + height, left + width)


def _opacity(work: Work, made: Guided) -> NDArray[np.uint8]:
    """(h, w) uint8 of the box: 0 where nothing has changed, else 1 to 255, how opaque it is."""
    alpha = made.picture.alpha
    if alpha is None:
        return made.covered * np.uint8(255)
    top = np.iinfo(alpha.dtype).max
    opaque = np.maximum(1, np.rint(alpha[work.box.slices] * (255 / top)))
    return np.where(made.covered, opaque, 0).astype(np.uint8)
