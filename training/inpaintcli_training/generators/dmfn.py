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
from inpaintcli_training.generators.cpu_training import CPU_TRAINING
from inpaintcli_training.layers.blocks import composite, zero_start
from inpaintcli_training.layers.start import check_start, opening, unpacked
from inpaintcli_training.losses.adversarial import (
    relativistic_critic_loss,
    relativistic_generator_loss,
)
from inpaintcli_training.losses.critics import GlobalLocalCritic, frozen, hole_windows
from inpaintcli_training.losses.guided import alignment_loss, guidance_map, self_guided_loss
from inpaintcli_training.losses.reconstruction import (
    FeatureDistance,
    feature_matching,
    hole_l1,
)
from inpaintcli_training.perceptual.feature_networks import squeezenet11, vgg19
from inpaintcli_training.perceptual.features import FeatureNetwork, Layout
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
    start: str = "grey"  # the paper's; membrane: the network corrects a smooth fill
    square: int = 1  # side of the squares of pixels that a position stands for; ours
    # Instance norms make the size of a correction the same for a busy photo and a calm one. Without
    # them a block starts as the identity, and skip links join encoder and decoder.
    normalised: bool = True

    def __post_init__(self) -> None:
        at_least(1, self, "width")
        at_least(0, self, "blocks")
        check_start(self.start, self.square)
        if self.form not in FORMS:
            hint = f"Forms: {', '.join(FORMS)}."
            raise UsageError(f"'{self.form}' is no form of DMFN.", hint=hint)


class Generator(BaseGenerator):
    """Photo with a hole in, photo without one out (section 3.1, figure 3).

    Input: `image` (n, 3, h, w) in [-1, 1], `mask` (n, 1, h, w), 1 in the hole; h and w are
    multiples of 4. Pixels under the mask are not looked at. Output: (n, 3, h, w) in [-1, 1],
    I_pred; only its hole is meant to be used.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, pixels, norm = config.width, config.square**2, config.normalised
        self.config = config
        self.size_multiple = 4 * config.square
        self.encoder = nn.Sequential(
            nn.Conv2d(4 * pixels, width, 5, padding=2),
            nn.ReLU(),
            *_layer(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), norm),
            *_layer(nn.Conv2d(2 * width, 2 * width, 3, padding=1), norm),
            *_layer(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), norm),
        )
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.blocks)))
        self.decoder = nn.Sequential(
            *_layer(nn.Conv2d(4 * width, 4 * width, 3, padding=1), norm),
            *_layer(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1), norm),
            *_layer(nn.Conv2d(2 * width, 2 * width, 3, padding=1), norm),
            *_layer(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), norm),
            *_layer(nn.Conv2d(width, width, 3, padding=1), norm),
            nn.Conv2d(width, 3 * pixels, 3, padding=1),
        )
        if config.start == "membrane":
            zero_start(self.decoder[-1])
        else:
            self.decoder.append(nn.Tanh())

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict the whole picture, see the class."""
        begun = opening(image, mask, self.config.start, self.config.square)
        predicted = self._predicted(begun.planes)
        if self.config.start == "membrane":
            predicted = begun.plus(predicted).colours.clamp(-1, 1)
        return unpacked(predicted, self.config.square)

    def _predicted(self, x: Tensor) -> Tensor:
        if self.config.normalised:
            predicted: Tensor = self.decoder(self.blocks(self.encoder(x)))
            return predicted
        full = self.encoder[:2](x)
        half = self.encoder[2:6](full)
        x = self.decoder[:4](self.blocks(self.encoder[6:](half)))
        changed: Tensor = self.decoder[8:](self.decoder[4:8](x + half) + full)
        return changed


class Block(nn.Module):
    """The dense multi-scale fusion block (figure 2): (n, 4 * width, h, w) -> same.

    Four dilated 3x3 branches; their running sums (y_1 = x_1, y_i = K_i(y_{i-1} + x_i)) are
    concatenated, fused and added to the input.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, norm = config.width, config.normalised
        paper = config.form == "paper"
        self.reduce = nn.Sequential(*_layer(nn.Conv2d(4 * width, width, 3, padding=1), norm))
        branches = [nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in (1, 2, 4, 8)]
        self.branches = nn.ModuleList(
            nn.Sequential(*_layer(branch, norm)) if paper else branch for branch in branches
        )
        self.combine = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) if paper else nn.Identity() for _ in range(3)
        )
        kernel = 1 if paper else 3
        fusing = nn.Conv2d(4 * width, 4 * width, kernel, padding=kernel // 2)
        if norm:
            norms = [nn.InstanceNorm2d(4 * width) for _ in range(2)]
            self.fuse = nn.Sequential(norms[0], nn.ReLU(), fusing, norms[1])
        else:
            zero_start(fusing)
            self.fuse = nn.Sequential(nn.ReLU(), fusing)

    def forward(self, x: Tensor) -> Tensor:
        """Fuse four scales and add them to `x`, see the class."""
        reduced = self.reduce(x)
        sums = [self.branches[0](reduced)]
        for branch, combine in zip(self.branches[1:], self.combine, strict=True):
            sums.append(combine(sums[-1] + branch(reduced)))
        fused: Tensor = self.fuse(torch.cat(sums, 1))
        return x + fused


def _layer(conv: nn.Conv2d | nn.ConvTranspose2d, normalised: bool) -> tuple[nn.Module, ...]:
    """The convolution, where wanted an instance norm that is not affine, a ReLU.

    The norm cancels the convolution's bias, which could go; it stays because the paper's
    parameter count (table 2) includes it. It costs nothing at run time.
    """
    if normalised:
        return conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU()
    return conv, nn.ReLU()


NETWORKS = ("vgg19", "squeezenet")
_LAYERS = {  # equation 8; the first two are those of equation 5
    "vgg19": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "squeezenet": ("relu1", "fire3", "fire5", "fire7", "fire9"),
}
_GUIDED = 2
# relu4_1 (3.2.2), or the deepest before it that the file has; fire5 works at the same resolution.
_ALIGNED = {"vgg19": 4, "squeezenet": 3}


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
    # Whose features the terms of VGG look at. SqueezeNet's relu1 and fire3 have the channels of
    # VGG's relu1_1 and relu2_1, at a half of their resolution; they cost a tenth.
    network: str = "vgg19"
    hole: float = 0.0  # ours: mean absolute error in the hole alone
    distance: float = 0.0  # ours: SqueezeNet's feature distance of the composite
    # Grey levels that count as 1 in a feature of Caffe's VGG-19, which takes 0..255. Torchvision's,
    # for which lambda was chosen, takes pixels divided by 255 times ImageNet's standard deviation
    # (0.2258 on average). Without this the VGG terms would weigh 57.6 times as much.
    feature_unit: float = 57.6

    def __post_init__(self) -> None:
        at_least(1, self, "critic_width")
        if self.network not in NETWORKS:
            hint = f"Networks: {', '.join(NETWORKS)}."
            raise UsageError(f"'{self.network}' is no network for these losses.", hint=hint)


class Objective(BaseObjective):
    """Equation 11, and the critic's side of it.

    All terms look at the composite I_out = I_in + I_pred * M (section 4.1), so the mean absolute
    error, too, is over the whole picture and falls on the hole alone.
    """

    def __init__(self, recipe: Recipe, features: Path | None) -> None:
        super().__init__()
        config: ObjectiveConfig = recipe.objective
        self.config = config
        self.vgg: FeatureNetwork | None = None
        if config.vgg or config.alignment:
            self.vgg = _matched(config.network, features)
        self.distance = FeatureDistance(squeezenet11(features)) if config.distance else None
        self.aligned = _deepest(self.vgg, config.network) if self.vgg else ""
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
            "left_out": [name for name in _LAYERS[self.config.network] if name not in layers],
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
        terms = {}
        if self.config.mae:
            terms["mae"] = self.config.mae * F.l1_loss(filled, batch.photo)
        if self.config.hole:
            terms["hole"] = self.config.hole * hole_l1(filled, batch.photo, batch.mask)
        if self.distance is not None:
            terms["distance"] = self.config.distance * self.distance(filled, batch.photo)
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
            guided = _LAYERS[self.config.network][:_GUIDED]
            terms["self_guided"] = weight * self_guided_loss(ours, theirs, guidance, guided)
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


def _matched(kind: str, folder: Path | None) -> FeatureNetwork:
    """The network tapped at the layers of equation 8, those of them that its file has."""
    if kind == "vgg19":
        return vgg19(folder, _LAYERS[kind])
    network = squeezenet11(folder, layout=Layout.caffe)
    wanted = _LAYERS[kind]
    network.taps = {number: name for number, name in network.taps.items() if name in wanted}
    return network


def _deepest(network: FeatureNetwork, kind: str) -> str:
    """The layer for the alignment: relu4_1, or the deepest before it; empty where there is none."""
    found = [name for name in _LAYERS[kind][: _ALIGNED[kind]] if name in network.taps.values()]
    return found[-1] if found else ""


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
        generator=Config(width=48, start="membrane", square=2, normalised=False),
        # SqueezeNet has more maps to align than VGG-19; neither critic fits a CPU's hours.
        objective=ObjectiveConfig(
            mae=0.0,
            hole=1.0,
            network="squeezenet",
            vgg=10.0,
            alignment=0.01,
            distance=0.3,
            local_matching=0.0,
            adversarial=0.0,
        ),
        **CPU_TRAINING,
    ),
)
