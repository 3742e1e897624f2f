from dataclasses import replace

import numpy as np
import pytest

from inpaintcli.errors import UsageError
from training.masks import KINDS, random_hole
from training.recipe import HoleMix

NOTHING = HoleMix(rectangle=0, brush=0, blob=0, thin=0, box=1)


def only(kind: str) -> HoleMix:
    return replace(NOTHING, **{"box": 0.0} | {kind: 1.0})


@pytest.mark.parametrize("kind", sorted(KINDS))
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
    assert set(KINDS) == set(vars(HoleMix()))
