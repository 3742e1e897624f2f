"""Pull-push: a hole filled smoothly from its rim, as a graph of plain layers.

Known colours are averaged down a pyramid of 2x2 means that leaves holes out, then pushed up again
(Gortler et al. 1996, "The Lumigraph", section 3.4); at each level some 3x3 means relax the hole,
which approaches the membrane (the Laplace equation with the rim as boundary). It needs no weights
and exports with the network that begins with it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def membrane(image: Tensor, mask: Tensor, *, levels: int = 6, sweeps: int = 3) -> Tensor:
    """Fill the hole smoothly from its rim.

    Args:
        image: (n, c, h, w); what it holds in the hole does not matter.
        mask: (n, 1, h, w), 1 in the hole, 0 on known pixels.
        levels: halvings; holes up to about 2**levels pixels from the rim are reached.
        sweeps: relaxation steps at each level.

    Returns:
        (n, c, h, w): `image` where known, the membrane in the hole.
    """
    known = 1 - mask
    return _push(image * known, known, levels, sweeps)


def packed_membranes(
    image: Tensor, mask: Tensor, sizes: int = 1, *, levels: int = 6, sweeps: int = 3
) -> list[tuple[Tensor, Tensor]]:
    """The membrane at one or more sizes, each half of the one before, and their masks, packed.

    Packed is what `pixel_unshuffle(..., 2)` gives, and computed in that form: an engine pads three
    channels to sixteen before it pools them, so that at full size the membrane took a quarter of
    the default model's time. In squares of 2x2 pixels the 3x3 mean and the bilinear scaling are
    convolutions with constant kernels, and the padding is nearly used up. Half of a size are the
    means of what is known of 2x2 pixels, a hole where nothing is: the pyramid's own next level.

    Args:
        image: (n, c, h, w), h and w multiples of 2 ** sizes; what it holds in the hole does not
            matter.
        mask: (n, 1, h, w), 1 in the hole.
        sizes: how many.
        levels: as for `membrane`, for the largest size; at least `sizes`.
        sweeps: as for `membrane`.

    Returns:
        For each size, the largest first: (n, 4c, h / 2, w / 2) and (n, 4, h / 2, w / 2).
    """
    with torch.autocast(image.device.type, enabled=False):
        return _pushed_packed(image * (1 - mask), 1 - mask, sizes, levels, sweeps)


def doubled(image: Tensor) -> Tensor:
    """Twice the size by bilinear scaling, packed: (n, c, h, w) -> (n, 4c, h, w)."""
    with torch.autocast(image.device.type, enabled=False):
        picture = image.float()
        kernel = _each(_BILINEAR, image.shape[1]).to(picture)
        return F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), kernel)


def _pushed_packed(
    colour: Tensor, weight: Tensor, sizes: int, levels: int, sweeps: int
) -> list[tuple[Tensor, Tensor]]:
    """As `_push`, at several sizes; only what is below the smallest is not packed."""
    channels = colour.shape[1]
    colour, weight = F.pixel_unshuffle(colour, 2), F.pixel_unshuffle(weight, 2)
    below = _halved(colour, weight)
    if sizes > 1:
        smaller = _pushed_packed(*below, sizes - 1, levels - 1, sweeps)
        coarse = F.pixel_shuffle(smaller[0][0], 2)
    else:
        smaller, coarse = [], _push(*below, levels - 1, sweeps)
    nine = _NINE.to(colour)
    count = F.conv2d(torch.ones_like(weight), nine, padding=1)  # fewer than 9 at the border
    hole = 1 - weight
    filled = colour + _for_each(hole, channels) * doubled(coarse)
    part, nine = _for_each(hole / count, channels), _each(nine, channels)
    for _ in range(sweeps):
        filled = colour + part * F.conv2d(filled, nine, padding=1)
    return [(filled, hole), *smaller]


def _halved(colour: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The means of what is known of 2x2 pixels, and where anything is: packed -> not packed.

    (n, 4c, h, w) and (n, 4, h, w) -> (n, c, h, w) and (n, 1, h, w).
    """
    channels = colour.shape[1] // 4
    sums = torch.eye(channels).repeat_interleave(4, 1)[:, :, None, None].to(colour)
    share = weight.mean(1, keepdim=True)
    return F.conv2d(colour, sums) / 4 / share.clamp(min=0.2), (share > 0).to(colour.dtype)


def _for_each(mask: Tensor, channels: int) -> Tensor:
    """A packed mask for every channel of a packed picture."""
    return torch.cat([mask] * channels, 1)


def _each(kernel: Tensor, channels: int) -> Tensor:
    """A kernel (o, i, 3, 3) for one channel as a dense one that keeps channels apart."""
    outputs, inputs = kernel.shape[:2]
    dense = kernel.new_zeros(channels, outputs, channels, inputs, *kernel.shape[2:])
    for channel in range(channels):
        dense[channel, :, channel] = kernel
    return dense.flatten(2, 3).flatten(0, 1)


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


_NINE, _BILINEAR = _nine(), _bilinear()
