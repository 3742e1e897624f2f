"""LabelMe's files: one a photo, with `shapes`.

The format is that of labelme's `LabelFile`; what lines, points and circles cover is that of
`labelme.utils.shape_to_mask`. Besides polygons, rectangles, circles, lines and points its AI tools
write small masks.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from inpaintcli.errors import UnreadableError
from inpaintcli.masks.annotated import (
    AnnotatedShape,
    Bitmap,
    Line,
    ShapeError,
    Size,
    circle_through,
    numbers,
    outlines,
    pack,
    point,
    points_of,
    rectangle,
)
from inpaintcli.masks.drawings import AnnotatedPicture, Drawing

KEYS = ("shapes", "imagePath", "imageData")
"""Members of such a file, and of no other that is read."""


def read(
    path: Path, wants: Callable[[str], bool], labels: tuple[str, ...]
) -> Iterator[AnnotatedPicture]:
    """The one photo of a file, as `annotations.read`."""
    fields = _fields(path)
    name = str(fields.get("imagePath") or f"{path.stem}.")
    if wants(name):
        try:
            yield AnnotatedPicture(name, (drawing_of(path, fields, labels),))
        except UnreadableError as error:
            yield AnnotatedPicture(name, error=error)


def read_drawing(path: Path, labels: tuple[str, ...] = ()) -> Drawing:
    """The shapes of a file that belongs to a photo by its own name.

    Raises:
        UnreadableError: it is no such file, or a shape of it is wrong.
    """
    return drawing_of(path, _fields(path), labels)


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_bytes())
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{path} is damaged, or not JSON ({error}).") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("shapes"), list):
        raise UnreadableError(
            f"{path} is no file of LabelMe: it has no list of shapes.",
            hint="Files of COCO and VIA are named with --mask FILE.json.",
        )
    return fields


def drawing_of(path: Path, fields: dict[str, Any], labels: tuple[str, ...]) -> Drawing:
    """The shapes of a file's fields.

    Raises:
        UnreadableError: a shape is wrong; the message names it.
    """
    shapes = []
    for number, entry in enumerate(fields["shapes"], 1):
        label = entry.get("label") if isinstance(entry, dict) else None
        if labels and label not in labels:
            continue
        place = f"shape {number}{f' ({label})' if label else ''} of {path.name}"
        try:
            shapes.append(_shape(place, entry))
        except ShapeError as error:
            raise UnreadableError(f"{place[0].upper()}{place[1:]} is wrong: {error}.") from error
    return Drawing(tuple(shapes), _size(fields), path.name)


def _size(fields: dict[str, Any]) -> Size | None:
    height, width = fields.get("imageHeight"), fields.get("imageWidth")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return height, width
    return None


def _shape(place: str, entry: Any) -> AnnotatedShape:
    if not isinstance(entry, dict):
        raise ShapeError("it is no object")
    kind = entry.get("shape_type") or "polygon"
    make = _SHAPES.get(kind)
    if make is None:
        raise ShapeError(f"it is a {kind}; there are {', '.join(_SHAPES)}")
    return make(place, entry)


def _polygon(place: str, entry: dict[str, Any]) -> AnnotatedShape:
    return outlines(place, [points_of(entry.get("points"), 3)])


def _rectangle(place: str, entry: dict[str, Any]) -> AnnotatedShape:
    values = points_of(entry.get("points"), 2)
    if len(values) > 4:
        return outlines(place, [values])
    x, y, other_x, other_y = values
    return rectangle(place, x, y, other_x - x, other_y - y)


def _circle(place: str, entry: dict[str, Any]) -> AnnotatedShape:
    values = points_of(entry.get("points"), 2)
    return circle_through(place, *numbers(values, 4))


def _line(place: str, entry: dict[str, Any]) -> AnnotatedShape:
    return Line(place, pack(points_of(entry.get("points"), 2)))


def _point(place: str, entry: dict[str, Any]) -> AnnotatedShape:
    return point(place, *numbers(points_of(entry.get("points"), 1), 2))


def _mask(place: str, entry: dict[str, Any]) -> AnnotatedShape:
    import cv2

    x, y, *_ = points_of(entry.get("points"), 1)
    try:
        png = base64.b64decode(entry.get("mask") or "", validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise ShapeError("its mask is not base64") from error
    data = np.frombuffer(png, np.uint8)
    found = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if png else None
    if found is None:
        raise ShapeError("its mask is no picture")
    bits = np.packbits(found > 0).tobytes()
    return Bitmap(place, bits, (found.shape[0], found.shape[1]), (round(x), round(y)))


_SHAPES: dict[str, Callable[[str, dict[str, Any]], AnnotatedShape]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "oriented_rectangle": _polygon,
    "circle": _circle,
    "line": _line,
    "linestrip": _line,
    "point": _point,
    "mask": _mask,
}
