"""Layers and graph pieces that more than one generator uses."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli_training.distributed import group, mean


class ResidualBlock(nn.Module):
    """3x3 (dilated), SiLU, 3x3 that starts at zero, added to the input: (n, c, h, w) -> same."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        zero_start(self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """Add the correction to `x`."""
        correction: Tensor = self.conv2(F.silu(self.conv1(x)))
        return x + correction


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015): (n, c, h, w) -> same.

    In training the statistics run over the pictures of all processes, so that a run in several is a
    run in one; `nn.SyncBatchNorm` does that on GPUs only. Unlike torch's it does not count batches:
    all of its state is floating point and can be averaged.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the batch in training, by the running statistics otherwise."""
        if self.training and group().size > 1:
            return self._across_processes(x)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training, self.momentum, self.epsilon,
        )  # fmt: skip

    def _across_processes(self, x: Tensor) -> Tensor:
        """As in one process with all pictures; every process has as many."""
        count = x.numel() // x.shape[1] * group().size
        wide = x.float()
        average = mean(wide.mean((0, 2, 3)))
        centred = wide - average.view(1, -1, 1, 1)
        variance = mean(centred.square().mean((0, 2, 3)))
        with torch.no_grad():
            self.running_mean.lerp_(average, self.momentum)
            self.running_var.lerp_(variance * (count / max(1, count - 1)), self.momentum)
        scale = self.weight * (variance + self.epsilon).rsqrt()
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)


def zero_start(module: nn.Module) -> None:
    """Let a layer contribute nothing at the first step: all its weights become 0."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


def count_parameters(module: nn.Module) -> int:
    """All trainable scalars of a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def composite(photo: Tensor, mask: Tensor, predicted: Tensor) -> Tensor:
    """The photo with the prediction in the hole (DMFN, section 4.1: I_in + I_pred * M)."""
    return torch.lerp(photo, predicted, mask)
