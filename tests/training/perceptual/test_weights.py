import hashlib
from pathlib import Path

import pytest
import torch
from inpaintcli_training.perceptual import weights
from inpaintcli_training.perceptual.features import Layout
from safetensors.torch import save_file

from inpaintcli.errors import UnreadableError, UsageError

TENSORS = {"features.0.weight": torch.zeros(2)}


def test_the_metadata_of_a_file_say_its_layout(tmp_path: Path) -> None:
    path = tmp_path / "vgg19_torchvision.safetensors"  # the name says otherwise, and counts less
    save_file(TENSORS, path, metadata={"input": "BGR, 0-255, minus (103.939,116.779,123.68)"})
    assert weights.layout_of(path) is Layout.caffe
    save_file(TENSORS, path, metadata={"input": "RGB, 0-1"})
    assert weights.layout_of(path) is Layout.torchvision


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_name_says_the_layout(tmp_path: Path, suffix: str) -> None:
    for layout in Layout:
        path = tmp_path / f"vgg19-{layout}{suffix}"
        torch.save(TENSORS, path) if suffix == ".pth" else save_file(TENSORS, path)
        assert weights.layout_of(path) is layout


def test_a_published_name_is_believed_only_with_its_digest(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "vgg19-dcbb9e9d.pth"
    path.write_bytes(b"half of it")
    with pytest.raises(UnreadableError, match="damaged"):
        weights.layout_of(path)
    digest = hashlib.sha256(b"half of it").hexdigest()[:8]
    named = path.rename(tmp_path / f"vgg19-{digest}.pth")
    monkeypatch.setitem(weights.PUBLISHED, named.name, Layout.torchvision)
    assert weights.layout_of(named) is Layout.torchvision


@pytest.mark.parametrize("name", ["vgg19.safetensors", "vgg19_caffe_torchvision.safetensors"])
def test_a_layout_is_never_guessed(tmp_path: Path, name: str) -> None:
    save_file(TENSORS, tmp_path / name)
    with pytest.raises(UnreadableError, match="which input") as caught:
        weights.layout_of(tmp_path / name)
    assert "torchvision" in caught.value.hint


def test_caffes_is_taken_where_both_lie_unless_the_other_is_asked_for(tmp_path: Path) -> None:
    for layout in Layout:
        save_file({"x": torch.ones(1).half()}, tmp_path / f"net_{layout}.safetensors")
    (tmp_path / "net_torchvision.txt").touch()
    assert weights.open_weights(tmp_path, "net", "Net").layout is Layout.caffe
    file = weights.open_weights(tmp_path, "net", "Net", layout=Layout.torchvision)
    assert file.path.name == "net_torchvision.safetensors"
    assert file.tensors["x"].dtype == torch.float32


def test_what_is_missing_is_named_with_where_it_is_published(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as usage:
        weights.open_weights(None, "alexnet", "AlexNet")
    assert "download.pytorch.org/models/alexnet-owt-7be5be79.pth" in usage.value.hint
    with pytest.raises(UnreadableError, match=r"no vgg16\*"):
        weights.open_weights(tmp_path, "vgg16", "VGG-16")
    save_file(TENSORS, tmp_path / "vgg16_caffe.safetensors")
    with pytest.raises(UnreadableError, match="in torchvision's layout") as caught:
        weights.open_weights(tmp_path, "vgg16", "VGG-16", layout=Layout.torchvision)
    assert "vgg16-397923af.pth" in caught.value.hint


def test_damaged_files_and_other_pickles_are_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a_caffe.pth"
    path.write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match="state dict"):
        weights.read_tensors(path)
    torch.save([1, 2], path)
    with pytest.raises(UnreadableError, match="no state dict"):
        weights.read_tensors(path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"features.0.weight": Evil()}, tmp_path / "a_caffe.pth")
    with pytest.raises(UnreadableError):
        weights.read_tensors(tmp_path / "a_caffe.pth")
    assert not (tmp_path / "touched").exists()
