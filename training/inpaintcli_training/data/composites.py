"""Composites for harmonization: an object of a photo in the colours of another photo.

As in Yang et al. 2018, section 3.4: an object of photo I gets the colours of a guide photo and is
pasted onto that; a box around it is then copied back to where the object was. Photo I is the ground
truth: the object is to be harmonized, the rest of the box to be filled.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import UnreadableError
from inpaintcli_training.data.masks import BoolArray, Rng, blob
from inpaintcli_training.data.photos import Rgb
from inpaintcli_training.recipe import Pasted

Floats = NDArray[np.float64]

# RGB to LMS cone responses, and log LMS to the axes l, alpha, beta (Reinhard et al. 2001, equations
# 4 and 6).
_RGB_TO_LMS = np.array(
    [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]]
)
_LMS_TO_LALPHABETA = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ np.array(
    [[1, 1, 1], [1, 1, -2], [1, -1, 0]]
)
_MAX_CONTRAST = 3.0  # of the transfer_colours, each axis: a flat object would become noise


@dataclass(frozen=True)
class Composite:
    """A crop with a pasted object.

    `rgb` is uint8 (side, side, 3), the crop with the box pasted into it; `foreground` (side, side)
    is True on the object, `hole` on the rest of the box. They never overlap.
    """

    rgb: Rgb
    foreground: BoolArray
    hole: BoolArray


def compose(rgb: Rgb, guide: Rgb, found: BoolArray, recipe: Pasted, rng: Rng) -> Composite:
    """Paste an object of the crop back with the guide's colours.

    Args:
        rgb: uint8 (side, side, 3), the crop.
        guide: of the same shape, a crop of another photo.
        found: (side, side), True on an annotated object. If its share of the crop is outside the
            recipe's range, superpixels form an object instead.
        recipe: how to paste.
        rng: the source of randomness.
    """
    low, high = recipe.share_of_crop
    subject = found if low <= found.mean() <= high else superpixel_object(rgb, rng, recipe)
    recoloured = rgb.copy()
    if recipe.background < rng.random():  # the object alone: nothing to fill
        recoloured[subject] = transfer_colours(rgb[subject], guide)
        return Composite(recoloured, subject, np.zeros_like(subject))
    box = _box(subject, rng)
    height, width = (part.stop - part.start for part in box)
    y = int(rng.integers(0, guide.shape[0] - height + 1))
    x = int(rng.integers(0, guide.shape[1] - width + 1))
    recoloured[box] = guide[y : y + height, x : x + width]
    recoloured[subject] = transfer_colours(rgb[subject], guide)
    inside = np.zeros_like(subject)
    inside[box] = True
    return Composite(recoloured, subject, inside & ~subject)


def unchanged(rgb: Rgb, hole: BoolArray) -> Composite:
    """The crop with nothing pasted."""
    return Composite(rgb, np.zeros_like(hole), hole)


def _box(subject: BoolArray, rng: Rng) -> tuple[slice, slice]:
    """The object's bounding box, each side moved outwards by up to a quarter of the box."""
    sides = []
    for axis in (1, 0):
        line = np.atleast_1d(subject.any(axis))
        where = np.flatnonzero(line)
        first, last = int(where[0]), int(where[-1]) + 1
        before, after = rng.uniform(0.02, 0.25, 2) * (last - first)
        sides.append(slice(max(0, first - round(before)), min(len(line), last + round(after))))
    return sides[0], sides[1]


def transfer_colours(source: Rgb, target: Rgb) -> Rgb:
    """Give pixels the mean and deviation of others on each axis of l-alpha-beta.

    Reinhard et al. 2001, equations 10 and 11; but the deviation grows at most threefold.

    Args:
        source: uint8 (..., 3), RGB.
        target: uint8 (..., 3), RGB, of any shape.
    """
    pixels, theirs = rgb_to_lalphabeta(source), rgb_to_lalphabeta(target)
    spread = theirs.std(0) / np.maximum(pixels.std(0), 1e-6)
    moved = (pixels - pixels.mean(0)) * np.minimum(spread, _MAX_CONTRAST) + theirs.mean(0)
    return lalphabeta_to_rgb(moved).reshape(source.shape)


def rgb_to_lalphabeta(rgb: Rgb) -> Floats:
    """uint8 RGB (..., 3) to l, alpha, beta (n, 3); the darkest grey level counts as 1 of 255."""
    lms = np.maximum(rgb.reshape(-1, 3), 1).astype(np.float64) / 255 @ _RGB_TO_LMS.T
    lab: Floats = np.log10(lms) @ _LMS_TO_LALPHABETA.T
    return lab


def lalphabeta_to_rgb(lab: Floats) -> Rgb:
    """l, alpha, beta (n, 3) to uint8 RGB, clipped to 0..255."""
    lms = 10 ** np.minimum(lab @ np.linalg.inv(_LMS_TO_LALPHABETA).T, 2)
    rgb = lms @ np.linalg.inv(_RGB_TO_LMS).T
    return np.asarray(np.clip(np.rint(rgb * 255), 0, 255), np.uint8)


def superpixel_object(rgb: Rgb, rng: Rng, recipe: Pasted) -> BoolArray:
    """An object where none is annotated: the superpixels that lie mostly in a random blob.

    Its outline follows the picture's edges. The blob itself is the object where the superpixels'
    share of the crop is outside the recipe's range.
    """
    side = rgb.shape[0]
    low, high = recipe.share_of_crop
    labels = superpixels(rgb, max(4, side // 12), rng)
    counts = np.bincount(labels.ravel())
    shape = blob(side, rng)
    for _ in range(20):
        covered = np.bincount(labels[shape], minlength=len(counts)) > counts / 2
        snapped: BoolArray = covered[labels]
        if low <= snapped.mean() <= high:
            return snapped
        if low <= shape.mean() <= high:
            return shape
        shape = blob(side, rng)
    shape[:] = False
    middle = slice(side // 3, side - side // 3)
    shape[middle, middle] = True
    return shape


def superpixels(rgb: Rgb, cell: int, rng: Rng) -> NDArray[np.int64]:
    """Watershed superpixels from a jittered grid of seeds (Neubert and Protzel 2014, section II).

    Args:
        rgb: uint8 (h, w, 3).
        cell: pixels between two seeds.
        rng: moves the seeds at random.

    Returns:
        (h, w) labels from 0 on.
    """
    height, width = rgb.shape[:2]
    markers = np.zeros((height, width), np.int32)
    ys, xs = np.mgrid[cell // 2 : height : cell, cell // 2 : width : cell]
    jitter = rng.integers(-(cell // 4), cell // 4 + 1, (2, *ys.shape))
    ys, xs = np.clip(ys + jitter[0], 0, height - 1), np.clip(xs + jitter[1], 0, width - 1)
    markers[ys, xs] = np.arange(1, ys.size + 1).reshape(ys.shape)
    cv2.watershed(np.ascontiguousarray(rgb), markers)
    # Borders between superpixels and the picture's border are -1: they join a neighbour.
    labels = np.maximum(markers, 0).astype(np.float32)
    while (labels == 0).any():
        grown = cv2.dilate(labels, np.ones((3, 3), np.uint8))
        labels = np.where(labels == 0, grown, labels)
    return np.asarray(labels, np.int64) - 1


class Annotations:
    """Objects of photos from a COCO-format JSON file, found by the photo's file name.

    Polygons, uncompressed and compressed run lengths are read. Crowds are left out: they are more
    than one object.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            UnreadableError: it is missing, no JSON, or not in COCO's format.
        """
        self._path = path
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
            self._sizes = {
                names[image["id"]]: (int(image["height"]), int(image["width"]))
                for image in content["images"]
            }
            self._segments: dict[str, list[Any]] = {}
            for entry in content["annotations"]:
                if not entry.get("iscrowd", 0):
                    name = names[entry["image_id"]]
                    self._segments.setdefault(name, []).append(entry["segmentation"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnreadableError(
                f"{path} cannot be read as COCO annotations: {error!r}.",
                hint="pasted.annotations takes a file such as instances_train2017.json.",
            ) from error

    def draw(self, name: str, shape: tuple[int, int], rng: Rng) -> BoolArray | None:
        """One of the photo's objects at random, (h, w); None if it has none.

        Args:
            name: the photo's file name, without folders.
            shape: the photo's height and width; a file that gives another size means another photo,
                so the answer is None.
            rng: the source of randomness.

        Raises:
            UnreadableError: the object's outline is damaged.
        """
        segments = self._segments.get(name, [])
        if not segments or self._sizes[name] != shape:
            return None
        try:
            return decode_segmentation(segments[int(rng.integers(len(segments)))], shape)
        except (ValueError, KeyError, TypeError, cv2.error) as error:
            raise UnreadableError(f"{self._path}: {name} is damaged there: {error!r}.") from error


def decode_segmentation(segmentation: Any, shape: tuple[int, int]) -> BoolArray:
    """A COCO segmentation as a mask (h, w): polygons, or run lengths as a list or a string.

    Raises:
        ValueError, KeyError, TypeError: it is neither, or of another size.
    """
    if isinstance(segmentation, list):
        mask = np.zeros(shape, np.uint8)
        for polygon in segmentation:
            outline = np.rint(np.reshape(polygon, (-1, 2))).astype(np.int32)
            cv2.fillPoly(mask, [outline], 1)  # one by one: drawn together, overlaps would be gaps
        return mask > 0
    counts = segmentation["counts"]
    runs = _runs(counts) if isinstance(counts, str) else counts
    pixels: BoolArray = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return pixels.reshape(shape[::-1]).T  # column after column


def _runs(text: str) -> list[int]:
    """COCO's compressed run lengths: groups of five bits, low first, from character 48 on.

    Bit 32 says that a group follows, the last group's bit 16 is the sign; from the fourth run
    on, the difference to the run before the last is stored.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
