import numpy as np
import pytest

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.evaluation import masks

BINS = [kind for kind in masks.KINDS if kind != masks.CENTRE]


@pytest.mark.parametrize("kind", BINS)
@pytest.mark.parametrize("size", [(32, 32), (96, 256), (300, 200)])
def test_drawn_holes_are_of_their_bin(kind, size):
    for number in range(4):
        mask = masks.draw_mask(kind, *size, seed=3, name=f"{number}.jpg")
        assert mask.shape == size
        assert masks.ratio_bin(mask) == kind


def test_the_centre_is_half_the_shorter_side():
    mask = masks.draw_mask("centre", 256, 256, seed=0, name="a")
    assert mask[64:192, 64:192].all()
    assert mask.sum() == 128**2
    assert masks.draw_mask("centre", 60, 100, seed=0, name="a").sum() == 30**2


def test_a_box_has_a_quarter_to_half_of_each_side_and_lies_anywhere():
    tops = set()
    for number in range(30):
        mask = masks.draw_mask("box", 96, 160, seed=1, name=f"{number}.jpg")
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask.sum() == len(rows) * len(columns)
        assert 24 <= len(rows) <= 48
        assert 40 <= len(columns) <= 80
        tops.add(rows[0])
    assert min(tops) < 20
    assert max(tops) > 50
    assert "box" not in masks.KINDS


def test_a_mask_depends_on_seed_name_size_and_kind_and_on_nothing_else():
    first = masks.digest(masks.draw_mask("20-30", 80, 90, seed=1, name="sub/a.jpg"))
    assert first == masks.digest(masks.draw_mask("20-30", 80, 90, seed=1, name="sub/a.jpg"))
    others = [
        masks.draw_mask("20-30", 80, 90, seed=2, name="sub/a.jpg"),
        masks.draw_mask("20-30", 80, 90, seed=1, name="sub/b.jpg"),
        masks.draw_mask("20-30", 90, 80, seed=1, name="sub/a.jpg"),
        masks.draw_mask("30-40", 80, 90, seed=1, name="sub/a.jpg"),
    ]
    assert len({first, *map(masks.digest, others)}) == 5


def test_the_frozen_masks_stay_what_they_are():
    """Figures of different versions are comparable only as long as this holds."""
    mask = masks.draw_mask("20-30", 64, 80, seed=1, name="a.jpg")
    assert masks.digest(mask)[:16] == "ec09d51f27d2b1c9"


def test_a_digest_tells_shapes_and_bits_apart():
    mask = np.zeros((4, 6), np.bool_)
    other = mask.copy()
    other[3, 5] = True
    assert len({masks.digest(m) for m in (mask, other, mask.reshape(6, 4))}) == 3


@pytest.mark.parametrize(
    ("share", "name"), [(0.0, "00-10"), (0.1, "10-20"), (0.59, "50-60"), (0.6, "60-99")]
)
def test_bins_by_ratio(share, name):
    mask = np.zeros(100, np.bool_)
    mask[: int(share * 100)] = True
    assert masks.ratio_bin(mask.reshape(10, 10)) == name


def test_kinds_are_parsed_in_order_and_strangers_refused():
    assert masks.parse_kinds("box,centre, 10-20,00-10") == ("00-10", "10-20", "centre", "box")
    for text in ("10-30", "", "centre,middle"):
        with pytest.raises(UsageError, match="kind of hole"):
            masks.parse_kinds(text)


def test_small_photos_are_refused():
    with pytest.raises(MaskMismatchError, match=r"tiny.png is 40x31"):
        masks.draw_mask("centre", 31, 40, seed=1, name="tiny.png")
