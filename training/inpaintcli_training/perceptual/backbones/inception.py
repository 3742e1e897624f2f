"""Inception-v3 as FID is defined on it: the network that Google published in December 2015.

Its layers are those of Szegedy et al. 2016 as in torchvision, with two differences that belong to
FID: average pools do not count the padding, and the last block has a maximum pool where the paper
has an average. The weights are converted from the 2015 file; those of torchvision's Inception are
of another training and would give another number, so they are refused.
"""

from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, cat, nn

from inpaintcli.errors import UnreadableError
from inpaintcli_training.perceptual.features import Layout
from inpaintcli_training.perceptual.weights import WeightsFile, open_weights

DIMENSION = 2048
_SIDE = 299  # px, of the pictures that it was trained on
_CLASSES = 1008
_NAME = "*inception-2015-12-05"

_Kernel = int | tuple[int, int]  # height, width


class Inception(nn.Module):
    """RGB (n, 3, h, w) in [-1, 1], of any size -> the last pool's vectors (n, 2048)."""

    def __init__(self, trunk: nn.Sequential, file: str = "") -> None:
        """`trunk` is what the function `trunk` returns; `file` names the file of its weights."""
        super().__init__()
        self.trunk = trunk
        self.file = file
        self.requires_grad_(False)
        self.eval()

    def forward(self, rgb: Tensor) -> Tensor:
        """Scales to 299 x 299 as pytorch-fid does: bilinear, corners not aligned, not filtered."""
        x = F.interpolate(rgb, (_SIDE, _SIDE), mode="bilinear", align_corners=False)
        vectors: Tensor = self.trunk(x).mean((2, 3))
        return vectors


def inception(folder: Path | None) -> Inception:
    """FID's Inception from a file that holds `inception-2015-12-05` in its name.

    Raises:
        UsageError: no folder was given.
        UnreadableError: the folder lacks the file, or it holds something else.
    """
    file = open_weights(folder, _NAME, "FID's Inception of 2015", layout=Layout.tensorflow)
    network = trunk()
    _load(network, file)
    return Inception(network, file.path.name)


def _load(network: nn.Sequential, file: WeightsFile) -> None:
    """Copy the trunk's tensors; the classifier only serves to recognise the file."""
    classes = len(file.tensors.get("fc.weight", ()))
    if classes != _CLASSES:
        raise UnreadableError(
            f"{file.path} is not FID's Inception: it has {classes} classes, not {_CLASSES}.",
            hint="Torchvision's has 1000, and gives another number.",
        )
    held = {name: w for name, w in file.tensors.items() if _counts(name)}
    counters = {name: w for name, w in network.state_dict().items() if not _counts(name)}
    try:
        network.load_state_dict(held | counters)
    except RuntimeError as error:
        reason = " ".join(str(error).split())  # torch has a line a tensor
        raise UnreadableError(f"{file.path} holds another network: {reason}") from error


def _counts(name: str) -> bool:
    """Whether a tensor affects the features; counters of batches do not."""
    return not name.startswith("fc.") and not name.endswith("num_batches_tracked")


def trunk() -> nn.Sequential:
    """All layers up to the last map (n, 2048, 8, 8), named as in the published file."""
    return nn.Sequential(
        OrderedDict(
            Conv2d_1a_3x3=_Convolution(3, 32, 3, stride=2, pad=False),
            Conv2d_2a_3x3=_Convolution(32, 32, 3, pad=False),
            Conv2d_2b_3x3=_Convolution(32, 64, 3),
            maxpool1=nn.MaxPool2d(3, 2),
            Conv2d_3b_1x1=_Convolution(64, 80, 1),
            Conv2d_4a_3x3=_Convolution(80, 192, 3, pad=False),
            maxpool2=nn.MaxPool2d(3, 2),
            Mixed_5b=_at_35(192, 32),
            Mixed_5c=_at_35(256, 64),
            Mixed_5d=_at_35(288, 64),
            Mixed_6a=_from_35_to_17(288),
            Mixed_6b=_at_17(128),
            Mixed_6c=_at_17(160),
            Mixed_6d=_at_17(160),
            Mixed_6e=_at_17(192),
            Mixed_7a=_from_17_to_8(768),
            Mixed_7b=_at_8(1280, _average()),
            Mixed_7c=_at_8(2048, nn.MaxPool2d(3, 1, 1)),
        )
    )


def _average() -> nn.Module:
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


class _Convolution(nn.Module):
    """A convolution without bias, batch norm, ReLU."""

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: _Kernel,
        *,
        stride: int = 1,
        pad: bool = True,
    ) -> None:
        super().__init__()
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (sides[0] // 2, sides[1] // 2) if pad else (0, 0)
        self.conv = nn.Conv2d(inside, outside, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outside, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.bn(self.conv(x))
        return F.relu(normed)


class _Step(NamedTuple):
    """One convolution, or several side by side on the same map, each of so many channels."""

    channels: int
    kernels: tuple[_Kernel, ...]


def _to(channels: int, *kernels: _Kernel) -> _Step:
    return _Step(channels, kernels)


class _Mixed(nn.Module):
    """Branches of convolutions and a pool on one map; their outputs are concatenated in order.

    The convolutions of a branch are named after it and numbered, as in the file: `branch3x3_1`,
    `branch3x3_2a`, `branch3x3_2b`; a branch with a single one gives it its name.
    """

    def __init__(
        self,
        inside: int,
        branches: dict[str, list[_Step]],
        pool: nn.Module,
        *,
        pooled: int = 0,
        halve: bool = False,
    ) -> None:
        """`pooled`: output channels of a 1x1 convolution after the pool, 0 for none.

        `halve`: the last convolution of each branch has stride 2 and no padding.
        """
        super().__init__()
        self._rows: list[list[list[str]]] = []
        for branch, steps in branches.items():
            row, channels = [], inside
            for number, step in enumerate(steps, 1):
                last = halve and number == len(steps)
                names = _names(branch if len(steps) == 1 else f"{branch}_{number}", step)
                for name, kernel in zip(names, step.kernels, strict=True):
                    convolution = _Convolution(
                        channels, step.channels, kernel, stride=1 + last, pad=not last
                    )
                    self.add_module(name, convolution)
                row.append(names)
                channels = step.channels
            self._rows.append(row)
        self.pool = pool
        self.branch_pool = _Convolution(inside, pooled, 1) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        found = [self._branch(row, x) for row in self._rows]
        return cat([*found, self.branch_pool(self.pool(x))], 1)

    def _branch(self, row: list[list[str]], x: Tensor) -> Tensor:
        for names in row:
            x = cat([self.get_submodule(name)(x) for name in names], 1)
        return x


def _names(name: str, step: _Step) -> list[str]:
    return [name] if len(step.kernels) == 1 else [name + letter for letter in "ab"]


def _at_35(inside: int, pooled: int) -> nn.Module:
    """On maps of 35 x 35: 64 + 64 + 96 channels, and the pool's (Szegedy et al. 2016, figure 5)."""
    branches = {
        "branch1x1": [_to(64, 1)],
        "branch5x5": [_to(48, 1), _to(64, 5)],
        "branch3x3dbl": [_to(64, 1), _to(96, 3), _to(96, 3)],
    }
    return _Mixed(inside, branches, _average(), pooled=pooled)


def _from_35_to_17(inside: int) -> nn.Module:
    branches = {
        "branch3x3": [_to(384, 3)],
        "branch3x3dbl": [_to(64, 1), _to(96, 3), _to(96, 3)],
    }
    return _Mixed(inside, branches, nn.MaxPool2d(3, 2), halve=True)


def _at_17(width: int) -> nn.Module:
    """On maps of 17 x 17: kernels of 1x7 and 7x1 in turn (figure 6)."""
    across, down = (1, 7), (7, 1)
    branches = {
        "branch1x1": [_to(192, 1)],
        "branch7x7": [_to(width, 1), _to(width, across), _to(192, down)],
        "branch7x7dbl": [
            *(_to(width, kernel) for kernel in (1, down, across, down)),
            _to(192, across),
        ],
    }
    return _Mixed(768, branches, _average(), pooled=192)


def _from_17_to_8(inside: int) -> nn.Module:
    branches = {
        "branch3x3": [_to(192, 1), _to(320, 3)],
        "branch7x7x3": [_to(192, 1), _to(192, (1, 7)), _to(192, (7, 1)), _to(192, 3)],
    }
    return _Mixed(inside, branches, nn.MaxPool2d(3, 2), halve=True)


def _at_8(inside: int, pool: nn.Module) -> nn.Module:
    """On maps of 8 x 8: branches that end in kernels of 1x3 and 3x1 side by side (figure 7)."""
    fork = _to(384, (1, 3), (3, 1))
    branches = {
        "branch1x1": [_to(320, 1)],
        "branch3x3": [_to(384, 1), fork],
        "branch3x3dbl": [_to(448, 1), _to(384, 3), fork],
    }
    return _Mixed(inside, branches, pool, pooled=192)
