"""Reconstruction losses of more than one objective. Pictures are (n, 3, h, w) in [-1, 1]."""

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli_training.distributed import mean
from inpaintcli_training.perceptual.features import FeatureNetwork, Features


def hole_l1(predicted: Tensor, photo: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over the hole's pixels and channels; 0 for an empty hole.

    Several processes divide by the mean size of their holes, so that their mean is that of the
    batch.
    """
    error = ((predicted - photo).abs() * mask).sum()
    return error / (mean(mask.sum()) * photo.shape[1]).clamp(min=1)


class FeatureDistance(nn.Module):
    """Distance of unit-normalised deep features (the baseline of Zhang et al. 2018, section 3.1).

    At every position the channel vectors of both pictures are scaled to length 1; their squared
    difference is averaged over positions and pictures and summed over the network's layers.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, filled: Tensor, photo: Tensor) -> Tensor:
        """A scalar, 0 for equal pictures; no gradient flows into `photo`."""
        ours = self.network(filled)
        theirs = self.network(photo.detach())
        total = filled.new_zeros(())
        for name, features in ours.items():
            difference = _unit(features.float()) - _unit(theirs[name].float())
            total = total + difference.square().sum(1).mean()
        return total


def _unit(features: Tensor) -> Tensor:
    """Each channel vector of (n, c, h, w) divided by its length, but for an epsilon in the root.

    Not `features.unit` of LPIPS, whose slope at zero is 1e10; here it is 1e5.
    """
    return features * (features.square().sum(1, keepdim=True) + 1e-10).rsqrt()


def layer_weight(features: Tensor) -> float:
    """w^l = 1000 / C^2, C the layer's channels (DMFN, below equation 5)."""
    return 1e3 / features.shape[1] ** 2


def feature_matching(ours: Features, theirs: Features) -> Tensor:
    """Weighted mean absolute differences, summed over layers (DMFN, equations 8 and 9).

    No gradient flows into `theirs`.
    """
    terms = [
        layer_weight(features) * F.l1_loss(features.float(), theirs[name].detach().float())
        for name, features in ours.items()
    ]
    return sum(terms[1:], start=terms[0])


def distance_to_known(mask: Tensor) -> Tensor:
    """Euclidean distance of every hole pixel to the nearest known one, in pixels; 0 where known.

    Args:
        mask: (n, 1, h, w), 1 in the hole. Without any known pixel, all are a diagonal away.

    Returns:
        (n, 1, h, w) float32 on the mask's device; computed by OpenCV on the CPU.
    """
    holes = (mask[:, 0] > 0.5).to("cpu", torch.uint8).numpy()
    exact = [cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for hole in holes]
    distance = np.minimum(np.stack(exact), np.float32(math.hypot(*mask.shape[2:])))
    return torch.from_numpy(distance)[:, None].to(mask.device)


def spatial_discount(mask: Tensor, gamma: float) -> Tensor:
    """gamma^l in the hole, l the distance to the nearest known pixel (Yu et al. 2018, section 3).

    (n, 1, h, w) -> same, 0 where known: what `hole_l1` takes for a mask to weigh its errors.
    """
    return gamma ** distance_to_known(mask) * mask
