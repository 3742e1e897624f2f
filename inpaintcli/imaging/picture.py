"""A picture as displayed, with what its file holds besides pixels; the type of masks."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from inpaintcli.imaging.metadata.removals import Removals

Samples = NDArray[np.unsignedinteger[Any]]
Mask = NDArray[np.bool_]
"""(h, w), True where the picture is to be filled."""
Mode = Literal["grey", "rgb", "palette", "bilevel"]


@dataclass(frozen=True)
class Encoding:
    """How a file was coded; formats that need it have their own subclass.

    Where an encoding holds metadata in the file's own form, its subclass cleans and strips them.
    """

    def only_here(self) -> str:
        """What files of other formats cannot hold, in words for the user."""
        return ""

    def whole(self) -> Self:
        """The encoding by which all of the picture is coded anew, of formats that need not."""
        return self

    def cleaned(self, removals: "Removals") -> Self:
        """The encoding without metadata that may show the photo unfilled, see `metadata.policy`."""
        del removals
        return self

    def stripped(self) -> Self:
        """The encoding without metadata."""
        return self


@dataclass(frozen=True, eq=False)
class Palette:
    """A palette, and the index of every pixel.

    `colours` is uint8 (n, 3) RGB with n <= 256, `alphas` uint8 (n,) or None where all is opaque,
    `indices` uint8 (h, w) below n, as displayed.
    """

    colours: NDArray[np.uint8]
    indices: NDArray[np.uint8]
    alphas: NDArray[np.uint8] | None = None

    def expanded(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """The pixels (h, w, 3) and the alpha (h, w), or None, of the indices."""
        alpha = None if self.alphas is None else self.alphas[self.indices]
        return self.colours[self.indices], alpha


@dataclass(frozen=True, eq=False)
class Origin:
    """What the file held besides pixels, for the writer to restore.

    `format` is the name of the file's format. `orientation` is EXIF's (1 to 8): how the stored
    pixels were rotated or flipped to be displayed. `exif` begins with the TIFF header ("II*" or
    "MM*"), without the "Exif" that JPEG puts before it. `mode` matters to writers where it is
    "palette" (with `palette`) or "bilevel". `dpi` is horizontal and vertical. `photoshop` are
    Photoshop's image resources, IPTC among them. `left_out` and `copies` name, for the user,
    contents of the file that no writer keeps; the latter show the picture itself. `remarks` are
    sentences on faults of the file.
    """

    format: str = ""
    mode: Mode = "rgb"
    orientation: int = 1
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    dpi: tuple[float, float] | None = None
    palette: Palette | None = None
    encoding: Encoding = Encoding()
    left_out: str = ""
    remarks: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as displayed, with the origin that its file is restored from.

    `pixels` is uint8 or uint16, (h, w, 1) grey or (h, w, 3) RGB, with the EXIF orientation
    applied and palettes and single bits expanded. `alpha` is (h, w) of the same dtype, straight
    (never multiplied into the colours), or None.

    Raises:
        ValueError: shapes or dtypes are not those (an error of the program, not of a file).
    """

    pixels: Samples
    alpha: Samples | None = None
    origin: Origin = Origin()

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels are {dtype} {shape}, not uint8 or uint16 (h, w, 1 or 3)")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (shape[:2], dtype):
            raise ValueError(f"alpha is {self.alpha.dtype} {self.alpha.shape}, pixels are {shape}")

    @property
    def height(self) -> int:
        """Rows, as displayed."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns, as displayed."""
        return int(self.pixels.shape[1])

    @property
    def depth(self) -> int:
        """Bits a channel: 8 or 16."""
        return 8 * int(self.pixels.dtype.itemsize)

    def with_pixels(self, pixels: Samples) -> "Picture":
        """The same picture with other pixels of the same shape and dtype; alpha stays.

        Raises:
            ValueError: shape or dtype differ.
        """
        if (pixels.shape, pixels.dtype) != (self.pixels.shape, self.pixels.dtype):
            raise ValueError(
                f"new pixels are {pixels.dtype} {pixels.shape}, "
                f"the picture is {self.pixels.dtype} {self.pixels.shape}"
            )
        return replace(self, pixels=pixels)

    def with_alpha(self, alpha: Samples | None) -> "Picture":
        """The same picture with another alpha: a filled hole that was transparent must be visible.

        Raises:
            ValueError: shape or dtype do not fit the pixels.
        """
        return replace(self, alpha=alpha)


def displayed(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An array (h, w, ...) as stored in a file, rotated and flipped by EXIF's `orientation`."""
    transforms = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }
    return (
        np.ascontiguousarray(transforms[orientation](stored))
        if orientation in transforms
        else stored
    )


def stored(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The inverse of `displayed`: an array as it is stored in a file."""
    return displayed(pixels, {6: 8, 8: 6}.get(orientation, orientation))
