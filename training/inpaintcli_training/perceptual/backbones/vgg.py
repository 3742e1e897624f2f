"""VGG-16 and VGG-19 (Simonyan and Zisserman 2015, configurations D and E)."""

import re
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from inpaintcli.errors import UnreadableError
from inpaintcli_training.perceptual.features import FeatureNetwork, Layout
from inpaintcli_training.perceptual.weights import load_into, open_weights

_Blocks = tuple[tuple[int, int], ...]  # channels and convolutions of each
_VGG16: _Blocks = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_VGG19: _Blocks = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))


def vgg16(
    folder: Path | None, layers: tuple[str, ...] = (), *, layout: Layout | None = None
) -> FeatureNetwork:
    """VGG-16 from `vgg16*`; otherwise as `vgg19`."""
    return _vgg(folder, layers, _VGG16, "16", layout)


def vgg19(
    folder: Path | None, layers: tuple[str, ...] = (), *, layout: Layout | None = None
) -> FeatureNetwork:
    """VGG-19, as deep as its file; layers are named relu1_1 onwards and pool1 onwards.

    Args:
        folder: holds `vgg19*`, which may lack the last convolutions.
        layers: to be returned; those after the file's last one are left out, and `network.taps`
            says which remain. Default: the last ReLU of each block.
        layout: the only accepted one; None for any.

    Raises:
        UsageError: no folder was given.
        UnreadableError: the folder lacks the file, or it holds something else.
    """
    return _vgg(folder, layers, _VGG19, "19", layout)


def _vgg(
    folder: Path | None, layers: tuple[str, ...], blocks: _Blocks, kind: str, layout: Layout | None
) -> FeatureNetwork:
    file = open_weights(folder, f"vgg{kind}", f"VGG-{kind}", layout=layout)
    numbers = _numbers(blocks)

    def rename(name: str) -> str:
        """Caffe's conv1_1.weight as torchvision's features.0.weight."""
        found = re.fullmatch(r"conv(\d_\d)\.(\w+)", name)
        number = numbers.get(f"relu{found[1]}") if found else None
        return name if number is None or found is None else f"features.{number - 1}.{found[2]}"

    held = {rename(name) for name in file.tensors}
    modules: list[nn.Module] = []
    for module in _modules(blocks):
        if isinstance(module, nn.Conv2d) and f"features.{len(modules)}.weight" not in held:
            break
        modules.append(module)
    if not modules:
        message = f"{file.path} has no features.0.weight, VGG-{kind}'s first convolution."
        raise UnreadableError(message)
    network = nn.Sequential(*modules)
    load_into(network, file, rename)
    wanted = layers or tuple(f"relu{b}_{depth}" for b, (_, depth) in enumerate(blocks, 1))
    taps = {numbers[name]: name for name in wanted if numbers.get(name, 99) < len(modules)}
    return FeatureNetwork(network, taps, file.path.name, file.layout)


def _modules(blocks: _Blocks) -> Iterator[nn.Module]:
    channels = 3
    for width, depth in blocks:
        for _ in range(depth):
            yield nn.Conv2d(channels, width, 3, padding=1)
            yield nn.ReLU()
            channels = width
        yield nn.MaxPool2d(2)


def _numbers(blocks: _Blocks) -> dict[str, int]:
    """The index of each ReLU and pool among the modules, by name."""
    numbers: dict[str, int] = {}
    number = 0
    for block, (_, depth) in enumerate(blocks, 1):
        for layer in range(1, depth + 1):
            numbers[f"relu{block}_{layer}"] = number + 1
            number += 2
        numbers[f"pool{block}"] = number
        number += 1
    return numbers
