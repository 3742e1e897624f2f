"""Reproducible test masks: brush strokes by the share of the picture that they hide, boxes.

A mask depends on the seed, the photo's name and size, and the kind, and on nothing else: it is the
same on any machine, whatever else is in the folder. The sha256 of the masks is part of every
result, so that two results can be seen to be of the same holes.
"""

import hashlib
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.imaging.picture import Mask

CENTRE = "centre"
BINS = tuple(f"{low:02}-{low + 10:02}" for low in range(0, 60, 10))
"""Kinds by hole ratio in percent of the picture, the bins of Liu et al. (2018)."""
KINDS = (*BINS, CENTRE)
"""The kinds that are drawn by default."""
BOX = "box"
ALL_KINDS = (*KINDS, BOX)
_LARGER = "60-99"
_SMALLEST_SIDE = 32
_TRIES = 2000


def parse_kinds(text: str) -> tuple[str, ...]:
    """Kinds from a text such as `centre,20-30`, in the order of ALL_KINDS.

    Raises:
        UsageError: one of them is not known.
    """
    named = {word.strip() for word in text.split(",") if word.strip()}
    unknown = sorted(named - set(ALL_KINDS))
    if unknown or not named:
        raise UsageError(
            f"There is no kind of hole '{', '.join(unknown)}'.",
            hint=f"Known: {', '.join(ALL_KINDS)}.",
        )
    return tuple(kind for kind in ALL_KINDS if kind in named)


def draw_mask(kind: str, height: int, width: int, *, seed: int, name: str) -> Mask:
    """The mask (height, width) of a kind, True in the hole.

    Args:
        kind: one of ALL_KINDS. `centre` is a square of half the shorter side, such as 128 in 256
            pixels; `box` a rectangle at a random position, each side 1/4 to 1/2 of the picture's.
        height: the photo's, in pixels.
        width: the photo's, in pixels.
        seed: the same for the whole set.
        name: the photo's path below the folder.

    Raises:
        MaskMismatchError: the photo is smaller than 32 pixels on a side.
    """
    if min(height, width) < _SMALLEST_SIDE:
        raise MaskMismatchError(
            f"{name} is {width}x{height}: too small for drawn holes.",
            hint=f"They need {_SMALLEST_SIDE} pixels a side; pass masks of your own with --mask.",
        )
    if kind == CENTRE:
        return _centre(height, width)
    words = np.frombuffer(
        hashlib.sha256(f"{kind}/{name}".encode(errors="surrogateescape")).digest(), np.uint32
    )
    rng = np.random.default_rng([seed, *words.tolist()])
    if kind == BOX:
        return _box(height, width, rng)
    low, high = (int(part) / 100 for part in kind.split("-"))
    return _brush(height, width, low, high, rng)


def ratio_bin(mask: Mask) -> str:
    """The bin of a mask by its hole ratio in percent: `00-10` and so on, `60-99` for all above."""
    number = int(mask.mean() * 10)
    return BINS[number] if number < len(BINS) else _LARGER


def digest(mask: Mask) -> str:
    """The sha256 of a mask: of its height, its width and its bits, packed row by row."""
    head = np.array(mask.shape, "<u4").tobytes()
    return hashlib.sha256(head + np.packbits(mask, axis=None).tobytes()).hexdigest()


def _centre(height: int, width: int) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    side = min(height, width) // 2
    top, left = (height - side) // 2, (width - side) // 2
    mask[top : top + side, left : left + side] = True
    return mask


def _box(height: int, width: int, rng: np.random.Generator) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    sides = [round(length * float(rng.uniform(1 / 4, 1 / 2))) for length in mask.shape]
    top, left = (
        int(rng.integers(0, length - side + 1))
        for length, side in zip(mask.shape, sides, strict=True)
    )
    mask[top : top + sides[0], left : left + sides[1]] = True
    return mask


def _brush(height: int, width: int, low: float, high: float, rng: np.random.Generator) -> Mask:
    """Strokes until the hole's share of the picture is between `low` and `high`.

    A stroke that would exceed `high` is dropped, and the next ones are thinner.
    """
    target = rng.uniform(low + 0.015, high - 0.01)
    mask = np.zeros((height, width), np.uint8)
    widest = (0.03 + 0.25 * high) * min(height, width)
    for _ in range(_TRIES):
        if mask.mean() >= target:
            break
        tried = mask.copy()
        _stroke(tried, max(1, round(rng.uniform(0.2, 1) * widest)), rng)
        if tried.mean() < high:
            mask = tried
        else:
            widest *= 0.7
    return mask > 0


def _stroke(mask: NDArray[np.uint8], thickness: int, rng: np.random.Generator) -> None:
    """One random polyline with round joints, drawn in place (free form, Yu et al. 2019, 3.1)."""
    height, width = mask.shape
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    angle = rng.uniform(0, 2 * math.pi)
    points = [(x, y)]
    for _ in range(int(rng.integers(2, 9))):
        angle += rng.uniform(-1.2, 1.2)
        step = rng.uniform(0.05, 0.25) * min(height, width)
        x = min(max(x + step * math.cos(angle), 0), width - 1)
        y = min(max(y + step * math.sin(angle), 0), height - 1)
        points.append((x, y))
    corners = np.rint(np.array(points)).astype(np.int32)
    cv2.polylines(mask, [corners], False, 1, thickness)
    for centre in corners.tolist():
        cv2.circle(mask, centre, thickness // 2, 1, -1)
