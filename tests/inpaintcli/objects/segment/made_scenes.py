"""Objects of known shape, pasted into scikit-image's samples."""

from dataclasses import dataclass

import cv2
import numpy as np
from skimage import data

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, bounding_box

SAMPLES = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins")
SHAPES = ("ellipse", "rectangle", "blob")


@dataclass(frozen=True)
class Scene:
    """pixels: uint8 (h, w, 3). shape: True on the object. box: around it, 5 % loose."""

    name: str
    pixels: np.ndarray
    shape: Mask
    box: Box

    @property
    def size(self) -> tuple[int, int]:
        return self.shape.shape[0], self.shape.shape[1]


def scene(
    sample: str, number: int = 0, side: int = 150, blur: float = 0.6, enlarged: int = 1
) -> Scene:
    rng = np.random.default_rng(number)
    photo = cv2.resize(rgb(getattr(data, sample)()), None, fx=enlarged, fy=enlarged)
    opacity = outline(SHAPES[number % len(SHAPES)], side, rng)
    light = np.linspace(-25, 25, side)[:, None, None]
    hue = [(230, 40, 200), (30, 200, 230), (60, 220, 60), (250, 200, 20)][number % 4]
    colours = np.clip(np.array(hue) + light + rng.normal(0, 4, (side, side, 3)), 0, 255)
    height, width = photo.shape[:2]
    top, left = (int(rng.integers(40, length - side - 40)) for length in (height, width))
    return pasted(sample, photo, opacity, colours, (top, left), blur)


def pasted(name, photo, opacity, colours, corner, blur) -> Scene:
    inside = tuple(
        slice(start, start + length) for start, length in zip(corner, opacity.shape, strict=True)
    )
    whole, painted = np.zeros(photo.shape[:2], np.float32), np.zeros(photo.shape, np.float32)
    whole[inside], painted[inside] = opacity, colours
    soft = cv2.GaussianBlur(whole, (0, 0), blur)[..., None]
    weight = np.maximum(cv2.GaussianBlur(whole, (0, 0), 2 * blur), 1e-3)[..., None]
    spread = cv2.GaussianBlur(painted * whole[..., None], (0, 0), 2 * blur) / weight
    paint = np.where(whole[..., None] > 0.99, painted, spread)
    pixels = np.rint(photo + soft * (paint - photo)).clip(0, 255).astype(np.uint8)
    shape = whole > 0.5
    box = bounding_box(shape).grown(round(0.05 * max(opacity.shape)), *shape.shape)
    return Scene(name, pixels, shape, box)


def outline(kind: str, side: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    if kind == "ellipse":
        inside = (along / 0.95) ** 2 + (across / 0.6) ** 2 < 1
    elif kind == "rectangle":
        inside = (abs(along) < 0.75) & (abs(across) < 0.5)
    else:
        angle = np.arctan2(y, x)
        inside = np.hypot(x, y) < 0.75 + 0.12 * np.cos(3 * angle + turn) + 0.08 * np.sin(5 * angle)
    return inside.astype(np.float32)


def rgb(pixels: np.ndarray) -> np.ndarray:
    shaped = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
    return np.broadcast_to(shaped, (*shaped.shape[:2], 3)).astype(np.float32)


def ground_with_shadow(*, dark: float = 0.55, soft: float = 3.0) -> tuple[np.ndarray, Mask, Mask]:
    """An object on gravel with an elliptic shadow at its foot; the object's mask, the shadow's."""
    photo = rgb(data.gravel()) * 0.8 * np.array([1.0, 0.95, 0.85]) + 25
    y, x = np.indices(photo.shape[:2])
    body = ((x - 250) / 70) ** 2 + ((y - 220) / 90) ** 2 < 1
    shade = (((x - 280) / 100) ** 2 + ((y - 300) / 32) ** 2 < 1).astype(np.float32)
    shade = cv2.GaussianBlur(shade, (0, 0), soft)
    lit = photo * (1 - (1 - dark) * shade)[..., None]
    lit[body] = (30, 60, 220)
    return np.rint(lit).clip(0, 255).astype(np.uint8), body, (shade > 0.2) & ~body
