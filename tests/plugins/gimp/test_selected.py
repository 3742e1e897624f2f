"""Which pixels a selection may change: the rules that hold whatever the worker answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaintcli.imaging.masks import dilate
from tests.plugins.gimp.plug_in import load

selected = load("selected")
TYPES = {"u8": np.uint8, "u16": np.uint16, "f32": np.float32}
TOPS = {"u8": 255, "u16": 65535, "f32": 1.0}


def noise(rng, shape, samples) -> np.ndarray:
    values = rng.random(shape) * TOPS[samples]
    return (np.rint(values) if samples != "f32" else values).astype(TYPES[samples])


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 9), st.integers(0, 10**6))
def test_grows_as_the_command_line_does(width, height, by, seed):
    hole = np.random.default_rng(seed).random((height, width)) < 0.02
    weights = (hole * np.uint8(255)).tobytes()
    wanted = dilate(hole, by) if by else hole
    assert selected.grown(weights, width, by) == (wanted * np.uint8(255)).tobytes()


def test_a_soft_selection_grows_with_its_softness():
    ramp = np.tile(np.arange(0, 240, 30, np.uint8), (9, 1))
    weights = np.pad(ramp, 8)
    found = np.frombuffer(selected.grown(weights.tobytes(), 24, 3), np.uint8).reshape(25, 24)
    padded = np.pad(weights, 3)
    shifted = [
        padded[3 + y : 28 + y, 3 + x : 27 + x]
        for y in range(-3, 4)
        for x in range(-3, 4)
        if y * y + x * x <= 9
    ]
    assert np.array_equal(found, np.max(shifted, axis=0))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 10**6))
def test_bounds_and_cut_are_those_of_the_pixels(width, height, seed):
    weights = (np.random.default_rng(seed).random((height, width)) < 0.03) * np.uint8(9)
    rows, columns = np.flatnonzero(weights.any(axis=1)), np.flatnonzero(weights.any(axis=0))
    found = selected.bounds(weights.tobytes(), width)
    if not rows.size:
        assert found is None
        return
    left, top = int(columns[0]), int(rows[0])
    assert found == (left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)
    part = weights[top : top + found[3], left : left + found[2]]
    assert selected.cut(weights.tobytes(), width, found) == part.tobytes()


def test_padded_adds_what_is_not_selected():
    weights = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
    found = selected.padded(weights.tobytes(), 4, (1, 2, 3, 4))
    assert found == np.pad(weights, ((2, 4), (1, 3))).tobytes()


@pytest.mark.parametrize("samples", TYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_soft_pixels_are_mixed_as_they_are_encoded(rng, samples, channels):
    old, new = (noise(rng, (9, 7, channels), samples) for _ in range(2))
    if channels in (2, 4):
        new[..., -1] = old[..., -1]
    weights = rng.integers(0, 256, (9, 7), np.uint8)
    weights[0] = 255
    share = weights[..., None] / 255
    found = selected.mixed(old.tobytes(), new.tobytes(), weights.tobytes(), channels, samples)
    mixed = np.frombuffer(found, old.dtype).reshape(old.shape)
    wanted = old + (new.astype(np.float64) - old) * share
    changed = weights > 0
    tolerance = 0.5 if samples != "f32" else 1e-6
    assert np.abs(mixed - wanted)[changed].max() <= tolerance + 1e-9
    assert np.array_equal(mixed[0], new[0])


def test_what_lay_under_a_transparent_pixel_does_not_shine_through():
    old = np.array([[[255, 0, 255, 0]]], np.uint8)
    new = np.array([[[10, 20, 30, 255]]], np.uint8)
    found = selected.mixed(old.tobytes(), new.tobytes(), b"\x80", 4, "u8")
    assert list(found) == [10, 20, 30, 128]


@pytest.mark.parametrize("pixel_bytes", [1, 3, 8, 32])
def test_no_byte_changes_outside(rng, pixel_bytes):
    old, new = (rng.integers(0, 256, (200, pixel_bytes), np.uint8) for _ in range(2))
    weights = (rng.random(200) < 0.4) * rng.integers(0, 256, 200).astype(np.uint8)
    found = selected.kept_outside(old.tobytes(), new.tobytes(), weights.tobytes(), pixel_bytes)
    wanted = np.where((weights > 0)[:, None], new, old)
    assert found == wanted.tobytes()


@pytest.mark.parametrize("samples", TYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_alpha_comes_goes_and_stays(rng, samples, channels):
    pixels = noise(rng, (20, channels), samples)
    alpha = rng.integers(0, 256, 20, np.uint8)
    colours = 1 if channels < 3 else 3
    made = selected.with_alpha(pixels.tobytes(), alpha.tobytes(), channels, samples)
    found = np.frombuffer(made, pixels.dtype).reshape(20, colours + 1)
    assert np.array_equal(found[:, :colours], pixels[:, :colours])
    assert np.allclose(found[:, -1] / TOPS[samples], alpha / 255, atol=1e-7)
    bare = selected.without_alpha(pixels.tobytes(), channels, samples)
    assert bare == np.ascontiguousarray(pixels[:, :colours]).tobytes()
    if channels in (2, 4):
        other = noise(rng, (20, channels), samples)
        kept = selected.alpha_kept(pixels.tobytes(), other.tobytes(), channels, samples)
        found = np.frombuffer(kept, pixels.dtype).reshape(20, channels)
        assert np.array_equal(found[:, -1], other[:, -1])
        assert np.array_equal(found[:, :-1], pixels[:, :-1])


def test_of_a_picture_too_large_a_window_around_the_selection_is_shown():
    assert selected.part_shown((0, 0, 10_000, 10_000), (5, 5, 9, 9)) == (0, 0, 10_000, 10_000)
    shown = selected.part_shown((-100, -100, 20_000, 10_000), (9000, 8000, 300, 200))
    assert shown == (9000 - 2048, 8000 - 2048, 300 + 4096, 9900 - (8000 - 2048))


def test_the_hole_is_what_may_change_in_any_part():
    assert selected.hole_of(bytes([0, 1, 128, 255])) == bytes([0, 255, 255, 255])
