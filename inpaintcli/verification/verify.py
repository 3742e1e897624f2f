"""Compares a photo with what was made of it, and says what differs besides the hole."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from inpaintcli.imaging.images import parse_picture, read_content
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.options import MetadataPolicy
from inpaintcli.verification.facts import facts_of
from inpaintcli.verification.metadata import compare_metadata
from inpaintcli.verification.pixels import compare_pixels
from inpaintcli.verification.report import Difference, PixelChanges, Verification


@dataclass(frozen=True, eq=False)
class File:
    """A picture file: its name, all its bytes, and the picture in it."""

    name: str
    data: bytes
    picture: Picture

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            UnreadableError: it is missing, damaged or of no supported format.
        """
        return cls.parse(read_content(path), str(path))

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """Take a file that is in memory.

        Raises:
            UnreadableError: it is damaged or of no supported format.
        """
        return cls(name, data, parse_picture(data, name))


def verify_files(
    before: File,
    after: File,
    hole: Mask | None,
    *,
    metadata: MetadataPolicy = "safe",
    converted: bool = False,
) -> Verification:
    """Compare two files.

    Args:
        before: the photo.
        after: what was made of it.
        hole: (h, w) bool, True where pixels may differ, as displayed; None for everywhere.
        metadata: what was asked for when the second one was written; what differs by that is
            expected.
        converted: another format was asked for, so that differences of format and metadata are
            expected: not every format can hold all.
    """
    one, two = before.picture, after.picture
    tags = compare_metadata(one.origin, two.origin, metadata)
    differences = [
        *_form(one, two, converted=converted),
        *_structure(before, after),
        *(replace(tag, expected=tag.expected or converted) for tag in tags),
    ]
    pixels = _pixels(before, after, hole)
    if pixels is not None and pixels.outside:
        differences.append(Difference("pixels", f"{pixels.outside:,} outside the hole"))
    return Verification(before.name, after.name, hole is not None, pixels, tuple(differences))


def _form(one: Picture, two: Picture, *, converted: bool) -> Iterator[Difference]:
    """What differs in kind: format, size, depth, colours, alpha."""
    if one.origin.format != two.origin.format:
        formats = one.origin.format, two.origin.format
        yield Difference("format", "file format", *formats, expected=converted)
    if _size(one) != _size(two):
        yield Difference("size", "width and height", _size(one), _size(two))
    if one.depth != two.depth:
        yield Difference("depth", "bits a channel", str(one.depth), str(two.depth))
    if (one.alpha is None) != (two.alpha is None):
        yield Difference("alpha", "transparency", _has(one.alpha), _has(two.alpha))
    first, second = _colours(one), _colours(two)
    if first != second:
        yield Difference("mode", "colours", first, second, expected=converted)


def _size(picture: Picture) -> str:
    return f"{picture.width}x{picture.height}"


def _has(alpha: object) -> str:
    return "no" if alpha is None else "yes"


def _colours(picture: Picture) -> str:
    """How the file holds colours, in words."""
    if picture.origin.mode in ("palette", "bilevel"):
        return picture.origin.mode
    return "grey" if picture.pixels.shape[2] == 1 else "RGB"


def _structure(before: File, after: File) -> Iterator[Difference]:
    """How files of one format differ in their making."""
    name = before.picture.origin.format
    if name != after.picture.origin.format:
        return
    one, two = (facts_of(each.data, name) for each in (before, after))
    for fact in {**one, **two}:
        if one.get(fact) != two.get(fact):
            yield Difference("structure", fact, one.get(fact, ""), two.get(fact, ""))


def _pixels(before: File, after: File, hole: Mask | None) -> PixelChanges | None:
    """None where pixels cannot be compared one by one."""
    one, two = before.picture, after.picture
    if one.pixels.shape != two.pixels.shape or one.depth != two.depth:
        return None
    return compare_pixels(one, two, (before.data, after.data), hole)
