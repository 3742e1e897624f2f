"""Augmentation of crops: small rotations, changes of brightness, contrast and saturation."""

import math

import cv2
import numpy as np

from inpaintcli_training.data.photos import Rgb
from inpaintcli_training.recipe import Augmentation

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601


def augment_crop(rgb: Rgb, rng: np.random.Generator, by: Augmentation) -> Rgb:
    """The square crop (side, side, 3), changed at random; unchanged where `by` is all zeros."""
    if by.rotation:
        rgb = rotate(rgb, float(rng.uniform(-by.rotation, by.rotation)))
    if by.brightness or by.contrast or by.saturation:
        factors = [
            float(rng.uniform(1 - most, 1 + most))
            for most in (by.brightness, by.contrast, by.saturation)
        ]
        rgb = adjust_colours(rgb, *factors)
    return rgb


def rotate(rgb: Rgb, degrees: float) -> Rgb:
    """Rotate about the middle, enlarged until no corner is empty (by 1.22 for 15 degrees)."""
    side = rgb.shape[0]
    angle = math.radians(degrees)
    scale = abs(math.cos(angle)) + abs(math.sin(angle))
    middle = ((side - 1) / 2, (side - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
    # Only rounding at the corners can reach beyond the border.
    border = cv2.BORDER_REFLECT_101
    found = cv2.warpAffine(rgb, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=border)
    return np.asarray(found, np.uint8)


def adjust_colours(rgb: Rgb, brightness: float, contrast: float, saturation: float) -> Rgb:
    """Scale all values, then their distance from the mean luma, then from each pixel's luma."""
    x = rgb.astype(np.float32) * np.float32(brightness)
    mean = float((x @ _LUMA).mean())
    x = mean + (x - mean) * np.float32(contrast)
    luma = (x @ _LUMA)[:, :, None]
    x = luma + (x - luma) * np.float32(saturation)
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)
