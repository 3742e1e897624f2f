"""Shapes of one origin with the size of the picture that they were drawn on."""

from dataclasses import dataclass

from inpaintcli.errors import UnreadableError
from inpaintcli.imaging.masks import check_mask_size, fit_mask
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.masks.shapes import Shape, shapes_mask


@dataclass(frozen=True)
class Drawing:
    """Shapes of one origin.

    size: rows and columns of the picture that they were drawn on, where that is known. origin: the
    file that they are from, empty for the command line.
    """

    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None = None
    origin: str = ""

    def key(self) -> str:
        """A text that is another wherever other pixels would be drawn."""
        return f"{self.size} " + " ".join(shape.key() for shape in self.shapes)

    def mask(self, picture: Picture, *, resize: bool = False, photo_name: str = "") -> Mask:
        """The pixels of all shapes on a picture as displayed.

        As with a mask file: of a photo whose orientation swaps its sides, shapes may be drawn on
        the stored pixels; and shapes drawn on another size are scaled with `resize` only.

        Raises:
            MaskMismatchError: a shape covers no pixel, or the sizes differ.
        """
        photo_name = photo_name or "the photo"
        size = self.size or (picture.height, picture.width)
        names = {"mask_name": self.origin, "picture_name": photo_name}
        check_mask_size(size, picture, resize=resize, **names)
        drawn = shapes_mask(self.shapes, size, photo_name)
        return fit_mask(drawn, picture, resize=resize, **names)


@dataclass(frozen=True)
class AnnotatedPicture:
    """What an annotation file has on one picture.

    file_name: as the file has it. error: a shape is wrong; the others are left out then.
    """

    file_name: str
    drawings: tuple[Drawing, ...] = ()
    error: UnreadableError | None = None
