"""Shapes on a photo: boxes and polygons of the command line, which suit photos of every size.

What annotation tools draw is in annotated.py. All coordinates are those of the photo as displayed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box
from inpaintcli.masks.drawing import draw_polygon, draw_rectangle, region_within


class Shape(ABC):
    """A shape on a photo; a value that can be compared, hashed and sent to another process."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The shape in words for the user: `the box 10,20,30,40`."""

    @abstractmethod
    def draw(self, mask: Mask) -> None:
        """Set the pixels of a mask, of the photo's size, whose centres lie in the shape."""

    @abstractmethod
    def key(self) -> str:
        """A text that is another for every other shape; names do not count."""


@dataclass(frozen=True)
class Length:
    """A number of pixels, or a share of the photo's side in percent."""

    value: float
    is_share: bool = False

    def pixels(self, side: int) -> float:
        """Pixels, on a photo whose side has so many."""
        return self.value * side / 100 if self.is_share else self.value

    def position(self, side: int) -> float:
        """A place on that side: negative lengths count from its end."""
        pixels = self.pixels(side)
        return pixels + side if pixels < 0 else pixels

    def __str__(self) -> str:
        return f"{self.value:.15g}{'%' if self.is_share else ''}"


@dataclass(frozen=True)
class Position:
    """A point of a photo; negative numbers count from the right and from the bottom."""

    x: Length
    y: Length

    def on(self, width: int, height: int) -> tuple[float, float]:
        """X and y in pixels of a photo of that size."""
        return self.x.position(width), self.y.position(height)

    def __str__(self) -> str:
        return f"{self.x},{self.y}"


@dataclass(frozen=True)
class BoxShape(Shape):
    """A box: its upper left corner, and its size, which is positive."""

    corner: Position
    width: Length
    height: Length

    @property
    def name(self) -> str:
        """As `Shape.name`."""
        return f"the box {self}"

    def __str__(self) -> str:
        return f"{self.corner},{self.width},{self.height}"

    def key(self) -> str:
        """As `Shape.key`."""
        return f"box {self}"

    def draw(self, mask: Mask) -> None:
        """As `Shape.draw`."""
        draw_rectangle(mask, *self._sides(mask))

    def region(self, mask: Mask) -> Box:
        """The box in pixels of a mask of the photo's size, clipped to it.

        Raises:
            MaskMismatchError: it covers no pixel.
        """
        region = region_within(*self._sides(mask), mask)
        if not region.height or not region.width:
            raise covers_nothing(self, mask, "the photo")
        return region

    def _sides(self, mask: Mask) -> tuple[float, float, float, float]:
        rows, columns = mask.shape
        left, top = self.corner.on(columns, rows)
        return left, top, left + self.width.pixels(columns), top + self.height.pixels(rows)


@dataclass(frozen=True)
class PolygonShape(Shape):
    """A polygon of three or more points; where it crosses itself, by the even-odd rule."""

    points: tuple[Position, ...]

    @property
    def name(self) -> str:
        """As `Shape.name`; a long one by its first points."""
        first = ";".join(str(point) for point in self.points[:4])
        return f"the polygon {first}{';...' if len(self.points) > 4 else ''}"

    def key(self) -> str:
        """As `Shape.key`."""
        return "polygon " + ";".join(str(point) for point in self.points)

    def draw(self, mask: Mask) -> None:
        """As `Shape.draw`."""
        height, width = mask.shape
        draw_polygon(mask, np.array([point.on(width, height) for point in self.points]))


def shapes_mask(
    shapes: Iterable[Shape], size: tuple[int, int], photo_name: str = "the photo"
) -> Mask:
    """The pixels of all shapes together.

    Args:
        shapes: to be drawn.
        size: rows and columns of the photo, as displayed.
        photo_name: for the error.

    Returns:
        Bool (h, w), True in a shape.

    Raises:
        MaskMismatchError: a shape covers no pixel; the message names it.
    """
    mask, alone = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for shape in shapes:
        shape.draw(alone)
        if not alone.any():
            raise covers_nothing(shape, mask, photo_name)
        mask |= alone
        alone[:] = False
    return mask


def covers_nothing(shape: Shape, mask: Mask, photo_name: str) -> MaskMismatchError:
    """The error of a shape that covers no pixel of a photo."""
    name = f"{shape.name[0].upper()}{shape.name[1:]}"
    return MaskMismatchError(
        f"{name} covers no pixel of {photo_name}, which is {mask.shape[1]}x{mask.shape[0]} "
        "as displayed.",
        hint="Numbers are pixels or shares (70%); negative ones count from the right or bottom.",
    )
