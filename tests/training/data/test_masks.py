from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from inpaintcli_training.data.masks import KINDS, random_hole
from inpaintcli_training.data.photos import Photos
from inpaintcli_training.recipe import HoleMix

from inpaintcli.errors import UsageError

NOTHING = HoleMix(rectangle=0, brush=0, blob=0, thin=0, box=1)
ITS_OWN = {"irregular", "centre"}  # shares that hole_ratio does not rule


def only(kind: str) -> HoleMix:
    return replace(NOTHING, **{"box": 0.0} | {kind: 1.0})


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - ITS_OWN))
@pytest.mark.parametrize("side", [32, 112])
def test_holes_have_the_side_and_a_share_within_the_ratio(kind: str, side: int) -> None:
    for seed in range(25):
        mask = random_hole(side, np.random.default_rng(seed), only(kind), (0.05, 0.4))
        assert mask.shape == (side, side)
        assert mask.dtype == np.bool_
        low = 1 / side**2 if kind == "thin" else 0.05
        assert low <= mask.mean() <= 0.4


def test_boxes_are_rectangles_of_a_quarter_to_half_the_side() -> None:
    for seed in range(50):
        mask = KINDS["box"](64, np.random.default_rng(seed))
        height, width = mask.any(1).sum(), mask.any(0).sum()
        assert mask.sum() == height * width
        assert 16 <= min(height, width) <= max(height, width) <= 32


def test_several_boxes_are_one_to_three_of_them() -> None:
    shares = [KINDS["boxes"](64, np.random.default_rng(seed)).mean() for seed in range(60)]
    assert min(shares) >= 1 / 16
    assert max(shares) <= 3 / 4
    assert max(shares) > 1 / 4 > min(shares)


def test_the_same_seed_draws_the_same_hole() -> None:
    draw = [random_hole(64, np.random.default_rng(7), HoleMix(), (0.02, 0.5)) for _ in range(2)]
    assert np.array_equal(*draw)


def test_a_mix_draws_all_its_kinds_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def named(kind):
        def draw(side, _rng):
            drawn.append(kind)
            return np.eye(side, dtype=np.bool_)

        return draw

    for kind in KINDS:
        monkeypatch.setitem(KINDS, kind, named(kind))
    for seed in range(200):
        random_hole(16, np.random.default_rng(seed), HoleMix(blob=0), (0.01, 0.5))
    assert set(drawn) == {"rectangle", "brush", "thin"}


def test_a_share_that_no_hole_has_is_an_error_and_not_an_endless_loop() -> None:
    with pytest.raises(UsageError, match=r"holes\.box"):
        random_hole(16, np.random.default_rng(0), only("box"), (0.9, 0.95))


def test_every_kind_has_a_weight_in_the_mix() -> None:
    assert {*KINDS, "pictures"} == set(vars(HoleMix()))


def test_the_centre_is_the_middle_quarter_of_the_crop() -> None:
    mask = random_hole(64, np.random.default_rng(0), only("centre"), (0.0, 0.1))
    assert mask[16:48, 16:48].all()
    assert mask.sum() == 32 * 32


@pytest.mark.parametrize("tenth", range(6))
def test_irregular_holes_lie_in_the_bin_that_the_table_names(tenth: int) -> None:
    table = tuple(float(number == tenth) for number in range(6))
    for seed in range(15):
        rng = np.random.default_rng(seed)
        mask = random_hole(64, rng, only("irregular"), (0.0, 0.01), table)
        assert tenth / 10 < mask.mean() <= (tenth + 1) / 10


def test_the_table_says_how_often_each_bin_is_drawn() -> None:
    rng = np.random.default_rng(0)
    table = (3.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    shares = np.array(
        [random_hole(32, rng, only("irregular"), (0, 1), table).mean() for _ in range(200)]
    )
    assert ((shares <= 0.1) | ((shares > 0.3) & (shares <= 0.4))).all()
    assert 0.65 < (shares <= 0.1).mean() < 0.85


@pytest.fixture
def pictures(tmp_path: Path) -> Photos:
    """One mask of 60x80, hole in its right half."""
    mask = np.zeros((60, 80), np.uint8)
    mask[:, 40:] = 255
    cv2.imwrite(str(tmp_path / "a.mask.png"), mask)
    return Photos([tmp_path], masks=True)


def test_pictures_of_masks_are_cut_at_random_sizes_and_places_and_flipped(
    pictures: Photos,
) -> None:
    rng = np.random.default_rng(0)
    holes = [random_hole(32, rng, only("pictures"), (0.1, 0.9), masks=pictures) for _ in range(40)]
    assert all(hole.shape == (32, 32) and 0.1 <= hole.mean() <= 0.9 for hole in holes)
    assert len({int(hole.sum()) for hole in holes}) > 10
    left = [hole[:, 0].all() for hole in holes]
    assert any(left)
    assert not all(left)
    for hole in holes:  # a straight edge stays one
        assert np.array_equal(hole, np.broadcast_to(hole[:1], hole.shape))


def test_white_above_the_middle_is_hole(tmp_path: Path) -> None:
    grey = np.full((40, 40), 127, np.uint8)
    grey[:20] = 128
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    masks = Photos([tmp_path], masks=True)
    hole = random_hole(16, np.random.default_rng(1), only("pictures"), (0.05, 0.95), masks=masks)
    assert 0.05 < hole.mean() < 0.95
