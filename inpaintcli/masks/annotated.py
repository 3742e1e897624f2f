"""Shapes as annotation tools draw them, in pixels of one picture; kept small, as there are many."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Mask
from inpaintcli.masks.drawing import (
    Points,
    draw_ellipse,
    draw_line,
    draw_polygon,
    draw_rectangle,
    region_within,
)
from inpaintcli.masks.parse import LONGEST
from inpaintcli.masks.shapes import Shape

LINE_WIDTH = 10.0
POINT_RADIUS = 5.0
"""Of lines and points, as LabelMe turns them into masks (`labelme.utils.shape_to_mask`)."""
Size = tuple[int, int]
"""Rows and columns of the picture on which shapes were drawn."""


class ShapeError(ValueError):
    """A shape of an annotation file is wrong; says how."""


@dataclass(frozen=True)
class AnnotatedShape(Shape):
    """A shape of an annotation file.

    `place` names it for the user, such as `shape 3 of photo.json`; it does not count when shapes
    are compared.
    """

    place: str = field(compare=False)

    @property
    def name(self) -> str:
        """As `Shape.name`."""
        return self.place


@dataclass(frozen=True)
class Outlines(AnnotatedShape):
    """One or more polygons, which add up; each float32 x and y of its points as bytes."""

    rings: tuple[bytes, ...]

    def key(self) -> str:
        """As `Shape.key`."""
        return "outlines " + " ".join(ring.hex() for ring in self.rings)

    def draw(self, mask: Mask) -> None:
        """As `Shape.draw`."""
        for ring in self.rings:
            draw_polygon(mask, _points(ring))


@dataclass(frozen=True)
class Rectangle(AnnotatedShape):
    """Left, top, right and bottom."""

    sides: tuple[float, float, float, float]

    def key(self) -> str:
        """As `Shape.key`."""
        return f"rectangle {self.sides}"

    def draw(self, mask: Mask) -> None:
        """As `Shape.draw`."""
        draw_rectangle(mask, *self.sides)


@dataclass(frozen=True)
class Ellipse(AnnotatedShape):
    """Centre, radii, and the angle of the first radius in radians, clockwise from the x axis."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    angle: float = 0.0

    def key(self) -> str:
        """As `Shape.key`."""
        return f"ellipse {self.centre} {self.radii} {self.angle}"

    def draw(self, mask: Mask) -> None:
        """As `Shape.draw`."""
        draw_ellipse(mask, self.centre, self.radii, self.angle)


@dataclass(frozen=True)
class Line(AnnotatedShape):
    """A line through points, float32 x and y as bytes, with a width."""

    points: bytes
    width: float = LINE_WIDTH

    def key(self) -> str:
        """As `Shape.key`."""
        return f"line {self.width} {self.points.hex()}"

    def draw(self, mask: Mask) -> None:
        """As `Shape.draw`."""
        draw_line(mask, _points(self.points), self.width)


@dataclass(frozen=True)
class RunLengths(AnnotatedShape):
    """COCO's run lengths: uint32 numbers of pixels outside, inside, outside ... down the columns.

    They are of a mask of `size`, and are drawn on one of that size only.
    """

    counts: bytes
    size: Size

    def key(self) -> str:
        """As `Shape.key`."""
        return f"runs {self.size} {self.counts.hex()}"

    def draw(self, mask: Mask) -> None:
        """As `Shape.draw`."""
        counts = np.frombuffer(self.counts, np.uint32)
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        mask |= inside.reshape(self.size[::-1]).T


@dataclass(frozen=True)
class Bitmap(AnnotatedShape):
    """A small mask: its bits row by row, as `np.packbits` makes them, and its upper left corner."""

    bits: bytes
    size: Size
    corner: tuple[int, int]

    def key(self) -> str:
        """As `Shape.key`."""
        return f"bitmap {self.corner} {self.size} {self.bits.hex()}"

    def draw(self, mask: Mask) -> None:
        """As `Shape.draw`."""
        (height, width), (left, top) = self.size, self.corner
        bits = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=height * width)
        region = region_within(left, top, left + width, top + height, mask)
        if region.height and region.width:
            mask[region.slices] |= bits.reshape(self.size)[region.moved(-top, -left).slices] > 0


def _points(data: bytes) -> Points:
    return np.frombuffer(data, np.float32).reshape(-1, 2).astype(np.float64)


def numbers(values: Any, count: int | None = None) -> list[float]:
    """Finite numbers of a JSON file.

    Raises:
        ShapeError: they are not, or not as many.
    """
    if not isinstance(values, list | tuple) or not values:
        raise ShapeError("it has no coordinates")
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        raise ShapeError("a coordinate is no number")
    if not all(abs(one) <= LONGEST for one in values):  # also NaN and infinity
        raise ShapeError("a coordinate is not finite, or out of reach")
    if count is not None and len(values) != count:
        raise ShapeError(f"it has {len(values)} numbers, not {count}")
    return [float(one) for one in values]


def points_of(pairs: Any, least: int) -> list[float]:
    """The numbers of points [[x, y], ...], one after the other.

    Raises:
        ShapeError: they are no points, or fewer than `least`.
    """
    if not isinstance(pairs, list):
        raise ShapeError("it has no points")
    if len(pairs) < least:
        raise ShapeError(f"it has {len(pairs)} points, not {least} or more")
    return [number for pair in pairs for number in numbers(pair, 2)]


def outlines(place: str, rings: Iterable[Sequence[float]]) -> Outlines:
    """Polygons from x, y, x, y, ... of each.

    Raises:
        ShapeError: one has fewer than three points, or half a point.
    """
    packed = []
    for ring in rings:
        if len(ring) < 6 or len(ring) % 2:
            raise ShapeError(f"a polygon has {len(ring)} numbers, not two for each of 3 points")
        packed.append(pack(ring))
    return Outlines(place, tuple(packed))


def pack(values: Sequence[float]) -> bytes:
    """Coordinates as the float32 bytes that shapes hold."""
    return np.asarray(values, np.float32).tobytes()


def rectangle(place: str, x: float, y: float, width: float, height: float) -> Rectangle:
    """A rectangle by its upper left corner and its size; a negative size goes the other side."""
    left, right = sorted((x, x + width))
    top, bottom = sorted((y, y + height))
    return Rectangle(place, (left, top, right, bottom))


def circle(place: str, x: float, y: float, radius: float) -> Ellipse:
    """A circle."""
    return Ellipse(place, (x, y), (abs(radius), abs(radius)))


def point(place: str, x: float, y: float) -> Ellipse:
    """A point, as a small disk."""
    return circle(place, x, y, POINT_RADIUS)


def circle_through(place: str, x: float, y: float, other_x: float, other_y: float) -> Ellipse:
    """A circle by its centre and a point on it."""
    return circle(place, x, y, math.hypot(other_x - x, other_y - y))


def run_lengths(place: str, counts: NDArray[np.int64], size: Size) -> RunLengths:
    """COCO's run lengths.

    Raises:
        ShapeError: they are not those of a mask of that size.
    """
    if (counts < 0).any() or int(counts.sum()) != size[0] * size[1]:
        raise ShapeError(f"its run lengths are not those of {size[1]}x{size[0]} pixels")
    return RunLengths(place, counts.astype(np.uint32).tobytes(), size)
