"""What a segmenter is asked: where an object is, as a box, a point or a polygon."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.picture import Mask
from inpaintcli.imaging.regions import Box, bounding_box


@dataclass(frozen=True, eq=False)
class Prompt:
    """Where one object is, in pixels of the photo as displayed.

    Exactly one of the three is set. name: in words for the user, `the box 10,20,30,40`. box: the
    whole object lies in it. point: row and column of a pixel of the object. area: (h, w) bool of
    the photo's size, True in an outline around the object that may be loose.
    """

    name: str
    box: Box | None = None
    point: tuple[int, int] | None = None
    area: Mask | None = None

    def __post_init__(self) -> None:
        given = [self.box, self.point, self.area]
        if sum(part is not None for part in given) != 1:
            raise ValueError("a prompt is a box, a point or an area")

    @classmethod
    def of_box(cls, box: Box, size: tuple[int, int]) -> Self:
        """The prompt for a box, which is clipped to a photo of `size`, rows and columns.

        Raises:
            MaskMismatchError: the box covers no pixel of the photo.
        """
        name = f"the box {box.left},{box.top},{box.width},{box.height}"
        inside = Box(
            max(0, box.top), max(0, box.left), min(size[0], box.bottom), min(size[1], box.right)
        )
        if inside.height <= 0 or inside.width <= 0:
            raise outside(name, size)
        return cls(name, box=inside)

    @classmethod
    def of_point(cls, x: float, y: float, size: tuple[int, int]) -> Self:
        """The prompt for a point of the object.

        Raises:
            MaskMismatchError: it lies outside the photo.
        """
        name = f"the point {x:g},{y:g}"
        if not (0 <= x < size[1] and 0 <= y < size[0]):
            raise outside(name, size)
        return cls(name, point=(int(y), int(x)))

    @classmethod
    def of_area(cls, area: Mask, name: str = "the polygon") -> Self:
        """The prompt for an area drawn around the object.

        Raises:
            MaskMismatchError: the area is empty.
        """
        if not area.any():
            raise outside(name, (area.shape[0], area.shape[1]))
        return cls(name, area=area)


@dataclass(frozen=True, eq=False)
class Question:
    """A prompt on a crop of the photo, as segmenters see it.

    rgb: uint8 (h, w, 3) of the crop. box: in which the object is searched for, in pixels of the
    crop; the pixels outside are not the object's. allowed: (h, w) bool, False where the object
    cannot be. point: row and column of a pixel of the object, or None. outlined: `allowed` is an
    outline that was drawn around the object, and not just the box.
    """

    rgb: NDArray[np.uint8]
    box: Box
    allowed: Mask
    point: tuple[int, int] | None = None
    outlined: bool = False


def question_of(
    pixels: NDArray[Any], prompt: Prompt, box: Box, margin: float
) -> tuple[Question, Box]:
    """A prompt on a crop around its box.

    Args:
        pixels: uint8 or uint16 (h, w, 1 or 3), the photo.
        prompt: where the object is.
        box: that of the prompt, or one that was found for its point.
        margin: of the crop around the box, as a share of the square root of the box's area.

    Returns:
        The question, and the crop in pixels of the photo.
    """
    height, width = pixels.shape[:2]
    crop = box.grown(max(8, round(margin * (box.height * box.width) ** 0.5)), height, width)
    inside = box.moved(-crop.top, -crop.left)
    allowed = np.zeros(crop.size, np.bool_)
    if prompt.area is None:
        allowed[inside.slices] = True
    else:
        allowed |= prompt.area[crop.slices]
    point = None
    if prompt.point is not None:
        point = (prompt.point[0] - crop.top, prompt.point[1] - crop.left)
    outlined = prompt.area is not None
    return Question(rgb8(pixels[crop.slices]), inside, allowed, point, outlined), crop


def box_of(prompt: Prompt) -> Box | None:
    """The box around what a prompt names; None for a point."""
    return prompt.box if prompt.area is None else bounding_box(prompt.area)


def rgb8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels as uint8 (h, w, 3); 16 bits are scaled to the range that they have."""
    if pixels.dtype == np.uint16:
        low, high = int(pixels.min()), int(pixels.max())
        scaled = (pixels.astype(np.float32) - low) * np.float32(255 / max(1, high - low))
        pixels = np.rint(scaled).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), np.uint8)


def outside(name: str, size: tuple[int, int]) -> MaskMismatchError:
    """The error of a prompt that lies outside the photo."""
    return MaskMismatchError(
        f"{name[0].upper()}{name[1:]} lies outside the photo, which is {size[1]}x{size[0]} as "
        "displayed.",
        hint="Numbers are pixels of the photo as displayed: X to the right, Y down.",
    )
