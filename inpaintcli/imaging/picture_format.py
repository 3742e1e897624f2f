"""What every module of `formats` has, so that the door `images` can use each alike."""

from typing import Protocol

from inpaintcli.imaging.picture import Picture


class PictureFormat(Protocol):
    """A module of `inpaintcli.imaging.formats`: one file format."""

    NAME: str
    """The format's name, as in `Origin.format`."""
    SUFFIXES: tuple[str, ...]
    """Suffixes of file names, lower case, with the dot; the usual one first."""
    HOLDS: frozenset[str]
    """Which fields of `Origin` files of this format can hold: icc, exif, xmp, photoshop."""

    def accepts(self, head: bytes) -> bool:
        """Whether a file that begins with `head` (16 bytes, or all of a shorter file) is of it."""

    def read(self, data: bytes, name: str) -> Picture:
        """Decode a file.

        Args:
            data: the whole file.
            name: of the file, for errors.

        Raises:
            UnreadableError: the file is damaged, too large, or cannot come back unchanged.
        """

    def write(self, picture: Picture) -> bytes:
        """Encode a picture, with the metadata and the encoding of its origin, as they are.

        Raises:
            OutputError: the format cannot hold the picture.
        """
