"""DMFN, "Image Fine-grained Inpainting" (Hui, Li, Wang, Gao 2020): network, objective, recipes.

One stage: an encoder to a quarter of the resolution, dense multi-scale fusion blocks, a decoder.
Where this file leaves the paper, or decides what it leaves open, a comment says so and why.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli.errors import UsageError
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.family import BaseGenerator, BaseObjective, Stages
from inpaintcli_training.layers.blocks import composite
from inpaintcli_training.losses.discriminators import GlobalLocalCritic, frozen, hole_windows
from inpaintcli_training.losses.reconstruction import (
    feature_matching,
    layer_weight,
    relativistic_critic_loss,
    relativistic_generator_loss,
)
from inpaintcli_training.perceptual.feature_networks import vgg19
from inpaintcli_training.perceptual.features import FeatureNetwork, Features, Layout
from inpaintcli_training.recipe import HoleMix, Recipe, at_least

FORMS = ("paper", "public")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Width, depth, and which of the two published forms the blocks have.

    `paper` is figure 2: normalised branches, convolutions K_i between the running sums and a 1x1
    fusion; 5,729,411 parameters at full width. `public` is the form of the authors' published
    code: bare branches, plain running sums and a 3x3 fusion; 9,037,443 parameters.
    """

    width: int = 64  # channels at full resolution; four times as many in the blocks
    blocks: int = 8
    form: str = "paper"

    def __post_init__(self) -> None:
        at_least(1, self, "width")
        at_least(0, self, "blocks")
        if self.form not in FORMS:
            hint = f"Forms: {', '.join(FORMS)}."
            raise UsageError(f"'{self.form}' is no form of DMFN.", hint=hint)


class Generator(BaseGenerator):
    """Photo with a hole in, photo without one out (section 3.1, figure 3).

    Input: `image` (n, 3, h, w) in [-1, 1], `mask` (n, 1, h, w), 1 in the hole; h and w are
    multiples of 4. Pixels under the mask are not looked at. Output: (n, 3, h, w) in [-1, 1],
    I_pred; only its hole is meant to be used.
    """

    size_multiple = 4

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.encoder = nn.Sequential(
            nn.Conv2d(4, width, 5, padding=2),
            nn.ReLU(),
            *_normalised(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)),
            *_normalised(nn.Conv2d(2 * width, 2 * width, 3, padding=1)),
            *_normalised(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)),
        )
        self.blocks = nn.Sequential(*(Block(width, config.form) for _ in range(config.blocks)))
        self.decoder = nn.Sequential(
            *_normalised(nn.Conv2d(4 * width, 4 * width, 3, padding=1)),
            *_normalised(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1)),
            *_normalised(nn.Conv2d(2 * width, 2 * width, 3, padding=1)),
            *_normalised(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)),
            *_normalised(nn.Conv2d(width, width, 3, padding=1)),
            nn.Conv2d(width, 3, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict the whole picture, see the class."""
        x = torch.cat([image * (1 - mask), mask], 1)
        predicted: Tensor = self.decoder(self.blocks(self.encoder(x)))
        return predicted


class Block(nn.Module):
    """The dense multi-scale fusion block (figure 2): (n, 4 * width, h, w) -> same.

    Four dilated 3x3 branches; their running sums (y_1 = x_1, y_i = K_i(y_{i-1} + x_i)) are
    concatenated, fused and added to the input.
    """

    def __init__(self, width: int, form: str) -> None:
        super().__init__()
        paper = form == "paper"
        self.reduce = nn.Sequential(*_normalised(nn.Conv2d(4 * width, width, 3, padding=1)))
        branches = [nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in (1, 2, 4, 8)]
        self.branches = nn.ModuleList(
            nn.Sequential(*_normalised(branch)) if paper else branch for branch in branches
        )
        self.combine = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) if paper else nn.Identity() for _ in range(3)
        )
        kernel = 1 if paper else 3
        self.fuse = nn.Sequential(
            nn.InstanceNorm2d(4 * width),
            nn.ReLU(),
            nn.Conv2d(4 * width, 4 * width, kernel, padding=kernel // 2),
            nn.InstanceNorm2d(4 * width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Fuse four scales and add them to `x`, see the class."""
        reduced = self.reduce(x)
        sums = [self.branches[0](reduced)]
        for branch, combine in zip(self.branches[1:], self.combine, strict=True):
            sums.append(combine(sums[-1] + branch(reduced)))
        fused: Tensor = self.fuse(torch.cat(sums, 1))
        return x + fused


def _normalised(conv: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    """The convolution, an instance norm that is not affine, a ReLU.

    The norm cancels the convolution's bias, which could go; it stays because the paper's
    parameter count (table 2) includes it. It costs nothing at run time.
    """
    return conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU()


_MATCHED = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # equation 8
_GUIDED = _MATCHED[:2]  # equation 5
_ALIGNED = _MATCHED[:4]  # relu4_1 (3.2.2), or the deepest before it that the network has


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Weights of the terms of equation 11; a term with weight 0 is not computed.

    With `vgg`, `alignment`, or both `local_matching` and `adversarial` at 0, the networks that
    these terms stand on are not built.
    """

    mae: float = 1.0
    vgg: float = 25.0  # lambda: self-guided regression and VGG feature matching
    local_matching: float = 5.0  # eta
    adversarial: float = 0.03  # mu
    alignment: float = 1.0  # gamma
    critic_width: int = 64
    # Grey levels that count as 1 in a feature of Caffe's VGG-19, which takes 0..255. Torchvision's,
    # for which lambda was chosen, takes pixels divided by 255 times ImageNet's standard deviation
    # (0.2258 on average). Without this the VGG terms would weigh 57.6 times as much.
    feature_unit: float = 57.6

    def __post_init__(self) -> None:
        at_least(1, self, "critic_width")


class Objective(BaseObjective):
    """Equation 11, and the critic's side of it.

    All terms look at the composite I_out = I_in + I_pred * M (section 4.1), so the mean absolute
    error, too, is over the whole picture and falls on the hole alone.
    """

    def __init__(self, recipe: Recipe, features: Path | None) -> None:
        super().__init__()
        config: ObjectiveConfig = recipe.objective
        self.config = config
        self.vgg = vgg19(features, _MATCHED) if config.vgg or config.alignment else None
        self.aligned = _deepest(self.vgg) if self.vgg else ""
        self.critic: GlobalLocalCritic | None = None
        if config.adversarial or config.local_matching:
            self.critic = GlobalLocalCritic(recipe.crop, config.critic_width)

    @property
    def notes(self) -> dict[str, Any]:
        """Which pretrained layers the terms used; the file may lack some that the paper has."""
        if self.vgg is None:
            return {}
        layers = list(self.vgg.taps.values())
        return {
            "file": self.vgg.file,
            "feature_matching": layers if self.config.vgg else [],
            "alignment": self.aligned if self.config.alignment else "",
            "left_out": [name for name in _MATCHED if name not in layers],
        }

    def critic_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The critic's loss on stages that must come detached."""
        assert self.critic is not None  # noqa: S101 - the loop asks only where there is a critic
        filled = composite(batch.photo, batch.mask, stages["filled"])
        windows = hole_windows(batch.mask, self.critic.window)
        real = self.critic(batch.photo, windows).score
        fake = self.critic(filled, windows).score
        return {"critic": relativistic_critic_loss(real, fake)}

    def generator_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The weighted terms by name; their sum is the loss. Leaves no gradient in the critic."""
        filled = composite(batch.photo, batch.mask, stages["filled"])
        terms = {"mae": self.config.mae * F.l1_loss(filled, batch.photo)}
        terms |= self._vgg_terms(batch, filled)
        terms |= self._critic_terms(batch, filled)
        return terms

    def _vgg_terms(self, batch: Batch, filled: Tensor) -> dict[str, Tensor]:
        if self.vgg is None:
            return {}
        ours = self.vgg(filled)
        with torch.no_grad():
            theirs = self.vgg(batch.photo)
        terms = {}
        if self.config.vgg:
            caffe = self.vgg.layout is Layout.caffe
            weight = self.config.vgg / (self.config.feature_unit if caffe else 1)
            guidance = guidance_map(filled, batch.photo)
            terms["self_guided"] = weight * self_guided_loss(ours, theirs, guidance)
            terms["vgg_matching"] = weight * feature_matching(ours, theirs)
        if self.config.alignment and self.aligned:
            aligned = alignment_loss(ours[self.aligned], theirs[self.aligned])
            terms["alignment"] = self.config.alignment * aligned
        return terms

    def _critic_terms(self, batch: Batch, filled: Tensor) -> dict[str, Tensor]:
        if self.critic is None:
            return {}
        windows = hole_windows(batch.mask, self.critic.window)
        with frozen(self.critic):
            ours = self.critic(filled, windows)
            with torch.no_grad():
                theirs = self.critic(batch.photo, windows)
        terms = {}
        if self.config.adversarial:
            loss = relativistic_generator_loss(theirs.score, ours.score)
            terms["adversarial"] = self.config.adversarial * loss
        if self.config.local_matching:
            matching = feature_matching(ours.local, theirs.local)
            terms["local_matching"] = self.config.local_matching * matching
        return terms


def _deepest(network: FeatureNetwork) -> str:
    """The layer for the alignment: relu4_1, or the deepest before it; empty where there is none."""
    found = [name for name in _ALIGNED if name in network.taps.values()]
    return found[-1] if found else ""


def guidance_map(filled: Tensor, photo: Tensor, *, epsilon: float = 1e-8) -> Tensor:
    """Where the output is wrong, each picture's map scaled to 0..1 (equations 2 and 3).

    Args:
        filled: (n, 3, h, w), I_out.
        photo: (n, 3, h, w), I_gt.
        epsilon: least range of a map. Equation 3 is 0/0 where output equals target; so it is 0.

    Returns:
        (n, 1, h, w) without gradient: it is an attention map (3.2.1), and a gradient through its
        own normalisation would reward errors that are spread evenly, not small ones.
    """
    error = (filled.detach() - photo).float().square().mean(1, keepdim=True)
    lowest, highest = error.amin((2, 3), keepdim=True), error.amax((2, 3), keepdim=True)
    return (error - lowest) / (highest - lowest).clamp(min=epsilon)


def self_guided_loss(ours: Features, theirs: Features, guidance: Tensor) -> Tensor:
    """Feature differences at relu1_1 and relu2_1, weighted by the guidance (equations 4 and 5)."""
    total = guidance.new_zeros(())
    for level, name in enumerate(_GUIDED):
        if name in ours:
            difference = (ours[name] - theirs[name]).float().abs()
            attention = F.avg_pool2d(guidance, 2**level)  # equation 4, level times over
            total = total + layer_weight(difference) * (attention * difference).mean()
    return total


def alignment_loss(ours: Tensor, theirs: Tensor) -> Tensor:
    """Squared distance of the response maps' centres, summed over maps (equation 7).

    The mean over pictures. Coordinates run over [-1, 1]: the paper gives no unit, the published
    code has this one; in pixels the term would be hundreds of times all others together.
    """
    return (_centres(ours) - _centres(theirs)).square().sum((1, 2)).mean()


def _centres(responses: Tensor, *, epsilon: float = 1e-6) -> Tensor:
    """The centre of gravity of each map (equation 6): (n, k, h, w), >= 0 -> (n, k, 2) as y, x.

    `epsilon` is added to the responses, so that a map without any has its centre in the middle.
    """
    responses = responses.float() + epsilon
    total = responses.sum((2, 3))
    y = torch.linspace(-1, 1, responses.shape[2], device=responses.device)
    x = torch.linspace(-1, 1, responses.shape[3], device=responses.device)
    return torch.stack([responses.sum(3) @ y / total, responses.sum(2) @ x / total], 2)


_PAPER = Recipe(
    name="dmfn",
    family="dmfn",
    source="Image Fine-grained Inpainting (Hui et al. 2020)",
    generator=Config(),
    objective=ObjectiveConfig(),
    crop=256,
    short_side=(256, 256),  # section 4.1: the picture's short side becomes 256
    holes=HoleMix(rectangle=0, brush=0, blob=0, thin=0, box=1),
    hole_ratio=(0.02, 0.25),
    batch=16,
    images=8_000_000,  # the paper does not say; 500,000 steps
    warmup_images=0,
    lr=2e-4,
    betas=(0.5, 0.9),
    weight_decay=0.0,
)
RECIPES = (
    _PAPER,
    replace(_PAPER, name="dmfn-public", generator=Config(form="public")),
    replace(
        _PAPER,
        name="dmfn-small",
        generator=Config(width=32),
        objective=ObjectiveConfig(critic_width=32),
        crop=128,
        short_side=(128, 160),
        images=400_000,
        warmup_images=2_000,
    ),
)
