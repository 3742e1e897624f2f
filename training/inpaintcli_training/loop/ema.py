"""Exponential moving averages of a network's weights: what is validated, shown and exported."""

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def copied(network: nn.Module) -> Weights:
    """The averages of a network that has not been trained yet."""
    return {name: value.clone() for name, value in network.state_dict().items()}


@torch.no_grad()
def follow(averages: Weights, network: nn.Module, *, decay: float, steps: int) -> None:
    """Move the averages towards the network; short at first, then as long as `decay` says.

    Args:
        averages: changed in place.
        network: after a step.
        decay: the share that the averages keep.
        steps: done before this one; the decay is at most (1 + steps) / (10 + steps).
    """
    decay = min(decay, (1 + steps) / (10 + steps))
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            averages[name].lerp_(value, 1 - decay)
        else:  # a counter, as batch normalisation has
            averages[name].copy_(value)
