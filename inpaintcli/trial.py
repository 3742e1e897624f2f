"""A trial on known pixels: would the network or the patches have filled them better?

A piece of the hole's shape is hidden in the photo beside the hole and filled by both; what was
there is known, so both can be judged. On 79 photos the trial's gain, less the hole's share, went
with the patches' true gain in P with a correlation of 0.5 (docs/log.md).
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.holes import Box, bounding_box
from inpaintcli.picture import Mask

Floats = NDArray[np.float32]
Fill = Callable[[Floats, Mask, Mask], Floats]
"""Takes pixels (h, w, 1 or 3) in 0..255, what to fill, and what is unknown; both bool (h, w)."""

WINDOW = 96
"""Side of a hidden piece, pixels."""
PIECES = 2
CONTEXT = 128
"""Pixels of photo seen on every side of a window."""
LEAST_HIDDEN = 400
"""Pixels; less says nothing."""
MOST_UNKNOWN = 0.1
"""Share of a piece's window that may be hole already."""
_SCALES = (1.0, 0.5, 0.25)
_NEAR = 16  # pixels around a hidden part that its slopes are taken from
_FAINT = 8.0  # a slope of a grey level a pixel; weaker ones count as none


def gain(pixels: Floats, target: Mask, known: Mask, network: Fill, patches: Fill) -> float | None:
    """How much better the patches fill than the network, in a trial beside the hole.

    Args:
        pixels: (h, w, 1 or 3) in 0..255; what is not known is not looked at.
        target: (h, w) bool, True in the hole.
        known: (h, w) bool, True where pixels may be looked at and hidden.
        network: fills from nothing.
        patches: go on from the network's fill.

    Returns:
        Share of the network's distance to the truth that the patches save, 1 at best; negative
        where they are worse. None where there is no room for a trial.
    """
    ours = theirs = weight = 0.0
    for seen, hidden in hide(target, known):
        photo, unknown = pixels[seen.slices], ~known[seen.slices] | hidden
        start = network(photo, hidden, unknown)
        share = np.count_nonzero(hidden)
        ours += share * _distance_near(hidden, start, photo)
        theirs += share * _distance_near(hidden, patches(start, hidden, unknown), photo)
        weight += share
    return (ours - theirs) / max(ours, 1e-6 * weight) if weight else None


def hide(target: Mask, known: Mask) -> list[tuple[Box, Mask]]:
    """Pieces of the hole's shape, moved to where the photo is known.

    Returns:
        For each what is seen of the photo, a box, and in it (h, w) bool, True where hidden. None
        at all where too little could be hidden to say anything.
    """
    depth = cv2.distanceTransform(target.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    side = min(WINDOW, *(length // 2 for length in target.shape))
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    top, left = (
        min(max(0, int(at) - side // 2), length - side)
        for at, length in zip((y, x), target.shape, strict=True)
    )
    shape = target[top : top + side, left : left + side]
    pieces = []
    for place in _places(known, (top, left), side):
        seen = place.grown(CONTEXT, *target.shape)
        hidden = np.zeros((seen.height, seen.width), np.bool_)
        hidden[place.moved(-seen.top, -seen.left).slices] = shape & known[place.slices]
        if hidden.any():
            pieces.append((seen, hidden))
    enough = sum(np.count_nonzero(hidden) for _, hidden in pieces) >= LEAST_HIDDEN
    return pieces if enough else []


def _places(known: Mask, start: tuple[int, int], side: int) -> Iterator[Box]:
    """Up to PIECES windows that do not overlap and are nearly all known, the nearest first."""
    sums = cv2.integral((~known).astype(np.uint8))
    step = max(1, side // 8)
    tops = np.arange(0, known.shape[0] - side + 1, step)[:, None]
    lefts = np.arange(0, known.shape[1] - side + 1, step)[None]
    unknown = sums[tops + side, lefts + side] - sums[tops, lefts + side]
    unknown = unknown - sums[tops + side, lefts] + sums[tops, lefts]
    away = np.hypot(tops - start[0], lefts - start[1])
    cost = np.where(unknown <= MOST_UNKNOWN * side**2, away, np.inf)
    for _ in range(PIECES):
        row, column = np.unravel_index(int(cost.argmin()), cost.shape)
        if not np.isfinite(cost[row, column]):
            return
        top, left = int(tops[row, 0]), int(lefts[0, column])
        yield Box(top, left, top + side, left + side)
        cost[(abs(tops - top) < side) & (abs(lefts - left) < side)] = np.inf


def _distance_near(hidden: Mask, filled: Floats, photo: Floats) -> float:
    """The distance in the hidden part, without a look at what lies far from it."""
    box = bounding_box(hidden)
    near = slice(None) if box is None else box.grown(_NEAR, *hidden.shape).slices
    return distance(filled[near], photo[near], hidden[near])


def distance(filled: Floats, photo: Floats, where: Mask) -> float:
    """How unlike two pictures are: slopes by direction, normalised, at three scales.

    At every position the slopes up, down, left and right, blurred over a few pixels, are divided
    by their length, so that a texture counts as much as a strong edge; the squared difference is
    averaged over `where` and summed over scales. 0 for equal pictures.
    """
    total = 0.0
    for scale in _SCALES:
        ours, theirs = (_directions(picture, scale) for picture in (filled, photo))
        size = (ours.shape[1], ours.shape[0])
        share = cv2.resize(where.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        differences = ((ours - theirs) ** 2).sum(axis=2)
        total += float((differences * share).sum() / max(float(share.sum()), 1e-6))
    return total


def _directions(picture: Floats, scale: float) -> Floats:
    """(h, w, 4) slopes to each side, of a picture scaled by at most 1, of length below 1."""
    grey = picture.mean(axis=2)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    slopes = [cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)]
    sides = np.stack([np.maximum(sign * s, 0) for s in slopes for sign in (1, -1)], axis=2)
    sides = cv2.GaussianBlur(sides, (0, 0), 1.0)
    length = np.linalg.norm(sides, axis=2, keepdims=True)
    return np.asarray(sides / (length + _FAINT), np.float32)
