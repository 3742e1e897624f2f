"""Contextual attention (Yu, Lin, Yang, Shen, Lu, Huang 2018): network, objective, recipes.

Two stages: a coarse fill, then a refinement that sees it in two branches, one that hallucinates
and one that rebuilds the hole's features from known patches (`layers.attention`). Where this file
leaves the paper, or decides what it leaves open, a comment says so and why;
docs/papers/contextual-attention.md has them in one table.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli.errors import UsageError
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.family import BaseGenerator, BaseObjective, Stages
from inpaintcli_training.generators.cpu_training import CPU_TRAINING
from inpaintcli_training.layers.attention import Attention, attend, most_attended
from inpaintcli_training.layers.blocks import composite, zero_start
from inpaintcli_training.layers.bodies import (
    DILATIONS,
    PAPER_WIDTHS,
    MirrorConv,
    decoder,
    dilated,
    encoder,
    layer,
)
from inpaintcli_training.layers.start import Opening, check_start, opening, unpacked
from inpaintcli_training.losses.adversarial import gradient_penalty
from inpaintcli_training.losses.critics import WassersteinCritics, frozen, hole_windows
from inpaintcli_training.losses.reconstruction import (
    FeatureDistance,
    hole_l1,
    spatial_discount,
)
from inpaintcli_training.perceptual.feature_networks import squeezenet11
from inpaintcli_training.recipe import HoleMix, Recipe, at_least

FORMS = ("paper", "public")
_HALLUCINATION = {"paper": PAPER_WIDTHS, "public": (1, 1, 2, 2, 4, 4)}
_ATTENTION = {"paper": PAPER_WIDTHS, "public": (1, 1, 2, 4, 4, 4)}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Width, which of the two published forms the layers have, and how the attention works.

    `paper` is appendix D: photo and mask come in, all three encoders have the same widths;
    3,765,158 parameters at full width. `public` is the form of the authors' published code: a
    plane of ones comes in as well, the encoders of the second stage are narrower, and the
    attention sees a ReLU's output; 3,601,542 parameters, 2,905,574 without the attention's branch:
    the 2.9 million that the paper gives for the whole.
    """

    width: int = 32  # channels at full resolution; four times as many at a quarter
    form: str = "paper"
    # The paper names rate and stride as options without saying what it ran with. Rate 2 is the
    # published code's; at rate 1, 512x512 pixels would need gigabytes.
    attention: Attention = field(default_factory=Attention)
    start: str = "grey"  # the paper's; membrane: both stages correct a smooth fill
    square: int = 1  # side of the squares of pixels that a position stands for; ours
    dilations: tuple[int, ...] = DILATIONS

    def __post_init__(self) -> None:
        at_least(2, self, "width")
        at_least(1, self, "dilations")
        check_start(self.start, self.square)
        if self.form not in FORMS:
            hint = f"Forms: {', '.join(FORMS)}."
            raise UsageError(f"'{self.form}' is no form of this network.", hint=hint)


class Generator(BaseGenerator):
    """Photo with a hole in; photo without one, and where it looked, out (section 4.2, figure 4).

    Input: `image` (n, 3, h, w) in [-1, 1], `mask` (n, 1, h, w), 1 in the hole; h and w are
    multiples of 8 (of 4 * rate). Pixels under the mask are not looked at. Output: `filled`
    (n, 3, h, w) in [-1, 1], only its hole meant to be used; `attention` (n, 2, h, w), for each
    pixel of the hole the way to the middle of the patch that it took most of, rows down and columns
    to the right, in pixels, in steps of 4 * rate; 0 where known.
    """

    outputs = ("filled", "attention")
    choices = frozenset({"attention"})

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, public = config.width, config.form == "public"
        self.how = config.attention
        self.config = config
        self.size_multiple = 4 * self.how.rate * config.square
        self.ones = public
        pixels = config.square**2
        channels = 4 * pixels + (1 if public else 0)
        self.coarse = nn.Sequential(
            encoder(channels, width),
            dilated(width, config.dilations),
            decoder(4 * width, width, 3 * pixels),
        )
        hallucination = encoder(channels, width, _HALLUCINATION[config.form])
        self.hallucination = nn.Sequential(hallucination, dilated(width, config.dilations))
        self.matching = _matching(channels, config)
        self.matched = nn.Sequential(layer(4 * width, 4 * width), layer(4 * width, 4 * width))
        self.refined = decoder(8 * width, width, 3 * pixels)
        if config.start == "membrane":
            for stage in (self.coarse, self.refined):
                zero_start(list(stage.modules())[-1])

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Fill the hole and say where it looked, see the class."""
        _, filled, weights = self._run(image, mask)
        cell = self.size_multiple
        way = F.interpolate(most_attended(weights, self.how.stride), scale_factor=float(cell))
        return filled, cell * way * mask

    def stages(self, batch: Batch) -> Stages:
        """The fills of both stages, `coarse` and `filled`."""
        coarse, filled, _ = self._run(batch.photo, batch.mask)
        return {"coarse": coarse, "filled": filled}

    def _run(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        square = self.config.square
        begun = opening(image, mask, self.config.start, square)
        coarse = self._colours(begun, self.coarse(self._input(begun)))
        seen = (
            Opening(coarse, begun.mask) if self.config.start == "membrane" else begun.plus(coarse)
        )
        x = self._input(seen)
        attended, weights = attend(self.matching(x), F.max_pool2d(mask, 4 * square), self.how)
        joined = torch.cat([self.hallucination(x), self.matched(attended)], 1)
        filled = self._colours(seen, self.refined(joined))
        return unpacked(coarse, square), unpacked(filled, square), weights

    def _colours(self, seen: Opening, made: Tensor) -> Tensor:
        """A stage's colours: what its last layer gave, or what it saw, changed by that.

        Both stages are clipped to the range (section 3), as the paper does instead of a tanh.
        """
        colours = seen.plus(made).colours if self.config.start == "membrane" else made
        return colours.clamp(-1, 1)

    def _input(self, seen: Opening) -> Tensor:
        ones = [torch.ones_like(seen.mask[:, :1])] if self.ones else []
        return torch.cat([seen.colours, *ones, seen.mask], 1)


def _matching(channels: int, config: Config) -> nn.Sequential:
    """The encoder whose features are matched."""
    width = config.width
    layers = list(encoder(channels, width, _ATTENTION[config.form]))
    if config.form == "public":
        layers[-1] = nn.Sequential(MirrorConv(4 * width, 4 * width), nn.ReLU())
    return nn.Sequential(*layers)


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Weights of the terms; a term with weight 0 is not computed.

    The paper adds its terms without naming weights: 1 and 0.001 are the published code's, but for
    its factor of 1.2 on both reconstructions.
    """

    coarse: float = 1.0  # discounted L1 of the first stage
    refined: float = 1.0  # and of the second
    gamma: float = 0.99  # the discount of a pixel's distance to the nearest known one
    # L1 of both stages where known. The published code has it, the paper does not; in short runs it
    # helps the hole as well: docs/log.md.
    known: float = 0.0
    adversarial: float = 0.001  # at 0 there are no critics
    penalty: float = 10.0  # lambda
    critic_width: int = 64
    # Distance of SqueezeNet's features. The paper found no use for perceptual losses beside its
    # critics (section 5.1); it stands in for them where five steps of critics are too dear.
    squeezenet: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, self, "critic_width")


class Objective(BaseObjective):
    """Spatially discounted L1 on both stages, two WGAN-GP critics on the second (section 3)."""

    def __init__(self, recipe: Recipe, features: Path | None) -> None:
        super().__init__()
        config: ObjectiveConfig = recipe.objective
        self.config = config
        self.squeezenet = FeatureDistance(squeezenet11(features)) if config.squeezenet else None
        self.critic: WassersteinCritics | None = None
        if config.adversarial:
            self.critic = WassersteinCritics(recipe.crop, config.critic_width)

    @property
    def notes(self) -> dict[str, Any]:
        """Which pretrained layers the terms used."""
        if self.squeezenet is None:
            return {}
        network = self.squeezenet.network
        return {network.file: list(network.taps.values())}

    def critic_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """E[D(fill)] - E[D(photo)] and the penalty inside the hole, for both critics."""
        assert self.critic is not None  # noqa: S101 - the loop asks only where there is a critic
        filled = composite(batch.photo, batch.mask, stages["filled"])
        between = _between(batch, filled)
        windows = hole_windows(batch.mask, self.critic.window)
        # In fp32: the penalty is a derivative of a derivative, and the scores a small difference.
        with torch.autocast(filled.device.type, enabled=False):
            real, fake = self.critic(batch.photo, windows), self.critic(filled, windows)
            scores = self.critic(between, windows)
            terms = {f"critic_{name}": (fake[name] - real[name]).mean() for name in scores}
            for name, score in scores.items():
                penalty = gradient_penalty(score, between, batch.mask)
                terms[f"penalty_{name}"] = self.config.penalty * penalty
        return terms

    def generator_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The weighted terms by name; their sum is the loss. Leaves no gradient in the critics."""
        config, photo = self.config, batch.photo
        coarse, filled = stages["coarse"], stages["filled"]
        # The weighted mean over the hole: the paper does not say what the sum is divided by.
        weight = spatial_discount(batch.mask, config.gamma)
        terms = {
            "coarse": config.coarse * hole_l1(coarse, photo, weight),
            "refined": config.refined * hole_l1(filled, photo, weight),
        }
        if config.known:
            known = 1 - batch.mask
            error = hole_l1(coarse, photo, known) + hole_l1(filled, photo, known)
            terms["known"] = config.known * error
        completed = composite(photo, batch.mask, filled)
        if self.squeezenet is not None:
            terms["squeezenet"] = config.squeezenet * self.squeezenet(completed, photo)
        if self.critic is not None:
            terms["adversarial"] = -config.adversarial * self._judged(batch, completed)
        return terms

    def _judged(self, batch: Batch, completed: Tensor) -> Tensor:
        """The mean score of both critics together."""
        assert self.critic is not None  # noqa: S101 - asked where there is one
        windows = hole_windows(batch.mask, self.critic.window)
        with frozen(self.critic), torch.autocast(completed.device.type, enabled=False):
            scores = self.critic(completed, windows)
        return torch.stack([score.mean() for score in scores.values()]).sum()


def _between(batch: Batch, filled: Tensor) -> Tensor:
    """(1 - t) photo + t fill, t drawn for each picture from the crop's number (algorithm 1)."""
    draws = [torch.Generator().manual_seed(batch.index + i) for i in range(len(filled))]
    t = torch.stack([torch.rand(1, 1, 1, generator=draw) for draw in draws]).to(filled.device)
    return torch.lerp(batch.photo, filled, t).requires_grad_()


_PAPER = Recipe(
    name="contextual",
    family="contextual",
    source="Generative Image Inpainting with Contextual Attention (Yu et al. 2018)",
    generator=Config(),
    objective=ObjectiveConfig(),
    crop=256,
    short_side=(256, 256),
    holes=HoleMix(rectangle=0, brush=0, blob=0, thin=0, box=1),  # at most 128 of 256 pixels
    hole_ratio=(0.02, 0.25),
    batch=16,
    critic_steps=5,
    images=8_000_000,  # the paper does not say; 500,000 steps
    warmup_images=0,
    lr=1e-4,
    betas=(0.5, 0.9),
    weight_decay=0.0,
)
RECIPES = (
    _PAPER,
    replace(
        _PAPER,
        name="contextual-public",
        generator=Config(form="public", attention=Attention(propagated="scores")),
        objective=ObjectiveConfig(coarse=1.2, refined=1.2, known=1.2, gamma=0.9),
    ),
    # In squares, the attention's patches at rate 1 are those at rate 2 of a whole photo.
    replace(
        _PAPER,
        name="contextual-small",
        generator=Config(
            width=24,
            start="membrane",
            square=2,
            dilations=(1, 2, 4, 8),
            attention=Attention(rate=1),
        ),
        objective=ObjectiveConfig(adversarial=0.0, squeezenet=0.3),
        **CPU_TRAINING,
    ),
)
