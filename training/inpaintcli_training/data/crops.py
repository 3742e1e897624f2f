"""Crops for training: photos cut at random, flipped, holed, numbered, handed out in batches.

Every crop is a function of (seed, index) alone. A resumed run therefore sees exactly the
crops that an uninterrupted one would have seen, with nothing to save but a counter, and several
processes together see those that one would have seen alone.
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
from inpaintcli_training.data.augment import augmented
from inpaintcli_training.data.composites import Annotations, Composite, compose, unchanged
from inpaintcli_training.data.loader import ahead
from inpaintcli_training.data.masks import random_hole
from inpaintcli_training.data.photos import Photos, Rgb
from inpaintcli_training.distributed import Group
from inpaintcli_training.recipe import Augmentation, Recipe

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

    Where the recipe pastes objects, `pasted` (n, 3, h, w) is the photo with one pasted in and
    `foreground` (n, 1, h, w) is 1 on it; a crop without one has its photo and zeros.
    """

    photo: Tensor
    mask: Tensor
    index: int = 0
    first: int = 0
    pasted: Tensor | None = None
    foreground: Tensor | None = None

    def to(self, device: torch.device, layout: torch.memory_format = torch.preserve_format) -> Self:
        """The same on a device, its tensors in a layout of memory."""
        moved: dict[str, Any] = {
            name: value.to(device, memory_format=layout)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Crop:
    """One crop: uint8 RGB (side, side, 3), its hole (side, side), and what is pasted, if any."""

    rgb: Rgb
    hole: NDArray[np.bool_]
    composite: Composite | None = None


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
        """What crop `index` shows of a picture, and the generator for what is drawn next."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, index])
        rgb = _random_crop(picture, recipe.crop, recipe.short_side, rng)
        if rng.random() < 0.5:
            rgb = rgb[:, ::-1]
        # Numbers of its own, so that the same seed cuts the same crops with and without it.
        return augmented(rgb, np.random.default_rng([recipe.seed, 2, index]), by), rng

    def drawn(self, index: int) -> Crop:
        """Crop `index` as trained on: where something is pasted, the hole is the composite's."""
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
        """An annotated object of crop `index`, cut as the crop is; all False without one."""
        number, mask = self._photo_of(index), None
        photo, member = self.photos.get(number), self.photos.members[number]
        if self._annotations and number not in self.photos.unreadable:
            name = Path(member.name or member.path).name
            mask = self._annotations.draw(name, (photo.shape[0], photo.shape[1]), rng)
        if mask is None:
            return np.zeros((self.recipe.crop, self.recipe.crop), np.bool_)
        white = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
        turned = Augmentation(rotation=self.recipe.augment.rotation)  # drawn first of its numbers
        return np.asarray(self._part(white, index, turned)[0][..., 0] > 127)

    def cut(self, first: int, size: int) -> Cut:
        """The crops `first` to `first + size - 1`."""
        crops = [self.drawn(first + i) for i in range(size)]
        pictures = {"photo": np.stack([crop.rgb for crop in crops])}
        masks = {"mask": np.stack([crop.hole for crop in crops])}
        if self.recipe.pasted.share:
            made = [crop.composite or unchanged(crop.rgb, crop.hole) for crop in crops]
            pictures["pasted"] = np.stack([composite.rgb for composite in made])
            masks["foreground"] = np.stack([composite.foreground for composite in made])
        return Cut(first, pictures, masks, frozenset(self.photos.unreadable))

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
            workers: processes that cut crops, see `inpaintcli_training.data.loader`.
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
