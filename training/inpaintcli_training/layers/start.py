"""What a network begins from: the photo with a grey hole, or with a smooth fill in it.

`grey` is the form of the papers: the hole is 0, and the network predicts colours. With `membrane`
the hole is filled smoothly from its boundary (`layers.pullpush`) and the network adds a correction,
whose last layer starts at zero: an untrained network already fills as a classical method does.

A network may see the picture in squares of `square` x `square` pixels, as `pixel_unshuffle` packs
them: each of its positions then stands for a square, at a fraction of the arithmetic.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from inpaintcli.errors import UsageError
from inpaintcli_training.layers.pullpush import membrane, packed_membranes

STARTS = ("grey", "membrane")
SQUARES = (1, 2)


class Opening(NamedTuple):
    """A picture with a hole as a network sees it; h and w in units of squares."""

    colours: Tensor
    """(n, 3 * square**2, h, w) in [-1, 1]: known pixels; in the hole grey, or the smooth fill."""
    mask: Tensor
    """(n, square**2, h, w), 1 in the hole."""

    @property
    def planes(self) -> Tensor:
        """Colours and mask together, (n, 4 * square**2, h, w)."""
        return torch.cat([self.colours, self.mask], 1)

    def plus(self, change: Tensor) -> "Opening":
        """With something added in the hole: colours on grey, a correction on a smooth fill."""
        return Opening(self.colours + self.mask.repeat(1, 3, 1, 1) * change, self.mask)


def check_start(start: str, square: int = 1) -> None:
    """Check the two settings of a generator.

    Raises:
        UsageError: there is no such start, or no squares of this side.
    """
    if start not in STARTS:
        raise UsageError(f"A network cannot start from '{start}'.", hint="grey and membrane exist.")
    if square not in SQUARES:
        raise UsageError(f"square is {square}, but must be 1 or 2.")


def opening(image: Tensor, mask: Tensor, start: str, square: int = 1) -> Opening:
    """The picture as a network sees it.

    Args:
        image: (n, 3, h, w) in [-1, 1], h and w multiples of `square`, of 4 for a membrane in
            squares; what it holds in the hole does not matter.
        mask: (n, 1, h, w), 1 in the hole.
        start: grey or membrane.
        square: side of the squares, pixels.
    """
    if start == "grey":
        return Opening(_packed(image * (1 - mask), square), _packed(mask, square))
    with torch.autocast(image.device.type, enabled=False):
        if square == 2:
            squares = packed_membranes(image, mask)[0]
            return Opening(squares.smooth[:, :12], squares.known[:, 12:])
        return Opening(_packed(membrane(image, mask), square), _packed(mask, square))


def unpacked(squares: Tensor, square: int) -> Tensor:
    """Squares to a picture: (n, c * square**2, h, w) -> (n, c, h * square, w * square)."""
    return F.pixel_shuffle(squares, square) if square > 1 else squares


def _packed(picture: Tensor, square: int) -> Tensor:
    return F.pixel_unshuffle(picture, square) if square > 1 else picture
