from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inpaintcli.errors import UnreadableError, UsageError
from training.networks import FeatureNetwork, squeezenet11, vgg19

RELU_1 = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def test_the_input_becomes_bgr_0_to_255_minus_the_mean() -> None:
    network = FeatureNetwork(nn.Sequential(nn.Identity()), {0: "input"})
    rgb = torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1)
    bgr = network(rgb)["input"].flatten().tolist()
    assert bgr == pytest.approx([255 - 103.939, 127.5 - 116.779, 0 - 123.68])


def test_taps_come_shallow_first_and_nothing_deeper_is_computed() -> None:
    class Never(nn.Module):
        def forward(self, _x):
            raise AssertionError

    layers = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), Never())
    found = FeatureNetwork(layers, {1: "pool", 0: "relu"})(torch.zeros(1, 3, 4, 4))
    assert list(found) == ["relu", "pool"]
    assert found["pool"].shape == (1, 3, 2, 2)


def test_squeezenet_has_seven_taps(features: Path) -> None:
    network = squeezenet11(features)
    found = network(torch.zeros(1, 3, 64, 64))
    assert {name: t.shape[1] for name, t in found.items()} == {
        "relu1": 64, "fire3": 128, "fire5": 256, "fire6": 384, "fire7": 384,
        "fire8": 512, "fire9": 512,
    }  # fmt: skip
    assert network.file == "squeezenet1_1_random.safetensors"
    assert not any(p.requires_grad for p in network.parameters())


def test_vgg19_leaves_out_the_layers_that_its_file_lacks(features: Path) -> None:
    network = vgg19(features, RELU_1)
    found = network(torch.zeros(1, 3, 32, 32))
    assert {name: tuple(t.shape[1:]) for name, t in found.items()} == {
        "relu1_1": (64, 32, 32),
        "relu2_1": (128, 16, 16),
        "relu3_1": (256, 8, 8),
    }
    assert list(vgg19(features).taps.values()) == ["relu1_2", "relu2_2", "relu3_4"]


def test_a_vgg19_that_ends_inside_a_block_ends_there(tmp_path: Path, short_vgg19) -> None:
    short_vgg19(tmp_path, 3)
    assert list(vgg19(tmp_path, RELU_1).taps.values()) == ["relu1_1", "relu2_1"]


def test_missing_folders_and_files_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--features"):
        vgg19(None)
    with pytest.raises(UnreadableError, match="squeezenet"):
        squeezenet11(tmp_path)


def test_damaged_and_foreign_files_are_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "vgg19.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match="safetensors"):
        vgg19(tmp_path)
    save_file({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(UnreadableError, match="first convolution"):
        vgg19(tmp_path)
    save_file({"features.0.weight": torch.zeros(2, 3, 3, 3)}, path)
    with pytest.raises(UnreadableError, match="another network"):
        vgg19(tmp_path)
