"""Pretrained feature networks for losses, read from local files and never fetched.

`--features DIR` names a folder with the safetensors files below, keyed as torchvision keys them
(`features.N.weight`). The networks take BGR in 0..255 minus the ImageNet mean, which is folded
in here: everything in this module takes RGB in [-1, 1].
"""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from inpaintcli.errors import UnreadableError, UsageError

_BGR_MEAN = (103.939, 116.779, 123.68)


class FeatureNetwork(nn.Module):
    """A frozen network: RGB (n, 3, h, w) in [-1, 1] -> its chosen layers by name, shallow first."""

    mean: Tensor

    def __init__(self, layers: nn.Sequential, taps: dict[int, str], file: str = "") -> None:
        """Tap `layers` after those that `taps` names by number; `file` is where they come from."""
        super().__init__()
        self.layers = layers
        self.taps = taps
        self.file = file
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_BGR_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: Tensor) -> dict[str, Tensor]:
        """The tapped layers' outputs, computed no deeper than the last of them."""
        x = (rgb.flip(1) + 1) * 127.5 - self.mean
        found = {}
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.taps:
                found[self.taps[number]] = x
            if len(found) == len(self.taps):
                break
        return found


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


def squeezenet11(folder: Path | None) -> FeatureNetwork:
    """SqueezeNet 1.1 (Iandola et al. 2016), seven taps from relu1 to fire9.

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
    path = _find(folder, "squeezenet1_1*.safetensors", "SqueezeNet 1.1 features")
    _load(layers, _weights(path), path)
    taps = {1: "relu1", 4: "fire3", 7: "fire5", 9: "fire6", 10: "fire7", 11: "fire8", 12: "fire9"}
    return FeatureNetwork(layers, taps, path.name)


_Blocks = tuple[tuple[int, int], ...]  # channels and convolutions of each
_VGG16: _Blocks = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_VGG19: _Blocks = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))


def vgg16(folder: Path | None, layers: tuple[str, ...] = ()) -> FeatureNetwork:
    """VGG-16 from `vgg16*.safetensors`; otherwise as `vgg19`."""
    return _vgg(folder, layers, _VGG16, "16")


def vgg19(folder: Path | None, layers: tuple[str, ...] = ()) -> FeatureNetwork:
    """VGG-19 (Simonyan and Zisserman 2015) as deep as the file goes.

    Args:
        folder: holds `vgg19*.safetensors`; convolutions missing at the end cut the network short.
        layers: those wanted, relu1_1 onwards and pool1 onwards; all that lie beyond the file's
            last one are left out, and `network.taps` says which remain. Default: the last ReLU of
            each block.

    Raises:
        UsageError: no folder was given.
        UnreadableError: the folder lacks the file, or it holds something else.
    """
    return _vgg(folder, layers, _VGG19, "19")


def _vgg(
    folder: Path | None, layers: tuple[str, ...], blocks: _Blocks, kind: str
) -> FeatureNetwork:
    path = _find(folder, f"vgg{kind}*.safetensors", f"VGG-{kind} convolutions")
    weights = _weights(path)
    modules: list[nn.Module] = []
    for module in _vgg_modules(blocks):
        if isinstance(module, nn.Conv2d) and f"features.{len(modules)}.weight" not in weights:
            break
        modules.append(module)
    if not modules:
        message = f"{path} has no features.0.weight, VGG-{kind}'s first convolution."
        raise UnreadableError(message)
    network = nn.Sequential(*modules)
    _load(network, weights, path)
    numbers = _vgg_numbers(blocks)
    wanted = layers or tuple(f"relu{b}_{depth}" for b, (_, depth) in enumerate(blocks, 1))
    taps = {numbers[name]: name for name in wanted if numbers[name] < len(modules)}
    return FeatureNetwork(network, taps, path.name)


def _vgg_modules(blocks: _Blocks) -> Iterator[nn.Module]:
    channels = 3
    for width, depth in blocks:
        for _ in range(depth):
            yield nn.Conv2d(channels, width, 3, padding=1)
            yield nn.ReLU()
            channels = width
        yield nn.MaxPool2d(2)


def _vgg_numbers(blocks: _Blocks) -> dict[str, int]:
    """The place of each ReLU and pool among the modules."""
    names = [
        name
        for block, (_, depth) in enumerate(blocks, 1)
        for layer in range(1, depth + 1)
        for name in ("", f"relu{block}_{layer}", *([f"pool{block}"] if layer == depth else []))
    ]
    return {name: number for number, name in enumerate(names) if name}


def _find(folder: Path | None, pattern: str, what: str) -> Path:
    """The one file of the folder that matches."""
    hint = f"The recipe's losses need {what}: pass --features DIR with a file {pattern}."
    if folder is None:
        raise UsageError("No folder of feature networks was given.", hint=hint)
    path = next(iter(sorted(folder.glob(pattern))), None)
    if path is None:
        raise UnreadableError(f"{folder} has no {pattern}.", hint=hint)
    return path


def _weights(path: Path) -> dict[str, Tensor]:
    """The tensors keyed `features.N...`, as torchvision keys them, as float32; no others."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UnreadableError(f"{path} cannot be read as safetensors: {error}.") from error
    return {name: w.float() for name, w in tensors.items() if name.startswith("features.")}


def _load(network: nn.Sequential, weights: dict[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict({name.removeprefix("features."): w for name, w in weights.items()})
    except RuntimeError as error:
        raise UnreadableError(f"{path} holds another network: {error}.") from error
