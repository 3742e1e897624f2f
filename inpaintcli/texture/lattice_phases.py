"""Phases in a pattern as features of the pixels of a pyramid level, for patch synthesis."""

from collections.abc import Sequence

import cv2
import numpy as np

from inpaintcli.texture.lattice import MIN_CERTAINTY, Pattern
from inpaintcli.texture.patch_features import contrast
from inpaintcli.texture.pyramid import PATCH_SIDE, Floats, Level


def phase_features(patterns: Sequence[Pattern], level: Level, weight: float) -> Floats:
    """(6 n): of each pixel, flat; empty without a pattern.

    Cos and sin of 2 pi u and of 2 pi v, scaled so that their squared differences add to those of a
    patch's colours; the pattern's number, 0 for none; the certainty of it, 0 to 1.
    """
    if not patterns:
        return np.zeros(0, np.float32)
    shape = level.hole.shape
    found = np.zeros((*shape, 6), np.float32)
    unit = np.float32(weight * contrast(level) * PATCH_SIDE * np.sqrt(3))
    for number, pattern in enumerate(patterns, 1):
        certainty = cv2.resize(pattern.certainty, shape[::-1], interpolation=cv2.INTER_AREA)
        chosen = (certainty > found[..., 5]) & (certainty >= MIN_CERTAINTY)
        values = unit * pattern.lattice.phases(shape, level.downscale)
        found[chosen, :4] = values[chosen]
        found[chosen, 4] = number
        found[chosen, 5] = certainty[chosen]
    return found.ravel()
