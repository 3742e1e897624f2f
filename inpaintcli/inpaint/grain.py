"""Film grain and sensor noise: a fill gets as much of it as the photo around has.

Networks and means of patches are smoother than a noisy photo, so a retouched scratch would be
visible as a clean line. Noise is measured where the photo is smoothest (Immerkaer 1996, "Fast noise
variance estimation", with a filter that does not respond to planes and straight edges), and in the
hole as well; the difference is added. Functions over arrays; the same seed gives the same pixels.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, bounding_box

Floats = NDArray[np.float32]

MIN_SIGMA = 1.0
"""Grey levels of 255; weaker noise is invisible, and not added."""
MARGIN = 24
"""Pixels around the hole that count as its surroundings."""
WINDOW_SIDE = 192
MAX_WINDOWS = 12
"""Noise is measured in so many windows on the hole; in all of it where that is no more work."""
SMOOTHEST_SHARE = 0.25
"""Share of the surroundings, the smoothest, that noise is measured in: the rest is texture."""
_LAPLACIAN_DIFFERENCE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""Immerkaer's filter, scaled to a norm of 1."""
_AVERAGING_SIDE = 7
"""Side of the square over which noise is averaged."""
_MIN_POSITIONS = 200
"""Fewer positions say nothing."""


def add_grain(pixels: NDArray[Any], hole: Mask, known: Mask, *, seed: int = 0) -> float:
    """Add the noise that a filled hole lacks, in place.

    Args:
        pixels: (h, w, 1 or 3) uint8 or uint16, the hole filled.
        hole: (h, w) bool, True where it was filled.
        known: (h, w) bool, True where the pixels are the photo's own.
        seed: of the noise.

    Returns:
        The standard deviation of the noise added, in grey levels of 255, the mean over channels; 0
        where none is missing.
    """
    box = bounding_box(hole)
    if box is None:
        return 0.0
    rng = np.random.default_rng(seed)
    windows = _windows(hole, box, rng)
    missing = _missing_sigma(pixels, hole, known, windows)
    if missing.max(initial=0.0) < MIN_SIGMA:
        return 0.0
    top = np.iinfo(pixels.dtype).max
    target, part = hole[box.slices], pixels[box.slices]  # a view of the picture
    filled = part[target].astype(np.float32)
    noise = rng.standard_normal(len(filled), np.float32)
    # Noise of photos is mostly luminance noise: one pattern, scaled for each channel.
    noisy = filled + noise[:, None] * missing * np.float32(top / 255)
    part[target] = np.clip(np.rint(noisy), 0, top).astype(pixels.dtype)
    return float(missing.mean())


def _missing_sigma(pixels: NDArray[Any], hole: Mask, known: Mask, windows: list[Box]) -> Floats:
    """Standard deviation (channels) of the noise that the hole lacks, in grey levels of 255."""
    around: list[Floats] = []
    inside: list[Floats] = []
    unit = np.float32(255 / np.iinfo(pixels.dtype).max)
    for window in windows:
        part = pixels[window.slices].astype(np.float32) * unit
        target, source = hole[window.slices], known[window.slices]
        distance = cv2.distanceTransform((~target).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        around.append(_noise(part, source)[source & (distance <= MARGIN)])
        inside.append(_noise(part, target)[target])
    wanted, present = (_smoothest(np.concatenate(levels)) for levels in (around, inside))
    if wanted is None or present is None:
        return np.zeros(pixels.shape[2], np.float32)
    return np.asarray(np.sqrt(np.maximum(wanted**2 - present**2, 0)), np.float32)


def _windows(hole: Mask, box: Box, rng: np.random.Generator) -> list[Box]:
    """All of the hole and its surroundings, or squares around pixels of it, drawn at random."""
    whole = box.grown(MARGIN, *hole.shape)
    if whole.height * whole.width <= MAX_WINDOWS * WINDOW_SIDE**2:
        return [whole]
    positions = np.flatnonzero(hole[box.slices])
    drawn = positions[rng.integers(0, len(positions), MAX_WINDOWS)]
    found = set()
    for y, x in zip(*np.divmod(drawn, box.width), strict=True):
        top, left = (
            min(max(0, int(at) - WINDOW_SIDE // 2), max(0, length - WINDOW_SIDE))
            for at, length in zip((box.top + y, box.left + x), hole.shape, strict=True)
        )
        bottom, right = (
            min(hole.shape[0], top + WINDOW_SIDE),
            min(hole.shape[1], left + WINDOW_SIDE),
        )
        found.add((top, left, bottom, right))
    return [Box(*corners) for corners in sorted(found)]


def _noise(part: Floats, where: Mask) -> Floats:
    """(h, w, channels) standard deviation of the noise near each position; NaN where unknown."""
    whole = cv2.erode(where.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    size = (_AVERAGING_SIDE, _AVERAGING_SIDE)
    share = cv2.blur(whole, size)[..., None]
    response = np.abs(cv2.filter2D(part, cv2.CV_32F, _LAPLACIAN_DIFFERENCE)).reshape(part.shape)
    mean = cv2.blur(response * whole[..., None], size).reshape(part.shape) / np.maximum(share, 1e-6)
    return np.where(share > 0.1, mean * np.float32(np.sqrt(np.pi / 2)), np.nan)


def _smoothest(levels: Floats) -> Floats | None:
    """The noise (channels) at the quantile SMOOTHEST_SHARE of positions (n, channels)."""
    known = levels[np.isfinite(levels).all(axis=1)]
    if len(known) < _MIN_POSITIONS:
        return None
    return np.asarray(np.quantile(known, SMOOTHEST_SHARE, axis=0), np.float32)
