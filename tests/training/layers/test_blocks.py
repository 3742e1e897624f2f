import torch
from inpaintcli_training.layers.blocks import (
    BatchNorm,
    ResidualBlock,
    composite,
    count_parameters,
    zero_start,
)
from torch import nn


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
