"""Film grain and sensor noise: a fill gets as much as the photo around it has.

Networks and means of patches are smoother than a noisy photo, so a retouched scratch shows as a
clean line. Noise is measured where the photo is calmest (Immerkaer 1996, "Fast noise variance
estimation": a mask that no plane and no straight edge excites), in the hole as well, and what is
missing is added. Arrays in, arrays out; the same seed gives the same pixels.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, bounding_box

Floats = NDArray[np.float32]

LEAST = 1.0
"""Grey levels of 255; less noise than this is not added, for nobody sees it."""
REACH = 24
"""Pixels around the hole that count as its surroundings."""
WINDOW = 192
MOST_WINDOWS = 12
"""Noise is measured in so many windows on the hole; in all of it where that is no more work."""
CALM = 0.25
"""Share of the surroundings, the calmest, whose noise counts: the rest is texture."""
_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6  # of norm 1
_NEAR = 7  # side of the square over which noise is averaged
_LEAST_SEEN = 200  # positions; less says nothing


def add_grain(pixels: NDArray[Any], hole: Mask, known: Mask, *, seed: int = 0) -> float:
    """Add to a filled hole the noise that it lacks, in place.

    Args:
        pixels: (h, w, 1 or 3) uint8 or uint16, the hole filled.
        hole: (h, w) bool, True where it was filled.
        known: (h, w) bool, True where the photo itself is seen.
        seed: of the noise.

    Returns:
        The standard deviation of the noise added, in grey levels of 255, the mean over channels; 0
        where none is missing.
    """
    box = bounding_box(hole)
    if box is None:
        return 0.0
    numbers = np.random.default_rng(seed)
    windows = _windows(hole, box, numbers)
    missing = _missing(pixels, hole, known, windows)
    if missing.max(initial=0.0) < LEAST:
        return 0.0
    top = np.iinfo(pixels.dtype).max
    target, part = hole[box.slices], pixels[box.slices]  # a view: what is set there is set in all
    filled = part[target].astype(np.float32)
    noise = numbers.standard_normal(len(filled), np.float32)
    # Photos' noise is mostly of brightness: the channels get the same, each as much as it lacks.
    noisy = filled + noise[:, None] * missing * np.float32(top / 255)
    part[target] = np.clip(np.rint(noisy), 0, top).astype(pixels.dtype)
    return float(missing.mean())


def _missing(pixels: NDArray[Any], hole: Mask, known: Mask, windows: list[Box]) -> Floats:
    """Standard deviation (channels) of the noise that the hole lacks, in grey levels of 255."""
    around: list[Floats] = []
    inside: list[Floats] = []
    unit = np.float32(255 / np.iinfo(pixels.dtype).max)
    for window in windows:
        part = pixels[window.slices].astype(np.float32) * unit
        target, seen = hole[window.slices], known[window.slices]
        away = cv2.distanceTransform((~target).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        around.append(_noise(part, seen)[seen & (away <= REACH)])
        inside.append(_noise(part, target)[target])
    there, here = (_calmest(np.concatenate(levels)) for levels in (around, inside))
    if there is None or here is None:
        return np.zeros(pixels.shape[2], np.float32)
    return np.asarray(np.sqrt(np.maximum(there**2 - here**2, 0)), np.float32)


def _windows(hole: Mask, box: Box, numbers: np.random.Generator) -> list[Box]:
    """All of the hole and what is around it, or squares around pixels of it, drawn at random."""
    whole = box.grown(REACH, *hole.shape)
    if whole.height * whole.width <= MOST_WINDOWS * WINDOW**2:
        return [whole]
    places = np.flatnonzero(hole[box.slices])
    drawn = places[numbers.integers(0, len(places), MOST_WINDOWS)]
    found = set()
    for y, x in zip(*np.divmod(drawn, box.width), strict=True):
        top, left = (
            min(max(0, int(at) - WINDOW // 2), max(0, length - WINDOW))
            for at, length in zip((box.top + y, box.left + x), hole.shape, strict=True)
        )
        bottom, right = min(hole.shape[0], top + WINDOW), min(hole.shape[1], left + WINDOW)
        found.add((top, left, bottom, right))
    return [Box(*corners) for corners in sorted(found)]


def _noise(part: Floats, where: Mask) -> Floats:
    """(h, w, channels) standard deviation of the noise near each position; NaN where unknown."""
    whole = cv2.erode(where.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    size = (_NEAR, _NEAR)
    share = cv2.blur(whole, size)[..., None]
    answers = np.abs(cv2.filter2D(part, cv2.CV_32F, _MASK)).reshape(part.shape) * whole[..., None]
    mean = cv2.blur(answers, size).reshape(part.shape) / np.maximum(share, 1e-6)
    return np.where(share > 0.1, mean * np.float32(np.sqrt(np.pi / 2)), np.nan)


def _calmest(levels: Floats) -> Floats | None:
    """The noise (channels) below which the calmest share of positions (n, channels) lies."""
    seen = levels[np.isfinite(levels).all(axis=1)]
    if len(seen) < _LEAST_SEEN:
        return None
    return np.asarray(np.quantile(seen, CALM, axis=0), np.float32)
