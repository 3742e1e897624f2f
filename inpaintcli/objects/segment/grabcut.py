"""GrabCut (Rother et al. 2004), by OpenCV: needs no weights, so it is the default."""

from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.objects.segment.prompts import Question
from inpaintcli.objects.segment.refine import guided_upsampling, resized
from inpaintcli.objects.segment.segmenter import Segmenter

SIDE = 360
"""Pixels: the longer side of the crop that is cut; its edge is refined at full size."""
SEEDED, FREE = 2, 3
"""Rounds in which the middle of the box is known to be the object's, and rounds thereafter."""
MIDDLE = 0.25
"""Of the box: the ellipse that is the object's at first."""


class GrabCut(Segmenter):
    """Colours of the surroundings and of the object, and a cut along the edges between them.

    With more surroundings than this margin, their colours are more often those of the object, too:
    on 48 made scenes a mean intersection over union of 0.89 with 0.3, of 0.916 with 0.1.
    """

    name: str = "grabcut"
    margin: ClassVar[float] = 0.12

    def likelihood(self, question: Question) -> NDArray[np.float32]:
        """See `Segmenter`."""
        height, width = question.allowed.shape
        scale = min(1.0, SIDE / max(height, width))
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        small = resized(question.rgb, size)
        allowed = resized(question.allowed.astype(np.uint8), size) > 0
        found = cut(small, allowed, _seed(question, allowed, scale))
        return guided_upsampling(found.astype(np.float32), small, question.rgb)


def cut(rgb: NDArray[np.uint8], allowed: Mask, seed: Mask) -> Mask:
    """The object's pixels.

    On 60 made scenes the seed in the middle raised the mean intersection over union from 0.919 to
    0.927, and the least from 0.40 to 0.55.

    Args:
        rgb: uint8 (h, w, 3).
        allowed: (h, w) bool, False where the object is not.
        seed: (h, w) bool, True where it very probably is.
    """
    labels = np.where(allowed, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    labels[seed & allowed] = cv2.GC_FGD
    if allowed.all() or not allowed.any():
        return allowed
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # so that no other use of OpenCV changes the result
    cv2.grabCut(rgb, labels, (0, 0, 0, 0), *models, SEEDED, cv2.GC_INIT_WITH_MASK)
    labels[labels == cv2.GC_FGD] = cv2.GC_PR_FGD
    cv2.grabCut(rgb, labels, (0, 0, 0, 0), *models, FREE, cv2.GC_EVAL)
    return np.asarray(labels == cv2.GC_PR_FGD, np.bool_)


def _seed(question: Question, allowed: Mask, scale: float) -> Mask:
    """Around the point, or the middle of the box; of an outline, what is deep in it."""
    height, width = allowed.shape
    y, x = np.indices((height, width))
    box = question.box
    if question.point is not None:
        row, column = (position * scale for position in question.point)
        radius = 0.05 * scale * max(box.size)
        return np.asarray(np.hypot(y - row, x - column) <= max(1.5, radius), np.bool_)
    if question.outlined:
        depth = cv2.distanceTransform(allowed.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        return np.asarray(depth > (1 - MIDDLE) * depth.max(), np.bool_)
    row, column = scale * (box.top + box.bottom) / 2, scale * (box.left + box.right) / 2
    down, across = (max(1.0, scale * MIDDLE * side / 2) for side in box.size)
    return np.asarray(((y - row) / down) ** 2 + ((x - column) / across) ** 2 <= 1, np.bool_)
