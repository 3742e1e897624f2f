"""AlexNet as in torchvision: one column (Krizhevsky 2014), no response normalisation.

The Caffe network of the same name has two columns and normalisation: a different network, whose
weights are refused.
"""

from pathlib import Path

from torch import nn

from inpaintcli_training.perceptual.features import FeatureNetwork, Layout
from inpaintcli_training.perceptual.weights import load_into, open_weights

_TAPS = {1: "relu1", 4: "relu2", 7: "relu3", 9: "relu4", 11: "relu5"}


def alexnet(folder: Path | None, *, layout: Layout | None = None) -> FeatureNetwork:
    """AlexNet from `alexnet*`, its five ReLUs.

    Raises:
        UsageError: no folder was given.
        UnreadableError: the folder lacks the file, or it holds something else.
    """
    layers = nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip
    file = open_weights(folder, "alexnet", "AlexNet", layout=layout)
    load_into(layers, file)
    return FeatureNetwork(layers, _TAPS, file.path.name, file.layout)
