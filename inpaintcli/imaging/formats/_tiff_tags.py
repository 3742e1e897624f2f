"""TIFF's tags and codes, and the encoding that reader and writer share. Source: TIFF 6.0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.picture import Encoding

UNPACKED, DEFLATE = 1, 8
WHITE_IS_0, BLACK_IS_0, RGB, INDEXED, YCBCR = 0, 1, 2, 3, 6
ASSOCIATED, UNASSOCIATED = 1, 2
ORIENTATION, COLOUR_MAP, XMP, IPTC, ICC = 274, 320, 700, 33723, 34675
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
PHOTOSHOP, LAYERS, SUB_IFDS, C2PA = 34377, 37724, 330, 52545
STRUCTURE = frozenset(
    (*range(254, 260), 262, 263, 264, 265, 266, 273, *range(277, 282), 284, *range(288, 294))
) | {317, 320, *range(322, 326), 330, *range(332, 348), *range(512, 522), *range(529, 533)}
"""Tags about how the pixels are stored, not about what they show."""
BLOCKS = frozenset((XMP, IPTC, ICC, PHOTOSHOP, LAYERS, C2PA))


@dataclass(frozen=True, kw_only=True, eq=False)
class TiffEncoding(Encoding):
    """How the file's samples were coded.

    `byte_order` is little- or big-endian. `compression` is TIFF's number,
    `predictor` 2 for differences between neighbours, 1 for none. `bits` a sample, 8 for
    more. `extras` are the kinds of the channels besides the colours (ASSOCIATED: alpha that is
    multiplied into them), `others` (h, w, n), as displayed, those that are no alpha: selections,
    infrared; the fill does not change them. `colour_map` is the tag's content: all reds, all
    greens, all blues, of 16 bits.
    """

    byte_order: Literal["<", ">"] = "<"
    compression: int = DEFLATE
    predictor: int = 2
    bits: int = 8
    white_is_0: bool = False
    extras: tuple[int, ...] = ()
    others: NDArray[Any] | None = None
    colour_map: tuple[int, ...] = ()

    @property
    def alpha_at(self) -> int | None:
        """Which of `extras` is the alpha: the first one; None without one."""
        kinds = (ASSOCIATED, UNASSOCIATED)
        return next((i for i, kind in enumerate(self.extras) if kind in kinds), None)

    def only_here(self) -> str:
        """What other formats cannot hold, in words."""
        return "" if self.others is None else "channels besides colours and alpha"


def colours_of(colour_map: Sequence[int]) -> NDArray[np.uint8]:
    """The colours (n, 3) of a colour map; some programs write values of 8 bits instead of 16."""
    table = np.asarray(colour_map, np.uint16).reshape(3, -1)
    shift = 8 if table.max(initial=0) > 255 else 0
    return np.ascontiguousarray((table >> shift).T.astype(np.uint8))
