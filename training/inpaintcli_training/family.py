"""The value: what a family of generators offers to the loop and to the exporter.

A module in `inpaintcli_training.generators` has `Config`, `Generator(BaseGenerator)`, `ObjectiveConfig`,
`Objective(BaseObjective)` and `RECIPES`.
"""

from typing import Any

from torch import Tensor, nn

from inpaintcli_training.data.crops import Batch
from inpaintcli_training.layers.blocks import composite

Stages = dict[str, Tensor]
"""A generator's results in training, by name; `filled` (n, 3, h, w) is always among them."""


class BaseGenerator(nn.Module):
    """A generator: `image` (n, 3, h, w) in [-1, 1] and `mask` (n, 1, h, w), 1 in the hole.

    `forward(image, mask)` is what is exported: it gives `outputs` in their order, one tensor where
    there is one. `filled` comes first, (n, 3, h, w) in [-1, 1]; only its hole is meant to be used,
    and what the image holds under the mask is not looked at.
    """

    size_multiple: int
    """Of height and width, pixels."""
    outputs: tuple[str, ...] = ("filled",)
    choices: frozenset[str] = frozenset()
    """Those outputs that are picked out (an argmax): where two are near, runtimes may differ."""
    objects: bool = False
    """Whether the mask may also be 0.5: on a pasted object, for an output `harmonized`."""

    @property
    def idle(self) -> frozenset[str]:
        """Weights that do nothing yet, by name: an exported graph is without them."""
        return frozenset()

    def begin(self, images: int) -> None:
        """Called before each step with the crops seen so far, for what changes on the way.

        Whatever uses weights of a run calls it, too: exporting, say.
        """

    def stages(self, batch: Batch) -> Stages:
        """Everything that the losses look at; without stages of its own, what `forward` gives."""
        return {"filled": first_output(self(batch.photo, batch.mask))}


def given(batch: Batch, *, objects: bool) -> tuple[Tensor, Tensor]:
    """The generator's `image` and `mask`: with pasted objects, where it takes them."""
    if not objects or batch.pasted is None or batch.foreground is None:
        return batch.photo, batch.mask
    return batch.pasted, batch.mask + 0.5 * batch.foreground


def result(batch: Batch, stages: Stages) -> Tensor:
    """The photo with the generator's pixels in the hole and on a pasted object."""
    made = composite(batch.photo, batch.mask, stages["filled"])
    if batch.foreground is None:
        return made
    return composite(made, batch.foreground, stages["harmonized"])


def first_output(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """`filled` of what a generator's `forward` gave."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


class BaseObjective(nn.Module):
    """The losses of a family; `critic`, where there is one, is trained in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.critic: nn.Module | None = None

    @property
    def notes(self) -> dict[str, Any]:
        """Which pretrained networks and layers the terms used, for the run's record."""
        return {}

    def begin(self, images: int) -> None:
        """Called before each step with the crops seen so far, for what changes on the way."""

    @property
    def rate_scale(self) -> float:
        """A factor on the learning rate of this step."""
        return 1.0

    def critic_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The critic's weighted terms by name; `stages` come detached."""
        raise NotImplementedError

    def generator_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The generator's weighted terms by name; their sum is the loss.

        Leaves no gradient in the critic.
        """
        raise NotImplementedError
