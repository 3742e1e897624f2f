"""Pull-push: what it keeps, what it reaches, and that its two forms are one."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from inpaintcli_training.layers.pullpush import doubled, membrane, packed_membranes, unpacked


def hole(height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[:, :, height // 4 : height // 2, width // 4 : width // 2] = 1
    return mask


def test_the_membrane_over_one_colour_is_that_colour() -> None:
    image = torch.full((1, 3, 48, 80), 0.25)
    mask = hole(48, 80)
    filled = membrane(image.masked_fill(mask > 0, 9.0), mask)
    torch.testing.assert_close(filled, image)


def test_the_membrane_keeps_known_pixels_and_ignores_the_hole() -> None:
    image, mask = torch.rand(2, 3, 32, 48), hole(32, 48).expand(2, 1, 32, 48)
    filled = membrane(image, mask)
    other = membrane(torch.where(mask > 0, torch.rand_like(image), image), mask)
    assert torch.equal(torch.where(mask > 0, 0, filled), torch.where(mask > 0, 0, image))
    assert torch.equal(filled, other)


def test_the_membrane_stays_within_the_known_colours() -> None:
    image, mask = torch.rand(1, 3, 64, 64), hole(64, 64)
    filled = membrane(image, mask)
    assert float(filled.min()) >= float(image.min()) - 1e-6
    assert float(filled.max()) <= float(image.max()) + 1e-6


def test_the_membrane_follows_a_ramp_into_the_hole() -> None:
    image = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    error = (membrane(image, hole(64, 64)) - image).abs().max()
    assert float(error) < 0.12  # a mean of the rim would be 0.25 off at the sides


@pytest.mark.parametrize("side", [16, 33, 80, 112])
def test_the_membrane_takes_every_size_and_a_hole_without_rim(side: int) -> None:
    filled = membrane(torch.rand(1, 3, side, side), torch.ones(1, 1, side, side))
    assert filled.shape == (1, 3, side, side)
    assert filled.isfinite().all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([(16, 16), (36, 52), (64, 48)]))
def test_the_packed_form_is_the_membrane(seed: int, size: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, *size, generator=draw) * 2 - 1
    coarse = torch.rand(2, 1, size[0] // 2, size[1] // 2, generator=draw)
    mask = (F.interpolate(coarse, size=size) + torch.rand(2, 1, *size, generator=draw) > 1).float()
    [squares] = packed_membranes(image, mask)
    torch.testing.assert_close(unpacked(squares.smooth), membrane(image, mask))
    assert torch.equal(unpacked(squares.known), image * (1 - mask))
    assert torch.equal(unpacked(squares.hole), mask.expand_as(image))
    for packed in (squares.smooth, squares.known):
        assert torch.equal(F.pixel_shuffle(packed, 2)[:, 3:], mask)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(16, 16), (24, 40), (64, 48)]))
def test_a_smaller_size_is_the_membrane_of_the_halved_picture(
    seed: int, size: tuple[int, int]
) -> None:
    draw = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, *size, generator=draw)
    mask = (torch.rand(1, 1, *size, generator=draw) > 0.3).float()
    known = F.avg_pool2d(1 - mask, 2)
    half = F.avg_pool2d(image * (1 - mask), 2) / known.clamp(min=0.2)
    large, small = packed_membranes(image, mask, 2, levels=7)
    torch.testing.assert_close(unpacked(large.smooth), membrane(image, mask, levels=7))
    half_mask = (known == 0).float()
    torch.testing.assert_close(unpacked(small.smooth), membrane(half, half_mask, levels=6))
    assert torch.equal(F.pixel_shuffle(small.smooth, 2)[:, 3:], half_mask)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 2), (6, 10)]))
def test_doubling_in_squares_is_bilinear_scaling(seed: int, size: tuple[int, int]) -> None:
    squares = torch.rand(2, 16, *size, generator=torch.Generator().manual_seed(seed))
    expected = F.interpolate(unpacked(squares), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(unpacked(doubled(squares)), expected)


def test_one_colour_stays_that_colour_in_half_precision() -> None:
    """A mean that is off by the rounding of a ninth would drift in every sweep."""
    image, mask = torch.full((1, 3, 64, 64), 0.75), hole(64, 64)
    [squares] = packed_membranes(image.bfloat16(), mask.bfloat16())
    assert torch.equal(unpacked(squares.smooth), image.bfloat16())


def test_the_packed_form_keeps_full_precision_under_autocast() -> None:
    image, mask = torch.rand(1, 3, 32, 32), hole(32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        [squares] = packed_membranes(image, mask)
    torch.testing.assert_close(squares.smooth, packed_membranes(image, mask)[0].smooth)
