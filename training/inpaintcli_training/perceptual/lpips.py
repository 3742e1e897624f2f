"""LPIPS (Zhang et al. 2018): a perceptual distance of pictures, linear heads on deep features.

The heads were fitted to torchvision's weights of each network. Weights of another training have
their channels in another order, so that the number would mean nothing: only backbones in
torchvision's layout are accepted; for others there is `distance` without heads, which is not LPIPS.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from inpaintcli.errors import UnreadableError
from inpaintcli_training.perceptual.backbones.alexnet import alexnet
from inpaintcli_training.perceptual.backbones.squeezenet import squeezenet11
from inpaintcli_training.perceptual.backbones.vgg import vgg16
from inpaintcli_training.perceptual.features import FeatureNetwork, Features, Layout, unit
from inpaintcli_training.perceptual.weights import SUFFIXES, read_tensors

Net = Literal["alex", "vgg", "squeeze"]
BACKBONES: dict[Net, Callable[..., FeatureNetwork]] = {
    "alex": alexnet,
    "vgg": vgg16,
    "squeeze": squeezenet11,
}


class Lpips(nn.Module):
    """LPIPS version 0.1; pictures are RGB (n, 3, h, w) in [-1, 1], as in the authors' code."""

    def __init__(self, network: FeatureNetwork, heads: list[Tensor], file: str = "") -> None:
        """One head (1, c, 1, 1) for each tapped layer of the network; `file` holds them."""
        super().__init__()
        self.network = network
        self.file = file
        self.heads = nn.ParameterList([nn.Parameter(head, requires_grad=False) for head in heads])

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """(n,) distances, 0 for equal pictures (equation 1)."""
        return distance(self.network(one), self.network(other), self.heads)


def distance(one: Features, other: Features, heads: Iterable[Tensor] | None = None) -> Tensor:
    """(n,) distances of the features of pictures (Zhang et al. 2018, equation 1).

    Squared differences of unit vectors, weighted by the heads and summed over channels, mean over
    positions, summed over layers. Without heads all channels weigh 1: the paper's baseline.
    """
    terms = []
    weights = list(heads) if heads is not None else [torch.ones(())] * len(one)
    for weight, (name, features) in zip(weights, one.items(), strict=True):
        difference = (unit(features.float()) - unit(other[name].float())).square()
        terms.append((difference * weight.to(difference)).sum(1).mean((1, 2)))
    return torch.stack(terms).sum(0)


def lpips(folder: Path | None, net: Net = "alex") -> Lpips:
    """LPIPS from a backbone in torchvision's layout and the file `lpips*` of its heads.

    The heads are keyed `linK.model.1.weight`, as in the authors' files `weights/v0.1/NET.pth`
    (to be named `lpips_NET.pth`), or with `NET.` before that.

    Raises:
        UsageError: no folder was given.
        UnreadableError: a file is missing, damaged, or does not belong to the other.
    """
    network = BACKBONES[net](folder, layout=Layout.torchvision)
    assert folder is not None  # noqa: S101 - the backbone has raised then
    path, heads = _heads(folder, net)
    widths = {
        "alex": (64, 192, 384, 256, 256),
        "vgg": (64, 128, 256, 512, 512),
        "squeeze": (64, 128, 256, 384, 384, 512, 512),
    }[net]
    shapes = [tuple(head.shape) for head in heads]
    if shapes != [(1, width, 1, 1) for width in widths] or len(network.taps) != len(widths):
        raise UnreadableError(f"{path}: its heads for '{net}' do not fit {network.file}.")
    return Lpips(network, heads, path.name)


def _heads(folder: Path, net: Net) -> tuple[Path, list[Tensor]]:
    """The file with the heads of `net`, and the heads, shallow first."""
    for path in sorted(folder.glob("lpips*")):
        if path.suffix not in SUFFIXES:
            continue
        tensors = read_tensors(path)
        prefix = f"{net}." if any(name.startswith(f"{net}.lin") for name in tensors) else ""
        heads = sorted(name for name in tensors if name.startswith(f"{prefix}lin"))
        if heads and (prefix or net in path.stem.split("_")):
            return path, [tensors[name].float() for name in heads]
    raise UnreadableError(
        f"{folder} has no LPIPS heads for '{net}'.",
        hint=f"Put weights/v0.1/{net}.pth of github.com/richzhang/PerceptualSimilarity there "
        f"as lpips_{net}.pth.",
    )
