"""Boxes, polygons and points from the command line's text, or from numbers of Python.

A number is pixels or a share, `70%`. Texts are `X,Y,W,H`, `X,Y;X,Y;X,Y` and `X,Y`.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from inpaintcli.errors import UsageError
from inpaintcli.masks.shapes import BoxShape, Length, PolygonShape, Position

LONGEST = 10_000_000
"""Pixels, or percent: no photo has a side as long."""
Number = float | str
BoxInput = str | Sequence[Number]
"""A box as text, or its four numbers."""
PolygonInput = str | Sequence[str | Sequence[Number]]
"""A polygon as text, or its points, each as text or two numbers."""
_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(%?)")


def parse_box(box: BoxInput, option: str = "--box") -> BoxShape:
    """A box: `X,Y,W,H`, or the four numbers.

    Raises:
        UsageError: it is none; the message names it, and `option`.
    """
    where = f"{option} {_text(box, ',')}"
    numbers = _numbers(box, where)
    if len(numbers) != 4:
        raise UsageError(
            f"{where}: a box has four numbers, this one has {len(numbers)}.",
            hint="Write X,Y,W,H: the left and upper side, the width and the height.",
        )
    x, y, width, height = numbers
    if width.value <= 0 or height.value <= 0:
        raise UsageError(
            f"{where}: width and height are {width} and {height}; both must be above 0."
        )
    return BoxShape(Position(x, y), width, height)


def parse_polygon(polygon: PolygonInput, option: str = "--polygon") -> PolygonShape:
    """A polygon: `X,Y;X,Y;X,Y` or its points.

    Raises:
        UsageError: it is none; the message names it, and `option`.
    """
    where = f"{option} {_shortened(_text(polygon, ';'))}"
    points = polygon.split(";") if isinstance(polygon, str) else list(polygon)
    while points and isinstance(points[-1], str) and not points[-1].strip():
        points.pop()  # a semicolon at the end
    if len(points) < 3:
        raise UsageError(
            f"{where}: a polygon has three points or more, this one has {len(points)}.",
            hint="Write X,Y;X,Y;X,Y with quotes around it, as a shell ends commands at semicolons.",
        )
    return PolygonShape(tuple(_position(point, where) for point in points))


def parse_point(point: BoxInput, option: str = "--point") -> Position:
    """A point: `X,Y`, or the two numbers.

    Raises:
        UsageError: it is none; the message names it, and `option`.
    """
    return _position(point, f"{option} {_text(point, ',')}")


def boxes_of(value: Any) -> list[BoxInput]:
    """One box, or a sequence of boxes, of a Python call, as a list."""
    return _several(value, _is_box)


def polygons_of(value: Any) -> list[PolygonInput]:
    """One polygon, or a sequence of polygons, of a Python call, as a list."""
    return _several(value, _is_polygon)


def _several(value: Any, is_one: Callable[[object], bool]) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable):
        raise TypeError(f"a shape is a text or numbers, not {type(value).__name__}")
    items = list(value)
    return items if not items or is_one(items[0]) else [items]


def _is_box(item: object) -> bool:
    return "," in item if isinstance(item, str) else isinstance(item, Iterable)


def _is_polygon(item: object) -> bool:
    if isinstance(item, str):
        return ";" in item
    return isinstance(item, Iterable) and any(isinstance(point, str | Iterable) for point in item)


def _position(point: str | Sequence[Number], where: str) -> Position:
    numbers = _numbers(point, where)
    if len(numbers) != 2:
        raise UsageError(f"{where}: '{_text(point, ',')}' is not a point.", hint="Write X,Y.")
    return Position(*numbers)


def _numbers(value: str | Sequence[Number], where: str) -> list[Length]:
    items = value.split(",") if isinstance(value, str) else list(value)
    return [_length(item, where) for item in items]


def _length(item: Number, where: str) -> Length:
    text = item if isinstance(item, str) else f"{item:f}" if _is_number(item) else ""
    found = _NUMBER.fullmatch(text.strip())
    number = float(found[1]) if found else math.inf
    if found is None or abs(number) > LONGEST:
        raise UsageError(
            f"{where}: '{item}' is not a number of pixels, nor a share.",
            hint="Write numbers such as 120, 12.5, 70% or -300.",
        )
    return Length(number + 0.0, found[2] == "%")


def _is_number(item: object) -> bool:
    return isinstance(item, int | float | np.number) and not isinstance(item, bool)


def _text(value: object, separator: str) -> str:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return str(value)
    return separator.join(_text(item, ",") for item in value)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
