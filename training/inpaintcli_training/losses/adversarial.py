"""Adversarial losses of generators and critics, and the gradient penalty."""

import torch
import torch.nn.functional as F
from torch import Tensor

from inpaintcli_training.distributed import mean


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The generator's relativistic average loss (DMFN, equation 10; Jolicoeur-Martineau 2018).

    -E[log(1 - D(real, fake))] - E[log D(fake, real)] with D(a, b) = sigmoid(C(a) - E[C(b)]),
    written with softplus, which is exact where the sigmoid is 0 or 1. E is the mean over the
    pictures of the batch, in all processes.

    Args:
        real: the critic's scores C of photos, (n, 1).
        fake: of filled photos, (n, 1).
    """
    real_mean, fake_mean = mean(real.mean()), mean(fake.mean())
    return F.softplus(real - fake_mean).mean() + F.softplus(real_mean - fake).mean()


def relativistic_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's loss: the generator's with the roles of real and fake exchanged."""
    return relativistic_generator_loss(fake, real)


def gradient_penalty(score: Tensor, at: Tensor, mask: Tensor) -> Tensor:
    """(|gradient in the hole| - 1)^2, the mean over pictures (Yu et al. 2018, section 3).

    The norm has an epsilon of 1e-12 in its square root, which has no derivative at 0.

    Args:
        score: (n, 1), the critic's scores of `at`.
        at: (n, 3, h, w), pictures between photos and fills, which require a gradient.
        mask: (n, 1, h, w), 1 in the hole; the gradients of other pixels do not count.
    """
    (gradient,) = torch.autograd.grad(score.sum(), at, create_graph=True)
    norm = ((gradient * mask).square().sum((1, 2, 3)) + 1e-12).sqrt()
    return (norm - 1).square().mean()


def patch_generator_loss(scores: list[Tensor], overlaps: list[Tensor]) -> Tensor:
    """The generator's loss against a multi-scale patch critic (Yang et al. 2018, equation 5).

    -log D for the patches that overlap the hole, 0 for the others, in which the generator has no
    part; the mean over all patches, summed over scales.

    Args:
        scores: the critic's logits of filled pictures, (n, 1, h_k, w_k) for each scale k.
        overlaps: Q-bar_k, 1 where a patch overlaps the hole, in the same shapes.
    """
    terms = [
        (overlap * F.softplus(-score)).mean()
        for score, overlap in zip(scores, overlaps, strict=True)
    ]
    return sum(terms[1:], start=terms[0])


def patch_critic_loss(real: list[Tensor], fake: list[Tensor], overlaps: list[Tensor]) -> Tensor:
    """The critic's loss (Yang et al. 2018, equation 3): a patch is fake only on the hole.

    Args:
        real: logits of photos, (n, 1, h_k, w_k) for each scale k: all patches are real.
        fake: logits of filled pictures: those that overlap the hole are fake, the others real.
        overlaps: 1 where a patch overlaps the hole; the label Q_k is 1 - overlap.
    """
    terms = [
        F.softplus(-photo).mean() + F.binary_cross_entropy_with_logits(filled, 1 - overlap)
        for photo, filled, overlap in zip(real, fake, overlaps, strict=True)
    ]
    return sum(terms[1:], start=terms[0])
