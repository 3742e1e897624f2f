"""Soft edges of objects, where object and photo share a pixel."""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
OPAQUE = 0.99
"""From this opacity on a pixel is the object's alone."""
_SMOOTHED = 5
"""Pixels: side of the square in which values are averaged before they are carried outwards."""


def extended_change(change: Floats, opacity: Floats) -> Floats:
    """A change of colours, known on the object's opaque pixels, continued over its soft edge.

    A mixed pixel's own colour says little of the object's colour: on a dark object before a bright
    sky it is bright, and the change for bright colours would draw a halo. Its change is that of the
    nearest opaque pixels instead.

    Args:
        change: (h, w, c) float32.
        opacity: (h, w) float32, 0 to 1.

    Returns:
        The change, equal to `change` on opaque pixels. Without opaque ones, the most opaque count.
    """
    opaque = opacity >= min(OPAQUE, float(opacity.max()))
    soft = (opacity > 0) & ~opaque
    if not soft.any():
        return change
    extended = change.copy()
    extended[soft] = nearest_means(change, opaque)[soft]
    return extended


def nearest_means(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """For each pixel the mean around the nearest known pixel, of known pixels only.

    Args:
        values: (h, w, c) float32.
        known: (h, w) bool, True somewhere.
    """
    side = (_SMOOTHED, _SMOOTHED)
    weight = known.astype(np.float32)
    share = cv2.boxFilter(weight, -1, side, borderType=cv2.BORDER_CONSTANT)
    total = np.empty_like(values)
    for channel in range(values.shape[2]):
        plane = np.ascontiguousarray(values[..., channel]) * weight
        total[..., channel] = cv2.boxFilter(plane, -1, side, borderType=cv2.BORDER_CONSTANT)
    means = total / np.maximum(share, 1e-6)[..., None]
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    positions = np.zeros(int(labels.max()) + 1, np.int64)
    positions[labels[known]] = np.flatnonzero(known)
    return np.asarray(means.reshape(-1, values.shape[2])[positions[labels]], np.float32)
