"""The efficient generator, our own: a smooth membrane in the graph, a network that corrects it.

The hole is first filled by `layers.pullpush`. A U-shaped residual network sees that
picture and the mask and adds a correction; the last layer and the second convolution of every
residual block start at zero, so step 0 already equals a classical method and every step improves
on it. It works at 1/16 of the resolution for most of its depth: 17.5 GMAC for 512x512 pixels, and
a third more where a quarter and half of the size are filled first: each fill is seen by the next.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli_training import distributed
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.family import BaseGenerator, BaseObjective, Stages
from inpaintcli_training.layers.blocks import ResidualBlock, composite, zero_start
from inpaintcli_training.layers.pullpush import Squares, doubled, packed_membranes, unpacked
from inpaintcli_training.losses.critics import PatchCritic, crop_windows, frozen
from inpaintcli_training.losses.reconstruction import FeatureDistance, hole_l1
from inpaintcli_training.perceptual.feature_networks import squeezenet11, vgg19
from inpaintcli_training.recipe import HoleMix, Recipe, at_least


@dataclass(frozen=True, kw_only=True)
class Config:
    """Widths and depths, from half the resolution down to a sixteenth."""

    channels: tuple[int, int, int, int] = (32, 64, 128, 256)  # at 1/2, 1/4, 1/8, 1/16
    blocks: tuple[int, int, int] = (1, 1, 2)  # residual blocks on each side at 1/2, 1/4, 1/8
    trunk_dilations: tuple[int, ...] = (1, 2, 1, 4, 1, 2)  # one block each at 1/16
    sizes: int = 1  # filled at so many sizes by the same weights, each size half of the next

    def __post_init__(self) -> None:
        at_least(1, self, "channels", "trunk_dilations", "sizes")
        at_least(0, self, "blocks")


class Generator(BaseGenerator):
    """Photo with a hole in, photo without one out.

    Input: `image` (n, 3, h, w) in [-1, 1], `mask` (n, 1, h, w), 1 in the hole; h and w are
    multiples of 16 for one size, of 32 for two, of 64 for three. Pixels under the mask are not
    looked at. Output: (n, 3, h, w) in [-1, 1], meant for the hole; known pixels come back as they
    were.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.sizes = config.sizes
        self.size_multiple = 16 * 2 ** (config.sizes - 1)
        c2, c4, c8, c16 = config.channels
        b2, b4, b8 = config.blocks
        self.stem = nn.Conv2d(16 if config.sizes == 1 else 28, c2, 3, padding=1)
        self.down4 = nn.Conv2d(c2, c4, 3, stride=2, padding=1)
        self.encode4 = _blocks(c4, b4)
        self.down8 = nn.Conv2d(c4, c8, 3, stride=2, padding=1)
        self.encode8 = _blocks(c8, b8)
        self.down16 = nn.Conv2d(c8, c16, 3, stride=2, padding=1)
        self.trunk = nn.Sequential(*(ResidualBlock(c16, d) for d in config.trunk_dilations))
        self.up8 = nn.Conv2d(c16, 4 * c8, 1)
        self.decode8 = _blocks(c8, b8)
        self.up4 = nn.Conv2d(c8, 4 * c4, 1)
        self.decode4 = _blocks(c4, b4)
        self.up2 = nn.Conv2d(c4, 4 * c2, 1)
        self.decode2 = _blocks(c2, b2)
        self.head = nn.Conv2d(c2, 12, 3, padding=1)
        zero_start(self.head)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Fill the hole, see the class."""
        *larger, least = packed_membranes(image, mask, self.sizes, levels=5 + self.sizes)
        filled = self._corrected(least, least.smooth)
        for squares in reversed(larger):
            filled = self._corrected(squares, squares.filled(doubled(filled)))
        return unpacked(filled)

    def _corrected(self, squares: Squares, begun: Tensor) -> Tensor:
        """The fill of one size; `begun`: that of half the size, or again the membrane."""
        x2 = F.silu(self._stem(squares.smooth, begun))
        x4 = self.encode4(F.silu(self.down4(x2)))
        x8 = self.encode8(F.silu(self.down8(x4)))
        x = self.trunk(F.silu(self.down16(x8)))
        x = self.decode8(x8 + F.pixel_shuffle(self.up8(x), 2))
        x = self.decode4(x4 + F.pixel_shuffle(self.up4(x), 2))
        x = self.decode2(x2 + F.pixel_shuffle(self.up2(x), 2))
        return (squares.smooth + squares.hole * self._head(x)).clamp(-1, 1)

    def _stem(self, smooth: Tensor, begun: Tensor) -> Tensor:
        """Of squares; the mask, which both have, is looked at once."""
        if self.sizes == 1:
            of_one: Tensor = self.stem(smooth)
            return of_one
        kernel = F.pad(self.stem.weight, (0,) * 5 + (4,))
        return F.conv2d(torch.cat([smooth, begun], 1), kernel, self.stem.bias, padding=1)

    def _head(self, x: Tensor) -> Tensor:
        """To squares: nothing for the mask."""
        kernel, bias = self.head.weight, self.head.bias
        assert bias is not None  # noqa: S101 - it is made with one
        return F.conv2d(x, F.pad(kernel, (0,) * 7 + (4,)), F.pad(bias, (0, 4)), padding=1)


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Weights of the terms; a term with weight 0 is not computed."""

    hole: float = 1.0
    squeezenet: float = 0.15
    vgg: float = 0.0
    jitter: int = 8  # features see the crop shifted by up to this many pixels, against a grid
    vgg_window: int = 96  # VGG sees a window of this side on the hole: it costs ten generators
    adversarial: float = 0.0
    critic_width: int = 32

    def __post_init__(self) -> None:
        at_least(1, self, "critic_width", "vgg_window")


class Objective(BaseObjective):
    """L1 in the hole and distances of deep features of the composite.

    The features' strides leave a faint grid in large holes; shifting the crop by a few random
    pixels before the features spreads the error evenly.
    """

    def __init__(self, recipe: Recipe, features: Path | None) -> None:
        super().__init__()
        config: ObjectiveConfig = recipe.objective
        self.config = config
        self.squeezenet = FeatureDistance(squeezenet11(features)) if config.squeezenet else None
        self.vgg = FeatureDistance(vgg19(features)) if config.vgg else None
        self.patch_critic = PatchCritic(config.critic_width) if config.adversarial else None
        self.critic = self.patch_critic

    @property
    def notes(self) -> dict[str, Any]:
        """Which pretrained layers the terms used."""
        used = [d.network for d in (self.squeezenet, self.vgg) if d is not None]
        return {network.file: list(network.taps.values()) for network in used}

    def generator_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The weighted terms by name; their sum is the loss."""
        config, photo = self.config, batch.photo
        filled = composite(photo, batch.mask, stages["filled"])
        terms = {"hole": config.hole * hole_l1(stages["filled"], photo, batch.mask)}
        if self.squeezenet is not None:
            y, x = _shift(batch.first, config.jitter)
            distance = self.squeezenet(filled[:, :, y:, x:], photo[:, :, y:, x:])
            terms["squeezenet"] = config.squeezenet * distance
        if self.vgg is not None:
            side = min(config.vgg_window, *photo.shape[2:])
            corners = _window_corners(batch, side)
            terms["vgg"] = config.vgg * self.vgg(
                *(crop_windows(p, corners, side) for p in (filled, photo))
            )
        if self.patch_critic is not None:
            with frozen(self.patch_critic):
                score = self.patch_critic(filled)
            terms["adversarial"] = config.adversarial * _in_hole(F.softplus(-score), batch.mask)
        return terms

    def critic_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """Photos are real everywhere; a filled photo is fake as far as a patch overlaps the hole.

        The non-saturating loss of Goodfellow et al. 2014, weighted by the overlap.
        """
        assert self.patch_critic is not None  # noqa: S101 - the loop asks only where there is one
        fake = self.patch_critic(composite(batch.photo, batch.mask, stages["filled"]))
        real = self.patch_critic(batch.photo)
        losses = F.softplus(fake) + F.softplus(-real)
        return {"critic": _in_hole(losses, batch.mask)}


def _in_hole(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of a map (n, 1, h / s, w / s), each value weighted by its share of the hole."""
    share = F.adaptive_avg_pool2d(mask, values.shape[2:])  # type: ignore[arg-type]
    return (values * share).sum() / distributed.mean(share.sum()).clamp(min=1e-6)


def _shift(seed: int, most: int) -> tuple[int, int]:
    """Two offsets in [0, most) that depend on the crop's number alone."""
    if most < 1:
        return 0, 0
    draw = torch.randint(most, (2,), generator=torch.Generator().manual_seed(seed))
    return int(draw[0]), int(draw[1])


def _window_corners(batch: Batch, side: int) -> list[tuple[int, int]]:
    """For each picture a window's top left corner, centred on a random hole pixel where it fits."""
    height, width = batch.mask.shape[2:]
    corners = []
    for number, mask in enumerate(batch.mask[:, 0].cpu()):  # one transfer instead of one a picture
        pixels = mask.nonzero()
        draw = torch.Generator().manual_seed(batch.index + number)
        y, x = pixels[int(torch.randint(len(pixels), (1,), generator=draw))].tolist()
        corners.append(
            (
                min(max(0, y - side // 2), height - side),
                min(max(0, x - side // 2), width - side),
            )
        )
    return corners


_BASE = Recipe(
    name="membrane",
    family="membrane",
    source="this project: pull-push membrane and a residual U-Net",
    generator=Config(sizes=3),
    objective=ObjectiveConfig(),
    crop=128,
    short_side=(150, 300),
    holes=HoleMix(),
    batch=16,
    images=400_000,
    decay_images=120_000,
    lr=4e-4,
    betas=(0.9, 0.99),
    weight_decay=1e-4,
    gradient_norm=1.0,
)
# Larger crops show the context that the runtime shows; a critic comes in when the rest converged.
# Begin with --init: the weights of a finished `membrane` run, or the shipped model.
_FINISH = replace(
    _BASE,
    name="membrane-finish",
    objective=ObjectiveConfig(squeezenet=0.2, adversarial=0.02),
    crop=192,
    short_side=(192, 384),
    hole_ratio=(0.02, 0.6),
    batch=8,
    images=60_000,
    decay_images=40_000,
    lr=2e-4,
    ema_decay=0.9985,
)
RECIPES = (_BASE, _FINISH)
