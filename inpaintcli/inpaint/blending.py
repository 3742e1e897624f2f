"""Blends the network's fill and the patches of the photo, each where it is better.

The network sees the whole hole and is nearly right near its boundary; deep inside it can only
guess, and its guess is a blur of what might be there. Over sharp patches that looks like haze. So
colours are the network's near the boundary, and the patches' own deep in the hole; the detail is
the patches' everywhere. Where the photo around is as smooth as a sky, or both fills are, colours
are the network's throughout: haze is invisible there, but steps between patches are not.
`benchmarks/texture.py` measures the time.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.regions import bounding_box, hole_depth
from inpaintcli.texture.pyramid import Bools, Floats, grey, in_channels, pull_push
from inpaintcli.texture.synthesis import Texture

LOW_PASS_SIGMAS = (2.5, 6.0)
"""Of the blur above which colours near the boundary are the network's: in faint texture, and in
strong."""
STRENGTH_SIGMA = 6.0
STRONG_TEXTURE = 6.0
"""Mean |dx| + |dy|, of 255, at which texture counts as half faint and half strong."""
BOUNDARY_BAND = 2.0
"""Pixels from the boundary over which a blend begins as the network's fill: across the boundary
colours then differ by 6.6 of 255 (mean of 16 photos), as in the original photos (6.7); by 8.1
without."""
DEPTH_RANGE = (4.0, 24.0)
"""Pixels from the boundary between which the colours become the patches' own."""
SMOOTH_GRADIENT = 0.85
"""Gradient of the low-passed photo around, of 255 a pixel, below which colours stay the network's:
those of a sky are right, and patches make clouds with edges of it. Skies have 0.2 to 0.8, a
cardboard box 1.1, a water's surface 2.5."""
SMOOTH_SIGMA = 3.0
STRUCTURED_GRADIENT = 0.5
"""Mean gradient of a low-passed fill, of 255 a pixel, at which it counts as half structured. A
gradient counts as twice that at most, or a step between two smooth patches would count as
structure."""
STRUCTURED_SIGMA = 8.0
GRAIN_SIGMA = 1.5
"""Where the surroundings are smooth, patches give only detail finer than this: their coarser steps
would be visible."""
MARGIN = 32
"""Pixels of photo around the hole that are used: four sigmas of the widest blur."""


def blend(
    texture: Texture,
    initial: NDArray[Any],
    hole: Bools,
    *,
    top: float = 255,
) -> Floats:
    """Blend patches and the network's fill.

    Near the boundary, the low-passed difference between the network's fill and the patches is added
    to the patches. Where the texture is faint that is all but the finest detail, so that a sky
    joins without a step; where it is strong, only the coarse colours. The outermost pixels are half
    the network's, which continue the known ones without a step.

    Args:
        texture: from `synthesize`.
        initial: (h, w, channels), the network's fill, as it was given to `synthesize`.
        hole: (h, w) bool, True in the hole, as it was given to `synthesize`.
        top: value of white.

    Returns:
        (h, w, channels) float32, known pixels as they were. Not clipped: a colour may be slightly
        below 0 or above `top`.
    """
    mixed = texture.pixels.copy()
    box = bounding_box(hole)
    if box is not None:
        near = box.grown(MARGIN, *hole.shape).slices
        unit = np.float32(255 / top)
        patches, network = texture.pixels[near] * unit, initial[near].astype(np.float32) * unit
        mixed[near] += _change(patches, network, hole[near]) / unit
    return mixed


def _change(patches: Floats, network: Floats, hole: Bools) -> Floats:
    """(h, w, c) of 255: difference between the blend and the patches; 0 outside the hole."""
    channels = patches.shape[2]
    inside = in_channels(hole.astype(np.float32), channels)
    change = (network - patches) * inside
    gradients, network_gradients = (
        _gradients(_low_pass(fill, SMOOTH_SIGMA)) for fill in (patches, network)
    )
    depth = hole_depth(hole)
    surroundings = _surrounding_structure(network_gradients, hole)
    low = _colours(change, patches, gradients, surroundings)
    structured = np.maximum(_is_structured(gradients), _is_structured(network_gradients))
    own = _is_deep(depth) * np.minimum(surroundings, structured)
    mixed = low * in_channels(1 - own, channels)
    boundary = in_channels(np.maximum(0, 1 - depth / np.float32(BOUNDARY_BAND)), channels)
    return (mixed + boundary * (change - mixed)) * inside


def _colours(change: Floats, patches: Floats, gradients: Floats, surroundings: Floats) -> Floats:
    """(h, w, c): the part of a change of colour that is coarser than the texture.

    `gradients` are those of the low-passed patches, `surroundings` from `_surrounding_structure`.
    """
    channels = change.shape[2]
    fine, coarse = (_low_pass(change, sigma) for sigma in LOW_PASS_SIGMAS)
    strength = cv2.GaussianBlur(_gradients(patches), (0, 0), STRENGTH_SIGMA)
    faint = in_channels(1 / (1 + np.square(strength / np.float32(STRONG_TEXTURE))), channels)
    low = coarse + faint * (fine - coarse)
    smooth = np.asarray(1 - surroundings, np.float32)
    return low + in_channels(smooth, channels) * (_smooth_colours(change, gradients) - low)


def _smooth_colours(change: Floats, gradients: Floats) -> Floats:
    """(h, w, c): a change of colour without its grain; all of it where patches meet in a step."""
    low = _low_pass(change, GRAIN_SIGMA)
    steps = _is_steep(gradients)
    return low + in_channels(steps, change.shape[2]) * (change - low)


def _is_steep(gradients: Floats, threshold: float = SMOOTH_GRADIENT) -> Floats:
    """0 for gradients (of 255 a pixel) far below a threshold, 1/2 at it, 1 for those far above."""
    power = np.square(np.square(gradients))
    return np.asarray(power / (power + np.float32(threshold**4)), np.float32)


def _is_structured(gradients: Floats) -> Floats:
    """(h, w): 0 where a low-passed fill of these gradients is smooth, 1 where it has structure."""
    bounded = np.minimum(gradients, np.float32(2 * STRUCTURED_GRADIENT))
    mean = np.asarray(cv2.GaussianBlur(bounded, (0, 0), STRUCTURED_SIGMA), np.float32)
    return _is_steep(mean, STRUCTURED_GRADIENT)


def _low_pass(pixels: Floats, sigma: float) -> Floats:
    """(h, w, c) blurred; OpenCV drops a single channel."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.float32).reshape(pixels.shape)


def _gradients(pixels: Floats) -> Floats:
    """(h, w): |dx| + |dy| of the grey picture, 0 beyond its last row and column."""
    shades = grey(pixels)
    gradients: Floats = np.zeros_like(shades)
    gradients[:, :-1] += np.abs(np.diff(shades, axis=1))
    gradients[:-1] += np.abs(np.diff(shades, axis=0))
    return gradients


def _is_deep(depth: Floats) -> Floats:
    """(h, w): 0 near the boundary, 1 deep in the hole, where colours may be the patches' own."""
    low, high = DEPTH_RANGE
    ramp = np.clip((depth - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def _surrounding_structure(gradients: Floats, hole: Bools) -> Floats:
    """(h, w): 0 where the photo around is smooth by its low-passed gradients, else up to 1."""
    known: Floats = (~hole).astype(np.float32)
    total = cv2.GaussianBlur(gradients * known, (0, 0), STRENGTH_SIGMA)
    share = cv2.GaussianBlur(known, (0, 0), STRENGTH_SIGMA)
    near = (share > 0.3).astype(np.float32) * known
    around = np.asarray(near * total / np.maximum(share, 1e-3), np.float32)
    return _is_steep(pull_push(around[..., None], near)[..., 0])
