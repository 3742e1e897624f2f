"""JPEG files in which only the blocks of the hole are coded anew; the rest keeps every bit.

Where that cannot be done, `jpeg.write` codes the whole picture, and says why.
"""

import importlib.util
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.formats._jpeg_metadata import SOS, Segment, is_metadata
from inpaintcli.imaging.picture import Picture, stored

if TYPE_CHECKING:
    from inpaintcli.imaging.jpeg_blocks.structure import Piece


ASKED = "that was asked for (--jpeg whole)"


class WholeOnlyError(ValueError):
    """Why the whole picture must be coded anew, as a clause."""


@dataclass(frozen=True, eq=False)
class Source:
    """A photo's file, and its pixels as displayed, by which later changes are found.

    `checksum` tells whether somebody has changed the array itself.
    """

    data: bytes
    pixels: NDArray[np.uint8]
    orientation: int
    checksum: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checksum", zlib.crc32(self.pixels.data))

    def is_unchanged(self) -> bool:
        """Whether `pixels` are still those of the file."""
        return zlib.crc32(self.pixels.data) == self.checksum


def written(
    picture: Picture,
    source: Source,
    segments: tuple[Segment, ...],
    notes: Callable[[str], None],
    *,
    is_rgb: bool,
) -> bytes:
    """The photo's file with other blocks where the picture differs from it.

    Args:
        picture: what to write.
        source: the photo that it was read from.
        segments: its metadata: what may stay of it.
        notes: takes a sentence where the kernels must be compiled first.
        is_rgb: the file's components are red, green and blue.

    Raises:
        WholeOnlyError: it cannot be done, or the result could not be proven.
    """
    before = source.pixels
    if picture.origin.orientation != source.orientation:
        raise WholeOnlyError("the picture is stored in another orientation")
    if picture.pixels.shape != before.shape or not source.is_unchanged():
        raise WholeOnlyError("the picture is of other size or colours than the photo")
    if importlib.util.find_spec("numba") is None:
        raise WholeOnlyError("numba is not installed")
    from inpaintcli.imaging.jpeg_blocks.structure import NotBlockwiseError

    try:
        _prepare(source, notes)
        return _replaced(picture, source, segments, is_rgb=is_rgb)
    except NotBlockwiseError as fault:
        raise WholeOnlyError(f"the file is {fault}") from fault
    except MemoryError as fault:
        raise WholeOnlyError("there is too little memory for its coefficients") from fault


def _prepare(source: Source, notes: Callable[[str], None]) -> None:
    from inpaintcli.imaging.jpeg_blocks.compiling import prepare
    from inpaintcli.imaging.jpeg_blocks.structure import parse_structure

    prepare(notes, progressive=parse_structure(source.data).progressive)


def _replaced(
    picture: Picture, source: Source, segments: tuple[Segment, ...], *, is_rgb: bool
) -> bytes:
    from inpaintcli.imaging.jpeg_blocks import checking, coefficients
    from inpaintcli.imaging.jpeg_blocks.replacing import replaced

    orientation = source.orientation
    before, meant = stored(source.pixels, orientation), stored(picture.pixels, orientation)
    old = coefficients.read_coefficients(source.data)
    changed = np.asarray((before != meant).any(axis=2), np.bool_)
    replacement = replaced(old, meant, changed, is_rgb=is_rgb)
    metadata = _metadata(source.data, old.structure.pieces, segments)
    data = coefficients.encoded(source.data, replacement.coefficients, metadata)
    checking.check(data, replacement, before, meant, changed, is_rgb=is_rgb)
    return data


def _metadata(
    data: bytes, pieces: Iterable["Piece"], segments: tuple[Segment, ...]
) -> Callable[["Piece"], bytes | None]:
    """What to write instead of each piece: the metadata of `segments`, each in its old place.

    Bytes of a segment that stays are left as they are (None); one that lies behind the first scan
    is left out.
    """
    from inpaintcli.imaging.jpeg_blocks.coefficients import packed

    old: dict[int, Segment] = {}
    for piece in pieces:
        if piece.marker == SOS:
            break
        if is_metadata(piece.marker):
            old[piece.start] = piece.marker, data[piece.content : piece.end]
    places = dict(zip(old, placed(list(old.values()), list(segments)), strict=True))

    def instead(piece: "Piece") -> bytes | None:
        if not is_metadata(piece.marker) or places.get(piece.start) == [old.get(piece.start)]:
            return None
        return b"".join(packed(*segment) for segment in places.get(piece.start, ()))

    return instead


def placed(old: list[Segment], new: list[Segment]) -> list[list[Segment]]:
    """The new segments in the places of old ones, in their order: a list for each of `old`.

    A segment that stays has its own place, one that was altered that of its former self.
    """
    found: list[list[Segment]] = []
    for segment in old:
        altered = bool(new) and new[0] not in old
        count = new.index(segment) + 1 if segment in new else int(altered)
        found.append(new[:count])
        del new[:count]
    if found:
        found[-1] += new
    return found
