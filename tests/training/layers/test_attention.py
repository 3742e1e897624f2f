"""The matrix form against the published form: patches as the kernels of convolutions."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from inpaintcli_training.layers.attention import (
    PROPAGATED,
    Attention,
    _propagated,
    attend,
    most_attended,
)
from torch import Tensor

from inpaintcli.errors import UsageError


def patch_form(features: Tensor, mask: Tensor, how: Attention) -> tuple[Tensor, Tensor]:
    """Section 4.1 as written: extract patches, convolve with them, deconvolve with them.

    (1, c, h, w) -> (c, h, w) and the weights (h', w', H, W).
    """
    small = F.avg_pool2d(features, how.rate)
    hole = F.max_pool2d(mask, how.rate)
    height, width = small.shape[2:]
    rows, columns = range(0, height, how.stride), range(0, width, how.stride)
    wide, wide_hole = F.pad(small, (1,) * 4), F.pad(hole, (1,) * 4)

    def unit(patch: Tensor) -> Tensor:
        return patch / patch.square().sum().sqrt().clamp(min=1e-4)

    kernels = torch.stack([unit(wide[0, :, y : y + 3, x : x + 3]) for y in rows for x in columns])
    scores = torch.stack(
        [
            F.conv2d(unit(wide[0, :, y : y + 3, x : x + 3])[None], kernels).flatten()
            for y in range(height)
            for x in range(width)
        ]
    ).view(height, width, len(rows), len(columns))
    usable = torch.tensor(
        [[float(wide_hole[0, 0, y : y + 3, x : x + 3].max() == 0) for x in columns] for y in rows]
    )
    if not usable.any():
        usable[:] = 1
    scores = how.scale * scores
    if how.propagated == "scores":
        scores = propagated_by_hand(scores, how.stride)
    weights = scores.masked_fill(usable == 0, -torch.inf).flatten(2).softmax(2).view_as(scores)
    if how.propagated == "attention":
        weights = propagated_by_hand(weights, how.stride) * usable
        weights = weights / weights.sum((2, 3), keepdim=True)
    return pasted_by_deconvolution(weights, features, how), weights


def propagated_by_hand(scores: Tensor, stride: int) -> Tensor:
    """Equation 4 entry by entry, left-right and then top-down."""
    height, width, rows, columns = scores.shape
    for step_y, step_x in ((0, 1), (1, 0)):
        entries = []
        for y, x, v, u in torch.cartesian_prod(*map(torch.arange, scores.shape)).tolist():
            total = scores[y, x, v, u]
            for i in (-1, 1):
                there = y + i * step_y * stride, x + i * step_x * stride
                source = v + i * step_y, u + i * step_x
                on_map = 0 <= there[0] < height and 0 <= there[1] < width
                if on_map and 0 <= source[0] < rows and 0 <= source[1] < columns:
                    total = total + scores[*there, *source]
            entries.append(total)
        scores = torch.stack(entries).view_as(scores)
    return scores


def pasted_by_deconvolution(weights: Tensor, features: Tensor, how: Attention) -> Tensor:
    """Raw patches of 3 * rate pixels as the kernels of a transposed convolution."""
    rate, height, width = how.rate, *weights.shape[:2]
    canvas = torch.cat([features, torch.ones_like(features[:, :1])], 1)
    wide = F.pad(canvas, (rate,) * 4)
    kernels = torch.stack(
        [
            wide[0, :, rate * y : rate * (y + 3), rate * x : rate * (x + 3)]
            for y in range(0, height, how.stride)
            for x in range(0, width, how.stride)
        ]
    )
    maps = weights.flatten(2).permute(2, 0, 1)[None]
    sums = F.conv_transpose2d(maps, kernels, stride=rate, padding=rate)[0]
    return sums[:-1] / sums[-1:]


def hole_mask(n: int, height: int, width: int) -> Tensor:
    mask = torch.zeros(n, 1, height, width)
    for number in range(n):
        mask[number, :, height // 3 : height // 2 + number, width // 4 : width // 2] = 1
    return mask


VARIANTS = [
    pytest.param(how, id=f"rate {how.rate}, stride {how.stride}, {how.propagated}")
    for rate, stride in ((1, 1), (2, 1), (1, 2), (2, 2), (2, 3))
    for how in (Attention(rate=rate, stride=stride, propagated=name) for name in PROPAGATED)
]


@pytest.mark.parametrize("how", VARIANTS)
def test_the_matrix_form_is_the_patch_form_forward_and_gradient(how: Attention) -> None:
    height, width = 4 * how.rate, 6 * how.rate
    features = torch.randn(1, 3, height, width)
    mask = hole_mask(1, height, width)
    push = torch.randn(3, height, width)
    gradients = []
    results = []
    for form in (attend, patch_form):
        x = features.clone().requires_grad_()
        pasted, weights = form(x, mask, how)
        (pasted * push).sum().backward()
        gradients.append(x.grad)
        results.append((pasted.reshape(3, height, width), weights.reshape(-1)))
    (ours, our_weights), (theirs, their_weights) = results
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    torch.testing.assert_close(our_weights, their_weights, atol=1e-5, rtol=0)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("propagated", PROPAGATED)
def test_every_sample_goes_by_its_own_mask(propagated: str) -> None:
    """The published code takes the first sample's mask for the whole batch."""
    how = Attention(propagated=propagated)
    features = torch.randn(2, 4, 12, 16)
    mask = torch.zeros(2, 1, 12, 16)
    mask[0, :, :4, :4] = 1
    mask[1, :, 6:10, 8:14] = 1
    together = attend(features, mask, how)
    for number in range(2):
        alone = attend(features[number : number + 1], mask[number : number + 1], how)
        torch.testing.assert_close(together.features[number], alone.features[0])
        torch.testing.assert_close(together.weights[number], alone.weights[0])


@settings(deadline=None, max_examples=25)
@given(data=st.data(), stride=st.integers(1, 2), propagated=st.sampled_from(PROPAGATED))
def test_weights_sum_to_one_and_only_wholly_known_patches_have_any(
    data, stride, propagated
) -> None:
    """The published code lets patches in the hole take a share of the softmax, then drops it."""
    cells = st.lists(st.booleans(), min_size=48, max_size=48)
    hole = torch.tensor(data.draw(cells)).float().view(1, 1, 6, 8)
    mask = F.interpolate(hole, scale_factor=2)
    features = torch.randn(1, 2, 12, 16, generator=torch.Generator().manual_seed(0))
    weights = attend(features, mask, Attention(stride=stride, propagated=propagated)).weights
    torch.testing.assert_close(weights.sum((3, 4)), torch.ones(1, 6, 8))
    touched = F.max_pool2d(hole, 3, 1, 1)[0, 0, ::stride, ::stride] > 0
    if not touched.all():
        assert not weights[..., touched].any()


@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_in_the_hole_is_never_pasted(stride: int) -> None:
    features = torch.rand(1, 2, 12, 16)
    mask = hole_mask(1, 12, 16)
    poisoned = torch.where(mask > 0, 1000.0, features)
    pasted = attend(poisoned, mask, Attention(stride=stride)).features
    assert float(pasted.max()) <= 1.0001


@pytest.mark.parametrize("stride", [1, 2])
def test_a_map_of_one_value_stays_so_up_to_its_border(stride: int) -> None:
    """Overlaps are averaged by how many there are; the published code divides by 4 everywhere."""
    features = torch.full((1, 2, 12, 16), 0.7)
    pasted = attend(features, hole_mask(1, 12, 16), Attention(stride=stride)).features
    torch.testing.assert_close(pasted, features)


def test_propagation_does_not_run_on_from_the_end_of_a_row_to_the_next() -> None:
    """The published code numbers pixels through, so the last of a row is beside the next's first.

    One pair of patches that looks alike, at the end of a row, strengthens no pair but those beside.
    """
    scores = torch.zeros(1, 3, 4, 3, 4)
    scores[0, 1, 3, 1, 3] = 1
    found = {tuple(i) for i in _propagated(scores, 1)[0].nonzero().tolist()}
    assert found == {(1 + dy, 3 + dx, 1 + dy, 3 + dx) for dy in (-1, 0, 1) for dx in (-1, 0)}


def test_a_hole_takes_the_texture_that_its_rim_continues() -> None:
    """Stripes to the left, dots to the right, the hole within the stripes: it looks to the left."""
    features = torch.zeros(1, 2, 16, 32)
    features[:, 0, :, :16] = torch.tensor([1.0, -1.0]).repeat(8)[:, None]
    features[:, 1, :, 16:] = torch.randn(16, 16)
    mask = torch.zeros(1, 1, 16, 32)
    mask[:, :, 6:10, 4:8] = 1
    how = Attention(rate=1, scale=50)
    attended = attend(features, mask, how)
    way = most_attended(attended.weights, 1)
    x = torch.arange(32.0) + way[0, 1]
    assert (x[6:10, 4:8] < 16).all()
    torch.testing.assert_close(
        attended.features[0, :, 6:10, 4:8], features[0, :, 6:10, 4:8], atol=0.05, rtol=0
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_where_it_looked_is_the_way_to_the_largest_weight(stride: int) -> None:
    weights = torch.zeros(1, 4, 6, 2, 3)
    weights[..., 0, 0] = 0.4
    weights[0, 3, 1, 1, 2] = 0.6
    way = most_attended(weights, stride)
    assert way.shape == (1, 2, 4, 6)
    assert way[0, :, 2, 5].tolist() == [-2, -5]
    assert way[0, :, 3, 1].tolist() == [stride - 3, 2 * stride - 1]


def test_attention_in_bf16_autocast_is_that_in_fp32() -> None:
    features, mask = torch.randn(1, 4, 8, 8), hole_mask(1, 8, 8)
    plain = attend(features, mask, Attention())
    with torch.autocast("cpu", torch.bfloat16):
        cast = attend(features, mask, Attention())
    assert torch.equal(plain.features, cast.features)


def test_options_that_mean_nothing_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="attention, scores"):
        Attention(propagated="weights")
    with pytest.raises(UsageError, match="at least 1"):
        Attention(rate=0)
