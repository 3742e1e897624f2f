"""Validation: hole PSNR on fixed crops of photos that are not trained on."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaintcli.errors import UsageError
from inpaintcli_training import distributed
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.data.photos import SUFFIXES, PhotoEntry, Rgb, decode_photo
from inpaintcli_training.recipe import Recipe

_MASKS = (".mask", "_mask")
_BATCH = 8  # pictures at a time


class Filler(Protocol):
    """What fills a batch: a trainer by its EMA weights, or a finished generator."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def fill(self, batch: Batch) -> Tensor:
        """The batch's photos with their holes filled, (n, 3, h, w) in [-1, 1]."""


@dataclass(frozen=True)
class Validation:
    """Crops (n, 3, crop, crop) in [-1, 1] and their holes (n, 1, crop, crop)."""

    photo: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.photo)

    def hole_psnr(self, filler: Filler) -> float:
        """Mean over pictures of the PSNR in the hole, dB; a trainer fills with its EMA weights.

        The pictures are divided among all processes; all get the same result.
        """
        group = distributed.group()
        ranges = [(i, i + _BATCH) for i in range(0, len(self), _BATCH)]
        total = math.fsum(
            value
            for begin, end in ranges[group.rank :: group.size]
            for value in _psnr(filler, Batch(self.photo[begin:end], self.mask[begin:end]))
        )
        (mean,) = distributed.means([total], filler.device)
        return mean * group.size / len(self)


def _psnr(filler: Filler, batch: Batch) -> Iterator[float]:
    filled = filler.fill(batch).float().cpu()
    squares = ((filled - batch.photo).square() * batch.mask).sum((1, 2, 3))
    pixels = batch.mask.sum((1, 2, 3)) * batch.photo.shape[1]
    for error in (squares / pixels).tolist():
        yield 10 * math.log10(2**2 / max(error, 1e-10))


def read_validation(folder: Path, recipe: Recipe) -> Validation:
    """The photos of a folder that have a mask NAME.mask.EXT or NAME_mask.EXT beside them.

    Each is scaled like a training crop, to the middle of the recipe's short sides, and cropped
    around its hole.

    Raises:
        UsageError: there are none, or a photo and its mask have different sizes.
    """
    crops = [
        _crop(photo, mask, recipe, str(path)) for path, photo, mask in _pairs(folder) if mask.any()
    ]
    if not crops:
        raise UsageError(
            f"{folder} has no photo with a mask to validate on.",
            hint="It holds NAME.jpg and beside it NAME.mask.png, white where the hole is.",
        )
    rgb, hole = (np.stack(parts) for parts in zip(*crops, strict=True))
    photo = torch.from_numpy(rgb).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    return Validation(photo, torch.from_numpy(hole)[:, None].float())


def _pairs(folder: Path) -> Iterator[tuple[Path, Rgb, NDArray[np.bool_]]]:
    pictures = {p.stem: p for p in sorted(folder.glob("*")) if p.suffix.lower() in SUFFIXES}
    for stem, path in pictures.items():
        mask_path = next((pictures[stem + end] for end in _MASKS if stem + end in pictures), None)
        if mask_path is None:
            continue
        photo, mask = decode_photo(PhotoEntry(path)), decode_photo(PhotoEntry(mask_path))
        if photo is not None and mask is not None:
            yield path, photo, mask[:, :, 1] > 127


def _crop(
    photo: Rgb, mask: NDArray[np.bool_], recipe: Recipe, name: str
) -> tuple[Rgb, NDArray[np.bool_]]:
    """A square crop around the hole, at the middle scale of training, and its hole."""
    if photo.shape[:2] != mask.shape:
        raise UsageError(f"{name} and its mask have different sizes.")
    height, width = mask.shape
    side = recipe.crop
    short = max(side, math.sqrt(recipe.short_side[0] * recipe.short_side[1]))
    window = min(height, width, max(1, round(side * min(height, width) / short)))
    ys, xs = np.nonzero(mask)
    middle = len(ys) // 2  # a hole pixel: the middle of a ring-shaped hole is none
    y = min(max(0, int(ys[middle]) - window // 2), height - window)
    x = min(max(0, int(xs[middle]) - window // 2), width - window)
    part, hole = photo[y : y + window, x : x + window], mask[y : y + window, x : x + window]
    how = cv2.INTER_AREA if window > side else cv2.INTER_CUBIC
    rgb = np.asarray(cv2.resize(part, (side, side), interpolation=how), np.uint8)
    share = cv2.resize(hole.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return rgb, np.asarray(share) > 0  # a pixel that is partly hole counts as hole
