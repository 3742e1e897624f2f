"""The exponential moving average (EMA) of a network's weights, which is validated and exported."""

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def initial_ema(network: nn.Module) -> Weights:
    """The EMA of a network that has not been trained yet: a copy of its weights."""
    return {name: value.clone() for name, value in network.state_dict().items()}


@torch.no_grad()
def update_ema(ema: Weights, network: nn.Module, *, decay: float, steps: int) -> None:
    """Move the EMA towards the network's weights.

    Args:
        ema: changed in place.
        network: after a step.
        decay: the share that the old average keeps.
        steps: done before this one. The decay is at most (1 + steps) / (10 + steps), so that the
            average forgets the initial weights soon.
    """
    decay = min(decay, (1 + steps) / (10 + steps))
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            ema[name].lerp_(value, 1 - decay)
        else:  # a counter, as batch normalisation has
            ema[name].copy_(value)
