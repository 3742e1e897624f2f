"""A frozen feature network, with the input conversions that its weights were trained with."""

from enum import StrEnum

import torch
from torch import Tensor, nn

Features = dict[str, Tensor]
"""Layers by name, (n, c, h, w) each, shallow first."""


class Layout(StrEnum):
    """The input that a network's weights were trained with.

    `caffe`: BGR in 0..255 minus the mean of ImageNet. `torchvision`: RGB in 0..1, minus mean,
    divided by standard deviation. `tensorflow`: RGB in -1..1, for Inception. The weights themselves
    do not tell which it is.
    """

    caffe = "caffe"
    torchvision = "torchvision"
    tensorflow = "tensorflow"


# For RGB in 0..255, whatever the network's channel order: x -> (x - mean) / scale.
_MEAN = {
    Layout.caffe: (123.68, 116.779, 103.939),
    Layout.torchvision: (0.485 * 255, 0.456 * 255, 0.406 * 255),
    Layout.tensorflow: (127.5, 127.5, 127.5),
}
_SCALE = {
    Layout.caffe: (1.0, 1.0, 1.0),
    Layout.torchvision: (0.229 * 255, 0.224 * 255, 0.225 * 255),
    Layout.tensorflow: (127.5, 127.5, 127.5),
}


class FeatureNetwork(nn.Module):
    """A frozen network: RGB (n, 3, h, w) in [-1, 1] -> its chosen layers by name, shallow first."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        layers: nn.Sequential,
        taps: dict[int, str],
        file: str = "",
        layout: Layout = Layout.caffe,
    ) -> None:
        """`taps` names the layers to return, by number; `file` names the file of the weights."""
        super().__init__()
        self.layers = layers
        self.taps = taps
        self.file = file
        self.layout = layout
        self.requires_grad_(False)
        mean, scale = torch.tensor(_MEAN[layout]), torch.tensor(_SCALE[layout])
        self.register_buffer("mean", mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: Tensor) -> Features:
        """The outputs of the tapped layers; later layers are not computed."""
        x = ((rgb + 1) * 127.5 - self.mean) / self.scale
        if self.layout is Layout.caffe:
            x = x.flip(1)
        found = {}
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.taps:
                found[self.taps[number]] = x
            if len(found) == len(self.taps):
                break
        return found


def unit(features: Tensor, *, epsilon: float = 1e-10) -> Tensor:
    """Each channel vector of (n, c, h, w) divided by its length plus `epsilon`; 0 stays 0."""
    # The gradient at 0 is 0; that of a plain square root would be infinite.
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (length + epsilon)
