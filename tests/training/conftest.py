"""Tiny recipes, photos and feature networks: the pretrained files are no part of the project."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from inpaintcli_training.catalog import FAMILIES, recipes
from inpaintcli_training.data.crops import Batch, Crops, Photos
from inpaintcli_training.recipe import Recipe
from safetensors.torch import save_file

# Number in the network, channels in and out, of VGG-19's convolutions up to relu3_4.
VGG19 = (
    *((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128)),
    *((10, 128, 256), (12, 256, 256), (14, 256, 256), (16, 256, 256)),
)
CAFFE = {"input": "BGR, 0-255, mean subtracted"}


def conv(out_channels: int, in_channels: int, kernel: int) -> torch.Tensor:
    fan_in = in_channels * kernel**2
    return torch.randn(out_channels, in_channels, kernel, kernel) * (2 / fan_in) ** 0.5


def write_vgg19(folder: Path, convolutions: int = len(VGG19)) -> Path:
    tensors = {}
    for number, inside, outside in VGG19[:convolutions]:
        tensors[f"features.{number}.weight"] = conv(outside, inside, 3)
        tensors[f"features.{number}.bias"] = torch.zeros(outside)
    path = folder / "vgg19_random.safetensors"
    save_file({name: tensor.half() for name, tensor in tensors.items()}, path, CAFFE)
    return path


def write_squeezenet(folder: Path) -> Path:
    tensors = {"features.0.weight": conv(64, 3, 3), "features.0.bias": torch.zeros(64)}
    fires = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128)}
    fires |= {9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}
    for number, (channels, squeezed, expanded) in fires.items():
        parts = {"squeeze": (squeezed, channels, 1), "expand1x1": (expanded, squeezed, 1)}
        parts["expand3x3"] = (expanded, squeezed, 3)
        for part, (outside, inside, kernel) in parts.items():
            tensors[f"features.{number}.{part}.weight"] = conv(outside, inside, kernel)
            tensors[f"features.{number}.{part}.bias"] = torch.zeros(outside)
    path = folder / "squeezenet1_1_random.safetensors"
    save_file(tensors, path, CAFFE)
    return path


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # tiny networks gain nothing from more, and lose on a busy machine


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of feature networks of the right shapes with random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("features")
    write_vgg19(folder)
    write_squeezenet(folder)
    return folder


@pytest.fixture
def short_vgg19() -> Callable[[Path, int], Path]:
    """Writes a VGG-19 of so many convolutions into a folder."""
    return write_vgg19


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five smooth pictures of different sizes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate([(40, 60), (64, 48), (36, 36), (80, 50), (48, 90)]):
        coarse = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(coarse, (width, height)))
    return folder


# What of each family's generator and objective is made small.
_SMALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "membrane": (
        {
            "channels": (4, 4, 4, 4), "blocks": (1, 1, 1), "trunk_dilations": (1, 2),
            "sizes": 2,
        },
        {},
    ),
    "dmfn": ({"width": 4, "blocks": 1}, {"critic_width": 2}),
    "contextual": ({"width": 4}, {"critic_width": 2}),
    # The first added block fades in from crop 2 to 8, the second begins at 8.
    "blockwise": (
        {
            "width": 4, "head_blocks": 1, "added_blocks": 2, "head_images": 2, "block_images": 6,
            "fade": 1.0,
        },
        {"critic_width": 2, "critic_layers": 1, "critic_scales": 2, "patches": (0.75, 1.0)},
    ),
    "regionwise": ({"width": 4}, {}),
}  # fmt: skip


def tiny_form(recipe: Recipe) -> Recipe:
    """The recipe as small as it goes, six steps long; the terms of its loss stay as they are.

    In fp32: a processor without AVX-512 takes ten times as long to emulate bf16.
    """
    generator, objective = _SMALL[recipe.family]
    return replace(
        recipe,
        generator=replace(recipe.generator, **generator),
        objective=replace(recipe.objective, **objective),
        crop=32,
        short_side=(32, 48),
        batch=2,
        critic_steps=min(recipe.critic_steps, 2),
        images=12,
        warmup_images=min(recipe.warmup_images, 4),
        decay_images=min(recipe.decay_images, 4),
        precision="fp32",
    )


# By the recipes' names; the first of each family has the family's.
TINY = {name: tiny_form(recipe) for name, recipe in recipes().items()}


@pytest.fixture(scope="session")
def tiny_recipes() -> dict[str, Recipe]:
    return TINY


@pytest.fixture(params=sorted(FAMILIES))
def tiny(request: pytest.FixtureRequest) -> Recipe:
    """Each family's recipe, as small as it goes."""
    return TINY[request.param]


@pytest.fixture
def tiny_membrane() -> Recipe:
    return TINY["membrane"]


@pytest.fixture
def tiny_dmfn() -> Recipe:
    return TINY["dmfn"]


@pytest.fixture
def tiny_regionwise() -> Recipe:
    return TINY["regionwise"]


@pytest.fixture
def photos(photo_folder: Path) -> Photos:
    return Photos([photo_folder])


@pytest.fixture
def batch(photos: Photos, tiny_dmfn: Recipe) -> Batch:
    """Two crops of 32 pixels with rectangular holes."""
    return Crops(photos, tiny_dmfn).batch(0)
