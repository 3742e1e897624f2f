"""New coefficients for the blocks that changed pixels lie in; all others keep theirs.

In a block that holds both, the old coefficients say what the known samples are, more exactly than
decoded pixels do: these are rounded, clipped and, of chroma, interpolated.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.jpeg_blocks.coefficients import Blocks, Coefficients
from inpaintcli.imaging.jpeg_blocks.structure import SIDE, Component, NotBlockwiseError, Structure
from inpaintcli.imaging.jpeg_blocks.transform import (
    Bools,
    Floats,
    any_sampled,
    coefficients_of,
    sampled,
    samples_of,
    ycbcr,
)

BLOCKS_AT_ONCE = 1 << 15
"""Bounds the memory that samples take."""


@dataclass(frozen=True, eq=False)
class Replacement:
    """New coefficients, and where they differ from those of the file.

    `touched` are the blocks that were coded anew, (rows, columns) for each component; `errors` the
    root mean squared differences between their changed samples and what was meant.
    """

    coefficients: Coefficients
    touched: tuple[Bools, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Region:
    """A part of the picture, whole units of a scan: rows `top` to `bottom`, and columns."""

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, plane: NDArray[Any]) -> NDArray[Any]:
        """The region of an array (h, w, ...)."""
        return plane[self.top : self.bottom, self.left : self.right]


def replaced(
    coefficients: Coefficients, pixels: NDArray[np.uint8], changed: Bools, *, is_rgb: bool
) -> Replacement:
    """Code changed pixels anew.

    Args:
        coefficients: of the file.
        pixels: (h, w, 1 or 3), as stored in the file.
        changed: (h, w), where they are not those of the file.
        is_rgb: the file's components are red, green and blue.

    Raises:
        NotBlockwiseError: the file is of other size or colours.
    """
    structure = coefficients.structure
    if pixels.shape != (structure.height, structure.width, len(structure.components)):
        raise NotBlockwiseError("of other size or colours than the picture")
    new = Coefficients(structure, coefficients.blocks.copy())
    touched = [np.zeros(one.size, np.bool_) for one in structure.components]
    errors = [0.0] * len(touched)
    region = region_of(structure, changed)
    if region is not None:
        part = region.cut(pixels)
        planes = part.astype(np.float32) if is_rgb or part.shape[2] == 1 else ycbcr(part)
        for n in range(len(touched)):
            errors[n] = _replace(new, n, touched[n], region, planes[:, :, n], region.cut(changed))
    return Replacement(new, tuple(touched), tuple(errors))


def region_of(structure: Structure, changed: Bools) -> Region | None:
    """The whole units around all changed pixels; None where there are none."""
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not len(rows):
        return None
    down, across = (SIDE * factor for factor in structure.most)
    return Region(
        int(rows[0]) // down * down,
        min(structure.height, (int(rows[-1]) // down + 1) * down),
        int(columns[0]) // across * across,
        min(structure.width, (int(columns[-1]) // across + 1) * across),
    )


def area_of(structure: Structure, one: Component) -> tuple[int, int]:
    """Rows and columns of pixels that a sample of a component stands for."""
    down, across = structure.most
    return down // one.down, across // one.across


def _replace(
    new: Coefficients, n: int, touched: Bools, region: Region, plane: Floats, changed: Bools
) -> float:
    """Set the blocks of a component that hold changed samples; returns the error in them."""
    structure = new.structure
    one, table = structure.components[n], structure.quantisation[structure.components[n].table]
    area = area_of(structure, one)
    mask = _in_blocks(any_sampled(changed, *area))
    wanted = _in_blocks(sampled(plane, *area))
    top, left = region.top // area[0] // SIDE, region.left // area[1] // SIDE
    at = np.argwhere(mask.any(axis=(2, 3)))
    blocks, squares, count = new.plane(n), 0.0, 0
    height, width = -(-structure.height // area[0]), -(-structure.width // area[1])
    for first in range(0, len(at), BLOCKS_AT_ONCE):
        y, x = at[first : first + BLOCKS_AT_ONCE].T
        old: Blocks = blocks[y + top, x + left]
        samples = np.where(mask[y, x], wanted[y, x], samples_of(old, table))
        _repeat_edges(samples, height - SIDE * (y + top), width - SIDE * (x + left))
        coded = coefficients_of(samples, table)
        blocks[y + top, x + left] = coded
        touched[y + top, x + left] = True
        difference = np.clip(samples_of(coded, table), 0, 255) - samples
        squares += float((difference[mask[y, x]].astype(np.float64) ** 2).sum())
        count += int(mask[y, x].sum())
    return float(np.sqrt(squares / max(1, count)))


def _in_blocks(plane: NDArray[Any]) -> NDArray[Any]:
    """A plane as (rows, columns, 8, 8), with zeros behind its end."""
    height, width = plane.shape
    plane = np.pad(plane, ((0, -height % SIDE), (0, -width % SIDE)))
    rows, columns = plane.shape[0] // SIDE, plane.shape[1] // SIDE
    return plane.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)


def _repeat_edges(samples: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
    """Repeat the picture's last samples in blocks (n, 8, 8) that hold so many rows and columns."""
    for last in range(1, SIDE):
        short = columns == last
        samples[short, :, last:] = samples[short, :, last - 1 : last]
        short = rows == last
        samples[short, last:] = samples[short, last - 1 : last]
