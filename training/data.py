"""Photos for training: folders and tar shards, read at random, cropped, flipped, holed.

Every crop is a function of (seed, index) alone. A resumed run therefore sees exactly the
crops that an uninterrupted one would have seen, with nothing to save but a counter.
"""

import logging
import tarfile
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from inpaintcli.errors import UnreadableError, UsageError
from training.composites import Annotations, Composite, compose
from training.masks import random_hole
from training.recipe import Recipe

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
Rgb = NDArray[np.uint8]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """Where the bytes of one photo lie: a whole file, or a stretch of a tar shard."""

    path: Path
    offset: int = 0
    size: int = -1
    name: str = ""  # inside the shard

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.name else str(self.path)

    def read(self) -> bytes:
        """The encoded photo."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class Batch:
    """Photos and holes of one step.

    `photo` is float32 (n, 3, h, w) in [-1, 1]; `mask` is float32 (n, 1, h, w), 1 in the hole.
    `index` is the number of the first crop, the seed of whatever else the step draws.

    Where the recipe pastes objects, `pasted` (n, 3, h, w) is the photo with one pasted in and
    `foreground` (n, 1, h, w) is 1 on it; a crop without one has its photo and zeros.
    """

    photo: torch.Tensor
    mask: torch.Tensor
    index: int = 0
    pasted: torch.Tensor | None = None
    foreground: torch.Tensor | None = None

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        pasted = None if self.pasted is None else self.pasted.to(device)
        foreground = None if self.foreground is None else self.foreground.to(device)
        photo, mask = self.photo.to(device), self.mask.to(device)
        return replace(self, photo=photo, mask=mask, pasted=pasted, foreground=foreground)


@dataclass(frozen=True)
class Crop:
    """One crop: uint8 RGB (side, side, 3), its hole (side, side), and what is pasted, if any."""

    rgb: Rgb
    hole: NDArray[np.bool_]
    composite: Composite | None = None


class Photos:
    """The photos of folders, tar shards and single files, in sorted order.

    Decoded photos are kept in memory up to `cache_bytes`. A photo that cannot be decoded is
    left out of the draw, counted in `unreadable` and named once in the log.
    """

    def __init__(self, sources: list[Path], *, cache_bytes: int = 4 << 30) -> None:
        """Index the members of all sources.

        Raises:
            UnreadableError: a source does not exist.
            UsageError: there is no photo in any of them.
        """
        self.sources = sources
        self.members = [member for source in sources for member in _members(source)]
        if not self.members:
            raise UsageError(
                f"No photo in {', '.join(map(str, sources))}.",
                hint=f"Name folders or tar files with {', '.join(sorted(SUFFIXES))} in them.",
            )
        self.unreadable: set[int] = set()
        self._cache: dict[int, Rgb] = {}
        self._room = cache_bytes
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.members)

    def get(self, index: int) -> Rgb:
        """The photo as uint8 RGB (h, w, 3); the next readable one where `index` is not.

        Raises:
            UnreadableError: none of the photos can be read.
        """
        for step in range(len(self)):
            photo = self._read((index + step) % len(self))
            if photo is not None:
                return photo
        raise UnreadableError("None of the training photos can be decoded.")

    def _read(self, index: int) -> Rgb | None:
        if index in self.unreadable:
            return None
        if index in self._cache:
            return self._cache[index]
        rgb = _decoded(self.members[index])
        if rgb is None:
            self.unreadable.add(index)
            _log.warning("left out, cannot be decoded: %s", self.members[index])
            return None
        with self._lock:
            if self._room >= rgb.nbytes:
                self._cache[index] = rgb
                self._room -= rgb.nbytes
        return rgb


def _decoded(member: Member) -> Rgb | None:
    """The photo upright, as uint8 RGB (h, w, 3); None where that is not possible."""
    try:
        encoded = np.frombuffer(member.read(), np.uint8)
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except (OSError, cv2.error):
        return None
    return None if bgr is None else np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)


def _members(source: Path) -> Iterator[Member]:
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() == ".tar":
                yield from _members(path)
            elif _is_photo(path) and path.is_file():
                yield Member(path)
    elif source.suffix.lower() == ".tar" and source.is_file():
        yield from _shard(source)
    elif source.is_file():
        yield Member(source)
    else:
        hint = "--data takes folders, tar files and photos."
        raise UnreadableError(f"{source} does not exist.", hint=hint)


def _is_photo(path: Path) -> bool:
    """Whether the name is a photo's; masks that lie beside photos are called NAME.mask.EXT."""
    return path.suffix.lower() in SUFFIXES and not path.stem.endswith((".mask", "_mask"))


def _shard(source: Path) -> Iterator[Member]:
    """The photos of a tar; compressed ones are refused, for they cannot be read at random."""
    try:
        with tarfile.open(source, "r:") as tar:
            for info in tar:
                if info.isfile() and _is_photo(Path(info.name)):
                    yield Member(source, info.offset_data, info.size, info.name)
    except (tarfile.TarError, OSError) as error:
        hint = "Shards are uncompressed tar files."
        raise UnreadableError(f"{source} cannot be read as tar: {error}.", hint=hint) from error


class Crops:
    """Random crops with random holes, numbered from 0 without end.

    An epoch is a permutation of the photos; crop `i` shows photo `permutation[i mod n]`.
    """

    def __init__(self, photos: Photos, recipe: Recipe) -> None:
        self.photos = photos
        self.recipe = recipe
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        annotations = recipe.pasted.annotations
        self._annotations = Annotations(Path(annotations)) if annotations else None

    def crop(self, index: int) -> tuple[Rgb, NDArray[np.bool_]]:
        """Crop `index`: uint8 RGB (crop, crop, 3) and its hole (crop, crop)."""
        rgb, rng = self._cut(self.photos.get(self._photo_of(index)), index)
        recipe = self.recipe
        return rgb, random_hole(recipe.crop, rng, recipe.holes, recipe.hole_ratio)

    def _cut(self, picture: Rgb, index: int) -> tuple[Rgb, np.random.Generator]:
        """The part of a photo that crop `index` shows, and the generator for what is drawn next."""
        rng = np.random.default_rng([self.recipe.seed, index])
        rgb = _random_crop(picture, self.recipe.crop, self.recipe.short_side, rng)
        return (rgb[:, ::-1] if rng.random() < 0.5 else rgb), rng

    def batch(self, first: int) -> Batch:
        """The crops `first` to `first + recipe.batch - 1` as tensors."""
        crops = [self.drawn(first + i) for i in range(self.recipe.batch)]
        batch = Batch(_scaled([c.rgb for c in crops]), _masks([c.hole for c in crops]), first)
        if not self.recipe.pasted.share:
            return batch
        nothing = np.zeros_like(crops[0].hole)
        pasted = [c.composite.rgb if c.composite else c.rgb for c in crops]
        foreground = [c.composite.foreground if c.composite else nothing for c in crops]
        return replace(batch, pasted=_scaled(pasted), foreground=_masks(foreground))

    def drawn(self, index: int) -> Crop:
        """Crop `index` as trained on: where something is pasted, the hole is the composite's."""
        rgb, hole = self.crop(index)
        rng = np.random.default_rng([self.recipe.seed, index, 1])
        if rng.random() >= self.recipe.pasted.share:
            return Crop(rgb, hole)
        guide = self.photos.get(int(rng.integers(len(self.photos))))
        guide = _random_crop(guide, self.recipe.crop, self.recipe.short_side, rng)
        composite = compose(rgb, guide, self._object(index), self.recipe.pasted, rng)
        return Crop(rgb, composite.hole, composite)

    def _object(self, index: int) -> NDArray[np.bool_]:
        """An annotated object of crop `index`, cut as the crop is; all False without one."""
        recipe, number = self.recipe, self._photo_of(index)
        photo = self.photos.get(number)
        member = self.photos.members[number]
        mask = None
        if self._annotations and number not in self.photos.unreadable:
            rng = np.random.default_rng([recipe.seed, index, 2])
            name = Path(member.name).name or member.path.name
            mask = self._annotations.draw(name, photo.shape[:2], rng)
        if mask is None:
            return np.zeros((recipe.crop, recipe.crop), np.bool_)
        grey = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
        cut = self._cut(grey, index)[0]
        return np.asarray(cut[..., 0] > 127)

    def batches(self, first: int, ahead: int = 3) -> Generator[Batch, None, None]:
        """All batches from crop `first` on, prepared `ahead` of their use in a thread."""
        size = self.recipe.batch
        pool = ThreadPoolExecutor(1)
        try:
            waiting = [pool.submit(self.batch, first + i * size) for i in range(ahead)]
            while True:
                first += size
                waiting.append(pool.submit(self.batch, first + (ahead - 1) * size))
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _photo_of(self, index: int) -> int:
        epoch, position = divmod(index, len(self.photos))
        if self._epoch[0] != epoch:
            rng = np.random.default_rng([self.recipe.seed, 1, epoch])
            self._epoch = (epoch, rng.permutation(len(self.photos)))
        return int(self._epoch[1][position])


def _scaled(crops: list[Rgb]) -> torch.Tensor:
    """Uint8 (h, w, 3) each -> float32 (n, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _masks(masks: list[NDArray[np.bool_]]) -> torch.Tensor:
    """Bool (h, w) each -> float32 (n, 1, h, w)."""
    return torch.from_numpy(np.stack(masks))[:, None].float()


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
