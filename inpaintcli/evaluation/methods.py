"""What fills: the program's models, and OpenCV's two classical ways to compare them with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from inpaintcli.imaging.picture import Mask, Picture, Samples
from inpaintcli.inpaint.detail import Detail
from inpaintcli.inpaint.pipeline import Model, fill

RADIUS = 5


@dataclass(frozen=True)
class Method:
    """A way to fill; `facts` say which.

    `fill` takes a picture with its hole blanked and the hole, True inside, and returns the pixels.
    """

    name: str
    fill: Callable[[Picture, Mask], Samples]
    facts: dict[str, Any] = field(default_factory=dict)


def by_model(model: Model, detail: Detail, notes: Callable[[str], None]) -> Method:
    """The program itself with a model and a choice of texture."""
    info = model.engine.info
    facts = {
        "model": model.card.name,
        "sha256": model.card.sha256,
        "detail": detail,
        "engine": info.name,
        "engine_version": info.version,
        "device": info.device,
        "precision": info.precision,
    }
    name = model.card.name if detail == "auto" else f"{model.card.name}-{detail}"

    def run(picture: Picture, mask: Mask) -> Samples:
        return fill(picture, mask, model, detail=detail, notes=notes).picture.pixels

    return Method(name, run, facts)


def classical() -> tuple[Method, ...]:
    """OpenCV's Telea (2004) and Navier-Stokes (Bertalmio et al. 2001), radius 5."""
    facts = {"opencv": cv2.__version__, "radius": RADIUS}
    return (
        Method("telea", _inpaint(cv2.INPAINT_TELEA), facts),
        Method("navier-stokes", _inpaint(cv2.INPAINT_NS), facts),
    )


def _inpaint(flag: int) -> Callable[[Picture, Mask], Samples]:
    def run(picture: Picture, mask: Mask) -> Samples:
        holes = mask.astype(np.uint8)
        pixels = picture.pixels
        if picture.depth == 8:
            filled = cv2.inpaint(np.ascontiguousarray(pixels), holes, RADIUS, flag)
            return np.asarray(filled, np.uint8).reshape(pixels.shape)
        # OpenCV takes 16 bits in one channel only.
        channels = [np.ascontiguousarray(pixels[..., c]) for c in range(pixels.shape[2])]
        return np.stack([cv2.inpaint(c, holes, RADIUS, flag) for c in channels], axis=2)

    return run
