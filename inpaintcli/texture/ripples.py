"""Takes ruled lines out of a fill: rows or columns that are lighter and darker by turns.

Where patches that stand two pixels apart all show much the same, as on water or fur, each row of
pixels sees them at even places and the next one at odd places; what differs between the two adds
up along the row (`patchmatch.WINDOWS` cancels all but the finest of it). Photos hardly have such
lines. Arrays in, arrays out.
"""

import cv2
import numpy as np

from inpaintcli.imaging.regions import bounding_box
from inpaintcli.texture.pyramid import Bools, Floats, grey

COMB = np.array([1, -2, 2, -2, 2, -2, 1], np.float32) / 12
"""Finds what changes sign from pixel to pixel; 0 for all that is locally a polynomial of degree 1.
Minus the amplitude of such lines."""
LENGTH = 13
"""Pixels along a line, whose mean tells it from grain."""
PLAIN = 0.35
"""Of the deviation around, that a line has if it is half sure to be seen."""
DETAIL_SIGMA = 3.0
LEAST_DEVIATION = 0.005
"""Of the picture's own deviation: in what is calmer still, nothing is seen."""
USUAL = 0.1
"""Share of the known pixels around in lines, from which on the photo itself is ruled; in noise it
is 0.02."""
DEPTH = 3
"""Pixels from the rim; nearer ones are left alone."""
AROUND = 32


def unruled(picture: Floats, hole: Bools) -> Floats:
    """The picture without lines two pixels apart in the hole.

    Args:
        picture: (h, w, 1 or 3) float32 of any range.
        hole: (h, w) bool, True where there may be such lines.

    Returns:
        The same where `hole` is False or the photo around has such lines itself.
    """
    box = bounding_box(hole)
    if box is None:
        return picture
    around = box.grown(AROUND, *hole.shape).slices
    answer, inside = picture.copy(), hole[around]
    depth, away = (
        cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        for mask in (inside, ~inside)
    )
    untouched = away > LENGTH  # the hole's own lines are not seen there
    for upright in (False, True):
        lines, sure = _lines(answer[around], upright=upright)
        if untouched.any() and sure[untouched].mean() > USUAL:
            continue
        weight = sure * (depth > DEPTH)
        answer[around] += weight[..., None] * lines
    return answer


def _lines(picture: Floats, *, upright: bool) -> tuple[Floats, Floats]:
    """(h, w, c): minus what is ruled, down the picture or `upright`; (h, w) how sure, 0 to 1."""
    comb, along = (COMB[None], (1, LENGTH)) if upright else (COMB[:, None], (LENGTH, 1))
    lines = cv2.blur(cv2.filter2D(picture, -1, comb), along).reshape(picture.shape)
    shades = grey(picture)
    detail = shades - cv2.GaussianBlur(shades, (0, 0), DETAIL_SIGMA)
    power = np.maximum(cv2.GaussianBlur(np.square(detail), (0, 0), DETAIL_SIGMA), 0)
    least = np.float32(LEAST_DEVIATION * float(shades.std()) + 1e-9)
    ratio = grey(np.asarray(lines, np.float32)) / (np.sqrt(power) + least)
    clear = np.square(np.square(ratio / np.float32(PLAIN)))
    return np.asarray(lines, np.float32), np.asarray(clear / (1 + clear), np.float32)
