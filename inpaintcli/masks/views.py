"""A hole as a picture: as a mask file, or drawn over its photo to be looked at."""

import numpy as np

from inpaintcli.imaging.masks import dilate
from inpaintcli.imaging.picture import Mask, Picture

COLOUR = (255, 0, 80)
"""Of a hole over its photo: rare in photos, and seen by most who see colours otherwise."""
OPACITY = 0.5


def mask_picture(hole: Mask) -> Picture:
    """A mask file's picture: uint8 (h, w, 1), 255 in the hole and 0 elsewhere."""
    return Picture(np.where(hole, np.uint8(255), np.uint8(0))[..., None])


def overlay(photo: Picture, hole: Mask) -> Picture:
    """The photo in 8 bits, with COLOUR over the hole and around it, as wide as 1/400 of a side."""
    pixels = photo.pixels
    if pixels.dtype == np.uint16:
        pixels = np.right_shift(pixels, 8)
    rgb = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    rgb = rgb.astype(np.uint8)
    line = dilate(hole, max(1, max(hole.shape) // 400)) & ~hole
    rgb[line] = COLOUR
    mixed = rgb[hole] * (1 - OPACITY) + np.array(COLOUR) * OPACITY
    rgb[hole] = np.rint(mixed).astype(np.uint8)
    return Picture(rgb)
