"""The network's fill and patches of the photo in one: each where it serves.

The network sees the whole hole and is nearly right beside its rim; deep inside it can only guess,
and its guess is a blur of what might be there. Over sharp patches that shows as haze. So colours
are the network's near the rim, and the patches' own deep in the hole; the detail is theirs
everywhere. Where the photo around is as calm as a sky, or both fills are, colours are the network's
throughout: there no haze is seen, but steps between patches are.
docs/log.md has what was compared, `benchmarks/texture.py` measures the time.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.regions import bounding_box
from inpaintcli.texture.pyramid import Bools, Floats, grey, in_channels, pull_push
from inpaintcli.texture.synthesis import Texture

SIGMAS = (2.5, 6.0)
"""Above which colours near the rim are the network's: in faint texture, and in strong."""
STRENGTH_SIGMA = 6.0
STRONG = 6.0
"""Mean |dx| + |dy|, of 255, at which texture counts as half faint and half strong."""
RIM = 2.0
"""Pixels from the rim over which a blend begins as the network's fill: across the rim colours then
differ by 6.6 of 255 (mean of 16 photos) as in the truth (6.7); by 8.1 without."""
DEEP = (4.0, 24.0)
"""Pixels from the rim between which the colours become the patches' own."""
CALM = 0.85
"""Slope of the low-passed photo around, of 255 a pixel, below which colours stay the network's: a
sky's are right, and patches make clouds with edges of it. Skies have 0.2 to 0.8, a cardboard box
1.1, a water's surface 2.5."""
CALM_SIGMA = 3.0
BUSY = 0.5
"""Mean slope of a low-passed fill, of 255 a pixel, at which it is half calm. No slope counts for
more than twice that, or a step between two calm patches would not be calm."""
BUSY_SIGMA = 8.0
GRAIN_SIGMA = 1.5
"""Where it is calm, patches give only what is finer than this: coarser steps of theirs show."""
SEEN = 32
"""Pixels of photo around the hole that are looked at: four sigmas of the widest blur."""


def blend(
    texture: Texture,
    start: NDArray[Any],
    hole: Bools,
    *,
    top: float = 255,
) -> Floats:
    """Patches and the network's fill in one.

    Near the rim, what the start differs from the patches by is added to them, low-passed. Where the
    texture is faint that is all but the detail, so that a sky joins without a step; where it is
    strong, only the colour in the large. The outermost pixels are half the start's, which goes on
    from the known ones without a step.

    Args:
        texture: from `synthesize`.
        start: as it was given there.
        hole: as it was given there.
        top: value of white.

    Returns:
        (h, w, channels) float32, known pixels as they were. Not clipped: a colour may be a little
        beyond 0 or `top`.
    """
    mixed = texture.pixels.copy()
    box = bounding_box(hole)
    if box is not None:
        near = box.grown(SEEN, *hole.shape).slices
        unit = np.float32(255 / top)
        patches, network = texture.pixels[near] * unit, start[near].astype(np.float32) * unit
        mixed[near] += _change(patches, network, hole[near]) / unit
    return mixed


def _change(patches: Floats, network: Floats, hole: Bools) -> Floats:
    """(h, w, c) in 0 to 255: what a blend differs from the patches by; 0 outside the hole."""
    channels = patches.shape[2]
    inside = in_channels(hole.astype(np.float32), channels)
    change = (network - patches) * inside
    shown, guessed = (_slopes(_low_pass(fill, CALM_SIGMA)) for fill in (patches, network))
    depth, surrounding_gradient = _depth(hole), _surrounding_gradient(guessed, hole)
    low = _colours(change, patches, shown, surrounding_gradient)
    busy = np.maximum(_busy(shown), _busy(guessed))
    own = _deep(depth) * np.minimum(surrounding_gradient, busy)
    mixed = low * in_channels(1 - own, channels)
    rim = in_channels(np.maximum(0, 1 - depth / np.float32(RIM)), channels)
    return (mixed + rim * (change - mixed)) * inside


def _colours(
    change: Floats, patches: Floats, slopes: Floats, surrounding_gradient: Floats
) -> Floats:
    """(h, w, c): the part of a change of colour that is coarser than the texture.

    `slopes` are those of the low-passed patches.
    """
    channels = change.shape[2]
    fine, coarse = (_low_pass(change, sigma) for sigma in SIGMAS)
    strength = cv2.GaussianBlur(_slopes(patches), (0, 0), STRENGTH_SIGMA)
    faint = in_channels(1 / (1 + np.square(strength / np.float32(STRONG))), channels)
    low = coarse + faint * (fine - coarse)
    calm = np.asarray(1 - surrounding_gradient, np.float32)
    return low + in_channels(calm, channels) * (_calm_colours(change, slopes) - low)


def _calm_colours(change: Floats, slopes: Floats) -> Floats:
    """(h, w, c): all of a change but grain; all of it where patches meet in a step."""
    low = _low_pass(change, GRAIN_SIGMA)
    steps = _steep(slopes)
    return low + in_channels(steps, change.shape[2]) * (change - low)


def _steep(slopes: Floats, usual: float = CALM) -> Floats:
    """0 for the slopes of a sky, of 255 a pixel, 1 for those of things."""
    power = np.square(np.square(slopes))
    return np.asarray(power / (power + np.float32(usual**4)), np.float32)


def _busy(slopes: Floats) -> Floats:
    """(h, w): 0 where a low-passed fill with such slopes is calm, 1 where it is full of things."""
    bounded = np.minimum(slopes, np.float32(2 * BUSY))
    return _steep(np.asarray(cv2.GaussianBlur(bounded, (0, 0), BUSY_SIGMA), np.float32), BUSY)


def _low_pass(pixels: Floats, sigma: float) -> Floats:
    """(h, w, c) blurred; OpenCV drops a single channel."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.float32).reshape(pixels.shape)


def _slopes(pixels: Floats) -> Floats:
    """(h, w): |dx| + |dy| of the grey picture, 0 beyond its last row and column."""
    shades = grey(pixels)
    slopes: Floats = np.zeros_like(shades)
    slopes[:, :-1] += np.abs(np.diff(shades, axis=1))
    slopes[:-1] += np.abs(np.diff(shades, axis=0))
    return slopes


def _depth(hole: Bools) -> Floats:
    """(h, w): pixels from the nearest known one."""
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(depth, np.float32)


def _deep(depth: Floats) -> Floats:
    """(h, w): 0 near the rim, 1 so many pixels from it that colours may be the patches' own."""
    ramp = np.clip((depth - np.float32(DEEP[0])) / np.float32(DEEP[1] - DEEP[0]), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def _surrounding_gradient(slopes: Floats, hole: Bools) -> Floats:
    """(h, w): 0 where the photo around, low-passed, is calm by its slopes, 1 where it is not."""
    known: Floats = (~hole).astype(np.float32)
    total = cv2.GaussianBlur(slopes * known, (0, 0), STRENGTH_SIGMA)
    share = cv2.GaussianBlur(known, (0, 0), STRENGTH_SIGMA)
    near = (share > 0.3).astype(np.float32) * known
    around = np.asarray(near * total / np.maximum(share, 1e-3), np.float32)
    return _steep(pull_push(around[..., None], near)[..., 0])
