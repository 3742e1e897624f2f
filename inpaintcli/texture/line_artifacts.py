"""Removes a line artifact of patch synthesis: alternately lighter and darker rows or columns.

Target patches stand two pixels apart. Where they all show much the same, as on water or fur, the
pixels of one row lie at even positions of their patches and those of the next row at odd ones; any
difference between the two adds up along the row (`patchmatch.VOTE_WINDOWS` cancels all but the
highest frequencies of it). Photos hardly have such lines. Pure functions over arrays.
"""

import cv2
import numpy as np

from inpaintcli.imaging.regions import bounding_box
from inpaintcli.texture.pyramid import Bools, Floats, grey

COMB_FILTER = np.array([1, -2, 2, -2, 2, -2, 1], np.float32) / 12
"""Responds to what changes sign from pixel to pixel with minus its amplitude, and with 0 to any
polynomial of degree 1."""
LINE_LENGTH = 13
"""Pixels along a line that are averaged, to tell the line from grain."""
VISIBLE_RATIO = 0.35
"""Amplitude of a line, in standard deviations of the detail around it, at which it is a visible
artifact with a certainty of one half."""
DETAIL_SIGMA = 3.0
MIN_DEVIATION = 0.005
"""Least standard deviation of the detail, as a share of the picture's own; below it nothing is
visible."""
MAX_KNOWN_SHARE = 0.1
"""Mean certainty of lines in the known pixels around, above which the photo itself is taken to have
such lines; in noise it is 0.02."""
MIN_DEPTH = 3
"""Pixels from the hole's boundary; nearer ones are left alone."""
MARGIN = 32


def remove_line_artifacts(picture: Floats, hole: Bools) -> Floats:
    """The picture without lines of a period of two pixels in the hole.

    Args:
        picture: (h, w, 1 or 3) float32 of any range.
        hole: (h, w) bool, True where there may be such lines.

    Returns:
        A copy, equal where `hole` is False or where the photo around has such lines itself.
    """
    box = bounding_box(hole)
    if box is None:
        return picture
    near = box.grown(MARGIN, *hole.shape).slices
    answer, inside = picture.copy(), hole[near]
    depth, distance = (
        cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        for mask in (inside, ~inside)
    )
    untouched = distance > LINE_LENGTH  # beyond the reach of filters that overlap the hole
    for vertical in (False, True):
        correction, certainty = _lines(answer[near], vertical=vertical)
        if untouched.any() and certainty[untouched].mean() > MAX_KNOWN_SHARE:
            continue
        weight = certainty * (depth > MIN_DEPTH)
        answer[near] += weight[..., None] * correction
    return answer


def _lines(picture: Floats, *, vertical: bool) -> tuple[Floats, Floats]:
    """Minus the line pattern (h, w, c), horizontal or vertical; its certainty (h, w), 0 to 1."""
    comb, along = (
        (COMB_FILTER[None], (1, LINE_LENGTH))
        if vertical
        else (COMB_FILTER[:, None], (LINE_LENGTH, 1))
    )
    lines = cv2.blur(cv2.filter2D(picture, -1, comb), along).reshape(picture.shape)
    shades = grey(picture)
    detail = shades - cv2.GaussianBlur(shades, (0, 0), DETAIL_SIGMA)
    power = np.maximum(cv2.GaussianBlur(np.square(detail), (0, 0), DETAIL_SIGMA), 0)
    least = np.float32(MIN_DEVIATION * float(shades.std()) + 1e-9)
    ratio = grey(np.asarray(lines, np.float32)) / (np.sqrt(power) + least)
    odds = np.square(np.square(ratio / np.float32(VISIBLE_RATIO)))
    return np.asarray(lines, np.float32), np.asarray(odds / (1 + odds), np.float32)
