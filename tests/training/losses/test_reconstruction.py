"""Every loss against numbers worked out by hand from its equation."""

import math

import pytest
import torch
from inpaintcli_training.losses.adversarial import (
    gradient_penalty,
    patch_critic_loss,
    patch_generator_loss,
    relativistic_critic_loss,
    relativistic_generator_loss,
)
from inpaintcli_training.losses.reconstruction import (
    FeatureDistance,
    distance_to_known,
    feature_matching,
    hole_l1,
    layer_weight,
    spatial_discount,
)
from inpaintcli_training.perceptual.features import FeatureNetwork
from torch import nn


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


def test_the_distance_is_the_true_one_to_the_nearest_known_pixel_of_each_mask() -> None:
    """The published code counts steps to the sides of one rectangle of fixed size."""
    masks = torch.ones(2, 1, 4, 5)
    masks[0, 0, 0, 0] = 0
    masks[1, 0, :, 2] = 0
    first, second = distance_to_known(masks)[:, 0]
    assert float(first[3, 4]) == pytest.approx(5)  # 3 down, 4 right
    assert float(first[1, 1]) == pytest.approx(math.sqrt(2), rel=1e-5)
    assert float(first[0, 0]) == 0
    assert second[2].tolist() == [2, 1, 0, 1, 2]


def test_without_a_known_pixel_all_are_a_diagonal_away() -> None:
    assert float(distance_to_known(torch.ones(1, 1, 3, 4)).max()) <= 5


def test_the_discount_is_gamma_to_the_distance_and_0_where_known() -> None:
    mask = torch.tensor([[[[0.0, 1.0, 1.0, 1.0]]]])
    weight = spatial_discount(mask, 0.9).flatten()
    torch.testing.assert_close(weight, torch.tensor([0.0, 0.9, 0.81, 0.729]))
    error = torch.tensor([5.0, 1.0, 2.0, 4.0]).view(1, 1, 1, 4)
    loss = hole_l1(error, torch.zeros(1, 1, 1, 4), spatial_discount(mask, 0.9))
    assert float(loss) == pytest.approx((0.9 * 1 + 0.81 * 2 + 0.729 * 4) / (0.9 + 0.81 + 0.729))


def test_the_gradient_penalty_of_a_linear_critic_by_hand_and_in_the_hole_alone() -> None:
    """D = 3 x0 + 4 x1 + 100 x2: slope 5 where the hole is; (5 - 1)^2 = 16."""
    weights = torch.tensor([3.0, 4.0, 100.0]).view(1, 1, 1, 3).requires_grad_()
    at = torch.rand(2, 1, 1, 3, requires_grad=True)
    mask = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3).expand(2, 1, 1, 3)
    penalty = gradient_penalty((weights * at).sum((1, 2, 3))[:, None], at, mask)
    assert float(penalty.detach()) == pytest.approx(16)
    penalty.backward()
    # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    assert weights.grad.flatten().tolist() == pytest.approx([2 * 4 * 3 / 5, 2 * 4 * 4 / 5, 0])


def test_the_gradient_penalty_of_a_flat_critic_is_1_with_a_finite_gradient() -> None:
    weight = torch.zeros(1, requires_grad=True)
    at = torch.rand(1, 1, 2, 2, requires_grad=True)
    penalty = gradient_penalty((weight * at).sum((1, 2, 3))[:, None], at, torch.ones(1, 1, 2, 2))
    assert float(penalty.detach()) == pytest.approx(1, abs=1e-5)
    penalty.backward()
    assert weight.grad.isfinite().all()


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
