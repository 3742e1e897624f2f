"""The methods that are compared: the program's models, and two classical ones of OpenCV."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from inpaintcli.imaging.picture import Mask, Picture, Samples
from inpaintcli.inpaint.pipeline import Model, fill
from inpaintcli.options import Detail

RADIUS = 5
"""Pixels around each hole pixel that OpenCV's methods look at."""


CLASSICAL = ("telea", "navier-stokes")
"""Names of the methods that are always there."""


@dataclass(frozen=True)
class Method:
    """A method of filling.

    `fill` takes a picture with its hole blanked and the mask, True in the hole, and returns the
    pixels. `details` say exactly what it is: the model's sha256, the engine, ...
    """

    name: str
    fill: Callable[[Picture, Mask], Samples]
    details: dict[str, Any] = field(default_factory=dict)


def model_method(model: Model, detail: Detail, notes: Callable[[str], None]) -> Method:
    """The program itself, with a model and a choice of `--detail`."""
    info = model.engine.info
    details = {
        "model": model.card.name,
        "sha256": model.card.sha256,
        "detail": detail,
        "engine": info.name,
        "engine_version": info.version,
        "device": info.device,
        "precision": info.precision,
    }
    name = model.card.name if detail == "auto" else f"{model.card.name}-{detail}"

    def fill_with_model(picture: Picture, mask: Mask) -> Samples:
        return fill(picture, mask, model, detail=detail, notes=notes).picture.pixels

    return Method(name, fill_with_model, details)


def classical_methods() -> tuple[Method, ...]:
    """OpenCV's Telea (2004) and Navier-Stokes (Bertalmio et al. 2001), radius 5."""
    details = {"opencv": cv2.__version__, "radius": RADIUS}
    return (
        Method(CLASSICAL[0], _inpaint(cv2.INPAINT_TELEA), details),
        Method(CLASSICAL[1], _inpaint(cv2.INPAINT_NS), details),
    )


def _inpaint(flag: int) -> Callable[[Picture, Mask], Samples]:
    def fill_with_opencv(picture: Picture, mask: Mask) -> Samples:
        holes = mask.astype(np.uint8)
        pixels = picture.pixels
        if picture.depth == 8:
            filled = cv2.inpaint(np.ascontiguousarray(pixels), holes, RADIUS, flag)
            return np.asarray(filled, np.uint8).reshape(pixels.shape)
        # OpenCV takes 16 bits in one channel only.
        channels = [np.ascontiguousarray(pixels[..., c]) for c in range(pixels.shape[2])]
        return np.stack([cv2.inpaint(c, holes, RADIUS, flag) for c in channels], axis=2)

    return fill_with_opencv
