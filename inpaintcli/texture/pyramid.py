"""Gaussian-like pyramid of a picture with a hole, from fine to coarse, for patch synthesis.

A coarser level has half the size; its known colours are means of known pixels only. Gradients are
measured at full resolution and only averaged further down (Newson et al. 2014, section 3.3): a
coarse level must still know what is smooth and what is not.
"""

import math
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

PATCH_SIDE = 7
"""Side of a patch, in pixels of its level."""
PATCH_RADIUS = PATCH_SIDE // 2


@dataclass(frozen=True, eq=False)
class Level:
    """One level of the pyramid.

    rgb: (h, w, 3) float32, the initial fill in the hole.
    hole: (h, w) bool, True = fill.
    source: (h, w) bool, True where texture may be copied from.
    gradients: (h, w, 2) mean |dx| and |dy| at full resolution, times `known_pairs`.
    known_pairs: (h, w, 2) share of the pixel pairs behind `gradients` of which both are known.
    downscale: side of a pixel of this level, in pixels of the picture.
    """

    rgb: Floats
    hole: Bools
    source: Bools
    gradients: Floats
    known_pairs: Floats
    downscale: int = 1

    def halved(self) -> Self:
        """The next coarser level; known colours are means of known pixels only."""
        known = (~self.hole).astype(np.float32)
        share = _halved(known)
        hole = np.asarray(share < 0.5, np.bool_)
        rgb = _halved(self.rgb * in_channels(known, 3)) / in_channels(np.maximum(share, 1e-6), 3)
        np.copyto(rgb, _halved(self.rgb), where=hole[..., None])
        source = np.asarray(_halved(self.source.astype(np.float32)) > 0.999, np.bool_)
        gradients, known_pairs = _halved(self.gradients), _halved(self.known_pairs)
        return type(self)(rgb, hole, source, gradients, known_pairs, 2 * self.downscale)


def build_pyramid(
    picture: Floats, hole: Bools, source: Bools, *, coarsest_thickness: float, min_sources: int
) -> list[Level]:
    """Levels from fine to coarse.

    Args:
        picture: (h, w, 1 or 3) float32, with the initial fill in the hole.
        hole: (h, w) bool, True = fill.
        source: (h, w) bool, True where texture may be copied from.
        coarsest_thickness: approximate thickness of the hole on the coarsest level, in pixels of
            that level. A thinner hole has a second level, too, if any of it is left there.
        min_sources: every level but the finest has at least so many whole source patches.
    """
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    thickness = 2 * min(float(depth.max()), math.hypot(*hole.shape))
    rgb = np.ascontiguousarray(np.broadcast_to(picture, (*hole.shape, 3)))
    levels = [Level(rgb, hole, source, *_gradients(rgb, hole))]
    for _ in range(max(1, round(math.log2(max(1.0, thickness / coarsest_thickness))))):
        coarser = levels[-1].halved()
        enough = np.count_nonzero(source_patches(coarser.source)) >= min_sources
        if not (enough and coarser.hole.any()):
            break
        levels.append(coarser)
    return levels


def grey(pixels: Floats) -> Floats:
    """(h, w): the mean of the channels of (h, w, c)."""
    channels = pixels.shape[2]
    share = np.full((1, channels), 1 / channels, np.float32)
    return np.asarray(cv2.transform(pixels, share), np.float32)


def in_channels(values: Floats, count: int) -> Floats:
    """(h, w, count) of equal channels (h, w); NumPy is slow at broadcasting a last axis of one."""
    return np.asarray(cv2.merge([values] * count), np.float32).reshape(*values.shape, count)


def _gradients(rgb: Floats, hole: Bools) -> tuple[Floats, Floats]:
    """|dx| and |dy| of the grey picture where both pixels are known, and where that is."""
    shades = grey(rgb)
    known = ~hole
    gradients = np.zeros((*hole.shape, 2), np.float32)
    known_pairs = np.zeros((*hole.shape, 2), np.float32)
    known_pairs[:, :-1, 0] = known[:, 1:] & known[:, :-1]
    known_pairs[:-1, :, 1] = known[1:] & known[:-1]
    gradients[:, :-1, 0] = np.abs(np.diff(shades, axis=1))
    gradients[:-1, :, 1] = np.abs(np.diff(shades, axis=0))
    gradients *= known_pairs
    return gradients, known_pairs


def _halved(array: Floats) -> Floats:
    """Means of 2x2 pixels of (h, w) or (h, w, c); an odd last row or column counts twice."""
    height, width = array.shape[:2]
    bottom, right = height % 2, width % 2
    if bottom or right:
        array = np.pad(array, [(0, bottom), (0, right), (0, 0)][: array.ndim], mode="edge")
    size = ((width + right) // 2, (height + bottom) // 2)
    small = np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA), np.float32)
    return small.reshape(size[1], size[0], *array.shape[2:])  # OpenCV drops a single channel


def source_patches(source: Bools) -> Bools:
    """(h, w) True at the centres of patches that lie wholly in `source` and in the picture."""
    kernel = np.ones((PATCH_SIDE, PATCH_SIDE), np.uint8)
    whole = cv2.erode(
        source.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(whole > 0, np.bool_)


def pull_push(values: Floats, known: Floats) -> Floats:
    """Values (h, w, c) where `known` (h, w) is above 0, interpolated smoothly everywhere else.

    Pull-push (Gortler et al. 1996, "The Lumigraph", section 3.4).
    """
    if known.all() or min(known.shape) < 2:
        return values
    channels = values.shape[2]
    share = _halved(known)
    total = _halved(values * in_channels(known, channels))
    small = total / in_channels(np.maximum(share, 1e-6), channels)
    small = pull_push(small, (share > 0).astype(np.float32))
    size = (2 * share.shape[1], 2 * share.shape[0])
    pushed = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32)
    pushed = pushed[: known.shape[0], : known.shape[1]].reshape(values.shape)
    cv2.copyTo(values, (known > 0).astype(np.uint8), pushed)
    return pushed
