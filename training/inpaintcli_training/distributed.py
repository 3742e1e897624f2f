"""Several processes as one: who is who, means over all of them, gradients averaged.

Started by torchrun, each process takes its share of every batch. Each loss is written so that the
mean of its values over the processes is the value of the whole batch; then the mean of their
gradients is the whole batch's gradient, and nothing else has to be exchanged. Where a loss is no
plain mean over pictures (a quotient of sums, a nonlinear function of a batch's mean), it takes the
inner sums through `mean`. In a single process everything in here does nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from inpaintcli.errors import UsageError


@dataclass(frozen=True)
class Group:
    """This process among all: its number, how many there are, and which of its machine it is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one process that writes and reports."""
        return self.rank == 0


def group() -> Group:
    """The group that was joined; alone where none was."""
    if not dist.is_initialized():
        return Group()
    local = int(os.environ.get("LOCAL_RANK", dist.get_rank()))
    return Group(dist.get_rank(), dist.get_world_size(), local)


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the other processes that torchrun started, where it did; yields this one's device.

    Args:
        device: `cpu` (they talk through gloo) or `cuda` (nccl); `cuda` becomes this process's own.

    Raises:
        UsageError: several processes would share one GPU.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    kind, _, number = device.partition(":")
    if number:
        hint = "Name the kind alone: each process takes the GPU of its own number."
        raise UsageError(f"Several processes cannot train on '{device}' at once.", hint=hint)
    if kind == "cuda":
        device = _own_gpu()
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def _own_gpu() -> str:
    local, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= found:
        hint = "Start as many processes as there are GPUs: torchrun --nproc-per-node."
        raise UsageError(f"Process {local} of this machine finds {found} GPUs.", hint=hint)
    torch.cuda.set_device(local)
    return f"cuda:{local}"


class _Sum(torch.autograd.Function):
    """The sum over processes; its gradient is again a sum over processes, so to any order."""

    @staticmethod
    def forward(_ctx: Any, local: Tensor) -> Tensor:
        total = local.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _summed(local: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(local)  # type: ignore[no-untyped-call]
    return total


def mean(local: Tensor) -> Tensor:
    """The mean over processes of a tensor that each of them has; gradients flow to all.

    For a quotient of sums put the denominator through it, for a function of a batch's mean that
    mean: with parts of equal size both then are those of the whole batch.
    """
    size = group().size
    return local if size == 1 else _summed(local) / size


def average_gradients(module: nn.Module) -> None:
    """Replace every gradient of the module by its mean over processes: one exchange for all."""
    size = group().size
    if size == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    joint = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(joint)
    joint /= size
    start = 0
    for gradient in gradients:
        end = start + gradient.numel()
        gradient.copy_(joint[start:end].view_as(gradient))
        start = end


def means(values: list[float], device: torch.device) -> list[float]:
    """The means over processes; NaN where one process has NaN."""
    if group().size == 1:
        return values
    averaged: list[float] = mean(torch.tensor(values, dtype=torch.float64, device=device)).tolist()
    return averaged


def agreed(questions: list[bool], device: torch.device) -> list[bool]:
    """Whether any process says yes to each; all get the same answers at the same step."""
    return [share > 0 for share in means([float(asked) for asked in questions], device)]


def gathered(local: Any) -> list[Any]:
    """What each process has, by its number; it must be picklable."""
    size = group().size
    if size == 1:
        return [local]
    found: list[Any] = [None] * size
    dist.all_gather_object(found, local)
    return found
