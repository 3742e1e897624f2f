"""Whether a file with replaced blocks shows what was meant, and nothing else has changed.

It is read again: its coefficients by our own decoder, its pixels by libjpeg.
"""

import io

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.jpeg_blocks.coefficients import Coefficients, read_coefficients
from inpaintcli.imaging.jpeg_blocks.replacing import Region, Replacement, area_of, region_of
from inpaintcli.imaging.jpeg_blocks.structure import SIDE, NotBlockwiseError, Structure
from inpaintcli.imaging.jpeg_blocks.transform import Bools, Floats, any_sampled, sampled, ycbcr

REACH = 1
"""Pixels around a unit that a decoder may smooth over, where chroma is sampled."""
MORE_ERROR, LEAST_ERROR, SMOOTHING = 1.5, 4.0, 0.6
"""Samples differ from what was meant by the error of quantisation, times and plus something for
rounding and clipping, and for smoothing of chroma: a share of its standard deviation."""
_NOT_AS_MEANT = NotBlockwiseError("one of which the result could not be proven")


def decoded(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a file, as stored: (h, w, 1 or 3)."""
    from PIL.JpegImagePlugin import JpegImageFile

    with JpegImageFile(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def check(
    data: bytes,
    replacement: Replacement,
    before: NDArray[np.uint8],
    meant: NDArray[np.uint8],
    changed: Bools,
    *,
    is_rgb: bool,
) -> None:
    """Check a new file.

    Args:
        data: the file.
        replacement: what is in it.
        before: the pixels of the original file, as stored.
        meant: those that the new one should show.
        changed: where they differ.
        is_rgb: the file's components are red, green and blue.

    Raises:
        NotBlockwiseError: it does not show what was meant, or more has changed.
    """
    check_coefficients(read_coefficients(data), replacement.coefficients)
    pixels = decoded(data)
    if pixels.shape != before.shape:
        raise _NOT_AS_MEANT
    structure = replacement.coefficients.structure
    region = region_of(structure, changed)
    if not same_outside(structure, replacement.touched, region, pixels, before):
        raise _NOT_AS_MEANT
    if region is not None:
        pairs = [(region.cut(one), is_rgb) for one in (pixels, meant)]
        found, wanted = (_planes(*pair) for pair in pairs)
        for n in range(len(replacement.touched)):
            _check_filled(replacement, n, found[:, :, n], wanted[:, :, n], region.cut(changed))


def check_coefficients(found: Coefficients, meant: Coefficients) -> None:
    """Compare coefficients, and what they mean.

    Raises:
        NotBlockwiseError: they differ.
    """
    one, two = found.structure, meant.structure
    same = one.frame == two.frame and is_same_coding(one, two)
    if not same or not np.array_equal(found.blocks, meant.blocks):
        raise _NOT_AS_MEANT


def is_same_coding(one: Structure, two: Structure) -> bool:
    """Whether equal coefficients mean equal pictures: size, components and tables are the same."""
    if (one.height, one.width, one.components) != (two.height, two.width, two.components):
        return False
    return all(np.array_equal(one.quantisation[n], two.quantisation[n]) for n in two.quantisation)


def touched_units(structure: Structure, touched: tuple[Bools, ...]) -> Bools:
    """The units of a scan of all components (MCUs) that hold a touched block: (rows, columns)."""
    found: Bools | None = None
    for one, blocks in zip(structure.components, touched, strict=True):
        units = any_sampled(blocks, one.down, one.across)
        found = units if found is None else found | units
    return np.zeros((0, 0), np.bool_) if found is None else found


def touched_pixels(structure: Structure, touched: tuple[Bools, ...], reach: int = REACH) -> Bools:
    """The pixels of those units, and `reach` pixels around them: (h, w)."""
    import cv2

    down, across = (SIDE * factor for factor in structure.most)
    units = touched_units(structure, touched).astype(np.uint8)
    pixels = units.repeat(down, axis=0).repeat(across, axis=1)
    pixels = pixels[: structure.height, : structure.width]
    if reach:
        pixels = np.asarray(cv2.dilate(pixels, np.ones((2 * reach + 1,) * 2, np.uint8)), np.uint8)
    return pixels.astype(np.bool_)


def same_outside(
    structure: Structure,
    touched: tuple[Bools, ...],
    region: Region | None,
    one: NDArray[np.uint8],
    two: NDArray[np.uint8],
) -> bool:
    """Whether two pictures are the same but for the touched units and what is next to them."""
    if region is None:
        return np.array_equal(one, two)
    near = Region(
        max(0, region.top - REACH), region.bottom + REACH,
        max(0, region.left - REACH), region.right + REACH,
    )  # fmt: skip
    if not np.array_equal(one[: near.top], two[: near.top]):
        return False
    if not np.array_equal(one[near.bottom :], two[near.bottom :]):
        return False
    rows = slice(near.top, near.bottom)
    for columns in (slice(0, near.left), slice(near.right, None)):
        if not np.array_equal(one[rows, columns], two[rows, columns]):
            return False
    differ = (near.cut(one) != near.cut(two)).any(axis=2)
    return not (differ & ~near.cut(touched_pixels(structure, touched))).any()


def _planes(pixels: NDArray[np.uint8], is_rgb: bool) -> Floats:
    return pixels.astype(np.float32) if is_rgb or pixels.shape[2] == 1 else ycbcr(pixels)


def _check_filled(
    replacement: Replacement, n: int, found: Floats, wanted: Floats, changed: Bools
) -> None:
    """Compare the changed samples of a component.

    Raises:
        NotBlockwiseError: they differ by more than quantisation explains.
    """
    structure = replacement.coefficients.structure
    area = area_of(structure, structure.components[n])
    mask = any_sampled(changed, *area)
    meant = sampled(wanted, *area)[mask]
    error = float(np.sqrt(((sampled(found, *area)[mask] - meant) ** 2).mean()))
    allowed = MORE_ERROR * replacement.errors[n] + LEAST_ERROR
    if area != (1, 1):
        allowed += SMOOTHING * float(meant.std())
    if error > allowed:
        raise _NOT_AS_MEANT
