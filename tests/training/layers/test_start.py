"""What a network begins from: the same picture in squares or not, and what a change adds to it."""

import pytest
import torch
import torch.nn.functional as F
from inpaintcli_training.layers.pullpush import membrane
from inpaintcli_training.layers.start import SQUARES, STARTS, check_start, opening, unpacked

from inpaintcli.errors import UsageError

FORMS = [(start, square) for start in STARTS for square in SQUARES]


@pytest.fixture
def picture() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.zeros(2, 1, 32, 48)
    mask[0, :, 5:20, 11:30] = 1
    mask[1, :, 3:5] = 1
    return torch.rand(2, 3, 32, 48) * 2 - 1, mask


@pytest.mark.parametrize(("start", "square"), FORMS)
def test_squares_hold_the_picture_and_its_mask(
    start: str, square: int, picture: tuple[torch.Tensor, torch.Tensor]
) -> None:
    image, mask = picture
    expected = membrane(image, mask) if start == "membrane" else image * (1 - mask)
    begun = opening(image, mask, start, square)
    torch.testing.assert_close(unpacked(begun.colours, square), expected)
    assert torch.equal(unpacked(begun.mask, square), mask)
    assert begun.planes.shape == (2, 4 * square**2, 32 // square, 48 // square)


@pytest.mark.parametrize(("start", "square"), FORMS)
def test_the_hole_has_no_influence(
    start: str, square: int, picture: tuple[torch.Tensor, torch.Tensor]
) -> None:
    image, mask = picture
    noise = torch.where(mask > 0, torch.rand_like(image), image)
    planes = [opening(one, mask, start, square).planes for one in (image, noise)]
    assert torch.equal(*planes)


@pytest.mark.parametrize("square", SQUARES)
def test_a_change_is_added_in_the_hole_alone(
    square: int, picture: tuple[torch.Tensor, torch.Tensor]
) -> None:
    image, mask = picture
    change = torch.randn_like(image)
    packed = F.pixel_unshuffle(change, square)
    changed = opening(image, mask, "membrane", square).plus(packed)
    expected = membrane(image, mask) + mask * change
    torch.testing.assert_close(unpacked(changed.colours, square), expected)


def test_the_smooth_fill_is_fp32_whatever_the_precision(
    picture: tuple[torch.Tensor, torch.Tensor],
) -> None:
    for square in SQUARES:
        with torch.autocast("cpu", torch.bfloat16):
            cast = opening(*picture, "membrane", square)
        assert torch.equal(cast.colours, opening(*picture, "membrane", square).colours)


@pytest.mark.parametrize(("start", "square", "named"), [("noise", 1, "noise"), ("grey", 3, "3")])
def test_other_starts_and_squares_are_usage_errors(start: str, square: int, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        check_start(start, square)
