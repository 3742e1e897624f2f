"""Where in the guide an object is, and where in the photo it goes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box, bounding_box
from inpaintcli.masks.parse import BoxInput, parse_box, parse_point
from inpaintcli.masks.shapes import BoxShape, Position
from inpaintcli.objects.segment.prompts import Prompt
from inpaintcli.objects.segment.refine import matte
from inpaintcli.objects.segment.segmentation import segment_objects
from inpaintcli.objects.segment.segmenter import Segmenter

Floats = NDArray[np.float32]
LARGEST = 4
"""Sides of the photo: an object larger than this is refused, as a slip of the pen."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A box of the guide and its place in the photo; all may be shares, or count from the end.

    box: around the object, in the guide; None for the bounding box of a mask. at: the upper left
    corner of the box's place in the photo. size: the width and height of that place; None keeps the
    box's own, in pixels.
    """

    box: BoxShape | None
    at: Position
    size: Position | None = None

    @classmethod
    def parse(cls, box: BoxInput | None, at: BoxInput, size: BoxInput | None = None) -> Self:
        """The placement in the texts of options, or in the numbers of Python.

        Raises:
            UsageError: one of them cannot be read.
        """
        return cls(
            box=None if box is None else parse_box(box),
            at=parse_point(at, "--at"),
            size=None if size is None else parse_point(size, "--size"),
        )

    def region(self, opacity: Floats) -> Box:
        """The box in the guide, in pixels; the bounding box of an opacity where there is no box.

        Raises:
            MaskMismatchError: it is outside the guide, or the opacity is 0 everywhere.
        """
        if self.box is not None:
            return self.box.region(np.zeros(opacity.shape, np.bool_))
        extent = bounding_box(opacity > 0)
        if extent is None:
            raise MaskMismatchError(
                "The guide's mask is empty.", hint="White in it is the object to put in."
            )
        return extent

    def place(self, region: Box, photo: Picture) -> Box:
        """Where the region goes, in pixels of the photo; a part may lie outside.

        Raises:
            UsageError: the size is below one pixel, or far larger than the photo.
        """
        x, y = (round(part) for part in self.at.on(photo.width, photo.height))
        width, height = region.width, region.height
        if self.size is not None:
            width = round(self.size.x.pixels(photo.width))
            height = round(self.size.y.pixels(photo.height))
        if width < 1 or height < 1:
            raise UsageError(
                f"--size is {width}x{height} pixels.", hint="Both sides are at least 1."
            )
        if width > LARGEST * photo.width or height > LARGEST * photo.height:
            raise UsageError(
                f"The object's place is {width}x{height}, the photo {photo.width}x{photo.height}.",
                hint="Name a smaller --size W,H.",
            )
        return Box(y, x, y + height, x + width)


def find_in_guide(guide: Picture, box: BoxShape, segmenter: Segmenter) -> Floats:
    """The opacity of the object in a box of the guide, (h, w) float32, 0 to 1.

    Raises:
        MaskMismatchError: the box is outside the guide, or no object is found in it.
        EngineError: the segmenter failed.
    """
    size = (guide.height, guide.width)
    prompt = Prompt(f"{box.name} of the guide", box=box.region(np.zeros(size, np.bool_)))
    return matte(guide.pixels, segment_objects(guide, [prompt], segmenter))
