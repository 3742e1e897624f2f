"""Whose texture fills a hole: the network's, or that of the photo around it.

The network knows which colour goes where, and blurs where the hole is thick; patches of the photo
have its texture, and fail where nothing similar is there. Thin holes are the network's alone, thick
ones a blend: `blending` decides for each pixel, by its depth in the hole and by what the photo
around and the patches are like.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, Tile, bounding_box, regions
from inpaintcli.inpaint.blending import blend
from inpaintcli.inpaint.contours import continued
from inpaintcli.texture.pyramid import Floats
from inpaintcli.texture.synthesis import (
    TooFewPatchesError,
    context_for,
    is_compiled,
    prepare,
    synthesize,
    why_not,
)

Detail = Literal["auto", "network", "patches"]
LEAST_THICKNESS = 12.0
"""Pixels; thinner parts are the network's, which patches do not better there (docs/log.md)."""
COMPILE_S = 8
MOST_PIXELS = 5_000_000
"""Of a part and what is seen around it: about 1 GB in the texture pass. Larger ones are worked on
at a smaller scale."""


@dataclass(frozen=True)
class Decision:
    """What filled one thick part of a hole.

    box: of the part and what was seen around it, in the photo. thickness: in pixels. choice: the
    network's fill, patches, or a blend of both; the network's where patches could not be had.
    contours: how many contours of the photo around were carried through the part.
    misfit: how badly the patches fit, in grey levels of 255, the mean over the part.
    """

    box: Box
    thickness: float
    choice: Literal["network", "patches", "blend"]
    contours: int = 0
    misfit: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As the result line tells it; the box as left, top, width, height."""
        box = [self.box.left, self.box.top, self.box.width, self.box.height]
        return {
            "box": box,
            "thickness": round(self.thickness, 1),
            "choice": self.choice,
            "contours": self.contours,
            "misfit": None if self.misfit is None else round(self.misfit, 1),
        }

    def in_words(self) -> str:
        """A line for people."""
        where = f"{self.box.width}x{self.box.height} at {self.box.left},{self.box.top}"
        told = f"{where}, {self.thickness:.0f} px thick: {self.choice}"
        if self.contours:
            told += f", {self.contours} contour{'s' * (self.contours != 1)} carried through"
        return told if self.misfit is None else f"{told}, misfit {self.misfit:.1f}"


def textured(
    pixels: NDArray[Any],
    hole: Mask,
    known: Mask,
    detail: Detail,
    *,
    threads: int,
    notes: Callable[[str], None],
) -> list[Decision]:
    """Give the thick parts of a filled hole the texture of the photo around, in place.

    Args:
        pixels: (h, w, 1 or 3) uint8 or uint16, the holes filled by the network.
        hole: (h, w) bool, True where the network filled.
        known: (h, w) bool, True where texture may be taken from.
        detail: `patches`, `auto` (both, each where it serves, see `blending.blend`), or
            `network`, which does nothing.
        threads: to work with.
        notes: takes what is worth saying.

    Returns:
        A decision for each thick part.
    """
    parts = regions(hole, LEAST_THICKNESS, context_for) if detail != "network" else []
    if not parts:
        return []
    reason = why_not()
    if reason is not None:
        notes(f"No texture from patches: {reason}.")
        return []
    if not is_compiled():
        notes(f"Compiling the texture pass, once on this machine: about {COMPILE_S} s.")
        prepare()
    return [_treat(pixels, known, part, detail, threads, notes) for part in parts]


def _treat(
    pixels: NDArray[Any],
    known: Mask,
    part: Tile,
    detail: Detail,
    threads: int,
    notes: Callable[[str], None],
) -> Decision:
    """Texture for one part, in place; the network's fill stays where patches cannot be had."""
    inside = part.box.slices
    top = np.iinfo(pixels.dtype).max
    unit = np.float32(255 / top)
    start = pixels[inside].astype(np.float32) * unit
    thickness = _thickness(part.target)
    scale = min(1.0, math.sqrt(MOST_PIXELS / part.target.size))
    small, target = _scaled(start, scale), _scaled_mask(part.target, scale)
    source = ~_scaled_mask(~known[inside], scale)
    drawn, contours = continued(small, target, source)
    try:
        texture = synthesize(drawn, drawn, target, source=source, threads=threads)
    except TooFewPatchesError as error:
        notes(f"{error} The network's own fill stays.")
        return Decision(part.box, thickness, "network")
    misfit = float(texture.misfit[target].mean())
    if detail == "auto":
        mixed = blend(texture, drawn, target)
        decision = Decision(part.box, thickness, "blend", contours, misfit)
    else:
        mixed = texture.pixels
        decision = Decision(part.box, thickness, "patches", contours, misfit)
    answer = start + _scaled(mixed - small, 1.0, part.target.shape)
    _put(pixels[inside], answer / unit, part.target)
    return decision


def _scaled(
    pixels: NDArray[np.float32], scale: float, shape: tuple[int, ...] | None = None
) -> NDArray[np.float32]:
    """(h, w, c) scaled by at most 1, or up to `shape`."""
    height, width = shape or (round(side * scale) for side in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return pixels
    how = cv2.INTER_CUBIC if shape else cv2.INTER_AREA
    scaled = np.asarray(cv2.resize(pixels, (width, height), interpolation=how), np.float32)
    return scaled.reshape(height, width, pixels.shape[2])  # OpenCV drops a single channel


def _put(pixels: NDArray[Any], answer: Floats, target: Mask) -> None:
    """Round an answer into integers, where `target` is True."""
    box = bounding_box(target)
    if box is not None:
        core = box.slices
        rounded = np.clip(np.rint(answer[core]), 0, np.iinfo(pixels.dtype).max)
        np.copyto(pixels[core], rounded.astype(pixels.dtype), where=target[core][..., None])


def _scaled_mask(mask: Mask, scale: float) -> Mask:
    """Scaled by at most 1; True where any pixel was."""
    if scale == 1:
        return mask
    return np.asarray(_scaled(mask[..., None].astype(np.float32), scale)[..., 0] > 0, np.bool_)


def _thickness(target: Mask) -> float:
    depth = cv2.distanceTransform(target.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return 2 * float(depth.max())
