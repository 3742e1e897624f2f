"""Contextual attention (Yu et al. 2018, section 4.1), written as matrix products.

Every 3x3 patch of a feature map asks which wholly known patches it resembles, and is put together
from them. The published code extracts patches and uses them as the kernels of convolutions, sample
by sample; no exporter knows such kernels. The same sums are had without patches. The inner product
of two patches is the sum of nine inner products of pixels, nine entries on a diagonal of the Gram
matrix of all pixels. Pasting 3x3 patches with their overlaps averaged is a diagonal sum of the
attention, times the pixels. Products, slices, sums and a softmax: any batch, height and width.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from inpaintcli.errors import UsageError
from inpaintcli_training.recipe import at_least

PROPAGATED = ("attention", "scores")
_LEAST_NORM = 1e-4  # of a patch; the floor of the published code
_NEVER = 1e4  # taken off a score: exp(-1e4) is 0 in every format


@dataclass(frozen=True, kw_only=True)
class Attention:
    """How to match and paste.

    `rate` and `stride` are the paper's two ways to save memory: the attention of a map of p pixels
    has (p / rate^2)^2 / stride^2 entries.
    """

    rate: int = 2  # patches are matched on the map averaged down by this, pasted at full size
    stride: int = 1  # of the background patches, in pixels of the map averaged down
    scale: float = 10.0  # lambda, of the softmax
    propagated: str = "attention"  # what equation 4 sums: `attention`, or `scores` before softmax

    def __post_init__(self) -> None:
        if self.propagated not in PROPAGATED:
            hint = f"It is one of {', '.join(PROPAGATED)}."
            raise UsageError(f"'{self.propagated}' cannot be propagated.", hint=hint)
        at_least(1, self, "rate", "stride")


class Attended(NamedTuple):
    """`features` (n, c, h, w) put together from known patches, and the weights that did it.

    `weights` (n, h', w', H, W) sum to 1 over the last two: how much the patch around pixel (y, x)
    of the map averaged down, h' = h / rate, takes from the one around (stride * Y, stride * X).
    """

    features: Tensor
    weights: Tensor


def attend(features: Tensor, mask: Tensor, how: Attention) -> Attended:
    """Rebuild a map from its known patches.

    Every sample goes by its own mask. A background patch counts only where no pixel of it lies in
    the hole; what lies beyond the map's border counts as known, and as 0. Where a sample has no
    such patch, all count.

    Args:
        features: (n, c, h, w), h and w multiples of `how.rate`.
        mask: (n, 1, h, w), 1 in the hole.
        how: options.

    Returns:
        The features, in float32, and the weights.
    """
    if torch.is_autocast_enabled(features.device.type):
        # bf16 has 3 digits: of scores up to 90 (9 patches of cosine 1, times 10) half a unit.
        with torch.autocast(features.device.type, enabled=False):
            return attend(features.float(), mask.float(), how)
    scores = how.scale * _similarities(F.avg_pool2d(features, how.rate), how.stride)
    usable = _usable(mask, how)
    if how.propagated == "scores":
        scores = _propagated(scores, how.stride)
    flat = (scores + (usable - 1) * _NEVER).flatten(3)
    weights = flat.softmax(3).view_as(scores)
    if how.propagated == "attention":
        weights = _propagated(weights, how.stride) * usable
        weights = weights / weights.sum((3, 4), keepdim=True)
    return Attended(_pasted(weights, features, how), weights)


def most_attended(weights: Tensor, stride: int) -> Tensor:
    """Where each patch looked: the way to the patch that it takes most of.

    Args:
        weights: (n, h, w, H, W), from `attend`.
        stride: of the background patches.

    Returns:
        (n, 2, h, w): rows down and columns to the right, in pixels of the map averaged down.
    """
    height, width, rows, columns = weights.shape[1:]
    best = weights.flatten(3).argmax(3)
    lines = [torch.arange(n, device=weights.device).float() for n in (rows, columns, height, width)]
    there_y = (stride * lines[0])[:, None].expand(rows, columns).flatten()[best]
    there_x = (stride * lines[1])[None].expand(rows, columns).flatten()[best]
    return torch.stack([there_y - lines[2][:, None], there_x - lines[3]], 1)


def _usable(mask: Tensor, how: Attention) -> Tensor:
    """1 for background patches that count: (n, 1, h, w) -> (n, 1, 1, H, W)."""
    hole = F.max_pool2d(mask, how.rate)
    touched = F.max_pool2d(hole, 3, stride=1, padding=1)
    known = 1 - touched[:, :, :: how.stride, :: how.stride]
    none = 1 - known.amax((2, 3), keepdim=True)
    return torch.maximum(known, none)[:, :, None]


def _similarities(x: Tensor, stride: int) -> Tensor:
    """Cosine of every 3x3 patch with every stride-th one: (n, c, h, w) -> (n, h, w, H, W)."""
    n, _, height, width = x.shape
    squares = 9 * F.avg_pool2d(x.square().sum(1, keepdim=True), 3, stride=1, padding=1)
    inverse = squares.clamp(min=_LEAST_NORM**2).rsqrt()
    behind = inverse[:, :, ::stride, ::stride]
    if stride == 1:
        pixels = x.flatten(2)
        gram = (pixels.transpose(1, 2) @ pixels).view(n, height, width, height, width)
        products = _diagonal_sums(gram)
    else:
        patches = _neighbours(x)
        chosen = patches[:, :, ::stride, ::stride]
        products = patches.flatten(2).transpose(1, 2) @ chosen.flatten(2)
        products = products.view(n, height, width, *chosen.shape[2:])
    return products * inverse[:, 0, :, :, None, None] * behind[:, :, None]


def _pasted(weights: Tensor, features: Tensor, how: Attention) -> Tensor:
    """3x3 patches put where they are wanted, overlaps averaged: back to (n, c, h, w).

    The pixels under one pixel of the map averaged down are its channels here. A plane of ones goes
    along: what it becomes is the weight that fell on the map and not beyond its border.
    """
    planes = F.pixel_unshuffle(features, how.rate)
    planes = torch.cat([planes, torch.ones_like(planes[:, :1])], 1)
    n, channels, height, width = planes.shape
    if how.stride == 1:
        matrix = _diagonal_sums(weights).flatten(3).flatten(1, 2)
        sums = matrix @ planes.flatten(2).transpose(1, 2)
        sums = sums.transpose(1, 2).reshape(n, channels, height, width)
    else:
        patches = _neighbours(planes)[:, :, :: how.stride, :: how.stride].flatten(2)
        parts = weights.flatten(3).flatten(1, 2) @ patches.transpose(1, 2)
        parts = parts.transpose(1, 2).reshape(n, 9 * channels, height, width)
        sums = _gathered(parts)
    return F.pixel_shuffle(sums[:, :-1] / sums[:, -1:], how.rate)


def _propagated(scores: Tensor, stride: int) -> Tensor:
    """Left-right, then top-down, k = 3 (equation 4): neighbours that look alike strengthen it.

    One step over the background patches is `stride` pixels, and as many over the foreground.
    """
    return _along(_along(scores, 2, stride), 1, stride)


def _diagonal_sums(matrix: Tensor) -> Tensor:
    """Sum over the 3x3 offsets d of matrix[p + d, q + d], 0 beyond: (n, h, w, h, w) -> same."""
    return _along(_along(matrix, 2, 1), 1, 1)


def _along(matrix: Tensor, axis: int, step: int) -> Tensor:
    """matrix[p, q] + matrix[p + step, q + 1] + matrix[p - step, q - 1] along one axis of both.

    Each axis is a dimension of its own: the end of a row is no neighbour of the next one's start.
    """
    long, short = matrix.shape[axis], matrix.shape[axis + 2]
    margins = [0] * 8  # pairs, the last dimension first
    for dimension, margin in ((axis, step), (axis + 2, 1)):
        margins[2 * (4 - dimension)] = margins[2 * (4 - dimension) + 1] = margin
    wide = F.pad(matrix, margins)
    before = wide.narrow(axis, 0, long).narrow(axis + 2, 0, short)
    after = wide.narrow(axis, 2 * step, long).narrow(axis + 2, 2, short)
    return matrix + before + after


def _neighbours(x: Tensor) -> Tensor:
    """Every pixel's 3x3 patch as channels, 0 beyond the border: (n, c, h, w) -> (n, 9 c, h, w)."""
    height, width = x.shape[2:]
    wide = F.pad(x, (1, 1, 1, 1))
    shifts = [(y, x) for y in range(3) for x in range(3)]
    return torch.cat([wide[:, :, y : y + height, x : x + width] for y, x in shifts], 1)


def _gathered(parts: Tensor) -> Tensor:
    """Patches put back where they were taken, summed: the adjoint of `_neighbours`."""
    n, channels, height, width = parts.shape
    wide = F.pad(parts.view(n, 9, channels // 9, height, width), (1, 1, 1, 1))
    total = torch.zeros_like(parts[:, : channels // 9])
    for number in range(9):
        y, x = 2 - number // 3, 2 - number % 3
        total = total + wide[:, number, :, y : y + height, x : x + width]
    return total
