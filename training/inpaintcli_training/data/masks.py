"""Random holes for training: rectangles, brush strokes, blobs, scratches, pictures of masks.

True is the hole.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import UsageError
from inpaintcli_training.data.photos import Photos
from inpaintcli_training.recipe import BINS, HoleMix

Rng = np.random.Generator
BoolArray = NDArray[np.bool_]


def rectangle(side: int, rng: Rng) -> BoolArray:
    """One axis-aligned rectangle, each side 1/6 to 2/3 of the crop's."""
    return _rectangle(side, rng, side / 6, side * 2 / 3)


def box(side: int, rng: Rng) -> BoolArray:
    """One axis-aligned rectangle, each side 1/4 to 1/2 of the crop's.

    The papers train with rectangles of at most 128 pixels in crops of 256 (DMFN, section 4.1).
    """
    return _rectangle(side, rng, side / 4, side / 2)


def boxes(side: int, rng: Rng) -> BoolArray:
    """One to three of `box`: "a single hole or multiple holes" (Yang et al. 2018, section 3.1)."""
    mask = np.zeros((side, side), np.bool_)
    for _ in range(int(rng.integers(1, 4))):
        mask |= box(side, rng)
    return mask


def _rectangle(side: int, rng: Rng, shortest: float, longest: float) -> BoolArray:
    mask = np.zeros((side, side), np.bool_)
    height, width = (int(rng.uniform(shortest, longest)) for _ in range(2))
    y, x = int(rng.integers(0, side - height + 1)), int(rng.integers(0, side - width + 1))
    mask[y : y + height, x : x + width] = True
    return mask


def brush(side: int, rng: Rng) -> BoolArray:
    """Brush strokes with round ends (the free-form masks of Yu et al. 2019, section 3.1)."""
    mask = np.zeros((side, side), np.uint8)
    thickest = rng.uniform(0.04, 0.3) * side
    for _ in range(int(rng.integers(1, 9))):
        thickness = max(1, round(float(rng.uniform(0.3, 1.0)) * thickest))
        points = _walk(side, rng, steps=int(rng.integers(2, 9)), step=0.25, turn=1.2)
        cv2.polylines(mask, [points], False, 1, thickness)
        for x, y in points:
            cv2.circle(mask, (int(x), int(y)), thickness // 2, 1, -1)
    return mask > 0


def blob(side: int, rng: Rng) -> BoolArray:
    """A closed outline of low harmonics, like that of an object."""
    angle = np.linspace(0, 2 * math.pi, 120, endpoint=False)
    radius = np.ones_like(angle)
    for harmonic in range(1, 7):
        phase = rng.uniform(0, 2 * math.pi)
        radius += rng.normal(0, 0.28 / harmonic) * np.cos(harmonic * angle + phase)
    radius = np.clip(radius, 0.25, 2) * side * rng.uniform(0.1, 0.3)
    stretch = rng.uniform(0.7, 1.4)
    centre = rng.uniform(0.15, 0.85, 2) * side
    x = centre[0] + stretch * radius * np.cos(angle)
    y = centre[1] + radius * np.sin(angle) / stretch
    outline = np.stack([x, y], axis=1)
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask > 0


def thin(side: int, rng: Rng) -> BoolArray:
    """Scratches and letters: lines of 1 to 6 pixels."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(2, 12))):
        if rng.random() < 0.5:
            points = _walk(side, rng, steps=int(rng.integers(4, 20)), step=0.08, turn=0.25)
        else:
            corner, size = rng.uniform(0, 0.9, 2) * side, rng.uniform(0.06, 0.2) * side
            points = np.rint(corner + rng.uniform(0, size, (int(rng.integers(3, 7)), 2)))
            points = points.astype(np.int32)
        cv2.polylines(mask, [points], False, 1, int(rng.integers(1, 7)))
    return mask > 0


def _walk(side: int, rng: Rng, *, steps: int, step: float, turn: float) -> NDArray[np.int32]:
    """A random walk (steps + 1, 2) of x, y inside the crop; `step` is a share of the side."""
    point, angle = rng.uniform(0, side, 2), rng.uniform(0, 2 * math.pi)
    points = [point]
    for _ in range(steps):
        angle += rng.uniform(-turn, turn)
        length = rng.uniform(0.2, 1.0) * step * side
        point = np.clip(point + length * np.array([math.cos(angle), math.sin(angle)]), 0, side - 1)
        points.append(point)
    return np.rint(np.stack(points)).astype(np.int32)


def centre(side: int, _rng: Rng) -> BoolArray:
    """The square in the middle, half as wide as the crop, which the papers report on."""
    mask = np.zeros((side, side), np.bool_)
    mask[side // 4 : side - side // 4, side // 4 : side - side // 4] = True
    return mask


_EVEN = (1.0,) * len(BINS)


def irregular(side: int, rng: Rng, weights: tuple[float, ...] = _EVEN) -> BoolArray:
    """Brush strokes until their share of the crop lies in a bin, which is drawn first.

    The bins are those of the papers since Liu et al. (2018, section 4.1): 0-10 % of the crop to
    50-60 %.

    Args:
        side: of the crop, pixels.
        rng: draws the bin, then the strokes.
        weights: how often each of the six bins is drawn.
    """
    share = np.array(weights, np.float64)
    low, high = BINS[int(rng.choice(len(BINS), p=share / share.sum()))]
    mask = np.zeros((side, side), np.bool_)
    for _ in range(_TRIES):
        more = mask | brush(side, rng)
        mask = more if more.mean() <= high else mask
        if low < mask.mean() <= high:
            break
    return mask


def picture(side: int, rng: Rng, masks: Photos) -> BoolArray:
    """A random square of a mask picture (above 127 is hole), flipped at random and resized."""
    grey = masks.get(int(rng.integers(len(masks))))[:, :, 1]
    shortest = min(grey.shape)
    window = max(1, round(float(rng.uniform(0.5, 1)) * shortest))
    y, x = (int(rng.integers(0, length - window + 1)) for length in grey.shape)
    hole = (grey[y : y + window, x : x + window] > 127).astype(np.float32)
    hole = hole[:: _either(rng), :: _either(rng)]
    how = cv2.INTER_AREA if window > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(hole, (side, side), interpolation=how)) > 0.5


def _either(rng: Rng) -> int:
    return 1 if rng.random() < 0.5 else -1


KINDS: dict[str, Callable[[int, Rng], BoolArray]] = {
    "rectangle": rectangle,
    "brush": brush,
    "blob": blob,
    "thin": thin,
    # New kinds are added at the end, so that a seed draws the same holes of the others as before.
    "box": box,
    "centre": centre,
    "irregular": irregular,
    "boxes": boxes,
}
_TRIES = 10_000


def random_hole(
    side: int,
    rng: Rng,
    mix: HoleMix,
    ratio: tuple[float, float],
    bins: tuple[float, ...] = _EVEN,
    masks: Photos | None = None,
) -> BoolArray:
    """One hole mask (side, side), True inside, drawn until its share of the crop lies in `ratio`.

    Thin holes are exempt from the lower bound: a scratch is a small share of any picture. The share
    of irregular holes follows `bins`, their table of weights; that of the centre is a quarter.

    Raises:
        UsageError: holes of the kind drawn never have such a share.
    """
    names = [*KINDS, "pictures"]
    weights = np.array([getattr(mix, name) for name in names], np.float64)
    kind = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    if kind == "irregular":
        return irregular(side, rng, bins)
    if kind == "centre":
        return centre(side, rng)
    low = 1 / side**2 if kind == "thin" else ratio[0]
    for _ in range(_TRIES):
        mask = picture(side, rng, masks) if masks and kind == "pictures" else KINDS[kind](side, rng)
        if low <= mask.mean() <= ratio[1]:
            return mask
    raise UsageError(
        f"No hole of kind '{kind}' covers {low:.2g} to {ratio[1]:.2g} of a crop of {side} pixels.",
        hint=f"Widen hole_ratio, or set holes.{kind} to 0.",
    )
