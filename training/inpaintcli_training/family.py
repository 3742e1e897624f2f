"""What a family of generators offers to the training loop and to the exporter.

A module in `inpaintcli_training.generators` has `Config`, `Generator(BaseGenerator)`,
`ObjectiveConfig`, `Objective(BaseObjective)` and `RECIPES`.
"""

from typing import Any

from torch import Tensor, nn

from inpaintcli_training.data.crops import Batch
from inpaintcli_training.layers.blocks import composite

Stages = dict[str, Tensor]
"""A generator's results in training, by name; `filled` (n, 3, h, w) is always among them."""


class BaseGenerator(nn.Module):
    """A generator: `image` (n, 3, h, w) in [-1, 1] and `mask` (n, 1, h, w), 1 in the hole.

    `forward(image, mask)` is exported. It returns the `outputs` in their order, or a single tensor
    where there is one. `filled` comes first, (n, 3, h, w) in [-1, 1]; only its hole is meant to be
    used. The values of the image under the mask have no influence.
    """

    size_multiple: int
    """Height and width must be multiples of this many pixels."""
    outputs: tuple[str, ...] = ("filled",)
    choices: frozenset[str] = frozenset()
    """The outputs that an argmax selects: where two candidates are close, runtimes may differ."""
    objects: bool = False
    """Whether the mask may also be 0.5: on a pasted object, for an output `harmonized`."""

    @property
    def idle(self) -> frozenset[str]:
        """The names of weights that have no effect yet: an exported graph lacks them."""
        return frozenset()

    def begin(self, images: int) -> None:
        """Adapt to the number of crops seen so far, where the generator grows during training.

        Called before each step, and wherever else a run's weights are used, as in the export.
        """

    def stages(self, batch: Batch) -> Stages:
        """All results that the losses need; by default only `filled`."""
        return {"filled": first_output(self(batch.photo, batch.mask))}


def generator_inputs(batch: Batch, *, objects: bool) -> tuple[Tensor, Tensor]:
    """The generator's `image` and `mask`; with pasted objects, if it takes them."""
    if not objects or batch.pasted is None or batch.foreground is None:
        return batch.photo, batch.mask
    return batch.pasted, batch.mask + 0.5 * batch.foreground


def composite_outputs(batch: Batch, stages: Stages) -> Tensor:
    """The photo with the generator's pixels in the hole and on the pasted object, if any."""
    made = composite(batch.photo, batch.mask, stages["filled"])
    if batch.foreground is None:
        return made
    return composite(made, batch.foreground, stages["harmonized"])


def first_output(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """`filled`, from what a generator's `forward` returned."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


class BaseObjective(nn.Module):
    """The losses of a family. If there is a `critic`, it is trained in turn with the generator."""

    def __init__(self) -> None:
        super().__init__()
        self.critic: nn.Module | None = None

    @property
    def notes(self) -> dict[str, Any]:
        """The pretrained networks and layers that the terms use, for `run.json`."""
        return {}

    def begin(self, images: int) -> None:
        """Adapt to the number of crops seen so far; called before each step."""

    @property
    def rate_scale(self) -> float:
        """A factor for the learning rate of this step."""
        return 1.0

    def critic_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The critic's weighted terms by name; `stages` come detached."""
        raise NotImplementedError

    def generator_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The generator's weighted terms by name; their sum is the loss.

        Leaves no gradient in the critic.
        """
        raise NotImplementedError
