"""BPT with ALA, "Image Inpainting using Block-wise Procedural Training ..." (Yang et al. 2018).

Network, procedure, objective, recipes. A head of nine dilated residual blocks at an eighth of the
resolution is trained first; then three more blocks are faded in, one at a time, while the learning
rate and the weight of the adversarial loss fall. There is no code by the authors: what their text
leaves open is decided here, and a comment says so (docs/papers/block-wise.md has the whole list).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli.errors import UsageError
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.family import (
    BaseGenerator,
    BaseObjective,
    Stages,
    composite_outputs,
    generator_inputs,
)
from inpaintcli_training.generators.cpu_training import CPU_TRAINING
from inpaintcli_training.layers.blocks import BatchNorm, zero_start
from inpaintcli_training.layers.start import check_start, opening
from inpaintcli_training.losses.adversarial import patch_critic_loss, patch_generator_loss
from inpaintcli_training.losses.critics import MultiScaleCritic, frozen
from inpaintcli_training.losses.patches import cut_patches, patch_boxes, perceptual_distance
from inpaintcli_training.losses.reconstruction import hole_l1
from inpaintcli_training.recipe import HoleMix, Pasted, Recipe, at_least


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, and the procedure in crops seen (algorithm 1: steps of 8).

    Block i of the added ones begins at `head_images + i * block_images` and is faded in over the
    first `fade` of its `block_images`. A rest of 0 images everywhere is the finished network.
    """

    width: int = 64  # channels at half the resolution; four times as many in the blocks
    head_blocks: int = 9
    added_blocks: int = 3
    dilation: int = 2
    harmonize: bool = True  # a second output, for pasted objects (section 3.4)
    head_images: int = 1_200_000
    block_images: int = 12_000
    # The paper fades "slowly ... as training progresses". Half of the time to fade and half to
    # settle is what Progressive GAN does, to which it compares itself.
    fade: float = 0.5
    start: str = "grey"  # the paper's; membrane: the network corrects a smooth fill, and the object
    # Without batch norms a block starts as the identity, and skip links join the layers that go
    # down with those that go up.
    normalised: bool = True

    def __post_init__(self) -> None:
        at_least(1, self, "width", "dilation")
        check_start(self.start)
        at_least(0, self, "head_blocks", "added_blocks", "head_images", "block_images")
        if not 0 <= self.fade <= 1:
            raise UsageError("fade lies between 0 and 1.")

    def stage(self, images: int) -> int:
        """How many of the added blocks have begun after so many crops: i of algorithm 1."""
        return sum(images >= self._start(number) for number in range(self.added_blocks))

    def gate(self, number: int, images: int) -> float:
        """The weight of added block `number` (from 0); that of the path around it is 1 - gate."""
        done, fading = images - self._start(number), self.fade * self.block_images
        if done < 0:
            return 0.0
        return min(1.0, done / fading) if fading else 1.0

    def _start(self, number: int) -> int:
        return self.head_images + number * self.block_images


class Generator(BaseGenerator):
    """Photo with a hole in, photo without one out (sections 2.1 and 2.3).

    Input: `image` (n, 3, h, w) in [-1, 1], `mask` (n, 1, h, w), 1 in the hole; h and w are
    multiples of 8. Pixels under the mask are not looked at. Output: `filled` (n, 3, h, w) in
    [-1, 1], meant for the hole.

    With `harmonize` the mask may also be 0.5, on a pasted object that `image` shows, and a second
    output follows: `harmonized`, like `filled`, meant for the object (section 3.4). One graph so
    serves both tasks: a mask of 0 and 1 alone fills.

    All added blocks exist from the start. `gates` are no state but follow from `begin`: a block of
    gate 0 is not computed, so it changes nothing, gets no gradient, and Adam has not yet begun to
    count its steps when its turn comes.
    """

    size_multiple = 8

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.objects = config.harmonize
        self.outputs = ("filled", "harmonized") if config.harmonize else ("filled",)
        w, norm = config.width, config.normalised
        # Kernels and widths are open in the paper. 3x3 and doubling as in its model (Wang et al.
        # 2018); 4x4 where it goes up, a multiple of the stride, so that every pixel sums as many.
        self.down = nn.Sequential(
            *_layer(nn.Conv2d(5 if config.harmonize else 4, w, 3, 2, 1, bias=not norm)),
            *_layer(nn.Conv2d(w, 2 * w, 3, 2, 1, bias=not norm)),
            *_layer(nn.Conv2d(2 * w, 4 * w, 3, 2, 1, bias=not norm)),
        )
        self.head = nn.Sequential(*(Block(config) for _ in range(config.head_blocks)))
        self.added = nn.ModuleList(Block(config) for _ in range(config.added_blocks))
        self.up = nn.Sequential(
            *_layer(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=not norm)),
            *_layer(nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=not norm)),
            nn.ConvTranspose2d(w, 3 * len(self.outputs), 4, 2, 1),
        )
        if config.start == "membrane":
            zero_start(self.up[-1])
        else:
            self.up.append(nn.Tanh())
        self.gates: list[float] = []
        self.begin(0)

    def begin(self, images: int) -> None:
        """Set the gates for the crops seen so far."""
        numbers = range(self.config.added_blocks)
        self.gates = [self.config.gate(number, images) for number in numbers]

    @property
    def idle(self) -> frozenset[str]:
        """The weights of added blocks whose turn has not come."""
        closed = [number for number, gate in enumerate(self.gates) if not gate]
        prefixes = tuple(f"added.{number}." for number in closed)
        return frozenset(name for name in self.state_dict() if name.startswith(prefixes))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The `outputs` in their order, see the class."""
        seen = visible(image, mask, objects=self.objects, start=self.config.start)
        pictures = self._predicted(torch.cat(seen, 1))
        if self.config.start == "membrane":
            # Changes of what is seen: in the hole a smooth fill, on an object what was pasted.
            pairs = zip(seen[1:], pictures.chunk(len(self.outputs), 1), strict=True)
            corrected = [(seen[0] + where * change).clamp(-1, 1) for where, change in pairs]
            return tuple(corrected) if self.objects else corrected[0]
        return (pictures[:, :3], pictures[:, 3:]) if self.objects else pictures

    def _predicted(self, x: Tensor) -> Tensor:
        """What the last layer gives, three channels for each of the `outputs`."""
        if self.config.normalised:
            predicted: Tensor = self.up(self._blocks(self.down(x)))
            return predicted
        half = self.down[:2](x)
        quarter = self.down[2:4](half)
        x = self.up[:2](self._blocks(self.down[4:](quarter)))
        changes: Tensor = self.up[4:](self.up[2:4](x + quarter) + half)
        return changes

    def _blocks(self, x: Tensor) -> Tensor:
        x = self.head(x)
        for gate, block in zip(self.gates, self.added, strict=True):
            if gate:
                x = block(x) if gate == 1 else torch.lerp(x, block(x), gate)
        return x

    def stages(self, batch: Batch) -> Stages:
        """The `outputs` by name, for a batch with or without pasted objects."""
        made = self(*generator_inputs(batch, objects=self.objects))
        pictures = made if isinstance(made, tuple) else (made,)
        return dict(zip(self.outputs, pictures, strict=True))


def visible(image: Tensor, mask: Tensor, *, objects: bool, start: str = "grey") -> list[Tensor]:
    """What networks see: the image without its hole, the hole, and the object where they take it.

    The paper's network also sees the guide around a pasted object. Here the hole is hidden there as
    everywhere: filling must not depend on what it holds. A smooth fill continues the background
    alone, under a pasted object as well.
    """
    if not objects:
        return [opening(image, mask, start).colours, mask]
    hole = (mask > 0.75).to(image.dtype)
    pasted = (mask > 0.25).to(image.dtype) - hole
    if start == "grey":
        return [image * (1 - hole), hole, pasted]
    smooth = opening(image, hole + pasted, start).colours
    return [smooth * (1 - pasted) + image * pasted, hole, pasted]


class Block(nn.Module):
    """A residual block (He et al. 2016): (n, c, h, w) -> same, both convolutions dilated.

    Every convolution is followed by batch norm and ReLU (section 2.1); the second ReLU comes after
    the sum, as in the block that the paper cites.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels, d, norm = 4 * config.width, config.dilation, config.normalised
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, d, d, bias=not norm)
        self.norm1 = BatchNorm(channels) if norm else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, d, d, bias=not norm)
        self.norm2 = BatchNorm(channels) if norm else nn.Identity()
        if not norm:
            zero_start(self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """Add the correction to `x`."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(inner)))


def _layer(conv: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    """The convolution, a batch norm where it has no bias, which the norm would cancel; a ReLU."""
    if conv.bias is None:
        return conv, BatchNorm(conv.out_channels), nn.ReLU()
    return conv, nn.ReLU()


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Weights of the terms of equation 4; a term with weight 0 is not computed."""

    perceptual: float = 10.0  # lambda_PPL
    features: str = "auto"  # lpips, squeezenet or vgg19; auto: the first of them that is there
    adversarial: float = 1.0  # lambda_Adv while the head is trained
    hole: float = 0.0  # L1 in what is predicted; the paper has none
    adversarial_anneal: float = 0.1  # a factor for each block that has begun (algorithm 1, line 6)
    rate_anneal: float = 0.1
    critic_width: int = 64
    critic_layers: int = 3
    critic_scales: int = 3
    # Sides of the two patches, of the crop's. Half holds the largest hole of the paper; how much
    # "slightly zooms out" is, it does not say.
    patches: tuple[float, float] = (0.5, 0.75)

    def __post_init__(self) -> None:
        at_least(1, self, "critic_width", "critic_layers", "critic_scales")


class Objective(BaseObjective):
    """Equation 4, and the critic's side of it.

    All terms look at one composite: the photo, with `filled` in the hole and `harmonized` on a
    pasted object. `region` is both, what the network has made.
    """

    def __init__(self, recipe: Recipe, features: Path | None) -> None:
        super().__init__()
        config: ObjectiveConfig = recipe.objective
        network: Config = recipe.generator
        self.config = config
        self.network = network
        self.stage = 0
        self.kind, self.distance = "", None
        if config.perceptual:
            self.kind, self.distance = perceptual_distance(features, config.features)
        self.critic: MultiScaleCritic | None = None
        if config.adversarial:
            # D(s, x) is conditional: it also sees what the generator saw.
            self.critic = MultiScaleCritic(
                8 if network.harmonize else 7,
                config.critic_width,
                scales=config.critic_scales,
                layers=config.critic_layers,
            )
            _check_crop(recipe.crop, self.critic.least_side)

    @property
    def notes(self) -> dict[str, Any]:
        """What the patch perceptual loss measures with."""
        return {"patch_perceptual": self.kind} if self.kind else {}

    def begin(self, images: int) -> None:
        """Take up the weights of the block that is trained now."""
        self.stage = self.network.stage(images)

    @property
    def rate_scale(self) -> float:
        """10^-i, i the blocks that have begun (algorithm 1, line 6)."""
        return self.config.rate_anneal**self.stage

    @property
    def adversarial_weight(self) -> float:
        """Adversarial loss annealing (section 2.3)."""
        return self.config.adversarial * self.config.adversarial_anneal**self.stage

    def critic_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """Equation 3 on stages that must come detached."""
        assert self.critic is not None  # noqa: S101 - the loop asks only where there is a critic
        seen, overlaps = self._seen(batch), self.critic.overlaps(region(batch))
        real = self.critic(torch.cat([*seen, batch.photo], 1))
        fake = self.critic(torch.cat([*seen, composite_outputs(batch, stages)], 1))
        return {"critic": patch_critic_loss(real, fake, overlaps)}

    def generator_loss(self, batch: Batch, stages: Stages) -> dict[str, Tensor]:
        """The weighted terms by name; their sum is the loss. Leaves no gradient in the critic."""
        config, made, where = self.config, composite_outputs(batch, stages), region(batch)
        terms = {}
        if self.distance is not None:
            terms["patch_perceptual"] = config.perceptual * self._perceptual(made, batch, where)
        if config.hole:
            terms["hole"] = config.hole * hole_l1(made, batch.photo, where)
        if self.critic is not None:
            with frozen(self.critic):
                scores = self.critic(torch.cat([*self._seen(batch), made], 1))
            loss = patch_generator_loss(scores, self.critic.overlaps(where))
            terms["adversarial"] = self.adversarial_weight * loss
        return terms

    def _seen(self, batch: Batch) -> list[Tensor]:
        """The condition s of D(s, x): what the generator saw."""
        objects = self.network.harmonize
        return visible(*generator_inputs(batch, objects=objects), objects=objects)

    def _perceptual(self, made: Tensor, batch: Batch, where: Tensor) -> Tensor:
        """Equation 2: the sum over the two patches, the mean over pictures."""
        assert self.distance is not None  # noqa: S101 - asked only where there is one
        total = made.new_zeros(())
        zooms = (1.0, self.config.patches[1] / self.config.patches[0])
        for share, zoom in zip(self.config.patches, zooms, strict=True):
            side = round(share * made.shape[-1])
            boxes = patch_boxes(where, side, zoom)
            ours, theirs = (cut_patches(p, boxes, side) for p in (made, batch.photo))
            total = total + self.distance(ours, theirs).mean()
        return total


def _check_crop(crop: int, least: int) -> None:
    if crop < least:
        raise UsageError(
            f"crop is {crop}, but the critic at its coarsest scale needs {least}.",
            hint="Set objective.critic_scales or objective.critic_layers lower.",
        )


def region(batch: Batch) -> Tensor:
    """Where the network makes pixels: the hole and the pasted object, (n, 1, h, w)."""
    return batch.mask if batch.foreground is None else batch.mask + batch.foreground


_PAPER = Recipe(
    name="blockwise",
    family="blockwise",
    source="Image Inpainting using Block-wise Procedural Training (Yang et al. 2018), section 3.4",
    generator=Config(),
    objective=ObjectiveConfig(),
    crop=256,
    short_side=(256, 256),  # "images of size 256x256"
    holes=HoleMix(rectangle=0, brush=0, blob=0, thin=0, boxes=1),
    hole_ratio=(0.02, 0.5),
    # The paper does not say whether its model of two outputs also sees plain holes: half of them.
    pasted=Pasted(share=0.5),
    batch=8,
    images=1_236_000,  # the head and three blocks, algorithm 1
    warmup_images=0,
    lr=2e-4,
    betas=(0.5, 0.999),  # open in the paper; those of its model (Wang et al. 2018)
    ema_decay=0.998,
)
RECIPES = (
    _PAPER,
    replace(
        _PAPER,
        name="blockwise-fill",
        source="Image Inpainting using Block-wise Procedural Training (Yang et al. 2018)",
        generator=Config(harmonize=False),
        pasted=Pasted(),
    ),
    replace(
        _PAPER,
        name="blockwise-small",
        generator=Config(
            width=32,
            head_blocks=6,
            head_images=40_000,
            block_images=8_000,
            start="membrane",
            normalised=False,
        ),
        # Features without learned weights hardly see a colour that is off: hence the L1.
        objective=ObjectiveConfig(
            perceptual=2.0,
            hole=1.0,
            adversarial=0.02,
            rate_anneal=0.3,
            critic_width=16,
            critic_scales=2,
        ),
        pasted=Pasted(share=0.25),
        **CPU_TRAINING | {"images": 64_000, "decay_images": 0},
    ),
)
