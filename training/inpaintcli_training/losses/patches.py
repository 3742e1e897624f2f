"""The patch perceptual loss of Yang et al. 2018, section 2.2: patches around holes, a distance."""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inpaintcli.errors import UnreadableError, UsageError
from inpaintcli_training.losses.critics import hole_windows
from inpaintcli_training.losses.reconstruction import FeatureDistance
from inpaintcli_training.perceptual.feature_networks import lpips, squeezenet11, vgg19
from inpaintcli_training.perceptual.features import FeatureNetwork


def patch_boxes(where: Tensor, least: int, zoom: float) -> list[tuple[int, int, int]]:
    """Top, left and side of a square around each picture's region (section 2.2).

    Args:
        where: (n, 1, h, w), 1 in the region.
        least: minimum side, pixels.
        zoom: side of the square by that of the region's box; at most the picture's shorter side.
    """
    boxes = []
    for number, mask in enumerate(where[:, 0]):
        inside = mask > 0.5
        extent = max(_extent(inside.any(1)), _extent(inside.any(0)))
        side = min(max(least, math.ceil(zoom * extent)), *where.shape[2:])
        top, left = hole_windows(where[number : number + 1], side)[0]
        boxes.append((top, left, side))
    return boxes


def _extent(line: Tensor) -> int:
    """The length of the true part of a line, pixels."""
    found = line.nonzero()
    return int(found[-1] - found[0] + 1) if len(found) else 0


def cut_patches(pictures: Tensor, boxes: list[tuple[int, int, int]], side: int) -> Tensor:
    """The squares, (n, c, side, side): as they are, or scaled down where they are larger."""
    parts = []
    for picture, (top, left, extent) in zip(pictures, boxes, strict=True):
        part = picture[None, :, top : top + extent, left : left + extent]
        if extent != side:
            part = F.interpolate(part, (side, side), mode="bilinear", antialias=True)
        parts.append(part)
    return torch.cat(parts)


class PlainDistance(nn.Module):
    """Unit-normalised feature distance in place of LPIPS, scaled to about the same magnitude.

    LPIPS's heads multiply a channel's squared difference by 0.08 on average (the mean of all
    weights of its AlexNet heads, v0.1), and so does this; otherwise the adversarial loss would
    count for less than the paper's weights intend.
    """

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.distance = FeatureDistance(network)

    def forward(self, filled: Tensor, photo: Tensor) -> Tensor:
        """The mean over pictures."""
        distance: Tensor = 0.08 * self.distance(filled, photo)
        return distance


Distance = tuple[str, nn.Module]  # its name in `run.json`, and the module


def _plain(name: str, network: FeatureNetwork) -> Distance:
    layers = ", ".join(network.taps.values())
    return f"{name} features ({network.file}: {layers}) for LPIPS", PlainDistance(network)


def _lpips(folder: Path | None) -> Distance:
    measure = lpips(folder)
    return f"LPIPS ({measure.network.file}, {measure.file})", measure


DISTANCES: dict[str, Callable[[Path | None], Distance]] = {
    "lpips": _lpips,
    "squeezenet": lambda folder: _plain("SqueezeNet", squeezenet11(folder)),
    "vgg19": lambda folder: _plain("VGG-19", vgg19(folder)),
}


def perceptual_distance(folder: Path | None, wanted: str = "auto") -> Distance:
    """The distance of the patch perceptual loss.

    The paper uses LPIPS with AlexNet. Where its files are missing, it is replaced by plain
    unit-normalised features (the baseline of Zhang et al. 2018), and `run.json` says so.

    Args:
        folder: of the pretrained networks.
        wanted: a key of `DISTANCES`, or `auto` for the first whose files are there.

    Raises:
        UsageError: there is no such distance, or no folder was given.
        UnreadableError: the folder lacks the files.
    """
    if wanted in DISTANCES:
        return DISTANCES[wanted](folder)
    if wanted != "auto":
        raise UsageError(
            f"'{wanted}' is no distance for the patches.",
            hint=f"objective.features takes auto, {', '.join(DISTANCES)}.",
        )
    *others, last = DISTANCES.values()
    for load in others:
        with contextlib.suppress(UnreadableError):
            return load(folder)
    return last(folder)
