"""One network's optimizer step: loss scaling, gradient clipping, and the check for NaN."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from inpaintcli.errors import InpaintError
from inpaintcli_training import distributed
from inpaintcli_training.recipe import Recipe

_LEAST_SCALE = 1e-3  # of fp16 losses; below it gradients are infinite whatever the scale


class DivergedError(InpaintError):
    """A loss, or a gradient, is no longer a number."""


class NetworkOptimizer:
    """Accumulates gradients and losses of the parts of a batch, then does one step.

    Losses and gradients are averaged over all processes, so that each of them does the same step or
    stops with the same error.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, device: torch.device) -> None:
        self.network = network
        self.recipe = recipe
        self.device = device
        self.optimizer = torch.optim.AdamW(
            network.parameters(),
            recipe.lr,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
            fused=device.type == "cuda",
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        self._losses: dict[str, Tensor] = {}
        self.optimizer.zero_grad(set_to_none=True)

    def add(self, terms: dict[str, Tensor]) -> None:
        """Backward through the terms of one of the `accumulate` parts of a batch."""
        share = 1 / self.recipe.accumulate
        loss = torch.stack([term.float() for term in terms.values()]).sum() * share
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        for name, term in terms.items():
            value = term.detach().float() * share
            self._losses[name] = self._losses[name] + value if name in self._losses else value

    def step(self, rate: float, images: int) -> dict[str, float]:
        """Apply the gradients; returns the losses of the whole batch by name.

        Args:
            rate: the learning rate.
            images: seen so far, for the message.

        Raises:
            DivergedError: a loss or the gradient is not finite; the weights stay as they are. An
                infinite gradient of scaled losses only lowers their scale.
        """
        distributed.average_gradients(self.network)
        self.scaler.unscale_(self.optimizer)
        # An infinite limit only measures the norm: the gradient is multiplied by exactly 1.
        limit = self.recipe.gradient_norm or math.inf
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        # All in one transfer from the device and one exchange between processes.
        measured = torch.stack([*self._losses.values(), norm.float()]).tolist()
        *values, gradient_norm = distributed.means(measured, self.device)
        losses = dict(zip(self._losses, values, strict=True))
        self._losses = {}
        self._check(losses, gradient_norm, images)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return losses

    def _check(self, losses: dict[str, float], norm: float, images: int) -> None:
        for name, value in losses.items():
            if not math.isfinite(value):
                raise _diverged(f"The loss '{name}'", value, images)
        scaled = self.scaler.is_enabled() and self.scaler.get_scale() > _LEAST_SCALE
        if not math.isfinite(norm) and not scaled:
            raise _diverged(f"The gradient of {', '.join(losses)}", norm, images)

    def state_dict(self) -> dict[str, Any]:
        """The moments and the loss scale."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore moments and loss scale; rate, betas and decay stay those of the recipe."""
        settings = [
            {k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups
        ]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(own)
        if self.scaler.is_enabled() and state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])


def _diverged(what: str, value: float, images: int) -> DivergedError:
    return DivergedError(
        f"{what} became {value} after {images} images.",
        hint="Resume from the last checkpoint with a lower rate: --resume --set lr=...",
    )
