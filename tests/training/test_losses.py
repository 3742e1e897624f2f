"""Every loss against numbers worked out by hand from its equation."""

import math

import pytest
import torch
from torch import nn

from training.losses import (
    FeatureDistance,
    feature_matching,
    hole_l1,
    layer_weight,
    patch_critic_loss,
    patch_generator_loss,
    relativistic_critic_loss,
    relativistic_generator_loss,
)
from training.networks import FeatureNetwork


def test_hole_l1_is_the_mean_over_pixels_and_channels_of_the_hole() -> None:
    predicted = torch.tensor([1.0, 5.0, -3.0]).view(1, 3, 1, 1).repeat(1, 1, 1, 2)
    photo = torch.zeros(1, 3, 1, 2)
    mask = torch.tensor([[[[0.0, 1.0]]]])
    assert float(hole_l1(predicted, photo, mask)) == pytest.approx((1 + 5 + 3) / 3)


def test_hole_l1_without_a_hole_is_zero() -> None:
    photo = torch.rand(1, 3, 2, 2)
    assert float(hole_l1(photo + 1, photo, torch.zeros(1, 1, 2, 2))) == 0


def test_feature_distance_compares_directions() -> None:
    mean = torch.tensor([103.939, 116.779, 123.68])

    def picture(b: float, g: float, r: float) -> torch.Tensor:
        bgr = torch.tensor([b, g, r])
        return ((bgr + mean) / 127.5 - 1).flip(0).view(1, 3, 1, 1)

    distance = FeatureDistance(FeatureNetwork(nn.Sequential(nn.Identity()), {0: "input"}))
    along, longer, across = picture(10, 0, 0), picture(20, 0, 0), picture(0, 10, 0)
    assert float(distance(along, along)) == pytest.approx(0, abs=1e-6)
    assert float(distance(along, longer)) == pytest.approx(0, abs=1e-6)
    assert float(distance(along, across)) == pytest.approx(2, abs=1e-4)  # |(1,0) - (0,1)|^2


def test_feature_distance_is_smooth_at_zero() -> None:
    distance = FeatureDistance(FeatureNetwork(nn.Sequential(nn.ReLU()), {0: "relu"}))
    filled = torch.full((1, 3, 2, 2), -1.0, requires_grad=True)
    distance(filled, torch.full((1, 3, 2, 2), -1.0)).backward()
    assert filled.grad.isfinite().all()


def test_layer_weight_is_a_thousand_over_the_channels_squared() -> None:
    assert layer_weight(torch.zeros(7, 64, 2, 2)) == 1000 / 4096


def test_feature_matching_sums_weighted_mean_differences() -> None:
    ours = {"a": torch.full((1, 2, 1, 2), 3.0), "b": torch.tensor([1.0, -1.0]).view(1, 1, 1, 2)}
    theirs = {"a": torch.full((1, 2, 1, 2), 1.0), "b": torch.zeros(1, 1, 1, 2)}
    assert float(feature_matching(ours, theirs)) == pytest.approx(1000 / 4 * 2 + 1000 * 1)


def test_feature_matching_has_no_gradient_in_the_target() -> None:
    ours, theirs = (torch.rand(1, 2, 2, 2, requires_grad=True) for _ in range(2))
    feature_matching({"a": ours}, {"a": theirs}).backward()
    assert ours.grad is not None
    assert theirs.grad is None


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_relativistic_losses_are_equation_10_and_its_mirror() -> None:
    real, fake = [0.0, 2.0], [1.0, -1.0]  # means 1 and 0
    d_real, d_fake = [sigmoid(r - 0) for r in real], [sigmoid(f - 1) for f in fake]
    generator = -sum(math.log(1 - d) for d in d_real) / 2 - sum(math.log(d) for d in d_fake) / 2
    critic = -sum(math.log(d) for d in d_real) / 2 - sum(math.log(1 - d) for d in d_fake) / 2
    scores = torch.tensor(real)[:, None], torch.tensor(fake)[:, None]
    assert float(relativistic_generator_loss(*scores)) == pytest.approx(generator)
    assert float(relativistic_critic_loss(*scores)) == pytest.approx(critic)


def test_relativistic_losses_stay_finite_for_scores_far_apart() -> None:
    far = torch.tensor([[1e4]]), torch.tensor([[-1e4]])
    assert float(relativistic_generator_loss(*far)) == pytest.approx(4e4)
    assert float(relativistic_critic_loss(*far)) == 0


def test_patch_losses_by_hand() -> None:
    """Two scales; one of four patches of the first overlaps the hole, the one of the second."""
    fake = [torch.tensor([2.0, 0.0, -1.0, 1.0]).view(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)]
    real = [torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 1, 1), -3.0)]
    overlaps = [torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2), torch.ones(1, 1, 1, 1)]

    def log1p(x: float) -> float:  # softplus
        return math.log1p(math.exp(x))

    generator = patch_generator_loss(fake, overlaps)
    assert float(generator) == pytest.approx(log1p(-2) / 4 + log1p(0))
    critic = patch_critic_loss(real, fake, overlaps)
    first = log1p(-3) + (log1p(2) + log1p(0) + log1p(1) + log1p(-1)) / 4
    assert float(critic) == pytest.approx(first + log1p(3) + log1p(0))


def test_patches_without_hole_do_not_move_the_generator() -> None:
    scores = torch.zeros(1, 1, 2, 2, requires_grad=True)
    overlap = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    patch_generator_loss([scores], [overlap]).backward()
    assert (scores.grad != 0).flatten().tolist() == [True, False, False, False]
