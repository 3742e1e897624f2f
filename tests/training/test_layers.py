import socket
from pathlib import Path

import pytest
import torch
from torch import nn

from training.layers import (
    BatchNorm,
    ResidualBlock,
    composite,
    count_parameters,
    membrane,
    zero_start,
)


def hole(height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[:, :, height // 4 : height // 2, width // 4 : width // 2] = 1
    return mask


def test_the_membrane_over_one_colour_is_that_colour() -> None:
    image = torch.full((1, 3, 48, 80), 0.25)
    mask = hole(48, 80)
    filled = membrane(image.masked_fill(mask > 0, 9.0), mask)
    torch.testing.assert_close(filled, image)


def test_the_membrane_keeps_known_pixels_and_ignores_the_hole() -> None:
    image, mask = torch.rand(2, 3, 32, 48), hole(32, 48).expand(2, 1, 32, 48)
    filled = membrane(image, mask)
    other = membrane(torch.where(mask > 0, torch.rand_like(image), image), mask)
    assert torch.equal(torch.where(mask > 0, 0, filled), torch.where(mask > 0, 0, image))
    assert torch.equal(filled, other)


def test_the_membrane_stays_within_the_known_colours() -> None:
    image, mask = torch.rand(1, 3, 64, 64), hole(64, 64)
    filled = membrane(image, mask)
    assert float(filled.min()) >= float(image.min()) - 1e-6
    assert float(filled.max()) <= float(image.max()) + 1e-6


def test_the_membrane_follows_a_ramp_into_the_hole() -> None:
    image = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    error = (membrane(image, hole(64, 64)) - image).abs().max()
    assert float(error) < 0.12  # a mean of the rim would be 0.25 off at the sides


@pytest.mark.parametrize("side", [16, 33, 80, 112])
def test_the_membrane_takes_every_size_and_a_hole_without_rim(side: int) -> None:
    filled = membrane(torch.rand(1, 3, side, side), torch.ones(1, 1, side, side))
    assert filled.shape == (1, 3, side, side)
    assert filled.isfinite().all()


def test_composite_takes_the_hole_from_the_prediction_and_the_rest_from_the_photo() -> None:
    photo, predicted = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[5.0, 6.0]]]])
    mask = torch.tensor([[[[0.0, 1.0]]]])
    assert composite(photo, mask, predicted).tolist() == [[[[1.0, 6.0]]]]


def test_a_residual_block_starts_as_the_identity() -> None:
    x = torch.rand(1, 4, 9, 9)
    assert torch.equal(ResidualBlock(4, 2)(x), x)


def test_zero_start_and_count_parameters() -> None:
    conv = nn.Conv2d(2, 3, 3)
    zero_start(conv)
    assert not any(p.any() for p in conv.parameters())
    assert count_parameters(conv) == 2 * 3 * 9 + 3
    conv.bias.requires_grad_(False)
    assert count_parameters(conv) == 2 * 3 * 9


def test_batch_norm_is_torchs_in_training_and_after() -> None:
    ours, theirs = BatchNorm(3), torch.nn.BatchNorm2d(3)
    for _ in range(3):
        x = torch.rand(4, 3, 5, 6) * 3 + 1
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x))
    assert all(tensor.is_floating_point() for tensor in ours.state_dict().values())


def _half(rank: int, port: int, x: torch.Tensor, out: Path) -> None:
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", address, rank=rank, world_size=2)
    part = x[2 * rank : 2 * rank + 2].clone().requires_grad_()
    norm = BatchNorm(3)
    y = norm(part)
    y.square().mul(torch.arange(1.0, 7.0)).sum().backward()
    torch.save([y.detach(), part.grad, norm.running_mean, norm.running_var], out / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_batch_norm_in_two_processes_is_batch_norm_in_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    x = torch.rand(4, 3, 5, 6)
    torch.multiprocessing.spawn(_half, (port, x, tmp_path), nprocs=2)
    halves = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    norm, whole = BatchNorm(3), x.clone().requires_grad_()
    y = norm(whole)
    y.square().mul(torch.arange(1.0, 7.0)).sum().backward()
    torch.testing.assert_close(torch.cat([half[0] for half in halves]), y.detach())
    gradient = torch.cat([half[1] for half in halves])
    torch.testing.assert_close(gradient, whole.grad, atol=1e-4, rtol=1e-4)
    for half in halves:
        torch.testing.assert_close(half[2], norm.running_mean)
        torch.testing.assert_close(half[3], norm.running_var)
