"""Crops for training: photos cut at random, flipped, holed, numbered, handed out in batches.

Every crop is a function of (seed, index) alone. A resumed run therefore sees exactly the
crops that an uninterrupted one would have seen, with nothing to save but a counter, and several
processes together see those that one would have seen alone.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaintcli.errors import UsageError
from training.augment import augmented
from training.distributed import Group
from training.loader import ahead
from training.masks import random_hole
from training.photos import Photos, Rgb
from training.recipe import Recipe

__all__ = ["Batch", "Crops", "Photos"]

_CPU = torch.device("cpu")
_ALONE = Group()


@dataclass(frozen=True)
class Batch:
    """Photos and holes of one step, or of one part of it.

    `photo` is float32 (n, 3, h, w) in [-1, 1]; `mask` is float32 (n, 1, h, w), 1 in the hole.
    `index` is the number of the first crop here: what is drawn for each picture takes `index + i`
    as its seed, so that it does not depend on how a batch is cut. `first` is the number of the
    whole batch's first crop, the seed of what all its parts have in common.
    """

    photo: Tensor
    mask: Tensor
    index: int = 0
    first: int = 0

    def to(self, device: torch.device, layout: torch.memory_format = torch.preserve_format) -> Self:
        """The same on a device, its tensors in a layout of memory."""
        moved: dict[str, Any] = {
            name: value.to(device, memory_format=layout)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Cut:
    """Crops as they are cut, before they are tensors: small, and quick to send."""

    index: int  # of the first
    pictures: dict[str, Rgb]  # by their names in a batch, (n, crop, crop, 3)
    masks: dict[str, NDArray[np.bool_]]  # likewise, (n, crop, crop)
    unreadable: frozenset[int]  # photos that this process has met so far


class Crops:
    """Random crops with random holes, numbered from 0 without end.

    An epoch is a permutation of the photos; crop `i` shows photo `permutation[i mod n]`.
    """

    def __init__(self, photos: Photos, recipe: Recipe, masks: Photos | None = None) -> None:
        """Crops of the photos, as the recipe says; `masks` are pictures of holes, white is hole.

        Raises:
            UsageError: the recipe draws holes from pictures and there are none, or the reverse.
        """
        _check_masks(recipe, masks)
        self.photos = photos
        self.recipe = recipe
        self.masks = masks

    def crop(self, index: int) -> tuple[Rgb, NDArray[np.bool_]]:
        """Crop `index`: uint8 RGB (crop, crop, 3) and its hole (crop, crop)."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, index])
        photo = self.photos.get(self._photo_of(index))
        rgb = _random_crop(photo, recipe.crop, recipe.short_side, rng)
        if rng.random() < 0.5:
            rgb = rgb[:, ::-1]
        hole = random_hole(
            recipe.crop, rng, recipe.holes, recipe.hole_ratio, recipe.ratio_bins, self.masks
        )
        # Numbers of its own, so that the same seed cuts the same crops with and without it.
        rgb = augmented(rgb, np.random.default_rng([recipe.seed, 2, index]), recipe.augment)
        return rgb, hole

    def cut(self, first: int, size: int) -> Cut:
        """The crops `first` to `first + size - 1`."""
        crops = [self.crop(first + i) for i in range(size)]
        rgb, holes = (np.stack(parts) for parts in zip(*crops, strict=True))
        unreadable = frozenset(self.photos.unreadable)
        return Cut(first, {"photo": rgb}, {"mask": holes}, unreadable)

    def batch(self, first: int, size: int | None = None) -> Batch:
        """The same as tensors; a whole batch by default."""
        return _tensors(self.cut(first, size or self.recipe.batch), first, _CPU)

    def batches(
        self,
        first: int,
        *,
        most: int = 3,
        group: Group = _ALONE,
        workers: int = 0,
        device: torch.device = _CPU,
    ) -> Generator[Batch, None, None]:
        """All batches from crop `first` on, `accumulate` parts each, prepared ahead.

        Args:
            first: number of the crop to begin with.
            most: parts that wait at a time; two for each worker where that is more.
            group: whose process this is; every part is divided among all processes.
            workers: processes that cut crops, see `training.loader`.
            device: where the tensors are wanted.
        """
        part = self.recipe.part(group.size)
        starts = range(first + part * group.rank, 1 << 62, part * group.size)

        def finished(cut: Cut) -> Batch:
            self.photos.leave_out(cut.unreadable)
            return _tensors(cut, cut.index - (cut.index - first) % self.recipe.batch, device)

        if workers == 0:
            yield from ahead(lambda start: finished(self.cut(start, part)), starts, most=most)
            return
        crops = Crops(self.photos.divided(workers), self.recipe, self.masks)
        work = partial(crops.cut, size=part)
        with closing(ahead(work, starts, most=max(most, 2 * workers), processes=workers)) as cuts:
            for cut in cuts:
                yield finished(cut)

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


def _tensors(cut: Cut, first: int, device: torch.device) -> Batch:
    """The crops on the device; it is sent bytes, and makes numbers of them there."""
    pictures = {
        name: _sent(rgb, device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        for name, rgb in cut.pictures.items()
    }
    masks = {name: _sent(mask, device)[:, None].float() for name, mask in cut.masks.items()}
    return Batch(**pictures, **masks, index=cut.index, first=first)


def _sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array as a tensor, on a GPU without waiting for it."""
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
