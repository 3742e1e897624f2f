"""Scores of fills by deep features: P, FD, LPIPS, FID and plain distances, as files are given.

All look at 8-bit RGB. P and FD look at a square around the hole, the others at the whole picture,
each scaled down where its longer side has more than 512 px; pictures too small for a network get
no score of it. FID alone scales every picture to its network's size.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaintcli.errors import MisfitError, UnreadableError
from inpaintcli.holes import bounding_box
from inpaintcli.metrics import Metric, Moments, frechet
from inpaintcli.picture import Mask
from training.features import FeatureNetwork
from training.fid import FID, Fid
from training.lpips import Net, distance, lpips
from training.networks import inception, squeezenet11, vgg19
from training.photos import Rgb

_LONGEST = 512
_POOLED = ("relu2_2", "relu3_4")
_PATCHES = ("relu1_2", "relu2_2", "relu3_4")
_SHORTEST_WHOLE, _SHORTEST_AROUND = 64, 16  # px that AlexNet, and VGG-19 up to relu3_4, need
_MOST_VECTORS = 400  # of one picture, so that big holes do not outweigh small ones

P = Metric(
    key="p", label="P", digits=1,
    meaning="squared distance of unit-normalised VGG-19 features (relu1_2, relu2_2, relu3_4) to "
    "the photo's, times 1000, on a square around the hole",
)  # fmt: skip


def _fd(layer: str) -> Metric:
    return Metric(
        key=f"fd_{layer}", label=f"FD {layer}", digits=1, brief=layer == _POOLED[-1],
        meaning=f"Frechet distance of the {layer} vectors of all fills and of all photos in the "
        "holes, times 1000: does it look like a photo?",
    )  # fmt: skip


class FeatureScores:
    """What the files of a folder allow; a `inpaintcli.evaluation.run.Judge`."""

    def __init__(self, folder: Path) -> None:
        """Load what is there.

        Raises:
            UnreadableError: nothing fitting is in the folder.
        """
        self.metrics: tuple[Metric, ...] = ()
        self.networks: tuple[str, ...] = ()
        self.left_out: tuple[str, ...] = ()
        self._around: _Around | None = None
        self._whole: dict[str, _Whole] = {}
        self._fid: Fid | None = None
        self._take_vgg(folder)
        self._take_lpips(folder)
        self._take_squeezenet(folder)
        self._take_inception(folder)
        if not self.metrics:
            reasons = "; ".join(self.left_out)
            raise UnreadableError(f"{folder} holds no feature network for scores: {reasons}.")

    def _take_vgg(self, folder: Path) -> None:
        try:
            network = vgg19(folder, _PATCHES)
        except UnreadableError as error:
            self.left_out += (f"P and FD: {error.message}",)
            return
        missing = [name for name in _PATCHES if name not in network.taps.values()]
        if missing:
            self.left_out += (f"P and FD: {network.file} ends before {', '.join(missing)}.",)
            return
        self._around = _Around(network)
        self._used(network)
        self.metrics += (P, *(_fd(layer) for layer in _POOLED))

    def _take_lpips(self, folder: Path) -> None:
        """LPIPS by each backbone that lies there with its heads; one will do."""
        missing = []
        for net in get_args(Net):
            try:
                learned = lpips(folder, net)
            except UnreadableError as error:
                missing.append(f"{net}: {error.message}")
                continue
            self._take(
                f"lpips_{net}", f"LPIPS {net}", _Whole(learned.network, list(learned.heads)),
                "learned perceptual distance to the photo (Zhang et al. 2018, version 0.1)",
            )  # fmt: skip
        if not self._whole:
            reasons = " ".join(missing)
            self.left_out += (f"LPIPS needs torchvision's networks (docs/evaluate.md). {reasons}",)

    def _take_squeezenet(self, folder: Path) -> None:
        """A distance without heads, where the backbone is not the one that the heads belong to."""
        if "lpips_squeeze" in self._whole:
            return
        try:
            network = squeezenet11(folder)
        except UnreadableError:
            return  # it is no score that anybody misses
        self._take(
            "squeezenet", "SqueezeNet", _Whole(network),
            "squared distance of unit-normalised SqueezeNet 1.1 features, seven layers summed, to "
            "the photo's; not LPIPS",
        )  # fmt: skip

    def _take_inception(self, folder: Path) -> None:
        try:
            network = inception(folder)
        except UnreadableError as error:
            self.left_out += (f"FID: {error}",)
            return
        self._fid = Fid(network)
        self.networks += (f"{network.file} (tensorflow layout)",)
        self.metrics += (FID,)

    def _take(self, key: str, label: str, measure: "_Whole", meaning: str) -> None:
        self._used(measure.network)
        self._whole[key] = measure
        self.metrics += (Metric(key=key, label=label, digits=4, meaning=meaning),)

    def _used(self, network: FeatureNetwork) -> None:
        self.networks += (f"{network.file} ({network.layout} layout)",)

    def score(
        self, group: str, photo: Rgb, hole: Mask, fills: Mapping[str, Rgb]
    ) -> dict[str, dict[str, float]]:
        """The scores of each method's fill by key; the vectors that FD and FID compare are kept."""
        found: dict[str, dict[str, float]] = {method: {} for method in fills}
        with torch.inference_mode():
            if self._around is not None:
                for method, p in self._around.score(group, photo, hole, fills).items():
                    found[method]["p"] = p
            if self._whole and _shorter_side(photo) >= _SHORTEST_WHOLE:
                for key, measure in self._whole.items():
                    for method, value in measure.score(photo, fills).items():
                        found[method][key] = value
            if self._fid is not None:
                self._fid.add(group, photo, fills)
        return found

    def pooled(self, method: str, groups: Sequence[str]) -> dict[str, float]:
        """FD and FID of all fills of a method in these groups together."""
        found = {} if self._around is None else self._around.pooled(method, groups)
        if self._fid is not None:
            found[FID.key] = self._fid.pooled(method, groups)
        return found

    def remarks(self) -> tuple[str, ...]:
        """What must be known to read FID."""
        return () if self._fid is None else self._fid.remarks()


class _Whole:
    """A distance of whole pictures: LPIPS with its heads, a plain one without."""

    def __init__(self, network: FeatureNetwork, heads: list[Tensor] | None = None) -> None:
        self.network = network
        self._heads = heads

    def score(self, photo: Rgb, fills: Mapping[str, Rgb]) -> dict[str, float]:
        truth = self.network(_tensor(photo))
        return {
            method: float(distance(self.network(_tensor(filled)), truth, self._heads))
            for method, filled in fills.items()
        }


class _Around:
    """P of each fill, and the moments of feature vectors in the holes, by group and method."""

    def __init__(self, network: FeatureNetwork) -> None:
        self._network = network
        self._moments: dict[tuple[str, str, str], Moments] = {}

    def score(
        self, group: str, photo: Rgb, hole: Mask, fills: Mapping[str, Rgb]
    ) -> dict[str, float]:
        inside = square_around(hole)
        if _shorter_side(photo[inside]) < _SHORTEST_AROUND:
            return {}
        truth = self._units(photo[inside])
        self._keep(group, "", truth, hole[inside])
        found = {}
        for method, filled in fills.items():
            ours = self._units(filled[inside])
            self._keep(group, method, ours, hole[inside])
            layers = [float(((ours[n] - truth[n]) ** 2).sum(axis=2).mean()) for n in _PATCHES]
            found[method] = float(np.mean(layers)) * 1000
        return found

    def pooled(self, method: str, groups: Sequence[str]) -> dict[str, float]:
        found = {}
        for layer in _POOLED:
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

    def _keep(
        self, group: str, method: str, units: dict[str, NDArray[np.float32]], hole: Mask
    ) -> None:
        for layer in _POOLED:
            vectors = _in_hole(units[layer], hole.astype(np.float32))
            key = (group, method, layer)
            self._moments.setdefault(key, Moments(vectors.shape[1])).add(vectors)

    def _units(self, rgb: Rgb) -> dict[str, NDArray[np.float32]]:
        """Unit vectors (h, w, channels) of each layer."""
        found = self._network(_tensor(rgb))
        maps = {name: x[0].permute(1, 2, 0).numpy() for name, x in found.items()}
        return {n: x / (np.linalg.norm(x, axis=2, keepdims=True) + 1e-6) for n, x in maps.items()}


def square_around(hole: Mask) -> tuple[slice, slice]:
    """A square around a hole, half as large again and 16 px more, moved inside the picture.

    Raises:
        MisfitError: the hole is empty.
    """
    box = bounding_box(hole)
    if box is None:
        raise MisfitError("The hole is empty.")
    side = min(max(box.height, box.width) * 3 // 2 + 16, max(hole.shape))
    starts = ((box.top + box.bottom) // 2 - side // 2, (box.left + box.right) // 2 - side // 2)
    tops = [max(0, min(a, n - side)) for a, n in zip(starts, hole.shape, strict=True)]
    return slice(tops[0], tops[0] + side), slice(tops[1], tops[1] + side)


def _in_hole(features: NDArray[np.float32], hole: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most 400 vectors (n, channels) at positions that lie mostly in the hole."""
    height, width = features.shape[:2]
    share = cv2.resize(hole, (width, height), interpolation=cv2.INTER_AREA)
    vectors = features[share > 0.6]
    return vectors[np.random.default_rng(0).permutation(len(vectors))[:_MOST_VECTORS]]


def _scale(rgb: Rgb) -> float:
    return float(min(1.0, _LONGEST / max(rgb.shape[:2])))


def _shorter_side(rgb: Rgb) -> float:
    """In px, as the networks get to see it."""
    return float(min(rgb.shape[:2]) * _scale(rgb))


def _tensor(rgb: Rgb) -> Tensor:
    """RGB (1, 3, h, w) in [-1, 1], at most 512 px long."""
    scale = _scale(rgb)
    rgb = np.ascontiguousarray(rgb)
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    return torch.from_numpy(rgb.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
