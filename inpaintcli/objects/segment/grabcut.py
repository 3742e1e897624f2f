"""GrabCut (Rother et al. 2004), by OpenCV: needs no weights, so it is the default."""

from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.objects.segment.prompts import Question
from inpaintcli.objects.segment.refine import guided_upsampling, resized
from inpaintcli.objects.segment.segmenter import Segmenter

SIDE = 360
"""Pixels: the longer side of the crop that is cut; its edge is refined at full size."""
ROUNDS = 5


class GrabCut(Segmenter):
    """Colours of the surroundings and of the object, and a cut along the edges between them."""

    name: str = "grabcut"
    margin: ClassVar[float] = 0.3

    def likelihood(self, question: Question) -> NDArray[np.float32]:
        """See `Segmenter`."""
        height, width = question.allowed.shape
        scale = min(1.0, SIDE / max(height, width))
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        small = resized(question.rgb, size)
        allowed = resized(question.allowed.astype(np.uint8), size)
        labels = np.where(allowed > 0, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
        if (labels == cv2.GC_BGD).any():
            _cut(small, labels, ROUNDS)
        found = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
        return guided_upsampling(found.astype(np.float32), small, question.rgb)


def _cut(rgb: NDArray[np.uint8], labels: NDArray[np.uint8], rounds: int) -> None:
    """Cut in place; a seed of its own, so that no other use of OpenCV changes the result."""
    cv2.setRNGSeed(0)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(rgb, labels, (0, 0, 0, 0), background, foreground, rounds, cv2.GC_INIT_WITH_MASK)
