"""What a model does with pictures that are known: evidence for and against a contract.

Two textured pictures of different colours are given to the model as a contract says, with a hole
that is left blank. Where the model composites, known pixels come back; the hole follows the colours
around it, or at least lies in the range of the output; it is never what was put into it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Floats
from inpaintcli.models.adapter import model_inputs
from inpaintcli.models.contract import Contract

SIDE = 192
"""Pixels: side of the pictures for models of any size, a multiple of 64."""
RIM = 8
"""Pixels around the hole in which a model may change what is known."""
SAME = 1.5 / 255
NEAR = 0.15
"""How far the mean of a hole may lie from that of its surroundings, as a share of the range."""
OVERSHOOT = 0.05
_COLOURS = ((0.75, 0.45, 0.2), (0.2, 0.35, 0.6))
Verdict = Literal["possible", "failed", "out of range", "as it was", "red and blue exchanged"]
Run = Callable[[dict[str, NDArray[Any]]], NDArray[Any]]


@dataclass(frozen=True)
class Evidence:
    """What a model did under a contract.

    verdict: whether it may have that contract. composites: whether known pixels came back. follows:
    whether the hole has the colours around it. holes: the hole's pixels (2, 3, n), in [0, 1] where
    the contract's range is right. rim: pixels around the hole that a compositing model changed.
    fixed: whether both pictures were answered alike.
    """

    verdict: Verdict
    composites: bool = False
    follows: bool = False
    holes: Floats | None = None
    rim: int = 0
    fixed: bool = False

    @property
    def level(self) -> int:
        """How much speaks for the contract, 0 to 2."""
        return int(self.composites) + int(self.follows)

    @property
    def usage(self) -> float:
        """The share of the output's range that the holes span."""
        return 0.0 if self.holes is None else float(np.ptp(self.holes))

    def agrees_with(self, other: "Evidence") -> bool:
        """Whether the holes are filled alike."""
        if self.holes is None or other.holes is None:
            return False
        difference = np.abs(np.clip(self.holes, 0, 1) - np.clip(other.holes, 0, 1))
        return bool(difference.max() <= SAME)


def gather(contract: Contract, run: Run, side: int = SIDE) -> Evidence:
    """Probe a model under a contract.

    Args:
        contract: what the model is given, and how its output is read.
        run: takes the model's inputs and returns the contract's output.
        side: of the pictures, in pixels, where the model takes any size.
    """
    side = contract.side or side
    unit = np.stack([_picture(side, colour) for colour in _COLOURS])
    hole = _hole(side)
    image = np.where(hole, np.float32(0), unit * 2 - 1).astype(np.float32)
    mask = np.broadcast_to(hole, (1, 1, side, side)).astype(np.float32)
    batch = contract.batch or 1
    batches = [np.repeat(picture[None], batch, axis=0) for picture in image]
    mask = np.repeat(mask, batch, axis=0)
    outputs = [run(model_inputs(contract, one, mask)) for one in batches]
    if any(one.shape != (batch, 3, side, side) for one in outputs):
        return Evidence("failed")
    answer = _unclipped(contract, np.concatenate([one[:1] for one in outputs]))
    if not np.isfinite(answer).all():
        return Evidence("failed")
    return _judged(contract, unit, answer, hole)


def _judged(contract: Contract, unit: Floats, answer: Floats, hole: Mask) -> Evidence:
    """The evidence in an answer (2, 3, h, w), in [0, 1] where the contract is right.

    The outermost known pixels touch the hole and count as its own in a rim: hence `own > 1`.
    """
    inner = cv2.erode(hole.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_C, 3)
    holes = answer[:, :, inner]
    error = np.abs(answer - unit).max(axis=(0, 1))
    around = unit[:, :, (distance > 0) & (distance < 3 * RIM)].mean(axis=2)
    means = holes.mean(axis=2)
    composites = bool((error[distance > RIM + contract.grow] <= SAME).mean() >= 0.99)
    follows = bool((np.abs(means - around) <= NEAR).all())
    exchanged = bool((np.abs(means[:, ::-1] - around) <= NEAR / 2).all())
    verdict: Verdict = "possible"
    if float(((holes < -OVERSHOOT) | (holes > 1 + OVERSHOOT)).mean()) > 0.02:
        verdict = "out of range"
    elif float(np.abs(holes - _blank(contract)).max()) <= SAME:
        verdict = "as it was"
    elif exchanged and not follows:
        verdict = "red and blue exchanged"
    own = distance - contract.grow  # from the hole that the model was given
    changed = own[(error > SAME) & (own > 1) & (own <= RIM)]
    rim = int(np.ceil(changed.max())) if composites and changed.size else 0
    fixed = bool(np.abs(answer[0] - answer[1]).max() <= SAME)
    return Evidence(verdict, composites, follows, holes.astype(np.float32), rim, fixed)


def _blank(contract: Contract) -> float:
    """What the model is given in the hole, in [0, 1]."""
    low, high = next(one.rgb_range for one in contract.inputs if {"rgb", "bgr"} & {*one.channels})
    return (0 - low) / (high - low) if contract.zeroed else 0.5


def _unclipped(contract: Contract, output: NDArray[Any]) -> Floats:
    low, high = contract.output_range
    answer = (output.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return answer[:, ::-1] if contract.output_order == "bgr" else answer


def _hole(side: int) -> Mask:
    """(h, w), True in a rectangle that lies on both sides of the middle, nowhere symmetrical."""
    hole = np.zeros((side, side), np.bool_)
    hole[round(0.25 * side) : round(0.7 * side), round(0.2 * side) : round(0.65 * side)] = True
    return hole


@cache
def _picture(side: int, colour: tuple[float, float, float]) -> Floats:
    """(3, h, w) in [0, 1]: a colour with waves and noise, the same on every machine."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    noise = np.random.default_rng(side).uniform(-0.05, 0.05, (3, side, side))
    planes = [
        value + 0.07 * np.sin(x / (3 + c) + c) * np.cos(y / (4 - c))
        for c, value in enumerate(colour)
    ]
    return np.clip(np.stack(planes) + noise, 0, 1).astype(np.float32)
