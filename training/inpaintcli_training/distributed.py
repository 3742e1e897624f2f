"""Data-parallel training: ranks, means over all processes, averaged gradients.

Each process that torchrun started takes its share of every batch. Each loss is written so that the
mean of its values over the processes is the value for the whole batch; then the mean of their
gradients is the gradient for the whole batch, and nothing else has to be exchanged. A loss that is
no plain mean over pictures (a quotient of sums, a nonlinear function of the batch's mean) passes
the inner sums through `mean`. In a single process everything in here does nothing.
"""

import importlib
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
    """This process among all: its rank, their number, and its rank on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0


def group() -> Group:
    """The group of this process; a single process without torchrun."""
    if not dist.is_initialized():
        return Group()
    local = int(os.environ.get("LOCAL_RANK", dist.get_rank()))
    return Group(dist.get_rank(), dist.get_world_size(), local)


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the other processes that torchrun started, if it did; yields this process's device.

    Args:
        device: `cpu` (with gloo) or `cuda` (with nccl), which becomes this process's own GPU.

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
    # Optimizers import it, and where a group exists by then it keeps that group for ever: gloo's
    # threads then outlive the interpreter, and now and then end a finished run by SIGABRT.
    importlib.import_module("torch._dynamo")
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
    """The sum over processes, differentiable to any order: its gradient is such a sum again."""

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

    In a quotient of sums pass the denominator through it, in a function of a batch's mean that
    mean: with parts of equal size both are then those of the whole batch.
    """
    size = group().size
    return local if size == 1 else _summed(local) / size


def average_gradients(module: nn.Module) -> None:
    """Replace every gradient of the module by its mean over processes, in one exchange."""
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


def any_process(flags: list[bool], device: torch.device) -> list[bool]:
    """Whether each flag is set in any process; all processes get the same answers."""
    return [share > 0 for share in means([float(flag) for flag in flags], device)]


def gather(local: Any) -> list[Any]:
    """The objects of all processes, by rank; they must be picklable."""
    size = group().size
    if size == 1:
        return [local]
    found: list[Any] = [None] * size
    dist.all_gather_object(found, local)
    return found
