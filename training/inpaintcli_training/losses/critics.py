"""Critics (discriminators) of the papers, and the local windows that some of them see."""

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli_training.perceptual.features import Features


@dataclass(frozen=True)
class CriticOutput:
    """What a critic returns: `score` (n, 1), unbounded, and the features of its local branch."""

    score: Tensor
    local: Features


class _Branch(nn.Module):
    """5x5 convolutions of stride 2 with leaky ReLU, then one fully connected layer to 512."""

    def __init__(self, side: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        channels = (3, *widths)
        self.convs = nn.ModuleList(
            nn.Conv2d(channels[i], width, 5, stride=2, padding=2) for i, width in enumerate(widths)
        )
        left = math.ceil(side / 2 ** len(widths))
        self.joint = nn.Linear(widths[-1] * left * left, 512)

    def forward(self, rgb: Tensor) -> tuple[Tensor, Features]:
        """(n, 3, side, side) -> (n, 512), and the activations after each convolution."""
        features = {}
        x = rgb
        for number, conv in enumerate(self.convs, 1):
            # For a map of a single pixel (crops below 64), oneDNN's bf16 gradient of these weights
            # is uninitialised memory (torch 2.13 on the CPU): such a layer runs in fp32.
            single = x.shape[2:] == (1, 1)
            with torch.autocast(x.device.type, enabled=False) if single else nullcontext():
                x = F.leaky_relu(conv(x.float() if single else x), 0.2)
            features[f"conv{number}"] = x
        return self.joint(x.flatten(1)), features


class GlobalLocalCritic(nn.Module):
    """Two branches, the whole crop and a window of half its side (DMFN 3.2.3, figure 3).

    Channels 64-128-256-512-512-512 and 64-128-256-512-512, joined by a fully connected layer.
    The papers' crop is 256 and their window 128; other crops keep the proportion. The leaky ReLU
    between the last two layers keeps them from being one linear map.
    """

    def __init__(self, crop: int, width: int = 64) -> None:
        """Build for crops of side `crop`; `width` is the first layer's channels."""
        super().__init__()
        self.crop = crop
        self.window = max(1, crop // 2)
        widths = (width, 2 * width, 4 * width, 8 * width, 8 * width, 8 * width)
        self.whole = _Branch(crop, widths)
        self.local = _Branch(self.window, widths[:5])
        self.score = nn.Linear(2 * 512, 1)

    def forward(self, rgb: Tensor, windows: list[tuple[int, int]]) -> CriticOutput:
        """Score pictures.

        Args:
            rgb: (n, 3, crop, crop) in [-1, 1].
            windows: top and left of each picture's window, from `hole_windows`.
        """
        whole, _ = self.whole(rgb)
        local, features = self.local(crop_windows(rgb, windows, self.window))
        joined = F.leaky_relu(torch.cat([whole, local], 1), 0.2)
        return CriticOutput(self.score(joined).float(), features)


class PatchCritic(nn.Module):
    """Scores overlapping patches instead of pictures (PatchGAN: Isola et al. 2017, section 3.2.2).

    Three 4x4 convolutions of stride 2 and a 3x3 one, all spectrally normalised (Miyato et al.
    2018), with leaky ReLUs between: each score depends on 54 pixels.
    """

    stride = 8

    def __init__(self, width: int = 32) -> None:
        """`width` is the first layer's channels; they double twice."""
        super().__init__()
        channels = (3, width, 2 * width, 4 * width)
        normalised = nn.utils.parametrizations.spectral_norm
        self.convs = nn.ModuleList(
            normalised(nn.Conv2d(channels[i], channels[i + 1], 4, stride=2, padding=1))
            for i in range(3)
        )
        self.score = normalised(nn.Conv2d(channels[3], 1, 3, padding=1))

    def forward(self, rgb: Tensor) -> Tensor:
        """(n, 3, h, w) in [-1, 1] -> (n, 1, h / 8, w / 8) scores, unbounded."""
        x = rgb
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        score: Tensor = self.score(x)
        return score.float()


class WassersteinCritics(nn.Module):
    """Separate critics of the whole crop and of the hole's window (Yu et al. 2018, appendix D).

    Channels 64-128-256-256 and 64-128-256-512, 5x5 with stride 2 and leaky ReLU, and one fully
    connected layer each. The paper's crop is 256 and its window 128; others keep the proportion.
    """

    def __init__(self, crop: int, width: int = 64) -> None:
        """Build for crops of side `crop`; `width` is the first layers' channels."""
        super().__init__()
        self.window = max(1, crop // 2)
        self.whole = _critic_layers(crop, (width, 2 * width, 4 * width, 4 * width))
        self.local = _critic_layers(self.window, (width, 2 * width, 4 * width, 8 * width))

    def forward(self, rgb: Tensor, windows: list[tuple[int, int]]) -> dict[str, Tensor]:
        """The scores, (n, 1) and unbounded, as `global` and `local`.

        Args:
            rgb: (n, 3, crop, crop) in [-1, 1].
            windows: top and left of each picture's window, from `hole_windows`.
        """
        return {
            "global": self.whole(rgb),
            "local": self.local(crop_windows(rgb, windows, self.window)),
        }


def _critic_layers(side: int, widths: tuple[int, ...]) -> nn.Sequential:
    channels = (3, *widths)
    layers: list[nn.Module] = []
    for inside, outside in itertools.pairwise(channels):
        layers += [nn.Conv2d(inside, outside, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
    left = math.ceil(side / 2 ** len(widths))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * left * left, 1))


class PatchGan(nn.Module):
    """PatchGAN (Isola et al. 2017): (n, c, h, w) -> a logit for each patch, (n, 1, h', w').

    4x4 convolutions: `layers` of stride 2, one of stride 1, and the last to one channel; with
    three layers a patch is 70x70 pixels. Leaky ReLU 0.2; instance norm, as Wang et al. 2018 have it
    in the critics at several scales, but on the first layer and the last.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.strides = (2,) * layers + (1, 1)
        widths = [width * min(2**number, 8) for number in range(layers + 1)]
        self.convs = nn.ModuleList(
            nn.Conv2d(inside, outside, 4, stride, padding=1)
            for inside, outside, stride in zip(
                [channels, *widths], [*widths, 1], self.strides, strict=True
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """The patches' logits."""
        first, *middle, last = self.convs
        x = F.leaky_relu(first(x), 0.2)
        for conv in middle:
            x = F.leaky_relu(F.instance_norm(conv(x)), 0.2)
        scores: Tensor = last(x)
        return scores.float()

    def overlap(self, mask: Tensor) -> Tensor:
        """Which patches overlap the hole: mask (n, 1, h, w), 1 in the hole -> (n, 1, h', w').

        1 where the receptive field of the convolutions has at least one pixel of the hole, found by
        maxima over the same kernels.
        """
        for stride in self.strides:
            mask = F.max_pool2d(mask, 4, stride, padding=1)
        return mask


class MultiScaleCritic(nn.Module):
    """The same PatchGAN at several scales, each half of the one before (Yang et al. 2018, 2.2)."""

    def __init__(self, channels: int, width: int = 64, *, scales: int = 3, layers: int = 3) -> None:
        super().__init__()
        self.critics = nn.ModuleList(PatchGan(channels, width, layers) for _ in range(scales))
        self.least_side = 2 ** (scales - 1) * 4 * 2**layers  # the coarsest map is 2x2 or more

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits at each scale, the finest first."""
        scores = []
        for number, critic in enumerate(self.critics):
            x = F.avg_pool2d(x, 2) if number else x
            scores.append(critic(x))
        return scores

    def overlaps(self, mask: Tensor) -> list[Tensor]:
        """Which patches of each scale overlap the hole, as `PatchGan.overlap`."""
        found = []
        for number, critic in enumerate(self.critics):
            mask = F.max_pool2d(mask, 2) if number else mask
            found.append(critic.overlap(mask))  # type: ignore[operator]
        return found


def hole_windows(mask: Tensor, side: int) -> list[tuple[int, int]]:
    """Top and left of a square of `side` around each hole's middle, moved inside the picture.

    Args:
        mask: (n, 1, h, w), 1 in the hole. Without a hole the square is in the picture's middle.
        side: at most h and w.
    """
    holes = mask[:, 0] > 0.5
    return list(zip(_starts(holes.any(2), side), _starts(holes.any(1), side), strict=True))


def _starts(lines: Tensor, side: int) -> list[int]:
    """Start of an interval of `side` around the middle of the true part of each line (n, length).

    For all pictures at once: each transfer from a GPU waits for it.
    """
    length = lines.shape[1]
    first, last = lines.int().argmax(1), length - 1 - lines.flip(1).int().argmax(1)
    twice_middle = torch.where(lines.any(1), first + last + 1, length)
    starts: list[int] = ((twice_middle - side) // 2).clamp(0, length - side).tolist()
    return starts


def crop_windows(pictures: Tensor, windows: list[tuple[int, int]], side: int) -> Tensor:
    """The square of each picture: (n, c, h, w) -> (n, c, side, side)."""
    parts = [
        picture[:, top : top + side, left : left + side]
        for picture, (top, left) in zip(pictures, windows, strict=True)
    ]
    return torch.stack(parts)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within the block, backward passes leave no gradient in the module's parameters."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
