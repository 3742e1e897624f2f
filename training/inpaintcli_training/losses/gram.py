"""Losses on inner products of deep features: non-local correlation and style.

Ma, Liu, Bai, Wang, He and Liu 2019, "Coarse-to-Fine Image Inpainting via Region-wise Convolutions
and Non-local Correlation", equations 2 to 5.
"""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from inpaintcli_training.perceptual.features import Features


def correlation_loss(ours: Tensor, theirs: Tensor, *, rows: int = 512) -> Tensor:
    """How differently positions go with each other (equations 2 and 4).

    sigma sum_ij |f_ij(ours) - f_ij(theirs)|, f_ij the inner product of the features at positions
    i and j. The paper leaves sigma, "the normalization factor by position", open; here it is
    1 / c^2, as in the authors' code, for which lambda_1 was chosen.

    The matrix of all pairs has 4096 x 4096 entries for pool2 of a photo of 256. It is made and
    summed `rows` rows at a time, and made again for the gradient.

    Args:
        ours: features of the composite, (n, c, h, w).
        theirs: of the photo.
        rows: held at a time; smaller ones need less memory and give the same sum.

    Returns:
        The mean over the pictures.
    """
    with torch.autocast(ours.device.type, enabled=False):  # a difference of large numbers
        ours, theirs = ours.float().flatten(2), theirs.detach().float().flatten(2)
        total = ours.new_zeros(())
        for start in range(0, ours.shape[2], rows):
            part = slice(start, start + rows)
            total = total + checkpoint(
                _pair_difference, ours, theirs, part, use_reentrant=False, preserve_rng_state=False
            )
    return total / (ours.shape[0] * ours.shape[1] ** 2)


def _pair_difference(ours: Tensor, theirs: Tensor, part: slice) -> Tensor:
    """Rows of both matrices of inner products, (n, c, positions) each, and how they differ."""
    difference = ours[:, :, part].mT @ ours - theirs[:, :, part].mT @ theirs
    return difference.abs().sum()


def style_loss(ours: Features, theirs: Features) -> Tensor:
    """How differently channels go with each other, summed over layers (equation 5).

    delta_p sum |Phi Phi^T(ours) - Phi Phi^T(theirs)|. The paper leaves delta_p, "the normalization
    factor for the layer by channel", open; here it is 1 / (c h w), as in the authors' code.

    Args:
        ours: layers of the composite by name, (n, c, h, w) each.
        theirs: of the photo; no gradient flows into them.

    Returns:
        The mean over the pictures.
    """
    terms = [
        (_gram(features) - _gram(theirs[name].detach())).abs().sum() / len(features)
        for name, features in ours.items()
    ]
    return torch.stack(terms).sum()


def _gram(features: Tensor) -> Tensor:
    """Inner products of channels over positions: (n, c, h, w) -> (n, c, c), / (c h w)."""
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.mT / flat[0].numel()
