from pathlib import Path

import pytest
import torch
from inpaintcli_training.perceptual.feature_networks import alexnet, squeezenet11, vgg16, vgg19
from inpaintcli_training.perceptual.features import FeatureNetwork, Layout
from safetensors.torch import save_file
from torch import nn

from inpaintcli.errors import UnreadableError, UsageError

RELU_1 = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def test_the_input_becomes_bgr_0_to_255_minus_the_mean() -> None:
    network = FeatureNetwork(nn.Sequential(nn.Identity()), {0: "input"})
    rgb = torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1)
    bgr = network(rgb)["input"].flatten().tolist()
    assert bgr == pytest.approx([255 - 103.939, 127.5 - 116.779, 0 - 123.68])


def test_or_rgb_with_the_mean_and_deviation_of_imagenet() -> None:
    layers = nn.Sequential(nn.Identity())
    network = FeatureNetwork(layers, {0: "input"}, layout=Layout.torchvision)
    rgb = torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1)
    prepared = network(rgb)["input"].flatten().tolist()
    wanted = [(0 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert prepared == pytest.approx(wanted, abs=1e-5)


def test_or_rgb_as_it_is() -> None:
    network = FeatureNetwork(nn.Sequential(nn.Identity()), {0: "x"}, layout=Layout.tensorflow)
    rgb = torch.tensor([-1.0, 0.5, 1.0]).view(1, 3, 1, 1)
    assert network(rgb)["x"].flatten().tolist() == pytest.approx([-1, 0.5, 1])


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
    path = tmp_path / "vgg19_caffe.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match="safetensors"):
        vgg19(tmp_path)
    save_file({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(UnreadableError, match="first convolution"):
        vgg19(tmp_path)
    save_file({"features.0.weight": torch.zeros(2, 3, 3, 3)}, path)
    with pytest.raises(UnreadableError, match="another network"):
        vgg19(tmp_path)


def write_vgg(path: Path, blocks: tuple[tuple[int, int], ...], *, keys: str) -> int:
    """All convolutions, keyed as torchvision or as Caffe does, and a classifier to be ignored."""
    tensors = {"classifier.0.weight": torch.zeros(2, 2)}
    number, inside, count = 0, 3, 0
    for block, (width, depth) in enumerate(blocks, 1):
        for layer in range(1, depth + 1):
            name = f"features.{number}" if keys == "torchvision" else f"conv{block}_{layer}"
            tensors[f"{name}.weight"] = torch.randn(width, inside, 3, 3) * 0.02
            tensors[f"{name}.bias"] = torch.zeros(width)
            count += tensors[f"{name}.weight"].numel() + width
            number, inside = number + 2, width
        number += 1
    torch.save(tensors, path)
    return count


VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def test_vgg16_is_whole_in_both_ways_of_naming_its_layers(tmp_path: Path) -> None:
    count = write_vgg(tmp_path / "vgg16_torchvision.pth", VGG16, keys="torchvision")
    network = vgg16(tmp_path, ("pool1", "relu3_3", "pool3"))
    assert count == sum(p.numel() for p in network.layers.parameters()) == 14_714_688
    found = network(torch.rand(1, 3, 32, 32))
    assert {name: tuple(x.shape[1:]) for name, x in found.items()} == {
        "pool1": (64, 16, 16),
        "relu3_3": (256, 8, 8),
        "pool3": (256, 4, 4),
    }
    assert network.layout is Layout.torchvision
    write_vgg(tmp_path / "vgg16_caffe.pth", VGG16, keys="caffe")
    network = vgg16(tmp_path)
    assert network.layout is Layout.caffe
    assert list(network.taps.values()) == ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]
    held = torch.load(tmp_path / "vgg16_caffe.pth", weights_only=True)
    assert torch.equal(network.layers[2].weight, held["conv1_2.weight"])


def test_a_vgg16_is_no_vgg19(tmp_path: Path) -> None:
    write_vgg(tmp_path / "vgg19_caffe.pth", VGG16, keys="caffe")
    with pytest.raises(UnreadableError, match="another network"):
        vgg19(tmp_path)


def test_alexnet_has_five_taps(tmp_path: Path) -> None:
    shapes = {
        0: (64, 3, 11),
        3: (192, 64, 5),
        6: (384, 192, 3),
        8: (256, 384, 3),
        10: (256, 256, 3),
    }
    tensors = {}
    for number, (outside, inside, kernel) in shapes.items():
        tensors[f"features.{number}.weight"] = torch.zeros(outside, inside, kernel, kernel)
        tensors[f"features.{number}.bias"] = torch.zeros(outside)
    save_file(tensors, tmp_path / "alexnet_torchvision.safetensors")
    network = alexnet(tmp_path)
    assert sum(p.numel() for p in network.layers.parameters()) == 2_469_696
    shapes = [tuple(x.shape[1:]) for x in network(torch.zeros(1, 3, 224, 224)).values()]
    assert shapes == [(64, 55, 55), (192, 27, 27), (384, 13, 13), (256, 13, 13), (256, 13, 13)]
