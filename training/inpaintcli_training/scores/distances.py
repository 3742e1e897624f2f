"""Distances of fills from their photos in deep features: of whole pictures, or around holes."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaintcli.errors import MaskMismatchError
from inpaintcli.evaluation.metrics import Moments, frechet
from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import bounding_box
from inpaintcli_training.data.photos import Rgb
from inpaintcli_training.perceptual.features import FeatureNetwork
from inpaintcli_training.perceptual.lpips import distance

POOLED = ("relu2_2", "relu3_4")
"""Layers whose vectors FD compares."""
PATCHES = ("relu1_2", "relu2_2", "relu3_4")
"""Layers that P compares."""
MIN_SIDE = 16  # px, for VGG-19 up to relu3_4
_MAX_SIDE = 512
_MAX_VECTORS = 400  # of one picture, so that big holes do not outweigh small ones


class PictureDistance:
    """A distance of whole pictures: LPIPS with heads, unit-normalised features without."""

    def __init__(self, network: FeatureNetwork, heads: list[Tensor] | None = None) -> None:
        self.network = network
        self._heads = heads

    def score(self, photo: Rgb, fills: Mapping[str, Rgb]) -> dict[str, float]:
        """Each method's distance to the photo; all are (h, w, 3)."""
        truth = self.network(_tensor(photo))
        return {
            method: float(distance(self.network(_tensor(filled)), truth, self._heads))
            for method, filled in fills.items()
        }


class HoleDistance:
    """P of each fill; collects the moments of feature vectors in the holes for FD."""

    def __init__(self, network: FeatureNetwork) -> None:
        self._network = network
        self._moments: dict[tuple[str, str, str], Moments] = {}

    def score(
        self, group: str, photo: Rgb, hole: Mask, fills: Mapping[str, Rgb]
    ) -> dict[str, float]:
        """P of each method's fill, all (h, w, 3); collects the vectors in the hole for `pooled`.

        Empty if the square around the hole is too small for the network.
        """
        inside = square_around(hole)
        if shorter_side(photo[inside]) < MIN_SIDE:
            return {}
        truth = self._units(photo[inside])
        self._collect(group, "", truth, hole[inside])
        found = {}
        for method, filled in fills.items():
            ours = self._units(filled[inside])
            self._collect(group, method, ours, hole[inside])
            layers = [float(((ours[n] - truth[n]) ** 2).sum(axis=2).mean()) for n in PATCHES]
            found[method] = float(np.mean(layers)) * 1000
        return found

    def pooled(self, method: str, groups: Sequence[str]) -> dict[str, float]:
        """FD by key, of all fills of a method in these groups."""
        found = {}
        for layer in POOLED:
            ours, photos = (self._all(groups, of, layer) for of in (method, ""))
            found[f"fd_{layer}"] = frechet(ours, photos) * 1000
        return found

    def _all(self, groups: Sequence[str], method: str, layer: str) -> Moments:
        parts = [self._moments.get((group, method, layer)) for group in groups]
        known = [part for part in parts if part is not None]
        whole = Moments(len(known[0].mean) if known else 1)
        for part in known:
            whole.merge(part)
        return whole

    def _collect(
        self, group: str, method: str, units: dict[str, NDArray[np.float32]], hole: Mask
    ) -> None:
        for layer in POOLED:
            vectors = _in_hole(units[layer], hole.astype(np.float32))
            key = (group, method, layer)
            self._moments.setdefault(key, Moments(vectors.shape[1])).add(vectors)

    def _units(self, rgb: Rgb) -> dict[str, NDArray[np.float32]]:
        """Unit vectors (h, w, channels) of each layer."""
        found = self._network(_tensor(rgb))
        maps = {name: x[0].permute(1, 2, 0).numpy() for name, x in found.items()}
        return {n: x / (np.linalg.norm(x, axis=2, keepdims=True) + 1e-6) for n, x in maps.items()}


def square_around(hole: Mask) -> tuple[slice, slice]:
    """A square around a hole: 1.5 times its longer side and 16 px more, moved inside the picture.

    Raises:
        MaskMismatchError: the hole is empty.
    """
    box = bounding_box(hole)
    if box is None:
        raise MaskMismatchError("The hole is empty.")
    side = min(max(box.height, box.width) * 3 // 2 + 16, max(hole.shape))
    starts = ((box.top + box.bottom) // 2 - side // 2, (box.left + box.right) // 2 - side // 2)
    tops = [max(0, min(a, n - side)) for a, n in zip(starts, hole.shape, strict=True)]
    return slice(tops[0], tops[0] + side), slice(tops[1], tops[1] + side)


def _in_hole(features: NDArray[np.float32], hole: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most 400 vectors (n, channels) at positions that are mostly in the hole."""
    height, width = features.shape[:2]
    share = cv2.resize(hole, (width, height), interpolation=cv2.INTER_AREA)
    vectors = features[share > 0.6]
    return vectors[np.random.default_rng(0).permutation(len(vectors))[:_MAX_VECTORS]]


def _scale(rgb: Rgb) -> float:
    return float(min(1.0, _MAX_SIDE / max(rgb.shape[:2])))


def shorter_side(rgb: Rgb) -> float:
    """The shorter side in px, after scaling for the networks."""
    return float(min(rgb.shape[:2]) * _scale(rgb))


def _tensor(rgb: Rgb) -> Tensor:
    """RGB (1, 3, h, w) in [-1, 1], scaled to at most 512 px on the longer side."""
    scale = _scale(rgb)
    rgb = np.ascontiguousarray(rgb)
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    return torch.from_numpy(rgb.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
