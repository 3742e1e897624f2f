"""A colour as the hole: the same pixels at every depth."""

import numpy as np
import pytest

from inpaintcli.errors import UsageError
from inpaintcli.imaging.picture import Picture
from inpaintcli.masks.color import ColorRange


def test_every_channel_may_be_off_by_the_tolerance():
    pixels = np.array([[(250, 5, 0), (255, 0, 0), (249, 0, 0), (255, 6, 0), (0, 0, 0)]], np.uint8)
    found = ColorRange.parse("color:#FF0000~5").mask(Picture(pixels))
    assert found.tolist() == [[True, True, False, False, False]]
    exact = ColorRange.parse("color:#ff0000").mask(Picture(pixels))
    assert exact.tolist() == [[False, True, False, False, False]]


def test_sixteen_bits_count_by_their_eight_bit_equivalent(rng):
    pixels = rng.integers(0, 65536, (50, 50, 3), np.uint16)
    eight = np.round(pixels / 257).astype(np.uint8)
    colour = ColorRange.parse("color:#80a000~60")
    assert (colour.mask(Picture(pixels)) == colour.mask(Picture(eight))).all()
    white = Picture(np.full((1, 1, 3), 65535, np.uint16))
    assert ColorRange.parse("color:#ffffff").mask(white).all()


def test_grey_stands_for_three_equal_channels():
    grey = Picture(np.array([[[100], [110]]], np.uint8))
    assert ColorRange.parse("color:#646464").mask(grey).tolist() == [[True, False]]
    assert not ColorRange.parse("color:#646400").mask(grey).any()


@pytest.mark.parametrize(
    "text",
    [
        "color:", "color:red", "color:#ff00", "color:#ff00000", "color:#gg0000", "color:#ff0000~",
        "color:#ff0000~-1", "color:#ff0000~256", "color:#ff0000~nan", "color:#ff0000~1.5",
        "color:ff0000", "color:#ff0000~5~5",
    ],
)  # fmt: skip
def test_garbage_is_no_colour(text):
    with pytest.raises(UsageError) as error:
        ColorRange.parse(text)
    assert f"--mask {text} is not a colour" in error.value.message


def test_a_colour_is_written_as_it_is_read():
    assert str(ColorRange.parse("color:#0aF0c0~12")) == "color:#0af0c0~12"
    assert str(ColorRange.parse("color:#000000~0")) == "color:#000000"
