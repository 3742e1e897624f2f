"""A contour followed back from a hole: how long it is, where it points, whether it bends."""

import numpy as np
import pytest

from inpaintcli.inpaint.contour_ends import find_contour_ends
from inpaintcli.inpaint.contour_tracing import BLOCK, trace_back

SHAPE = (160, 320)
HOLE_BEGINS = 240


def sea(horizon, *, noise=0.0):
    """Light above dark, known up to HOLE_BEGINS; `horizon` is the row of each column."""
    rows, columns = np.indices(SHAPE)
    shade = np.where(rows < horizon(columns), 190.0, 90.0)
    shade += np.random.default_rng(0).normal(0, noise, SHAPE)
    known = columns < HOLE_BEGINS
    return np.where(known, shade, 128)[..., None].repeat(3, 2).astype(np.float32), known


def traced(horizon, **how):
    picture, known = sea(horizon, **how)
    ends = find_contour_ends(picture, known)
    return trace_back(picture, known, ends, 0)


@pytest.mark.parametrize("noise", [0, 4, 10])
@pytest.mark.parametrize("slope", [0.0, 0.05, -0.2])
def test_the_direction_is_that_of_the_whole_contour(slope, noise):
    trace = traced(lambda x: 90 + slope * (x - 160), noise=noise)
    assert trace.length >= HOLE_BEGINS - 2 * BLOCK
    assert trace.direction[0] > 0, "into the hole"
    assert trace.direction[1] / trace.direction[0] == pytest.approx(slope, abs=0.003)
    assert trace.position[1] == pytest.approx(90 + slope * (trace.position[0] - 160), abs=0.6)
    assert trace.bend < 0.01


def test_it_is_as_long_as_the_contour_can_be_seen():
    trace = traced(lambda x: np.where(x < 140, 500, 90))
    assert HOLE_BEGINS - 140 - 2 * BLOCK <= trace.length <= HOLE_BEGINS - 140 + BLOCK


def test_a_curve_is_known_by_its_bend():
    trace = traced(lambda x: 90 + 0.0004 * (x - HOLE_BEGINS) ** 2)
    assert trace.bend > 0.01
