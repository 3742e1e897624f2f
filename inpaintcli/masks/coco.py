"""COCO's files: many photos, with `images` and `annotations` (cocodataset.org, "Data format").

They may be larger than memory: they are read item by item, and only the shapes of photos that are
asked for are kept. What has no outline counts with its bounding box.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import UnreadableError
from inpaintcli.masks.annotated import (
    AnnotatedShape,
    ShapeError,
    Size,
    numbers,
    outlines,
    rectangle,
    run_lengths,
)
from inpaintcli.masks.drawings import AnnotatedPicture, Drawing
from inpaintcli.masks.json_stream import open_json

KEYS = ("images", "annotations", "categories")
"""Members of such a file, and of no other that is read."""
MOST_PIXELS = 2**31
"""Of a mask in run lengths."""


@dataclass
class _Found:
    """A photo that is asked for, and its shapes by the size of the picture they are drawn on."""

    file_name: str
    size: Size | None
    shapes: defaultdict[Size | None, list[AnnotatedShape]] = field(
        default_factory=lambda: defaultdict(list)
    )
    error: UnreadableError | None = None


def read(
    path: Path, wants: Callable[[str], bool], labels: tuple[str, ...]
) -> Iterator[AnnotatedPicture]:
    """The photos of a file, as `annotations.read`."""
    found, categories = _images(path, wants, labels)
    if found:
        _add_annotations(path, found, categories)
    for image in found.values():
        drawings = tuple(
            Drawing(tuple(shapes), size, path.name) for size, shapes in image.shapes.items()
        )
        yield AnnotatedPicture(image.file_name, drawings, image.error)


def _images(
    path: Path, wants: Callable[[str], bool], labels: tuple[str, ...]
) -> tuple[dict[Any, _Found], set[Any] | None]:
    """The photos that are asked for, by their ids, and the ids of the categories; None for all."""
    found: dict[Any, _Found] = {}
    categories: set[Any] | None = set() if labels else None
    missing = {"images", "categories"} if labels else {"images"}
    with open_json(path) as stream:
        for name in stream.members():
            if name == "images":
                for image in stream.items():
                    if isinstance(image, dict) and wants(str(image.get("file_name", ""))):
                        found[_id(image.get("id"))] = _Found(str(image["file_name"]), _size(image))
            elif name == "categories" and categories is not None:
                categories |= {
                    _id(one.get("id"))
                    for one in stream.items()
                    if isinstance(one, dict) and one.get("name") in labels
                }
            missing.discard(name)
            if not missing:
                break  # the rest, often most of the file, is read once only
    return found, categories


def _add_annotations(path: Path, found: dict[Any, _Found], categories: set[Any] | None) -> None:
    with open_json(path) as stream:
        for name in stream.members():
            if name != "annotations":
                continue
            for annotation in stream.items():
                image = found.get(_id(annotation.get("image_id")))
                category = _id(annotation.get("category_id"))
                if image is not None and (categories is None or category in categories):
                    _add(path, image, annotation)
            return


def _add(path: Path, image: _Found, annotation: dict[str, Any]) -> None:
    place = f"annotation {annotation.get('id', '')} of {path.name}"
    try:
        shape, size = _shape(place, annotation, image.size)
    except ShapeError as error:
        image.error = image.error or UnreadableError(f"A{place[1:]} is wrong: {error}.")
        return
    image.shapes[size].append(shape)


def _shape(
    place: str, annotation: dict[str, Any], size: Size | None
) -> tuple[AnnotatedShape, Size | None]:
    """The shape of an annotation, and the size of the picture that it is drawn on."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return _of_runs(place, segmentation)
    if segmentation:
        if not isinstance(segmentation, list):
            raise ShapeError("its segmentation is neither polygons nor run lengths")
        return outlines(place, [numbers(ring) for ring in segmentation]), size
    return rectangle(place, *numbers(annotation.get("bbox"), 4)), size


def _of_runs(place: str, runs: dict[str, Any]) -> tuple[AnnotatedShape, Size]:
    height, width = (round(side) for side in numbers(runs.get("size"), 2))
    if height < 1 or width < 1 or height * width > MOST_PIXELS:
        raise ShapeError(f"its size is {width}x{height}")
    counts = runs.get("counts")
    decoded = _decoded(counts) if isinstance(counts, str) else np.array(numbers(counts), np.int64)
    return run_lengths(place, decoded, (height, width)), (height, width)


def _decoded(text: str) -> NDArray[np.int64]:
    """Run lengths from COCO's text (`rleFrString` of cocoapi's maskApi.c).

    Numbers in groups of five bits from the lowest, each in a character from `0` on; the sixth bit
    says that more follow, the fifth of the last one is the sign. From the third on, each is the
    difference to the number two before.
    """
    counts: list[int] = []
    value = shift = 0
    for code in text.encode("utf-8"):
        bits = code - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ShapeError("its run lengths are damaged")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            value -= (1 << shift) if bits & 0x10 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ShapeError("its run lengths are cut off")
    return np.array(counts, np.int64)


def _id(value: Any) -> Any:
    """An id as a key: some tools write a number in one place and its text in another."""
    return str(value)


def _size(image: dict[str, Any]) -> Size | None:
    height, width = image.get("height"), image.get("width")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return height, width
    return None
