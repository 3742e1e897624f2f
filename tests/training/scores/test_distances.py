"""Where the distances look: around the hole, and at no more than a network needs to see."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inpaintcli_training.scores import distances
from inpaintcli_training.scores.distances import square_around
from inpaintcli_training.scores.scorer import FeatureScores

from inpaintcli.errors import MaskMismatchError


@given(st.data())
def test_the_square_holds_the_hole_and_lies_in_the_picture(data) -> None:
    height, width = (data.draw(st.integers(1, 200)) for _ in range(2))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    hole = np.zeros((height, width), np.bool_)
    hole[top:bottom, left:right] = True
    rows, columns = square_around(hole)
    assert 0 <= rows.start <= top < bottom <= rows.stop
    assert 0 <= columns.start <= left < right <= columns.stop
    assert hole[rows, columns].sum() == hole.sum()


def test_there_is_no_square_around_nothing() -> None:
    with pytest.raises(MaskMismatchError, match="empty"):
        square_around(np.zeros((8, 8), np.bool_))


def test_big_pictures_are_scaled_down(features, monkeypatch) -> None:
    """A picture twice as large as is looked at scores nearly the same."""
    monkeypatch.setattr(distances, "_MAX_SIDE", 128)
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8), (128, 128))
    hole = np.zeros((128, 128), np.bool_)
    hole[15:113, 15:113] = True
    fill = np.where(hole[..., None], np.uint8(90), photo)
    large, twice = (cv2.resize(x, None, fx=2, fy=2) for x in (photo, fill))
    scores = FeatureScores(features)
    one = scores.score("a", photo, hole, {"m": fill})["m"]
    two = scores.score("b", large, hole.repeat(2, 0).repeat(2, 1), {"m": twice})["m"]
    assert two == pytest.approx(one, rel=0.1)
