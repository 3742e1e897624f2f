import pytest
import torch
from inpaintcli_training.layers.blocks import count_parameters
from inpaintcli_training.losses.critics import (
    GlobalLocalCritic,
    MultiScaleCritic,
    PatchGan,
    WassersteinCritics,
    crop_windows,
    frozen,
    hole_windows,
)


def mask(side: int, top: int, bottom: int, left: int, right: int) -> torch.Tensor:
    hole = torch.zeros(1, 1, side, side)
    hole[:, :, top:bottom, left:right] = 1
    return hole


@pytest.mark.parametrize(
    ("hole", "window"),
    [
        (mask(16, 6, 10, 6, 10), (4, 4)),  # in the middle: half of 8 around (8, 8)
        (mask(16, 0, 2, 0, 2), (0, 0)),  # in a corner: moved inside
        (mask(16, 14, 16, 0, 16), (8, 4)),
        (torch.zeros(1, 1, 16, 16), (4, 4)),  # no hole: the picture's middle
    ],
)
def test_the_window_is_around_the_hole_and_inside_the_picture(hole, window) -> None:
    assert hole_windows(hole, 8) == [window]


def test_every_picture_has_its_own_window() -> None:
    masks = torch.cat([mask(16, 0, 2, 0, 2), mask(16, 14, 16, 14, 16)])
    assert hole_windows(masks, 8) == [(0, 0), (8, 8)]
    pictures = torch.arange(256.0).view(1, 1, 16, 16).repeat(2, 1, 1, 1)
    parts = crop_windows(pictures, hole_windows(masks, 8), 8)
    assert torch.equal(parts[0], pictures[0, :, :8, :8])
    assert torch.equal(parts[1], pictures[1, :, 8:, 8:])


@pytest.mark.parametrize("crop", [32, 64])
def test_gradients_in_bf16_are_those_in_fp32_but_for_rounding(crop: int) -> None:
    """Also over maps of one pixel, where oneDNN's own bf16 gradients are garbage."""
    critic = GlobalLocalCritic(crop, width=2).to(memory_format=torch.channels_last)
    rgb = torch.rand(2, 3, crop, crop)
    gradients = []
    for enabled in (False, True):
        critic.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            score = critic(rgb, [(0, 0), (0, 0)]).score
        score.sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in critic.parameters()]))
    fp32, bf16 = gradients
    assert float((bf16 - fp32).norm() / fp32.norm()) < 0.05


@pytest.mark.parametrize("crop", [32, 36, 112, 128])
def test_the_critic_takes_any_crop(crop: int) -> None:
    critic = GlobalLocalCritic(crop, width=2)
    judged = critic(torch.rand(2, 3, crop, crop), [(0, 0), (crop // 2, crop // 2)])
    assert judged.score.shape == (2, 1)
    assert [f.shape[1] for f in judged.local.values()] == [2, 4, 8, 16, 16]


def test_the_critic_of_the_paper_has_its_layers() -> None:
    with torch.device("meta"):
        critic = GlobalLocalCritic(256)
    assert critic.window == 128
    assert [c.out_channels for c in critic.whole.convs] == [64, 128, 256, 512, 512, 512]
    assert [c.out_channels for c in critic.local.convs] == [64, 128, 256, 512, 512]
    assert critic.whole.joint.in_features == critic.local.joint.in_features == 4 * 4 * 512
    assert critic.whole.joint.out_features == critic.local.joint.out_features == 512
    assert critic.score.in_features == 1024


def test_frozen_lets_gradients_through_and_leaves_none_behind() -> None:
    critic = GlobalLocalCritic(32, width=2)
    critic.score.bias.requires_grad_(False)
    rgb = torch.rand(1, 3, 32, 32, requires_grad=True)
    with frozen(critic):
        score = critic(rgb, [(0, 0)]).score
    score.sum().backward()
    assert rgb.grad.abs().sum() > 0
    assert all(p.grad is None for p in critic.parameters())
    untrained = {name for name, p in critic.named_parameters() if not p.requires_grad}
    assert untrained == {"score.bias"}


def test_the_wasserstein_critics_have_the_papers_layers() -> None:
    """Yu et al. 2018, appendix D: K5S2, 64-128-256-256 and 64-128-256-512, each to 1."""
    with torch.device("meta"):
        critics = WassersteinCritics(256)
    first = (3 * 25 + 1) * 64 + (64 * 25 + 1) * 128 + (128 * 25 + 1) * 256
    deep = 256 * 25 + 1
    sizes = {n: count_parameters(part) for n, part in critics.named_children()}
    assert sizes == {
        "whole": first + deep * 256 + 256 * 16 * 16 + 1,
        "local": first + deep * 512 + 512 * 8 * 8 + 1,
    }


@pytest.mark.parametrize("crop", [32, 36, 112])
def test_the_wasserstein_critics_take_any_crop_and_do_not_share_a_score(crop: int) -> None:
    critics = WassersteinCritics(crop, width=2)
    windows = [(0, 0), (crop // 2, crop // 2)]
    rgb = torch.rand(2, 3, crop, crop)
    scores = critics(rgb, windows)
    assert {name: tuple(score.shape) for name, score in scores.items()} == {
        "global": (2, 1), "local": (2, 1),
    }  # fmt: skip
    rgb[0, :, crop // 2 :] = 0  # beyond the first picture's window
    changed = critics(rgb, windows)
    assert torch.equal(changed["local"], scores["local"])
    assert not torch.equal(changed["global"][0], scores["global"][0])


def test_the_patch_critic_is_the_70_pixel_patchgan() -> None:
    critic = PatchGan(3, width=4)
    assert [c.out_channels for c in critic.convs] == [4, 8, 16, 32, 1]
    x = torch.rand(1, 3, 256, 256)
    assert critic(x).shape == critic.overlap(x[:, :1]).shape == (1, 1, 30, 30)


def test_a_patch_overlaps_where_its_receptive_field_holds_a_pixel_of_the_hole() -> None:
    """By hand: 4x4 kernels with padding 1, one of stride 2 and two of stride 1.

    Patch i takes i - 1 to i + 2 of the map before it, i - 2 to i + 4 of the one before that, and so
    pixels 2 (i - 2) - 1 = 2i - 5 to 2 (i + 4) + 2 = 2i + 10.
    """
    critic = PatchGan(1, width=2, layers=1)
    hole = torch.zeros(1, 1, 32, 32)
    hole[0, 0, 20, 3] = 1
    found = critic.overlap(hole)[0, 0]
    patches = range(found.shape[0])
    rows = [i for i in patches if 2 * i - 5 <= 20 <= 2 * i + 10]
    columns = [i for i in patches if 2 * i - 5 <= 3 <= 2 * i + 10]
    expected = torch.zeros_like(found)
    for row in rows:
        expected[row, columns] = 1
    assert torch.equal(found, expected)
    assert (rows, columns) == ([5, 6, 7, 8, 9, 10, 11, 12], [0, 1, 2, 3, 4])


def test_overlap_is_exactly_where_a_score_depends_on_the_hole() -> None:
    """With instance norm left out, the gradient of a patch's score is 0 off its field."""
    critic = PatchGan(1, width=2, layers=2)
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    y = x
    for conv in critic.convs:
        y = torch.nn.functional.softplus(conv(y))  # no kink: no gradient is 0 by chance
    for row, column in ((0, 0), (4, 7), (13, 13)):
        (gradient,) = torch.autograd.grad(y[0, 0, row, column], x, retain_graph=True)
        for pixel in ((0, 0), (10, 20), (31, 40), (63, 63)):
            hole = torch.zeros(1, 1, 64, 64)
            hole[0, 0, pixel[0], pixel[1]] = 1
            overlaps = bool(critic.overlap(hole)[0, 0, row, column])
            assert overlaps == bool(gradient[0, 0, pixel[0], pixel[1]])


def test_several_scales_see_the_same_picture_at_half_the_size_each() -> None:
    critic = MultiScaleCritic(3, width=2, scales=3, layers=1)
    assert critic.least_side == 32
    x = torch.rand(2, 3, 64, 64)
    hole = mask(64, 30, 34, 30, 34)
    scores, overlaps = critic(x), critic.overlaps(hole)
    assert [s.shape[2] for s in scores] == [o.shape[2] for o in overlaps] == [30, 14, 6]
    assert torch.equal(scores[1], critic.critics[1](torch.nn.functional.avg_pool2d(x, 2)))
    assert [bool(o.all()) for o in overlaps] == [False, False, True]
    assert [int(o.sum()) for o in overlaps] == [100, 64, 36]
