from pathlib import Path

import pytest
import torch
from inpaintcli_training.perceptual.backbones.inception import Inception, trunk
from inpaintcli_training.perceptual.feature_networks import inception
from inpaintcli_training.perceptual.features import Layout
from inpaintcli_training.perceptual.weights import PUBLISHED
from safetensors.torch import load_file
from torch import nn

from inpaintcli.errors import UnreadableError
from tests.training.perceptual import inception_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("inception")
    inception_file.write(folder)
    return folder


@pytest.fixture(scope="module")
def network(folder: Path) -> Inception:
    return inception(folder)


def test_a_file_with_the_published_names_and_shapes_is_taken_tensor_by_tensor(
    folder: Path, network: Inception
) -> None:
    held = {n: w.float() for n, w in load_file(folder / inception_file.FILE).items()}
    assert held.pop("fc.weight").shape == (1008, 2048)
    assert held.pop("fc.bias").shape == (1008,)
    found = network.trunk.state_dict()
    ours = {n: w for n, w in found.items() if not n.endswith("num_batches_tracked")}
    assert ours.keys() == held.keys()
    assert all(torch.equal(ours[name], held[name]) for name in held)
    assert network.file == inception_file.FILE


def test_its_size_is_that_of_the_published_networks() -> None:
    """Torchvision's has 27,161,264: 3,326,696 of them in the second classifier, 2,049,000 last."""
    count = sum(p.numel() for p in trunk().parameters())
    assert count == 27_161_264 - 3_326_696 - 2_049_000
    statistics = sum(b.numel() for n, b in trunk().named_buffers() if "running" in n)
    # The published file has 95,628,359 bytes: these as float32 with 1008 classes, and a directory.
    held = 4 * (count + statistics + 2048 * 1008 + 1008)
    assert 0 < 95_628_359 - held < 100_000


def test_maps_have_the_papers_sizes(network: Inception) -> None:
    sizes = {}
    for name, layer in network.trunk.named_children():
        layer.register_forward_hook(
            lambda _m, _i, y, name=name: sizes.__setitem__(name, tuple(y.shape[1:]))
        )
    assert network(torch.zeros(1, 3, 40, 50)).shape == (1, 2048)
    assert sizes["Conv2d_1a_3x3"] == (32, 149, 149)
    assert sizes["Conv2d_2b_3x3"] == (64, 147, 147)
    assert sizes["maxpool2"] == (192, 35, 35)
    assert [sizes[f"Mixed_{n}"] for n in ("5b", "5c", "5d")] == [
        (256, 35, 35), (288, 35, 35), (288, 35, 35),
    ]  # fmt: skip
    assert {sizes[f"Mixed_{n}"] for n in ("6a", "6b", "6c", "6d", "6e")} == {(768, 17, 17)}
    assert sizes["Mixed_7a"] == (1280, 8, 8)
    assert {sizes[f"Mixed_{n}"] for n in ("7b", "7c")} == {(2048, 8, 8)}


def pooled(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the pool's branch alone gives, its convolution passing the first channel on."""
    with torch.no_grad():
        block.branch_pool.conv.weight.zero_()[:, 0] = 1
        norm = block.branch_pool.bn
        norm.running_var.fill_(1 - norm.eps)
    return block.eval()(x)[0, -1]


@pytest.mark.parametrize("name", ["5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b"])
def test_averages_do_not_count_the_zeros_around_a_map(name: str) -> None:
    """With them a corner of ones would be 4/9, an edge 6/9."""
    block = trunk().get_submodule(f"Mixed_{name}")
    channels = block.branch_pool.conv.in_channels
    x = torch.zeros(1, channels, 4, 5)
    x[:, 0] = 1
    torch.testing.assert_close(pooled(block, x), torch.ones(4, 5))
    x[:, 0] = 0
    x[0, 0, 0, 0] = 12.0
    found = pooled(block, x)
    assert found[:3, :3].flatten().tolist() == pytest.approx([3, 2, 0, 2, 12 / 9, 0, 0, 0, 0])


def test_the_last_block_pools_by_maximum() -> None:
    block = trunk().get_submodule("Mixed_7c")
    x = torch.zeros(1, 2048, 5, 5)
    x[0, 0, 2, 2] = 9.0
    wanted = torch.zeros(5, 5)
    wanted[1:4, 1:4] = 9
    torch.testing.assert_close(pooled(block, x), wanted)


@pytest.mark.parametrize("name", ["6a", "7a"])
def test_where_maps_are_halved_the_pool_takes_the_maximum_without_a_border(name: str) -> None:
    block = trunk().get_submodule(f"Mixed_{name}").eval()
    inside = 288 if name == "6a" else 768
    x = torch.rand(1, inside, 9, 7)
    found = block(x)
    assert found.shape[2:] == (4, 3)
    assert torch.equal(found[:, -inside:], nn.functional.max_pool2d(x, 3, 2))


def test_branches_stand_side_by_side_in_the_files_order() -> None:
    """Each of its own channels, recognised by what the batch norm of its last convolution adds."""
    block = trunk().get_submodule("Mixed_7b").eval()
    last = ("branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b")
    for number, name in enumerate((*last, "branch_pool"), 1):
        convolution = block.get_submodule(name)
        nn.init.zeros_(convolution.conv.weight)
        nn.init.constant_(convolution.bn.bias, number)
    found = block(torch.rand(1, 1280, 3, 3))[0, :, 1, 1]
    values, counts = found.unique_consecutive(return_counts=True)
    assert values.tolist() == [1, 2, 3, 4, 5, 6]
    assert counts.tolist() == [320, 384, 384, 384, 384, 192]


def test_pictures_are_scaled_without_aligned_corners_or_a_filter() -> None:
    """Of a row of 598 values each pixel is the mean of two: a filter would look at four."""
    seen = []

    class Kept(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x

    row = torch.rand(598) * 2 - 1
    Inception(nn.Sequential(Kept()))(row.expand(1, 3, 299, 598))
    assert seen[0].shape == (1, 3, 299, 299)
    torch.testing.assert_close(seen[0][0, 0, 0], row.view(299, 2).mean(1))


def test_the_vector_is_the_mean_of_the_last_map() -> None:
    found = Inception(nn.Sequential(nn.Identity()))(torch.full((2, 3, 5, 5), 0.25))
    torch.testing.assert_close(found, torch.full((2, 3), 0.25))


def test_it_stays_as_it_is_and_learns_nothing(network: Inception) -> None:
    assert not network.trunk.training
    assert not any(p.requires_grad for p in network.parameters())


def test_counters_of_batches_need_not_be_in_the_file_but_may(tmp_path: Path) -> None:
    held = inception_file.tensors()
    for name, _ in inception_file.convolutions():
        held[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)
    torch.save(held, tmp_path / "pt_inception-2015-12-05_tensorflow.pth")
    assert inception(tmp_path).file == "pt_inception-2015-12-05_tensorflow.pth"


def test_torchvisions_inception_is_refused_by_its_classes(tmp_path: Path) -> None:
    inception_file.write(tmp_path, classes=1000)
    with pytest.raises(UnreadableError, match="1000 classes, not 1008"):
        inception(tmp_path)


def test_a_file_that_lacks_a_layer_is_another_network(tmp_path: Path) -> None:
    held = inception_file.tensors()
    del held["Mixed_6c.branch7x7_2.conv.weight"]
    torch.save(held, tmp_path / "inception-2015-12-05_tensorflow.pth")
    with pytest.raises(UnreadableError, match=r"another network.*Mixed_6c\.branch7x7_2"):
        inception(tmp_path)


def test_a_missing_file_is_named_with_where_it_is_published(tmp_path: Path) -> None:
    (tmp_path / "inception_v3_google-0cc3c7bd.pth").touch()  # torchvision's, which will not do
    with pytest.raises(UnreadableError, match="inception-2015-12-05") as caught:
        inception(tmp_path)
    assert "pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth" in str(
        caught.value
    )
    named = [name for name in PUBLISHED if "inception-2015" in name]
    assert {PUBLISHED[name] for name in named} == {Layout.tensorflow}
