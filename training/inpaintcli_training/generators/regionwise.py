"""Region-wise convolutions and non-local correlation (Ma et al. 2019): network, objective, recipes.

Two stages on the body of contextual attention, without its attention. The coarse decoder convolves
known and missing positions with filters of their own; the fine stage sees the coarse result pasted
into the photo. Where this file leaves the paper, or decides what it leaves open, a comment says so
and why; docs/papers/region-wise.md has them in one table.
"""

from collections.abc import Callable
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
from inpaintcli_training.layers.bodies import DILATIONS, MirrorConv, dilated, encoder, layer
from inpaintcli_training.layers.start import check_start, opening, unpacked
from inpaintcli_training.losses.gram import correlation_loss, style_loss
from inpaintcli_training.losses.reconstruction import FeatureDistance, hole_l1
from inpaintcli_training.perceptual.feature_networks import squeezenet11, vgg16, vgg19
from inpaintcli_training.perceptual.features import FeatureNetwork, Layout
from inpaintcli_training.recipe import HoleMix, Recipe, at_least


@dataclass(frozen=True, kw_only=True)
class Config:
    """The width: channels at full resolution, four times as many at a quarter of it."""

    width: int = 32
    start: str = "grey"  # the paper's; membrane: both stages correct a smooth fill
    square: int = 1  # side of the squares of pixels that a position stands for; ours
    dilations: tuple[int, ...] = DILATIONS

    def __post_init__(self) -> None:
        at_least(2, self, "width")
        at_least(1, self, "dilations")
        check_start(self.start, self.square)


class Generator(BaseGenerator):
    """Photo with a hole in, photo without one out, coarse to fine (section 2.1, figure 2).

    Input: `image` (n, 3, h, w) in [-1, 1], `mask` (n, 1, h, w), 1 in the hole; h and w are
    multiples of 16. Pixels under the mask are not looked at. Output: (n, 3, h, w) in [-1, 1],
    I_p^(2); only its hole is meant to be used.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        # 4 squares would do but for the mirror padding, which wants maps of 3 x 3.
        self.size_multiple = 16 * config.square
        self.config = config
        self.coarse_encoder = Encoder(config)
        self.coarse_decoder = Decoder(config, RegionwiseConv)
        self.fine_encoder = Encoder(config)
        self.fine_decoder = Decoder(config, PlainConv)
        if config.start == "membrane":
            zero_start(self.coarse_decoder.colour)
            zero_start(self.fine_decoder.colour)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict the whole picture, see the class."""
        return self._predict(image, mask)[1].clamp(-1, 1)

    def stages(self, batch: Batch) -> Stages:
        """The predictions I_p^(1), `coarse`, and I_p^(2), `filled`.

        They are not yet clipped to [-1, 1], as what is exported is: where a prediction lies
        beyond, clipping would leave no gradient to bring it back.
        """
        coarse, fine = self._predict(batch.photo, batch.mask)
        return {"coarse": coarse, "filled": fine}

    def _predict(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        square, residual = self.config.square, self.config.start == "membrane"
        begun = opening(image, mask, self.config.start, square)
        hole = F.max_pool2d(mask, square) if square > 1 else mask
        coarse = self.coarse_decoder(self.coarse_encoder(begun.planes), hole)
        pasted = begun.plus(coarse)  # I_c^(1)
        fine = self.fine_decoder(self.fine_encoder(pasted.planes), hole)
        if residual:  # known positions, too, predict a change: none
            coarse, fine = begun.colours + coarse, pasted.colours + fine
        return unpacked(coarse, square), unpacked(fine, square)


class Encoder(nn.Module):
    """E_1 and E_2: (n, 4, h, w) -> seven maps, for the decoder's skip links and its input.

    Contextual attention's coarse network up to where it begins to enlarge: the paper's G makes no
    map smaller than 128 x 128 (section 2.3), so all that works at a quarter of 256 belongs here.
    Skip links join maps of one size, the latest with the earliest; the paper does not say which.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.down = encoder(4 * config.square**2, width)
        self.dilated = dilated(width, config.dilations)
        self.join5 = layer(8 * width, 4 * width)
        self.join4 = layer(8 * width, 4 * width)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps after layers 0 to 3 of `down`, shallow first, and the last of all."""
        maps = []
        for module in self.down:
            x = module(x)
            maps.append(x)
        x = self.join5(torch.cat([self.dilated(x), maps[5]], 1))
        x = self.join4(torch.cat([x, maps[4]], 1))
        return [*maps[:4], x]


class Decoder(nn.Module):
    """G with region-wise convolutions, D with plain ones: an encoder's maps -> (n, 3, h, w).

    `conv` makes a convolution of so many channels to so many, called with a map and the mask. The
    last one has no ELU, so that it reaches every colour; what it gives is not clipped.
    """

    def __init__(self, config: Config, conv: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        width = config.width
        self.half1 = conv(8 * width, 2 * width)
        self.half2 = conv(4 * width, 2 * width)
        self.full1 = conv(4 * width, width)
        self.full2 = conv(2 * width, width // 2)
        self.colour = conv(width // 2, 3 * config.square**2)

    def forward(self, maps: list[Tensor], mask: Tensor) -> Tensor:
        """The picture; `mask` is (n, 1, h, w), 1 in the hole."""
        full, down2, half, down4, x = maps
        half_mask = halved(mask)
        x = F.elu(self.half1(_twice(torch.cat([x, down4], 1)), half_mask))
        x = F.elu(self.half2(torch.cat([x, half], 1), half_mask))
        x = F.elu(self.full1(_twice(torch.cat([x, down2], 1)), mask))
        x = F.elu(self.full2(torch.cat([x, full], 1), mask))
        picture: Tensor = self.colour(x, mask)
        return picture


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def halved(mask: Tensor) -> Tensor:
    """The mask of a map at half the resolution: missing where any of the four pixels is.

    The paper resizes "proportionally" (section 2.2) and does not say how. Its known filters are
    for positions that hold enough to be reconstructed from themselves; a scratch one pixel wide
    would be half gone if one pixel of four spoke for all.
    """
    return F.max_pool2d(mask, 2)


class RegionwiseConv(nn.Module):
    """Equation 1: a 3x3 convolution with one bank of filters for known positions, one for missing.

    Both banks see the same window, W^T x + b; which one answers is the mask's value at the
    window's centre. They are one convolution of twice the channels: `banks` holds the known
    filters first, then those for missing positions.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.banks = MirrorConv(inside, 2 * outside)
        for bank in self.banks.weight.chunk(2):
            nn.init.xavier_uniform_(bank)  # each as if it were alone

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, inside, h, w) and mask (n, 1, h, w), 1 in the hole -> (n, outside, h, w)."""
        known, missing = self.banks(x).chunk(2, 1)
        return torch.where(mask > 0, missing, known)


class PlainConv(nn.Module):
    """The same with one bank for all positions."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = MirrorConv(inside, outside)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002 - as RegionwiseConv's
        """(n, inside, h, w) -> (n, outside, h, w), whatever the mask."""
        convolved: Tensor = self.conv(x)
        return convolved


NETWORKS = ("vgg16", "vgg19", "squeezenet")


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Weights of the terms of equation 6; a term with weight 0 is not computed.

    The norms of equations 3 to 5 are sums, and the weights are theirs. All terms are divided by
    the elements of the pictures, which leaves their proportion as it is: `reconstruction` is a
    mean absolute error. Beside it, correlation grows with the picture's area.
    """

    reconstruction: float = 1.0
    hole: float = 0.0  # ours: mean absolute error in the hole alone, of both stages
    correlation: float = 1e-5  # lambda_1
    style: float = 1e-3  # lambda_2
    # Whose pools correlation and style look at. The paper says VGG, the authors' code VGG-16.
    # VGG-19 has the same pools of the same sizes behind 2, 2 and 4 convolutions in place of
    # 2, 2 and 3: it stands in where the folder has no VGG-16. SqueezeNet has maps of the same
    # channels and strides; with them both terms cost a quarter at 128 px (docs/log.md).
    network: str = "vgg16"
    distance: float = 0.0  # ours: SqueezeNet's feature distance of the refined composite
    rows: int = 512  # of the correlation matrix held at a time; no effect on the loss

    def __post_init__(self) -> None:
        at_least(1, self, "rows")
        if self.network not in NETWORKS:
            hint = f"Networks: {', '.join(NETWORKS)}."
            raise UsageError(f"'{self.network}' is no network for these losses.", hint=hint)


class Objective(BaseObjective):
    """Equation 6: reconstruction by both stages, correlation of the coarse one, style of the fine.

    The paper has no critic; the one of the authors' code belongs to their later work.
    """

    def __init__(self, recipe: Recipe, features: Path | None) -> None:
        super().__init__()
        config: ObjectiveConfig = recipe.objective
        self.config = config
        self.network: FeatureNetwork | None = None
        if config.correlation or config.style:
            self.network = _pools(config.network, features)
        self.distance = FeatureDistance(squeezenet11(features)) if config.distance else None

    @property
    def notes(self) -> dict[str, Any]:
        """Which pretrained layers the terms used, and whether VGG-19's stand in for VGG-16's."""
        notes: dict[str, Any] = {}
        if self.network is not None:
            layers = list(self.network.taps.values())
            notes = {"file": self.network.file, "style": layers, "correlation": layers[1]}
            if not self.network.file.startswith(self.config.network):
                notes["instead_of"] = self.config.network
        if self.distance is not None:
            notes["distance"] = self.distance.network.file
        return notes

    def generator_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The weighted terms by name; their sum is the loss."""
        config, photo = self.config, batch.photo
        coarse, fine = (composite(photo, batch.mask, stages[k]) for k in ("coarse", "filled"))
        terms = {
            "coarse": config.reconstruction * F.l1_loss(stages["coarse"], photo),
            "refined": config.reconstruction * F.l1_loss(stages["filled"], photo),
        }
        if config.hole:
            errors = [hole_l1(stages[k], photo, batch.mask) for k in ("coarse", "filled")]
            terms["hole"] = config.hole * (errors[0] + errors[1])
        terms |= self._gram_terms(photo, coarse, fine)
        if self.distance is not None:
            terms["distance"] = config.distance * self.distance(fine, photo)
        return terms

    def _gram_terms(self, photo: Tensor, coarse: Tensor, fine: Tensor) -> dict[str, Tensor]:
        if self.network is None:
            return {}
        with torch.no_grad():
            theirs = self.network(photo)
        elements = photo[0].numel()
        terms = {}
        if self.config.correlation:
            name = list(theirs)[1]
            ours = self.network(coarse)[name]
            loss = correlation_loss(ours, theirs[name], rows=self.config.rows)
            terms["correlation"] = self.config.correlation / elements * loss
        if self.config.style:
            loss = style_loss(self.network(fine), theirs)
            terms["style"] = self.config.style / elements * loss
        return terms


def _pools(kind: str, folder: Path | None) -> FeatureNetwork:
    """The network tapped at a half, a quarter and an eighth of the resolution.

    Of the original Caffe training, whose input runs to 255: the terms' weights assume its features.
    """
    if kind == "squeezenet":
        network = squeezenet11(folder, layout=Layout.caffe)
        wanted = ("relu1", "fire3", "fire5")  # 64, 128, 256 channels, as VGG's pools have
        network.taps = {number: name for number, name in network.taps.items() if name in wanted}
        return network
    if kind == "vgg16" and folder and not any(folder.glob("vgg16*")) and any(folder.glob("vgg19*")):
        kind = "vgg19"
    vgg = vgg16 if kind == "vgg16" else vgg19
    return vgg(folder, ("pool1", "pool2", "pool3"), layout=Layout.caffe)


_PAPER = Recipe(
    name="regionwise",
    family="regionwise",
    source="Coarse-to-Fine Image Inpainting via Region-wise Convolutions and Non-local "
    "Correlation (Ma et al. 2019)",
    generator=Config(),
    objective=ObjectiveConfig(),
    crop=256,
    short_side=(256, 256),  # section 3.1: photos are resized to 256
    holes=HoleMix(rectangle=0, brush=0.6, blob=0.2, thin=0.2),
    hole_ratio=(0.0, 0.4),  # section 3.1
    batch=8,
    images=560_000,  # 20 epochs of CelebA-HQ's 28,000 photos
    warmup_images=0,
    lr=1e-4,
    betas=(0.5, 0.9),  # the paper does not say; those of contextual attention
    weight_decay=0.0,
)
RECIPES = (
    _PAPER,
    replace(
        _PAPER,
        name="regionwise-small",
        generator=Config(width=16, start="membrane", square=2, dilations=(1, 2, 4, 8)),
        # A smooth fill's terms of correlation and style then are what VGG-19's are at 256 px
        # (docs/papers/region-wise.md).
        objective=ObjectiveConfig(
            network="squeezenet",
            reconstruction=0.1,
            hole=0.7,
            correlation=1e-3,
            style=0.07,
            distance=0.3,
        ),
        **CPU_TRAINING | {"crop": 128, "short_side": (190, 280)},
    ),
)
