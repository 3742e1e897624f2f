"""The tensors of `pt_inception-2015-12-05-6726825d.pth`, by name and shape, with random values.

Written down from torchvision's Inception3 and from torch-fidelity's table that names the tensors
of the file of 2015, not from our network: a real file has these.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

FILE = "inception-2015-12-05-random_tensorflow.safetensors"
# Name: channels out and in, height and width of the kernel.
STEM = {
    "Conv2d_1a_3x3": (32, 3, 3, 3),
    "Conv2d_2a_3x3": (32, 32, 3, 3),
    "Conv2d_2b_3x3": (64, 32, 3, 3),
    "Conv2d_3b_1x1": (80, 64, 1, 1),
    "Conv2d_4a_3x3": (192, 80, 3, 3),
}


def block_a(n: int, pool: int) -> dict[str, tuple[int, ...]]:
    return {
        "branch1x1": (64, n, 1, 1),
        "branch5x5_1": (48, n, 1, 1),
        "branch5x5_2": (64, 48, 5, 5),
        "branch3x3dbl_1": (64, n, 1, 1),
        "branch3x3dbl_2": (96, 64, 3, 3),
        "branch3x3dbl_3": (96, 96, 3, 3),
        "branch_pool": (pool, n, 1, 1),
    }


BLOCK_B = {
    "branch3x3": (384, 288, 3, 3),
    "branch3x3dbl_1": (64, 288, 1, 1),
    "branch3x3dbl_2": (96, 64, 3, 3),
    "branch3x3dbl_3": (96, 96, 3, 3),
}


def block_c(c: int) -> dict[str, tuple[int, ...]]:
    return {
        "branch1x1": (192, 768, 1, 1),
        "branch7x7_1": (c, 768, 1, 1),
        "branch7x7_2": (c, c, 1, 7),
        "branch7x7_3": (192, c, 7, 1),
        "branch7x7dbl_1": (c, 768, 1, 1),
        "branch7x7dbl_2": (c, c, 7, 1),
        "branch7x7dbl_3": (c, c, 1, 7),
        "branch7x7dbl_4": (c, c, 7, 1),
        "branch7x7dbl_5": (192, c, 1, 7),
        "branch_pool": (192, 768, 1, 1),
    }


BLOCK_D = {
    "branch3x3_1": (192, 768, 1, 1),
    "branch3x3_2": (320, 192, 3, 3),
    "branch7x7x3_1": (192, 768, 1, 1),
    "branch7x7x3_2": (192, 192, 1, 7),
    "branch7x7x3_3": (192, 192, 7, 1),
    "branch7x7x3_4": (192, 192, 3, 3),
}


def block_e(n: int) -> dict[str, tuple[int, ...]]:
    return {
        "branch1x1": (320, n, 1, 1),
        "branch3x3_1": (384, n, 1, 1),
        "branch3x3_2a": (384, 384, 1, 3),
        "branch3x3_2b": (384, 384, 3, 1),
        "branch3x3dbl_1": (448, n, 1, 1),
        "branch3x3dbl_2": (384, 448, 3, 3),
        "branch3x3dbl_3a": (384, 384, 1, 3),
        "branch3x3dbl_3b": (384, 384, 3, 1),
        "branch_pool": (192, n, 1, 1),
    }


MIXED = {
    "5b": block_a(192, 32), "5c": block_a(256, 64), "5d": block_a(288, 64), "6a": BLOCK_B,
    "6b": block_c(128), "6c": block_c(160), "6d": block_c(160), "6e": block_c(192),
    "7a": BLOCK_D, "7b": block_e(1280), "7c": block_e(2048),
}  # fmt: skip


def convolutions() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from STEM.items()
    for block, layers in MIXED.items():
        for name, shape in layers.items():
            yield f"Mixed_{block}.{name}", shape


def tensors(classes: int = 1008) -> dict[str, torch.Tensor]:
    found = {}
    for name, shape in convolutions():
        fan_in = shape[1] * shape[2] * shape[3]
        found[f"{name}.conv.weight"] = torch.randn(shape) * (2 / fan_in) ** 0.5
        found[f"{name}.bn.weight"] = torch.ones(shape[0])
        found[f"{name}.bn.bias"] = torch.randn(shape[0]) * 0.1
        found[f"{name}.bn.running_mean"] = torch.zeros(shape[0])
        found[f"{name}.bn.running_var"] = torch.ones(shape[0])
    found["fc.weight"], found["fc.bias"] = torch.zeros(classes, 2048), torch.zeros(classes)
    return found


def write(folder: Path, classes: int = 1008) -> Path:
    path = folder / FILE
    save_file({name: tensor.half() for name, tensor in tensors(classes).items()}, path)
    return path
