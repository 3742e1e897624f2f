"""Pull-push: a hole filled smoothly from its boundary, as a graph of plain layers.

Known colours are averaged down a pyramid of 2x2 means that leaves holes out, then pushed up again
(Gortler et al. 1996, "The Lumigraph", section 3.4); at each level some 3x3 means relax the hole,
which approaches the membrane (the Laplace equation with the known pixels as boundary). It needs no
weights and exports with the network that begins with it.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def membrane(image: Tensor, mask: Tensor, *, levels: int = 6, sweeps: int = 3) -> Tensor:
    """Fill the hole smoothly from its boundary.

    Args:
        image: (n, c, h, w); what it holds in the hole does not matter.
        mask: (n, 1, h, w), 1 in the hole, 0 on known pixels.
        levels: halvings; holes up to about 2**levels pixels from the boundary are reached.
        sweeps: relaxation steps at each level.

    Returns:
        (n, c, h, w): `image` where known, the membrane in the hole.
    """
    known = 1 - mask
    return _push(image * known, known, levels, sweeps)


class Squares(NamedTuple):
    """A picture of one size in squares of 2x2 pixels, each (n, 16, h / 2, w / 2).

    Channels are as `pixel_unshuffle` gives them: four for each of red, green, blue and the mask.
    Computed in this form because an engine takes channels in sixteens: with three of them at full
    size, the membrane took a quarter of the default model's time.
    """

    known: Tensor
    """Colours, 0 in the hole; and the mask."""
    hole: Tensor
    """What is to be filled: 1 on colours in the hole, 0 on others and on the mask."""
    smooth: Tensor
    """As `known`, with the membrane in the hole."""

    def filled(self, colours: Tensor) -> Tensor:
        """What is known, and in the hole `colours`."""
        return self.known + self.hole * colours


def packed_membranes(
    image: Tensor, mask: Tensor, sizes: int = 1, *, levels: int = 6, sweeps: int = 3
) -> list[Squares]:
    """The picture and its membrane at one or more sizes, each half of the one before.

    Half of a size are the means of what is known of 2x2 pixels, a hole where nothing is: the
    pyramid's own next level.

    Args:
        image: (n, 3, h, w) in [-1, 1], h and w multiples of 2 ** (sizes + 1); what it holds in the
            hole does not matter.
        mask: (n, 1, h, w), 1 in the hole.
        sizes: how many.
        levels: as for `membrane`, for the largest size; at least `sizes`.
        sweeps: as for `membrane`.

    Returns:
        The sizes, the largest first.
    """
    with torch.autocast(image.device.type, enabled=False):
        colours = F.conv2d(image * (1 - mask), _PACK[:, :3].to(image), stride=2)
        return _sizes(
            colours + F.conv2d(mask, _PACK[:, 3:].to(image), stride=2), sizes, levels, sweeps
        )


def doubled(squares: Tensor) -> Tensor:
    """Twice the size by bilinear scaling: (n, 16, h, w) -> (n, 16, 2h, 2w), without the mask."""
    with torch.autocast(squares.device.type, enabled=False):
        return _packed_doubled(F.pixel_shuffle(squares.float(), 2))


def unpacked(squares: Tensor) -> Tensor:
    """The colours as a picture: (n, 16, h, w) -> (n, 3, 2h, 2w)."""
    return F.pixel_shuffle(F.conv2d(squares, _COLOURS.to(squares)), 2)


def _sizes(known: Tensor, sizes: int, levels: int, sweeps: int) -> list[Squares]:
    """As `_push`, at several sizes; only what is below the smallest is not in squares."""
    below = _halved(known)
    if sizes > 1:
        smaller = _sizes(below, sizes - 1, levels - 1, sweeps)
        coarse = F.pixel_shuffle(smaller[0].smooth, 2)
    else:
        smaller, planes = [], F.pixel_shuffle(below, 2)
        coarse = _push(planes[:, :3], 1 - planes[:, 3:], levels - 1, sweeps)
    hole = F.conv2d(known, _HOLE.to(known))
    smooth = known + hole * _packed_doubled(coarse)
    part = hole * _nine_over_neighbours(hole)
    for _ in range(sweeps):
        smooth = known + part * _ninth_of_neighbours(smooth)
    return [Squares(known, hole, smooth), *smaller]


def _halved(known: Tensor) -> Tensor:
    """Half the size: means of the known ones of 2x2 pixels, a hole where there is none."""
    sums = F.conv2d(known, _SUMS.to(known), _per_plane(0, -3).to(known), stride=2)
    count = F.conv2d(known, _COUNT.to(known), _per_plane(4, 1).to(known), stride=2).clamp(1, 4)
    # Of the mask's plane: 4 hole pixels less 3 are a hole, fewer are none.
    return torch.maximum(sums / count, _per_plane(-1, 0)[:, None, None].to(known))


def _packed_doubled(planes: Tensor) -> Tensor:
    """Pixels (n, 3 or 4, h, w) to squares (n, 16, h, w) of twice the size; of colours only."""
    kernel = _DOUBLE[:, : planes.shape[1]].to(planes)
    return F.conv2d(F.pad(planes, (1, 1, 1, 1), mode="replicate"), kernel)


def _ninth_of_neighbours(squares: Tensor) -> Tensor:
    """The sum of the 3x3 pixels around each, within the picture, over nine.

    The clamp changes nothing. It keeps engines from multiplying the kernel by the ninth: in bf16
    that is 0.2 % too much, in every sweep of every level, which cost 11 dB of agreement with fp32.
    """
    return F.conv2d(squares, _NINE.to(squares), padding=1).clamp(-9, 9) / 9


def _nine_over_neighbours(squares: Tensor) -> Tensor:
    """9 over the number of 3x3 pixels within the picture: 1, 3/2, 9/4, exact in bf16 as well."""
    column, row = torch.ones_like(squares[:, :1, :, :1]), torch.ones_like(squares[:, :1, :1])
    vertical = 3 / F.conv2d(column, _ROWS.to(column), padding=(1, 0))
    horizontal = 3 / F.conv2d(row, _COLUMNS.to(row), padding=(0, 1))
    return vertical * horizontal


def _push(colour: Tensor, weight: Tensor, levels: int, sweeps: int) -> Tensor:
    """Fill where `weight` is 0; `colour` comes multiplied by a weight of 0 or 1."""
    if levels == 0:
        mean = colour.mean((2, 3), keepdim=True) / weight.mean((2, 3), keepdim=True).clamp(min=1e-6)
        return colour + (1 - weight) * mean
    height, width = colour.shape[2:]
    # A row and a column of nothing stand in for ceil_mode, which OpenVINO refuses on one pixel;
    # they take part in neither colours nor weights, so the quotient is the same.
    summed = F.avg_pool2d(F.pad(colour, (0, 1, 0, 1)), 2)
    share = F.avg_pool2d(F.pad(weight, (0, 1, 0, 1)), 2)
    present = (share > 0).to(colour.dtype)
    coarse = _push(summed / share.clamp(min=0.2), present, levels - 1, sweeps)
    finer = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
    filled = colour + (1 - weight) * finer[:, :, :height, :width]
    for _ in range(sweeps):
        mean = F.avg_pool2d(filled, 3, 1, 1, count_include_pad=False)
        filled = colour + (1 - weight) * mean
    return filled


def _nine() -> Tensor:
    """(4, 4, 3, 3): the sum of the 3x3 pixels around each pixel of a square of 2x2."""
    kernel = torch.zeros(2, 2, 2, 2, 3, 3)
    around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    for y, x in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        for dy, dx in around:
            square_y, square_x = (y + dy) // 2, (x + dx) // 2
            kernel[y, x, (y + dy) % 2, (x + dx) % 2, 1 + square_y, 1 + square_x] = 1
    return kernel.reshape(4, 4, 3, 3)


def _bilinear() -> Tensor:
    """(4, 1, 3, 3): a pixel to 2x2 pixels, as `interpolate` without aligned corners."""
    sides = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
    return torch.einsum("ai,bj->abij", sides, sides).reshape(4, 1, 3, 3)


def _kernel(planes: Tensor, pixels: Tensor) -> Tensor:
    """A convolution's kernel on squares.

    Args:
        planes: (o, i), how much of plane i (red, green, blue, mask) plane o takes.
        pixels: (p, q, k, k), the kernel from the pixels q of a square to the pixels p.

    Returns:
        (o p, i q, k, k).
    """
    return torch.einsum("oi,pqyx->opiqyx", planes, pixels).flatten(2, 3).flatten(0, 1)


def _per_plane(colour: float, mask: float) -> Tensor:
    """(16,): a value for the channels of the colours, and one for those of the mask."""
    return torch.tensor([colour] * 12 + [mask] * 4, dtype=torch.float32)


_ALL, _RGB = torch.eye(4), torch.eye(4)[:3]
_FROM_MASK = torch.zeros(4, 4).index_fill_(1, torch.tensor(3), 1) * torch.tensor(
    [[1.0]] * 3 + [[0]]
)
_SAME = torch.eye(4).reshape(4, 4, 1, 1)
_EACH = torch.eye(4).reshape(4, 1, 2, 2)  # pixel (y, x) of 2x2 becomes channel 2y + x
_PACK = _kernel(_ALL, _EACH)
_COLOURS = _kernel(_RGB, _SAME)
_HOLE = _kernel(_FROM_MASK, _SAME)
_SUMS = _kernel(_ALL, _EACH.expand(4, 4, 2, 2))
_COUNT = _kernel(-_FROM_MASK, _EACH.expand(4, 4, 2, 2))
_NINE = _kernel(_RGB.T @ _RGB, _nine())
_DOUBLE = _kernel(_RGB.T @ _RGB, _bilinear())
_TRIPLE = torch.tensor([[1.0, 2.0, 0.0], [0.0, 2.0, 1.0]])  # of a square and those beside it
_ROWS = _TRIPLE.repeat_interleave(2, 0).repeat(4, 1).reshape(16, 1, 3, 1)
_COLUMNS = _TRIPLE.repeat(2, 1).repeat(4, 1).reshape(16, 1, 1, 3)
