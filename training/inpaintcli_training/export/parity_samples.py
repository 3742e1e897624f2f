"""The photos on which an exported graph is compared with torch: the run's own, if they exist."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inpaintcli.errors import InpaintError
from inpaintcli_training.data.photos import Rgb, decode_photo, list_photos

_COUNT = 3


@dataclass(frozen=True)
class ParitySamples:
    """A few photos, uint8 RGB (h, w, 3) each; `about` says where they come from."""

    photos: tuple[Rgb, ...]
    about: str

    def crop(self, number: int, height: int, width: int, rng: np.random.Generator) -> Rgb:
        """A random part of one of them, which is enlarged first if it is too small."""
        photo = self.photos[number % len(self.photos)]
        scale = max(1.0, height / photo.shape[0], width / photo.shape[1])
        if scale > 1:
            rows, columns = (round(side * scale) for side in photo.shape[:2])
            size = (max(width, columns), max(height, rows))
            photo = np.asarray(cv2.resize(photo, size), np.uint8)
        y = int(rng.integers(0, photo.shape[0] - height + 1))
        x = int(rng.integers(0, photo.shape[1] - width + 1))
        return photo[y : y + height, x : x + width]


def find_parity_samples(sources: Sequence[str]) -> ParitySamples:
    """The first readable photos of a run's data; else those of scikit-image; else noise.

    Args:
        sources: the folders, tars, lists and photos of the run; they may no longer exist.
    """
    found = tuple(itertools.islice(_readable(sources), _COUNT))
    if found:
        return ParitySamples(found, "photos of the run")
    try:
        from skimage import data  # a developer's package, need not be installed
    except ImportError:
        noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3))
        return ParitySamples((noise.astype(np.uint8),), "noise")
    # These two are in the package itself; others would be fetched.
    bundled = (data.astronaut(), data.chelsea())  # type: ignore[no-untyped-call]
    return ParitySamples(bundled, "photos of scikit-image")


def _readable(sources: Sequence[str]) -> Iterable[Rgb]:
    for source in sources:
        try:
            for entry in list_photos(Path(source), masks=False):
                photo = decode_photo(entry)
                if photo is not None:
                    yield photo
        except InpaintError:  # moved, or on another machine
            continue
