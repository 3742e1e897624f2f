"""SqueezeNet 1.1 (Iandola et al. 2016; the 1.1 of its repository)."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli_training.perceptual.features import FeatureNetwork, Layout
from inpaintcli_training.perceptual.weights import load_into, open_weights

_TAPS = {1: "relu1", 4: "fire3", 7: "fire5", 9: "fire6", 10: "fire7", 11: "fire8", 12: "fire9"}


class _Fire(nn.Module):
    """SqueezeNet's module: squeeze 1x1, then 1x1 beside 3x3 (Iandola et al. 2016, 3.2)."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


def squeezenet11(folder: Path | None, *, layout: Layout | None = None) -> FeatureNetwork:
    """SqueezeNet 1.1 from `squeezenet1_1*`, seven taps from relu1 to fire9, as LPIPS has them.

    Raises:
        UsageError: no folder was given.
        UnreadableError: the folder lacks the file, or it holds something else.
    """

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    layers = nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), _Fire(64, 16, 64), _Fire(128, 16, 64), pool(),
        _Fire(128, 32, 128), _Fire(256, 32, 128), pool(), _Fire(256, 48, 192),
        _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256),
    )  # fmt: skip
    file = open_weights(folder, "squeezenet1_1", "SqueezeNet 1.1", layout=layout)
    load_into(layers, file)
    return FeatureNetwork(layers, _TAPS, file.path.name, file.layout)
