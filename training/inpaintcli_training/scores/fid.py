"""FID (Heusel et al. 2017): the Frechet distance of Inception vectors of fills and of photos."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from inpaintcli.evaluation.metrics import Metric, frechet_of
from inpaintcli_training.data.photos import Rgb
from inpaintcli_training.perceptual.backbones.inception import DIMENSION, Inception

MIN_GROUP_SIZE = 100
"""A kind of hole with fewer fills has no FID of its own: it would depend on the choice of photos
more than on the fills. The threshold is a choice; all holes together always have an FID."""

FID = Metric(
    key="fid", label="FID", digits=1,
    meaning="Frechet distance of the Inception vectors of all fills and of all photos, whole "
    "pictures: does a set of fills look like a set of photos?",
)  # fmt: skip

_PHOTO = ""  # the method name of the photos' own vectors


class Fid:
    """Collects the vectors of fills and photos, 8 KB a picture, and compares them."""

    def __init__(self, network: Inception) -> None:
        self._network = network
        self._vectors: dict[tuple[str, str], list[NDArray[np.float32]]] = defaultdict(list)
        self._known: dict[tuple[str, tuple[str, ...], int], float] = {}

    def add(self, group: str, photo: Rgb, fills: Mapping[str, Rgb]) -> None:
        """Add the fills of one hole, by method, and its photo (once for each hole)."""
        pictures = np.stack([photo, *fills.values()]).transpose(0, 3, 1, 2)
        rgb = torch.from_numpy(pictures.astype(np.float32) / 127.5 - 1)
        for method, vector in zip((_PHOTO, *fills), self._network(rgb).numpy(), strict=True):
            self._vectors[group, method].append(vector)

    def pooled(self, method: str, groups: Sequence[str]) -> float:
        """FID of a method's fills in these groups; NaN if they are too few."""
        ours, photos = (self._of(name, groups) for name in (method, _PHOTO))
        everything = set(groups) >= {group for group, _ in self._vectors}
        if len(ours) < (2 if everything else MIN_GROUP_SIZE):
            return float("nan")
        key = (method, tuple(groups), len(ours))
        if key not in self._known:  # the report asks again, and thousands of pictures take a minute
            self._known[key] = frechet_of(np.stack(ours), np.stack(photos))
        return self._known[key]

    def remarks(self) -> tuple[str, ...]:
        """A warning where the fills are too few to compare their FID with published ones."""
        collected = self._vectors.items()
        count = sum(len(vectors) for (_, method), vectors in collected if method == _PHOTO)
        if not 0 < count <= DIMENSION:
            return ()
        remark = (
            f"FID is of {count} fills: with fewer than {DIMENSION + 1} its covariances are not of "
            "full rank and it depends on how many there are. Compare it within this run only."
        )
        return (remark,)

    def _of(self, method: str, groups: Sequence[str]) -> list[NDArray[np.float32]]:
        return [vector for group in groups for vector in self._vectors.get((group, method), ())]
