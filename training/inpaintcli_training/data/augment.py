"""Changes of a crop that leave it a photograph: turned a little, other light, other colours."""

import math

import cv2
import numpy as np

from inpaintcli_training.data.photos import Rgb
from inpaintcli_training.recipe import Augmentation

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601


def augmented(rgb: Rgb, rng: np.random.Generator, by: Augmentation) -> Rgb:
    """A square crop (side, side, 3) changed at random; itself where nothing is asked for."""
    if by.rotation:
        rgb = turned(rgb, float(rng.uniform(-by.rotation, by.rotation)))
    if by.brightness or by.contrast or by.saturation:
        factors = [
            float(rng.uniform(1 - most, 1 + most))
            for most in (by.brightness, by.contrast, by.saturation)
        ]
        rgb = recoloured(rgb, *factors)
    return rgb


def turned(rgb: Rgb, degrees: float) -> Rgb:
    """Turned about the middle, and enlarged until no corner is empty (by 1.25 for 15 degrees)."""
    side = rgb.shape[0]
    angle = math.radians(degrees)
    scale = abs(math.cos(angle)) + abs(math.sin(angle))
    middle = ((side - 1) / 2, (side - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
    # Only rounding at the very corners can look beyond the border.
    border = cv2.BORDER_REFLECT_101
    found = cv2.warpAffine(rgb, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=border)
    return np.asarray(found, np.uint8)


def recoloured(rgb: Rgb, brightness: float, contrast: float, saturation: float) -> Rgb:
    """All values, their distance from the mean luma, and that from each pixel's luma, scaled."""
    x = rgb.astype(np.float32) * np.float32(brightness)
    mean = float((x @ _LUMA).mean())
    x = mean + (x - mean) * np.float32(contrast)
    luma = (x @ _LUMA)[:, :, None]
    x = luma + (x - luma) * np.float32(saturation)
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)
