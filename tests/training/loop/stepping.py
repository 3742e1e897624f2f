"""Steps of a trainer without the loop, and its whole state."""

import math
from collections.abc import Callable
from itertools import islice

import pytest
import torch
from inpaintcli_training.data.crops import Batch, Crops
from inpaintcli_training.family import Stages
from inpaintcli_training.loop.train import (
    Trainer,
)
from torch import Tensor

Losses = list[dict[str, float]]


def steps(
    trainer: Trainer, crops: Crops, count: int, after: Callable[[int], None] = lambda _step: None
) -> Losses:
    """The losses of so many steps; `after` is called with the number of each, from 1 on."""
    recipe = trainer.recipe
    batches = crops.batches(trainer.images * recipe.critic_steps)
    size = recipe.critic_steps * recipe.accumulate
    losses = []
    for step in range(1, count + 1):
        losses.append(trainer.step(*islice(batches, size)))
        after(step)
    batches.close()
    return losses


def everything(trainer: Trainer) -> dict[str, Tensor]:
    """Every tensor of the state, by its path."""
    found: dict[str, Tensor] = {}

    def walk(value: object, path: str) -> None:
        if isinstance(value, Tensor):
            found[path] = value
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}/{key}")
        elif isinstance(value, list):
            walk(dict(enumerate(value)), path)

    walk(trainer.state_dict(), "")
    return found


def assert_same(a: Trainer, b: Trainer) -> None:
    ours, theirs = everything(a), everything(b)
    assert ours.keys() == theirs.keys()
    assert [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])] == []


def poisoned(trainer: Trainer, term: str, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    """Let one term of the loss be NaN."""
    healthy = getattr(trainer.objective, side)

    def loss(batch: Batch, stages: Stages) -> dict[str, Tensor]:
        terms = healthy(batch, stages)
        return terms | {term: terms[term] * math.nan}

    monkeypatch.setattr(trainer.objective, side, loss)
