"""Losses that more than one objective uses. Pictures are (n, 3, h, w) in [-1, 1]."""

from torch import Tensor, nn

from training.networks import FeatureNetwork


def hole_l1(predicted: Tensor, photo: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over the hole's pixels and channels; 0 for an empty hole."""
    error = ((predicted - photo).abs() * mask).sum()
    return error / (mask.sum() * photo.shape[1]).clamp(min=1)


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
    """Each channel vector of (n, c, h, w) divided by its length; smooth at zero."""
    return features * (features.square().sum(1, keepdim=True) + 1e-10).rsqrt()
