"""Training crops: random parts of photos, flipped, with random holes, in batches.

Every crop is a function of (seed, index) alone. A resumed run therefore sees exactly the crops that
an uninterrupted one would have seen, with nothing to save but a counter; and several processes
together see those that a single one would have seen.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaintcli.errors import UsageError
from inpaintcli_training.data.augment import augment_crop
from inpaintcli_training.data.composites import Annotations, Composite, compose, unchanged
from inpaintcli_training.data.loader import prefetched
from inpaintcli_training.data.masks import random_hole
from inpaintcli_training.data.photos import Photos, Rgb
from inpaintcli_training.distributed import Group
from inpaintcli_training.recipe import Augmentation, Recipe

__all__ = ["Batch", "Crops", "Photos"]

_CPU = torch.device("cpu")
_ALONE = Group()


@dataclass(frozen=True)
class Batch:
    """Photos and holes of one step, or of one of its parts.

    `photo` is float32 (n, 3, h, w) in [-1, 1]; `mask` is float32 (n, 1, h, w), 1 in the hole.
    `index` is the number of the first crop here: random numbers for a picture take `index + i` as
    their seed, so that they do not depend on how a batch is split. `first` is the number of the
    whole batch's first crop, the seed of what all its parts have in common.

    Where the recipe pastes objects, `pasted` (n, 3, h, w) is the photo with one pasted in and
    `foreground` (n, 1, h, w) is 1 on it; a crop without one has the photo itself and zeros.
    """

    photo: Tensor
    mask: Tensor
    index: int = 0
    first: int = 0
    pasted: Tensor | None = None
    foreground: Tensor | None = None

    def to(self, device: torch.device, layout: torch.memory_format = torch.preserve_format) -> Self:
        """The same batch on a device, its tensors in the memory layout `layout`."""
        moved: dict[str, Any] = {
            name: value.to(device, memory_format=layout)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Crop:
    """One crop: uint8 RGB (side, side, 3), its hole (side, side), and its composite, if any."""

    rgb: Rgb
    hole: NDArray[np.bool_]
    composite: Composite | None = None


@dataclass(frozen=True)
class CropArrays:
    """Crops as uint8 and bool arrays: small to send from a worker process."""

    index: int  # of the first
    pictures: dict[str, Rgb]  # by their names in a batch, (n, crop, crop, 3)
    masks: dict[str, NDArray[np.bool_]]  # likewise, (n, crop, crop)
    unreadable: frozenset[int]  # numbers of the photos that this process could not decode so far


class Crops:
    """Random crops with random holes, numbered from 0 without end.

    An epoch is a permutation of the photos; crop `i` shows photo `permutation[i mod n]`.
    """

    def __init__(self, photos: Photos, recipe: Recipe, masks: Photos | None = None) -> None:
        """Crops of the photos by the recipe; `masks` are pictures of holes, white is hole.

        Raises:
            UsageError: the recipe draws holes from pictures and there are none, or the reverse.
            UnreadableError: the recipe's annotations cannot be read.
        """
        _check_masks(recipe, masks)
        self.photos = photos
        self.recipe = recipe
        self.masks = masks
        annotations = recipe.pasted.annotations
        self._annotations = Annotations(Path(annotations)) if annotations else None

    def crop(self, index: int) -> tuple[Rgb, NDArray[np.bool_]]:
        """Crop `index`: uint8 RGB (crop, crop, 3) and its hole (crop, crop)."""
        recipe = self.recipe
        photo = self.photos.get(self._photo_of(index))
        rgb, rng = self._part(photo, index, recipe.augment)
        hole = random_hole(
            recipe.crop, rng, recipe.holes, recipe.hole_ratio, recipe.ratio_bins, self.masks
        )
        return rgb, hole

    def _part(self, picture: Rgb, index: int, by: Augmentation) -> tuple[Rgb, np.random.Generator]:
        """The part of a picture that crop `index` shows, and its random number generator."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, index])
        rgb = _random_crop(picture, recipe.crop, recipe.short_side, rng)
        if rng.random() < 0.5:
            rgb = rgb[:, ::-1]
        # Seeded separately, so that a seed gives the same crops with and without augmentation.
        return augment_crop(rgb, np.random.default_rng([recipe.seed, 2, index]), by), rng

    def training_crop(self, index: int) -> Crop:
        """Crop `index` for training, with a pasted object where one is drawn."""
        recipe = self.recipe
        rgb, hole = self.crop(index)
        rng = np.random.default_rng([recipe.seed, index, 1])
        if rng.random() >= recipe.pasted.share:
            return Crop(rgb, hole)
        guide = self.photos.get(int(rng.integers(len(self.photos))))
        guide = _random_crop(guide, recipe.crop, recipe.short_side, rng)
        composite = compose(rgb, guide, self._object(index, rng), recipe.pasted, rng)
        return Crop(rgb, composite.hole, composite)

    def _object(self, index: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """An annotated object in crop `index`, cropped like it; all False without one."""
        number, mask = self._photo_of(index), None
        photo, entry = self.photos.get(number), self.photos.entries[number]
        if self._annotations and number not in self.photos.unreadable:
            name = Path(entry.name or entry.path).name
            mask = self._annotations.draw(name, (photo.shape[0], photo.shape[1]), rng)
        if mask is None:
            return np.zeros((self.recipe.crop, self.recipe.crop), np.bool_)
        white = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
        turned = Augmentation(
            rotation=self.recipe.augment.rotation
        )  # it takes the first random number
        return np.asarray(self._part(white, index, turned)[0][..., 0] > 127)

    def arrays(self, first: int, size: int) -> CropArrays:
        """The crops `first` to `first + size - 1`."""
        crops = [self.training_crop(first + i) for i in range(size)]
        pictures = {"photo": np.stack([crop.rgb for crop in crops])}
        masks = {"mask": np.stack([crop.hole for crop in crops])}
        if self.recipe.pasted.share:
            made = [crop.composite or unchanged(crop.rgb, crop.hole) for crop in crops]
            pictures["pasted"] = np.stack([composite.rgb for composite in made])
            masks["foreground"] = np.stack([composite.foreground for composite in made])
        return CropArrays(first, pictures, masks, frozenset(self.photos.unreadable))

    def batch(self, first: int, size: int | None = None) -> Batch:
        """The crops from `first` on as tensors; a whole batch by default."""
        return _tensors(self.arrays(first, size or self.recipe.batch), first, _CPU)

    def batches(
        self,
        first: int,
        *,
        prefetch: int = 3,
        group: Group = _ALONE,
        workers: int = 0,
        device: torch.device = _CPU,
    ) -> Generator[Batch, None, None]:
        """All batches from crop `first` on, in `accumulate` parts each, prefetched.

        Args:
            first: number of the first crop.
            prefetch: parts that are prepared ahead; at least two for each worker.
            group: of training processes, among which every part is divided.
            workers: processes that prepare crops, see `inpaintcli_training.data.loader`.
            device: of the tensors.
        """
        part = self.recipe.part(group.size)
        starts = range(first + part * group.rank, 1 << 62, part * group.size)

        def to_batch(arrays: CropArrays) -> Batch:
            self.photos.leave_out(arrays.unreadable)
            return _tensors(
                arrays, arrays.index - (arrays.index - first) % self.recipe.batch, device
            )

        if workers == 0:
            yield from prefetched(
                lambda start: to_batch(self.arrays(start, part)), starts, max_waiting=prefetch
            )
            return
        crops = Crops(self.photos.divided(workers), self.recipe, self.masks)
        work = partial(crops.arrays, size=part)
        with closing(
            prefetched(work, starts, max_waiting=max(prefetch, 2 * workers), processes=workers)
        ) as results:
            for arrays in results:
                yield to_batch(arrays)

    def _photo_of(self, index: int) -> int:
        epoch, position = divmod(index, len(self.photos))
        return int(_permutation(self.recipe.seed, epoch, len(self.photos))[position])


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, photos: int) -> NDArray[np.int64]:
    """The order of the photos in an epoch."""
    return np.random.default_rng([seed, 1, epoch]).permutation(photos)


def _check_masks(recipe: Recipe, masks: Photos | None) -> None:
    if recipe.holes.pictures and masks is None:
        hint = "Name a folder of them with --masks, or set holes.pictures to 0."
        raise UsageError("The recipe takes holes from pictures, but none were named.", hint=hint)
    if masks is not None and not recipe.holes.pictures:
        hint = "--set holes.pictures=1 gives them a weight beside the other kinds."
        raise UsageError("Pictures of holes were named, but the recipe uses none.", hint=hint)


def _tensors(arrays: CropArrays, first: int, device: torch.device) -> Batch:
    """The crops as tensors; they are sent to the device as bytes and converted there."""
    pictures = {
        name: _send(rgb, device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        for name, rgb in arrays.pictures.items()
    }
    masks = {name: _send(mask, device)[:, None].float() for name, mask in arrays.masks.items()}
    return Batch(**pictures, **masks, index=arrays.index, first=first)


def _send(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array as a tensor on the device; to a GPU it is sent asynchronously."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _random_crop(
    photo: Rgb, side: int, short_side: tuple[int, int], rng: np.random.Generator
) -> Rgb:
    """A square of `side` from the photo scaled to a random short side (log-uniform)."""
    height, width = photo.shape[:2]
    target = float(np.exp(rng.uniform(*np.log(short_side))))
    wanted = side * min(height, width) / max(target, side)
    window = max(1, min(round(wanted), height, width))
    y = int(rng.integers(0, height - window + 1))
    x = int(rng.integers(0, width - window + 1))
    part = photo[y : y + window, x : x + window]
    how = cv2.INTER_AREA if window > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (side, side), interpolation=how), np.uint8)
