"""`Targets`: the objects that a call names, before the size of a photo is known."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from inpaintcli.errors import UsageError
from inpaintcli.masks.parse import BoxInput, PolygonInput, parse_box, parse_point, parse_polygon
from inpaintcli.masks.shapes import BoxShape, PolygonShape, Position, shapes_mask
from inpaintcli.objects.segment.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Objects, each named by a box around it, by a point of it, or by an outline around it."""

    boxes: tuple[BoxShape, ...] = ()
    points: tuple[Position, ...] = ()
    polygons: tuple[PolygonShape, ...] = ()

    @classmethod
    def parse(
        cls,
        boxes: Iterable[BoxInput] = (),
        points: Iterable[BoxInput] = (),
        polygons: Iterable[PolygonInput] = (),
    ) -> Self:
        """The targets in the texts of options, or in the numbers of a Python call.

        Raises:
            UsageError: one of them is no box, point or polygon.
        """
        return cls(
            boxes=tuple(parse_box(text) for text in boxes),
            points=tuple(parse_point(text) for text in points),
            polygons=tuple(parse_polygon(text) for text in polygons),
        )

    @property
    def count(self) -> int:
        """How many objects there are."""
        return len(self.boxes) + len(self.points) + len(self.polygons)

    def __bool__(self) -> bool:
        return self.count > 0

    def check_any(self) -> None:
        """Refuse to go on without an object.

        Raises:
            UsageError: there is none.
        """
        if not self:
            raise UsageError(
                "Nothing says which object is to be removed.",
                hint="Pass --box X,Y,W,H around it, --point X,Y on it, or --polygon.",
            )

    def __add__(self, other: Self) -> Self:
        return type(self)(
            boxes=self.boxes + other.boxes,
            points=self.points + other.points,
            polygons=self.polygons + other.polygons,
        )

    def on(self, size: tuple[int, int]) -> list[Prompt]:
        """A prompt for each object, on a photo of so many rows and columns.

        Raises:
            MaskMismatchError: one of them lies outside the photo.
        """
        blank, (height, width) = np.zeros(size, np.bool_), size
        return [
            *(Prompt(box.name, box=box.region(blank)) for box in self.boxes),
            *(Prompt.of_point(*point.on(width, height), size) for point in self.points),
            *(
                Prompt.of_area(shapes_mask([polygon], size), polygon.name)
                for polygon in self.polygons
            ),
        ]
