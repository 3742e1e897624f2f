"""FID (Heusel et al. 2017): the Frechet distance of Inception vectors of fills and of photos."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from inpaintcli.evaluation.metrics import Metric, frechet_of
from inpaintcli_training.data.photos import Rgb
from inpaintcli_training.perceptual.backbones.inception import DIMENSION, Inception

MIN_GROUP_SIZE = 100
"""A kind of hole with fewer photos has no FID of its own: it would depend on the choice of photos
more than on the fills. The threshold is a choice; all holes together always have an FID."""

FID = Metric(
    key="fid", label="FID", digits=1,
    meaning="Frechet distance of the Inception vectors of all fills and of all photos, whole "
    "pictures: does a set of fills look like a set of photos?",
)  # fmt: skip


class Fid:
    """Collects the vectors of fills and photos, 8 KB a picture, and compares them.

    A photo counts once however many of its holes were filled: repeating it would not tell more of
    what photos look like. Photos are known by their pixels.
    """

    def __init__(self, network: Inception) -> None:
        self._network = network
        self._fills: dict[tuple[str, str], list[NDArray[np.float32]]] = defaultdict(list)
        self._photos: dict[str, NDArray[np.float32]] = {}
        self._members: dict[str, set[str]] = defaultdict(set)  # photos of each kind of hole
        self._known: dict[tuple[str, tuple[str, ...], int], float] = {}

    def add(self, group: str, photo: Rgb, fills: Mapping[str, Rgb]) -> None:
        """Add the fills of one hole, by method, and its photo."""
        name = _digest(photo)
        new = [] if name in self._photos else [photo]
        pictures = np.stack([*new, *fills.values()]).transpose(0, 3, 1, 2)
        rgb = torch.from_numpy(pictures.astype(np.float32) / 127.5 - 1)
        vectors = list(self._network(rgb).numpy())
        if new:
            self._photos[name] = vectors.pop(0)
        self._members[group].add(name)
        for method, vector in zip(fills, vectors, strict=True):
            self._fills[group, method].append(vector)

    def pooled(self, method: str, groups: Sequence[str]) -> float:
        """FID of a method's fills in these groups; NaN if their photos are too few."""
        ours = [vector for group in groups for vector in self._fills.get((group, method), ())]
        photos = sorted(set().union(*(self._members.get(group, set()) for group in groups)))
        everything = set(groups) >= self._members.keys()
        if not ours or len(photos) < (2 if everything else MIN_GROUP_SIZE):
            return float("nan")
        key = (method, tuple(groups), len(ours))
        if key not in self._known:  # the report asks again, and thousands of pictures take a minute
            theirs = np.stack([self._photos[name] for name in photos])
            self._known[key] = frechet_of(np.stack(ours), theirs)
        return self._known[key]

    def remarks(self) -> tuple[str, ...]:
        """A warning where the photos are too few to compare their FID with published ones."""
        count = len(self._photos)
        if not 0 < count <= DIMENSION:
            return ()
        remark = (
            f"FID is of {count} photos: with fewer than {DIMENSION + 1} its covariances are not of "
            "full rank and it depends on how many there are. Compare it within this run only."
        )
        return (remark,)


def _digest(photo: Rgb) -> str:
    return hashlib.sha256(repr(photo.shape).encode() + photo.tobytes()).hexdigest()
