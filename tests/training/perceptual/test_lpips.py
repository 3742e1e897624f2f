from pathlib import Path

import numpy as np
import pytest
import torch
from inpaintcli_training.perceptual.features import FeatureNetwork, Layout
from inpaintcli_training.perceptual.lpips import Lpips, distance, lpips
from safetensors.torch import save_file
from torch import nn

from inpaintcli.errors import UnreadableError

WIDTHS = {"alex": (64, 192, 384, 256, 256), "squeeze": (64, 128, 256, 384, 384, 512, 512)}


def heads(net: str, prefix: str = "") -> dict[str, torch.Tensor]:
    return {
        f"{prefix}lin{k}.model.1.weight": torch.rand(1, width, 1, 1)
        for k, width in enumerate(WIDTHS[net])
    }


def test_the_distance_by_hand() -> None:
    """Of single pixels, whose features are the prepared colours themselves."""
    identity = FeatureNetwork(nn.Sequential(nn.Identity()), {0: "x"}, layout=Layout.torchvision)
    weights = np.array([0.5, 1.0, 2.0])
    measure = Lpips(identity, [torch.tensor(weights).float().view(1, 3, 1, 1)])
    colours = np.array([[0.5, -0.25, 0.0], [-1.0, 1.0, 0.25]])
    # The authors' scaling of [-1, 1]: (x - shift) / scale.
    features = (colours - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    one, other = (torch.tensor(c).float().view(1, 3, 1, 1) for c in colours)
    wanted = (weights * (units[0] - units[1]) ** 2).sum()
    assert measure(one, other).item() == pytest.approx(wanted, rel=1e-5)
    assert measure(one, one).item() == 0


def test_its_gradient_is_finite_where_no_feature_fires() -> None:
    """Behind a ReLU whole positions are zero, where a length has no slope."""
    layers = nn.Sequential(nn.ReLU())
    network = FeatureNetwork(layers, {0: "x"}, layout=Layout.torchvision)
    measure = Lpips(network, [torch.ones(1, 3, 1, 1)])
    one = torch.full((1, 3, 1, 2), -1.0)
    one[..., 1] = 0.5
    one.requires_grad_()
    measure(one, torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 1, 2)).sum().backward()
    assert one.grad is not None
    assert torch.isfinite(one.grad).all()
    assert one.grad.abs().max() > 0


def test_layers_are_summed_and_positions_averaged() -> None:
    one = {
        "a": torch.tensor([[1.0, 3.0], [0.0, 4.0]]).view(1, 2, 1, 2),
        "b": torch.ones(1, 1, 1, 1),
    }
    other = {"a": torch.tensor([[0.0, 3.0], [2.0, 4.0]]).view(1, 2, 1, 2), "b": -one["b"]}
    # a: unit vectors (1, 0) and (0, 1) at one position, equal ones at the other; b: 1 and -1.
    assert distance(one, other).tolist() == pytest.approx([(2 + 0) / 2 + 4])


def test_lpips_takes_the_authors_heads_in_both_forms(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(alexnet_tensors(), tmp_path / "alexnet_torchvision.safetensors")
    torch.save(heads("alex"), tmp_path / "lpips_alex.pth")
    measure = lpips(tmp_path)
    assert measure.file == "lpips_alex.pth"
    one, other = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1
    found = measure(one, other)
    assert found.shape == (2,)
    assert (found > 0).all()
    assert measure(one, one).tolist() == [0, 0]
    (tmp_path / "lpips_alex.pth").unlink()
    save_file(heads("alex", "alex.") | heads("squeeze", "squeeze."), tmp_path / "lpips.safetensors")
    assert lpips(tmp_path).file == "lpips.safetensors"


def test_heads_and_backbones_that_do_not_belong_together_are_refused(
    features: Path, tmp_path: Path
) -> None:
    caffe = features / "squeezenet1_1_random.safetensors"
    (tmp_path / caffe.name).write_bytes(caffe.read_bytes())
    save_file(heads("squeeze", "squeeze."), tmp_path / "lpips.safetensors")
    with pytest.raises(UnreadableError, match="torchvision's layout"):
        lpips(tmp_path, "squeeze")
    save_file(alexnet_tensors(), tmp_path / "alexnet_torchvision.safetensors")
    with pytest.raises(UnreadableError, match="no LPIPS heads for 'alex'"):
        lpips(tmp_path, "alex")
    torch.save(heads("squeeze"), tmp_path / "lpips_alex.pth")
    with pytest.raises(UnreadableError, match="do not fit"):
        lpips(tmp_path, "alex")


def alexnet_tensors() -> dict[str, torch.Tensor]:
    shapes = {
        0: (64, 3, 11),
        3: (192, 64, 5),
        6: (384, 192, 3),
        8: (256, 384, 3),
        10: (256, 256, 3),
    }
    tensors = {}
    for number, (outside, inside, kernel) in shapes.items():
        scale = (2 / (inside * kernel**2)) ** 0.5
        tensors[f"features.{number}.weight"] = torch.randn(outside, inside, kernel, kernel) * scale
        tensors[f"features.{number}.bias"] = torch.zeros(outside)
    return tensors
