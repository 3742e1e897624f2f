"""A coarse mask brought to the edges of the photo at full size, and the alpha of such an edge.

Source: the guided filter (He, Sun and Tang 2013) and its fast form (He and Sun 2015), in which the
coefficients are found on a small copy and applied at full size.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import bounding_box

Floats = NDArray[np.float32]
RADIUS = 4
"""Pixels of the small copy: half the side of the windows in which mask and colours are related."""
EPSILON = 1e-4
"""Variance of colours, in units of [0, 1], below which a window counts as flat."""


def guided_upsampling(
    small: Floats, small_rgb: NDArray[np.uint8], rgb: NDArray[np.uint8]
) -> Floats:
    """A small likelihood at full size, its edges where those of the colours are.

    Args:
        small: (h, w) in [0, 1].
        small_rgb: uint8 (h, w, 3), the same crop.
        rgb: uint8 (H, W, 3), the crop at full size.

    Returns:
        (H, W) in [0, 1].
    """
    slopes, offset = _coefficients(small, small_rgb.astype(np.float32) / np.float32(255), RADIUS)
    size = (rgb.shape[1], rgb.shape[0])
    wide_slopes = cv2.resize(slopes, size, interpolation=cv2.INTER_LINEAR)
    wide_offset = cv2.resize(offset, size, interpolation=cv2.INTER_LINEAR)
    full = (
        np.einsum("hwc,hwc->hw", wide_slopes, rgb.astype(np.float32) / np.float32(255))
        + wide_offset
    )
    return np.asarray(np.clip(full, 0, 1), np.float32)


def _coefficients(target: Floats, rgb: Floats, radius: int) -> tuple[Floats, Floats]:
    """Slopes (h, w, 3) and offset (h, w) of the guided filter (He et al. 2013, equations 19-21)."""
    mean_rgb, mean_target = _mean(rgb, radius), _mean(target, radius)
    covariance = _mean(rgb * target[..., None], radius) - mean_rgb * mean_target[..., None]
    products = np.einsum("hwi,hwj->hwij", rgb, rgb).reshape(*rgb.shape[:2], 9)
    second = np.concatenate(
        [_mean(products[..., part : part + 3], radius) for part in (0, 3, 6)], axis=2
    ).reshape(*rgb.shape[:2], 3, 3)
    second = second - np.einsum("hwi,hwj->hwij", mean_rgb, mean_rgb)
    second = second + EPSILON * np.eye(3, dtype=np.float32)
    slopes = np.linalg.solve(second, covariance[..., None])[..., 0]
    offset = mean_target - np.einsum("hwc,hwc->hw", slopes, mean_rgb)
    return _mean(np.asarray(slopes, np.float32), radius), _mean(offset, radius)


def _mean(values: Floats, radius: int) -> Floats:
    side = 2 * radius + 1
    means = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(means, np.float32)


def resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 pixels scaled down to a width and a height, by area."""
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def matte(pixels: NDArray[Any], mask: Mask, radius: int = 2) -> Floats:
    """The alpha of an object whose edge pixels are partly its background's.

    Args:
        pixels: uint8 or uint16 (h, w, 1 or 3), the photo.
        mask: (h, w) bool, True on the object.
        radius: pixels on each side of the mask's edge within which alpha may be between 0 and 1.

    Returns:
        (h, w) in [0, 1]; 1 deep inside the mask, 0 far outside.
    """
    alpha = mask.astype(np.float32)
    box = bounding_box(mask)
    if box is None or radius <= 0:
        return alpha
    inside = box.grown(4 * radius, *mask.shape).slices
    top = np.float32(np.iinfo(pixels.dtype).max)
    rgb = np.broadcast_to(pixels[inside].astype(np.float32) / top, (*mask[inside].shape, 3))
    slopes, offset = _coefficients(alpha[inside], np.ascontiguousarray(rgb), 2 * radius)
    soft = np.clip(np.einsum("hwc,hwc->hw", slopes, rgb) + offset, 0, 1)
    part = mask[inside].astype(np.uint8)
    from_outside = cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5)
    from_inside = cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_5)
    near = np.maximum(from_outside, from_inside) <= radius
    alpha[inside] = np.where(near, soft, alpha[inside])
    return alpha
