"""The shadow that an object casts on the ground at its foot.

A shadow is a part of the ground with less light: darker by one factor, of the same chromaticity,
with a step to the lit ground all around. Conservative: what fails one of the tests is no shadow.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, bounding_box

Floats = NDArray[np.float32]
SIDE = 256
"""Pixels: the longer side of the copy on which a shadow is searched for."""
AROUND = 1.0
"""Of the object's longer side: how far from it a shadow may reach."""
DARKER = (0.3, 2.4)
"""Natural logarithms of how many times less light there is in a shadow, at least and at most."""
SAME_COLOUR = 0.25
"""Logarithms of the ratios of channels: the light in a shadow may be so much bluer."""
SMOOTHINGS = (1.5, 3.0, 5.0)
"""Pixels: standard deviations, tried in turn until the texture of the ground is gone."""
TEXTURE = 5.0
"""Times the deviation of the ground: what is darker than that is not its texture."""
AREA = (0.02, 1.5)
"""Of the object's area."""
CLEAR = 0.85
"""Of a shadow's outline: so much has lit ground beside it."""
SOFT = 0.2
"""Of a shadow's darkness: what is less, at its edge, is hardly seen."""
FEW = 40
"""Pixels of ground, below which nothing is said of it."""


def cast_shadow(pixels: NDArray[Any], mask: Mask) -> Mask | None:
    """The cast shadow of an object.

    Args:
        pixels: uint8 or uint16 (h, w, 1 or 3), the photo.
        mask: (h, w) bool, True on the object.

    Returns:
        (h, w) bool, True in the shadow with its soft edge; None where none was found.
    """
    extent = bounding_box(mask)
    if extent is None:
        return None
    crop = extent.grown(round(AROUND * max(extent.size)), *mask.shape)
    light, body = _small_copy(pixels, mask, crop)
    scene = None
    for deviation in SMOOTHINGS:
        scene = _scene(_smoothed(light, ~body, deviation), body, deviation)
        if scene is None or TEXTURE * scene.texture <= DARKER[0]:
            break
    soft = None if scene is None else _shadow_in(scene)
    if soft is None:
        return None
    wide = cv2.resize(soft.astype(np.float32), (crop.width, crop.height))
    shadow = np.zeros_like(mask)
    shadow[crop.slices] = (wide > 0.25) & ~mask[crop.slices]
    return shadow


def _small_copy(pixels: NDArray[Any], mask: Mask, crop: Box) -> tuple[Floats, Mask]:
    """The light (h, w, 3) of a crop in logarithms, and the object with its edge, made small."""
    scale = min(1.0, SIDE / max(crop.size))
    size = (max(2, round(crop.width * scale)), max(2, round(crop.height * scale)))
    top = np.float32(np.iinfo(pixels.dtype).max)
    part = np.broadcast_to(pixels[crop.slices], (*crop.size, 3)).astype(np.float32) / top
    small = cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(mask[crop.slices].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    light = np.float32(2.2) * np.log(np.maximum(small, np.float32(0.02)))
    return np.asarray(light, np.float32), _dilated(share > 0, 5)


@dataclass(frozen=True, eq=False)
class _Scene:
    """Ground and object, (h, w) each.

    darkness: how much darker than lit ground, in logarithms. ground: what has the ground's colour.
    body: the object with its edge. foot: what lies next to its lower half. texture: deviation of
    the lit ground's light. spread: pixels over which light was smoothed.
    """

    darkness: Floats
    ground: Mask
    body: Mask
    foot: Mask
    texture: float
    spread: float


def _scene(light: Floats, body: Mask, spread: float) -> _Scene | None:
    """What is known of the ground; None where too little of it is seen."""
    extent = bounding_box(body)
    if extent is None:
        return None
    lower = np.zeros_like(body)
    lower[(extent.top + extent.bottom) // 2 :] = True
    below = lower & ~body
    near = _dilated(body, 7) & below
    around = below & (_hue_distance(light, _median(light, near)) < SAME_COLOUR)
    if near.sum() < FEW // 4 or around.sum() < FEW:
        return None
    lit = _lit_ground(light, around)
    ground = (_hue_distance(light, lit) < SAME_COLOUR) & ~body
    darkness = np.asarray((lit - light).mean(axis=2), np.float32)
    rest = darkness[around & (darkness < DARKER[0])]
    texture = 1.48 * float(np.median(np.abs(rest))) if rest.size >= FEW else np.inf
    return _Scene(darkness, ground, body, near, texture, spread)


def _lit_ground(light: Floats, around: Mask) -> Floats:
    """(h, w, 3): a plane through the light of the ground, without what is darker than it."""
    y, x = np.indices(around.shape, np.float32) / np.float32(SIDE)
    terms = np.stack([np.ones_like(y), y, x], axis=-1)
    chosen = around
    for least in (-1.0, -0.5, -0.3, -0.3):
        ridge = np.diag(np.array([0, 1, 1], np.float32) * np.float32(0.02 * chosen.sum()))
        weight = terms[chosen]
        factors = np.linalg.solve(
            weight.T @ weight + ridge + 1e-6 * np.eye(3, dtype=np.float32), weight.T @ light[chosen]
        )
        plane = terms @ factors
        left = (light - plane).mean(axis=2)
        centre = np.quantile(left[around], 0.6)
        chosen = around & (left > centre + least) & (left < centre + 0.5)
        if chosen.sum() < FEW:
            break
    return np.asarray(plane, np.float32)


def _smoothed(values: Floats, known: Mask, deviation: float) -> Floats:
    """Means over a few known pixels; texture has no say."""
    weight = known.astype(np.float32)
    total = cv2.GaussianBlur(values * weight[..., None], (0, 0), deviation)
    share = cv2.GaussianBlur(weight, (0, 0), deviation)
    return np.asarray(total / np.maximum(share, 1e-3)[..., None], np.float32)


def _median(light: Floats, where: Mask) -> NDArray[Any]:
    return np.median(light[where], axis=0) if where.any() else np.zeros(3)


def _hue_distance(light: Floats, reference: NDArray[Any]) -> Floats:
    """The largest difference of the ratios of channels, in logarithms."""
    difference = light - np.asarray(reference, np.float32)
    apart = difference - difference.mean(axis=2, keepdims=True)
    return np.asarray(np.abs(apart).max(axis=2), np.float32)


def _shadow_in(scene: _Scene) -> Mask | None:
    """The parts of the ground that pass all tests, with their soft edges; None if none does."""
    least = max(DARKER[0], TEXTURE * scene.texture)
    dark = scene.ground & (scene.darkness > least) & (scene.darkness < DARKER[1])
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dark.astype(np.uint8))
    found = np.zeros_like(dark)
    for label in range(1, count):
        part = labels == label
        area = stats[label, cv2.CC_STAT_AREA] / scene.body.sum()
        contact = (part & scene.foot).sum()
        if AREA[0] <= area <= AREA[1] and contact >= FEW // 8 and _is_framed(part, scene):
            found |= _with_soft_edge(part, scene)
    return found if found.any() else None


def _is_framed(part: Mask, scene: _Scene) -> bool:
    """Whether a part ends everywhere beside lit ground, and within the copy."""
    if part[0].any() or part[-1].any() or part[:, 0].any() or part[:, -1].any():
        return False
    gap = round(2 * scene.spread) + 2
    outside = _dilated(part, 2 * gap + 5) & ~_dilated(part, 2 * gap + 1) & ~scene.body
    if outside.sum() < FEW // 4:
        return False
    middle = float(np.median(scene.darkness[part])) / 2
    lit = scene.ground & (np.abs(scene.darkness) < max(middle, 3 * scene.texture))
    return bool(lit[outside].mean() >= CLEAR)


def _with_soft_edge(part: Mask, scene: _Scene) -> Mask:
    """A shadow, and around it what is still darker than the ground."""
    least = SOFT * float(np.median(scene.darkness[part]))
    near = _dilated(part, 2 * round(2 * scene.spread) + 7) & ~scene.body
    return _dilated(part | (near & (scene.darkness > max(least, 2 * scene.texture))), 3)


def _dilated(mask: NDArray[np.bool_], side: int) -> Mask:
    return np.asarray(
        cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0, np.bool_
    )
