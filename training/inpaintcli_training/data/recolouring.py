"""Composites with known truth: an object of a photo in another light, to be harmonized.

The object stays in its place, so that the untouched photo is the truth, as in iHarmony4 (Cong et
al. 2020). The change is a random one of light and colour, or the colours of another photo. Objects
are found by superpixels, by GrabCut, or are plain shapes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.objects.colour_transform import reinhard
from inpaintcli_training.data.composites import superpixels, transfer_colours
from inpaintcli_training.data.masks import BoolArray, Rng, blob
from inpaintcli_training.data.photos import Rgb

SHARE = (0.02, 0.5)
"""Of the photo: how large objects are."""
LEAST_CHANGE = 4.0
"""Mean squared error, in grey levels of 255: a smaller change is drawn again."""
UNCHANGED_SHARE = 0.07
"""Of the composites; their objects have nothing wrong, and should stay."""
LIGHT_SHARE = 0.6
"""Of the composites: a random change of light; the others have the colours of another photo."""
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, eq=False)
class Recoloured:
    """A photo whose object has other colours.

    `rgb` and `truth` are uint8 (h, w, 3), alike outside the object; `foreground` (h, w) is True on
    the object.
    """

    rgb: Rgb
    truth: Rgb
    foreground: BoolArray

    @property
    def change(self) -> float:
        """Mean squared error inside the object, in grey levels of 255."""
        ours = self.rgb[self.foreground].astype(np.float64)
        return float(((ours - self.truth[self.foreground]) ** 2).mean())


def recoloured(
    truth: Rgb,
    guide: Rgb,
    rng: Rng,
    *,
    foreground: BoolArray | None = None,
    unchanged: float = UNCHANGED_SHARE,
) -> Recoloured:
    """A composite made of one photo.

    Args:
        truth: uint8 (h, w, 3), the photo.
        guide: uint8 (h, w, 3) of any size, another photo.
        rng: the source of randomness.
        foreground: (h, w), True on the object; None finds one.
        unchanged: how often the object stays as it is.
    """
    mask = find_object(truth, rng) if foreground is None else foreground
    made = Recoloured(truth.copy(), truth, mask)
    if rng.random() < unchanged:
        return made
    light = rng.random() < LIGHT_SHARE / (1 - UNCHANGED_SHARE)
    for _ in range(5):
        ours = truth[mask]
        made.rgb[mask] = random_light(ours, rng) if light else _random_transfer(ours, guide, rng)
        if made.change > LEAST_CHANGE:
            break
    return made


def random_light(rgb: Rgb, rng: Rng) -> Rgb:
    """Pixels (n, 3) in another light: some of exposure, gamma, white balance, contrast, saturation.

    How strong the changes are differs, and each is made or left out at random.
    """
    strength = rng.uniform(0.3, 1.2)

    def factor(deviation: float, count: int = 1) -> NDArray[np.float64]:
        used = rng.random() < 0.65
        return np.exp(used * strength * rng.normal(0, deviation, count))

    x = (rgb.astype(np.float64) / 255) ** factor(0.35)
    x = x * factor(0.3) * factor(0.13, 3)
    x = x.mean() + (x - x.mean()) * factor(0.3)
    grey = (x @ _LUMA)[:, None]
    x = grey + (x - grey) * factor(0.4)
    if rng.random() < 0.3:
        x = x + strength * rng.normal(0, 0.08)
    if rng.random() < 0.2:
        x = x + strength * rng.normal(0, 0.05, 3)
    return np.asarray(np.clip(np.rint(x * 255), 0, 255), np.uint8)


def _random_transfer(rgb: Rgb, guide: Rgb, rng: Rng) -> Rgb:
    """Pixels (n, 3) on the way to the colours of another photo, or of a part of it."""
    if rng.random() < 0.4:
        height, width = (side // 2 for side in guide.shape[:2])
        y, x = rng.integers(0, height + 1), rng.integers(0, width + 1)
        guide = guide[y : y + height, x : x + width]
    if rng.random() < 0.5:
        there = transfer_colours(rgb, guide).astype(np.float32)
    else:
        ours, theirs = (np.asarray(part.reshape(-1, 3) / 255, np.float32) for part in (rgb, guide))
        there = 255 * reinhard(ours, theirs).apply(ours)
    mixed = rgb + rng.uniform(0.35, 1) * (there - rgb)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def find_object(rgb: Rgb, rng: Rng) -> BoolArray:
    """(h, w) bool: something like an object, of a share of the photo within SHARE."""
    height, width = rgb.shape[:2]
    for _ in range(6):
        kind = rng.random()
        if kind < 0.4:
            mask = _of_superpixels(rgb, rng)
        elif kind < 0.5:
            mask = _centred(blob(max(height, width), rng), height, width)
        elif kind < 0.6:
            mask = _simple_shape(height, width, rng)
        else:
            mask = _of_grabcut(rgb, rng)
        if SHARE[0] <= mask.mean() <= SHARE[1]:
            return mask
    mask = np.zeros((height, width), np.bool_)
    mask[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = True
    return mask


def _of_superpixels(rgb: Rgb, rng: Rng) -> BoolArray:
    height, width = rgb.shape[:2]
    labels = superpixels(rgb, max(4, max(height, width) // 12), rng)
    shape = _centred(blob(max(height, width), rng), height, width)
    counts = np.bincount(labels.ravel())
    covered = np.bincount(labels[shape], minlength=len(counts)) > counts / 2
    return np.asarray(covered[labels], np.bool_)


def _centred(mask: BoolArray, height: int, width: int) -> BoolArray:
    y, x = (mask.shape[0] - height) // 2, (mask.shape[1] - width) // 2
    return mask[y : y + height, x : x + width]


def _simple_shape(height: int, width: int, rng: Rng) -> BoolArray:
    """An ellipse or a rectangle."""
    size = np.array([height, width])
    centre, radius = rng.uniform(0.25, 0.75, 2) * size, rng.uniform(0.08, 0.3, 2) * size
    y, x = np.ogrid[:height, :width]
    away = [
        np.abs(line - middle) / r for line, middle, r in zip((y, x), centre, radius, strict=True)
    ]
    ellipse = rng.random() < 0.6
    return np.asarray(away[0] ** 2 + away[1] ** 2 < 1 if ellipse else np.maximum(*away) < 1)


def _of_grabcut(rgb: Rgb, rng: Rng) -> BoolArray:
    """What GrabCut (Rother et al. 2004) finds in a random box near the middle; may be empty."""
    height, width = rgb.shape[:2]
    scale = min(0.5, 160 / max(height, width))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    size = np.array(small.shape[:2])
    sides = np.maximum(8, rng.uniform(0.35, 0.75, 2) * size).astype(int)
    corner = np.rint(rng.normal(0.5, 0.12, 2) * size - sides / 2).astype(int)
    y, x = np.clip(corner, 1, np.maximum(1, size - sides - 1))
    labels = np.zeros(small.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    box = (int(x), int(y), int(sides[1]), int(sides[0]))
    try:
        cv2.grabCut(small, labels, box, *models, 3, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # all of the box looks alike
        return np.zeros((height, width), np.bool_)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    opened = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else -1
    share = (parts == largest).astype(np.float32)
    whole = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole > 0.5, np.bool_)
