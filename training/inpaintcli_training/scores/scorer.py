"""Scores of fills by deep features: P, FD, LPIPS, FID and plain distances, as far as files exist.

All take 8-bit RGB. P and FD take a square around the hole, the others the whole picture, scaled
down to at most 512 px on the longer side; pictures too small for a network get no score of it. FID
alone scales every picture to its network's size.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import torch

from inpaintcli.errors import UnreadableError
from inpaintcli.evaluation.metrics import Metric
from inpaintcli.imaging.picture import Mask
from inpaintcli_training.data.photos import Rgb
from inpaintcli_training.perceptual.feature_networks import inception, squeezenet11, vgg19
from inpaintcli_training.perceptual.features import FeatureNetwork
from inpaintcli_training.perceptual.lpips import Net, lpips
from inpaintcli_training.scores.distances import (
    PATCHES,
    POOLED,
    HoleDistance,
    PictureDistance,
    shorter_side,
)
from inpaintcli_training.scores.fid import FID, Fid

_ALEXNET_MIN_SIDE = 64  # px

P = Metric(
    key="p", label="P", digits=1,
    meaning="squared distance of unit-normalised VGG-19 features (relu1_2, relu2_2, relu3_4) to "
    "the photo's, times 1000, on a square around the hole",
)  # fmt: skip


def _fd(layer: str) -> Metric:
    return Metric(
        key=f"fd_{layer}", label=f"FD {layer}", digits=1, brief=layer == POOLED[-1],
        meaning=f"Frechet distance of the {layer} vectors of all fills and of all photos in the "
        "holes, times 1000: does it look like a photo?",
    )  # fmt: skip


class FeatureScores:
    """What the files of a folder allow; a `inpaintcli.evaluation.scoring.FeatureScorer`."""

    def __init__(self, folder: Path) -> None:
        """Load the networks whose files are in the folder.

        Raises:
            UnreadableError: there is none.
        """
        self.metrics: tuple[Metric, ...] = ()
        self.networks: tuple[str, ...] = ()
        self.left_out: tuple[str, ...] = ()
        self._hole_distance: HoleDistance | None = None
        self._picture_distances: dict[str, PictureDistance] = {}
        self._fid: Fid | None = None
        self._load_vgg(folder)
        self._load_lpips(folder)
        self._load_squeezenet(folder)
        self._load_inception(folder)
        if not self.metrics:
            reasons = "; ".join(self.left_out)
            raise UnreadableError(f"{folder} holds no feature network for scores: {reasons}.")

    def _load_vgg(self, folder: Path) -> None:
        try:
            network = vgg19(folder, PATCHES)
        except UnreadableError as error:
            self.left_out += (f"P and FD: {error.message}",)
            return
        missing = [name for name in PATCHES if name not in network.taps.values()]
        if missing:
            self.left_out += (f"P and FD: {network.file} ends before {', '.join(missing)}.",)
            return
        self._hole_distance = HoleDistance(network)
        self._used(network)
        self.metrics += (P, *(_fd(layer) for layer in POOLED))

    def _load_lpips(self, folder: Path) -> None:
        """LPIPS by each backbone that is there with its heads; at least one is expected."""
        missing = []
        for net in get_args(Net):
            try:
                learned = lpips(folder, net)
            except UnreadableError as error:
                missing.append(f"{net}: {error.message}")
                continue
            self._add(
                f"lpips_{net}", f"LPIPS {net}",
                PictureDistance(learned.network, list(learned.heads)),
                "learned perceptual distance to the photo (Zhang et al. 2018, version 0.1)",
            )  # fmt: skip
        if not self._picture_distances:
            reasons = " ".join(missing)
            self.left_out += (
                f"LPIPS needs torchvision's networks (docs/reference/scores.md). {reasons}",
            )

    def _load_squeezenet(self, folder: Path) -> None:
        """A distance without heads, if the backbone is not the one that the heads belong to."""
        if "lpips_squeeze" in self._picture_distances:
            return
        try:
            network = squeezenet11(folder)
        except UnreadableError:
            return  # optional: nothing to report
        self._add(
            "squeezenet", "SqueezeNet", PictureDistance(network),
            "squared distance of unit-normalised SqueezeNet 1.1 features, seven layers summed, to "
            "the photo's; not LPIPS",
        )  # fmt: skip

    def _load_inception(self, folder: Path) -> None:
        try:
            network = inception(folder)
        except UnreadableError as error:
            self.left_out += (f"FID: {error}",)
            return
        self._fid = Fid(network)
        self.networks += (f"{network.file} (tensorflow layout)",)
        self.metrics += (FID,)

    def _add(self, key: str, label: str, measure: PictureDistance, meaning: str) -> None:
        self._used(measure.network)
        self._picture_distances[key] = measure
        self.metrics += (Metric(key=key, label=label, digits=4, meaning=meaning),)

    def _used(self, network: FeatureNetwork) -> None:
        self.networks += (f"{network.file} ({network.layout} layout)",)

    def score(
        self, group: str, photo: Rgb, hole: Mask, fills: Mapping[str, Rgb]
    ) -> dict[str, dict[str, float]]:
        """The scores of each method's fill by key; collects the vectors of FD and FID."""
        found: dict[str, dict[str, float]] = {method: {} for method in fills}
        with torch.inference_mode():
            if self._hole_distance is not None:
                for method, p in self._hole_distance.score(group, photo, hole, fills).items():
                    found[method]["p"] = p
            if self._picture_distances and shorter_side(photo) >= _ALEXNET_MIN_SIDE:
                for key, measure in self._picture_distances.items():
                    for method, value in measure.score(photo, fills).items():
                        found[method][key] = value
            if self._fid is not None:
                self._fid.add(group, photo, fills)
        return found

    def pooled(self, method: str, groups: Sequence[str]) -> dict[str, float]:
        """FD and FID of all fills of a method in these groups together."""
        found = {} if self._hole_distance is None else self._hole_distance.pooled(method, groups)
        if self._fid is not None:
            found[FID.key] = self._fid.pooled(method, groups)
        return found

    def remarks(self) -> tuple[str, ...]:
        """Warnings about FID."""
        return () if self._fid is None else self._fid.remarks()
