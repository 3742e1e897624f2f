"""Networks that find the salient object of a crop, whatever was asked: u2net and ISNet.

One input (1, 3, n, n). u2net (Qin et al. 2020; n = 320) wants colours divided by their maximum,
with ImageNet's mean and deviation; ISNet (Qin et al. 2022; n = 1024) mean 0.5 and deviation 1. The
first output is scaled to between 0 and 1.
"""

from typing import ClassVar

import cv2
import numpy as np
from inpaintcli_engines.base import Engine
from numpy.typing import NDArray

from inpaintcli.objects.segment.onnx_graphs import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    as_taken,
    at_full_size,
)
from inpaintcli.objects.segment.prompts import Question
from inpaintcli.objects.segment.segmenter import Segmenter

U2NET_SIDE, ISNET_SIDE = 320, 1024
FLAT = 0.05
"""Between the least and the largest value; less is the answer of a network that finds nothing."""


class Saliency(Segmenter):
    """See the module."""

    name: str = "saliency"
    margin: ClassVar[float] = 0.15

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._side = engine.inputs[0].shape[-1] or U2NET_SIDE

    def likelihood(self, question: Question) -> NDArray[np.float32]:
        """See `Segmenter`."""
        framed = np.asarray(cv2.resize(question.rgb, (self._side, self._side)), np.float32)
        rgb = framed / max(1.0, float(framed.max()))
        if self._side == ISNET_SIDE:
            normal = rgb - np.float32(0.5)
        else:
            normal = (rgb - IMAGENET_MEAN) / IMAGENET_STD
        arrays = {self._engine.inputs[0].name: normal.transpose(2, 0, 1)[None]}
        found = self._engine.run(as_taken(self._engine, arrays))
        answer = found[self._engine.outputs[0].name].astype(np.float32)
        plane = answer.reshape(-1, *answer.shape[-2:])[0]
        low, high = float(plane.min()), float(plane.max())
        if high - low < FLAT:
            return np.zeros(question.rgb.shape[:2], np.float32)
        return at_full_size((plane - low) / np.float32(high - low), question.rgb)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def recognises(engine: Engine) -> bool:
    """Whether a graph is of u2net's or ISNet's kind: a square of colours in, a plane out."""
    if len(engine.inputs) != 1 or len(engine.inputs[0].shape) != 4:
        return False
    shape, answer = engine.inputs[0].shape, engine.outputs[0].shape
    sides = (None, U2NET_SIDE, ISNET_SIDE)
    return (
        shape[1] == 3
        and shape[2] in sides
        and shape[3] == shape[2]
        and len(answer) == 4
        and answer[1] in (None, 1)
    )
