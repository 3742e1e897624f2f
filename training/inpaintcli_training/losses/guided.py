"""The losses of DMFN on deep features: self-guided regression and geometrical alignment.

Hui, Li, Wang and Gao 2020, "Image Fine-grained Inpainting", sections 3.2.1 and 3.2.2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from inpaintcli_training.losses.reconstruction import layer_weight
from inpaintcli_training.perceptual.features import Features

GUIDED = ("relu1_1", "relu2_1")  # of VGG-19, equation 5


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


def self_guided_loss(
    ours: Features,
    theirs: Features,
    guidance: Tensor,
    layers: tuple[str, ...] = GUIDED,
) -> Tensor:
    """Feature differences at two early layers, weighted by the guidance (equations 4 and 5)."""
    total = guidance.new_zeros(())
    for level, name in enumerate(layers):
        if name in ours:
            difference = (ours[name] - theirs[name]).float().abs()
            attention = F.avg_pool2d(guidance, 2**level)  # equation 4, level times over
            if attention.shape[2:] != difference.shape[2:]:
                height, width = difference.shape[2:]
                attention = F.adaptive_avg_pool2d(guidance, (height, width))
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
