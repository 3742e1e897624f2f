"""A trial on known pixels finds the better filler."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaintcli import trial


@pytest.fixture
def photo():
    """Stripes (160, 200, 3), float32."""
    row = np.where(np.arange(200) // 5 % 2, 200, 60).astype(np.float32)
    return np.broadcast_to(row[None, :, None], (160, 200, 3)).copy()


@pytest.fixture
def target():
    hole = np.zeros((160, 200), bool)
    hole[60:100, 80:120] = True
    return hole


def blank(pixels, hole, _unknown):
    return np.where(hole[..., None], np.float32(130), pixels)


def test_whoever_fills_right_gains_all(photo, target):
    truths = []

    def blank_of_known(pixels, hole, unknown):
        truths.append(pixels)
        return blank(pixels, hole, unknown)

    def right(pixels, hole, _unknown):
        return np.where(hole[..., None], truths[-1], pixels)

    def untouched(pixels, _hole, _unknown):
        return pixels

    assert trial.gain(photo, target, ~target, blank_of_known, right) == pytest.approx(1)
    assert trial.gain(photo, target, ~target, blank, blank) == 0
    assert trial.gain(photo, target, ~target, untouched, blank) < -1


def test_what_is_hidden_is_known_as_large_as_the_hole_and_is_told_as_unknown(photo, target):
    pieces = trial.hide(target, ~target)
    assert len(pieces) == trial.PIECES
    for seen, hidden in pieces:
        assert not (hidden & target[seen.slices]).any()
        assert np.count_nonzero(hidden) == pytest.approx(np.count_nonzero(target), rel=0.1)
    told = []

    def spy(pixels, hole, unknown):
        told.append((hole, unknown))
        return pixels

    trial.gain(photo, target, ~target, spy, spy)
    twice = [piece for piece in pieces for _ in range(2)]  # by the network, by the patches
    for (seen, hidden), (hole, unknown) in zip(twice, told, strict=True):
        assert (hole == hidden).all()
        assert (unknown == (hidden | target[seen.slices])).all()


def test_without_room_there_is_no_trial(photo):
    nearly_all = np.ones((160, 200), bool)
    nearly_all[:, :20] = False
    assert not trial.hide(nearly_all, ~nearly_all)
    assert trial.gain(photo, nearly_all, ~nearly_all, blank, blank) is None


@given(st.integers(0, 2**32 - 1))
def test_pieces_lie_in_the_known_part_of_any_mask(seed):
    rng = np.random.default_rng(seed)
    hole = np.zeros((96, 120), bool)
    for _ in range(4):
        y, x = rng.integers(0, 90), rng.integers(0, 110)
        hole[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = True
    pieces = trial.hide(hole, ~hole)
    for seen, hidden in pieces:
        assert not (hidden & hole[seen.slices]).any()
    if pieces:
        assert sum(np.count_nonzero(hidden) for _, hidden in pieces) >= trial.LEAST_HIDDEN


def test_the_distance_is_0_for_equal_pictures_and_looks_only_where_it_is_told(photo, target):
    assert trial.distance(photo, photo, target) == 0
    away = photo.copy()
    away[:20] = 0
    assert trial.distance(away, photo, target) == 0
    assert trial.distance(blank(photo, target, target), photo, target) > 0.5
