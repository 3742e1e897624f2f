"""What fills the thick parts of a hole, and what is reported about it."""

import numpy as np
import pytest

from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.inpaint import detail
from inpaintcli.inpaint.detail import Decision, add_texture
from inpaintcli.inpaint.pipeline import Model, fill
from tests.conftest import GreyEngine, card


@pytest.fixture
def stripes():
    """A striped photo (160, 200, 3) and a thick hole in it."""
    x = np.arange(200)
    row = np.where(x // 5 % 2, 200, 60).astype(np.uint8)
    pixels = np.broadcast_to(row[None, :, None], (160, 200, 3)).copy()
    hole = np.zeros((160, 200), bool)
    hole[60:100, 80:120] = True
    return pixels, hole


def contrast(pixels, hole):
    return float(pixels[hole].std())


def run(pixels, hole, choice, notes=None):
    messages = [] if notes is None else notes
    blurred = pixels.copy()
    blurred[hole] = 130
    decisions = add_texture(blurred, hole, ~hole, choice, threads=1, notes=messages.append)
    return blurred, decisions


def test_the_networks_fill_stays_when_asked_for(stripes):
    filled, decisions = run(*stripes, "network")
    assert (filled[stripes[1]] == 130).all()
    assert decisions == []


@pytest.mark.parametrize(("choice", "named"), [("patches", "patches"), ("auto", "blend")])
def test_the_photos_texture_comes_into_the_hole(stripes, choice, named):
    pixels, hole = stripes
    filled, (decision,) = run(pixels, hole, choice)
    np.testing.assert_array_equal(filled[~hole], pixels[~hole])
    assert contrast(filled, hole) > 0.5 * contrast(pixels, ~hole)
    assert decision.choice == named
    assert decision.thickness == pytest.approx(40, abs=2)
    assert decision.to_json()["misfit"] >= 0
    assert named in decision.in_words()


@pytest.mark.parametrize("depth", [8, 16])
def test_an_edge_continues_straight_through_the_hole_and_is_reported(depth):
    """A wall and a sky with grain, and a fill without the edge."""
    top = 2**depth - 1
    grain = np.random.default_rng(0).normal(0, 4, (160, 200, 3))
    rows, columns = np.indices((160, 200))
    below = (rows > 70 + 0.2 * (columns - 100))[..., None]
    scene = np.where(below, [70.0, 90, 110], [200.0, 190, 160])
    truth = np.clip((scene + grain) / 255 * top, 0, top).astype(f"uint{depth}")
    hole = np.zeros((160, 200), bool)
    hole[40:100, 70:130] = True
    filled = np.where(hole[..., None], (135 / 255 * top), truth).astype(truth.dtype)
    (decision,) = add_texture(filled, hole, ~hole, "auto", threads=1, notes=[].append)
    assert decision.to_json()["contours"] == decision.contours >= 1
    assert "carried through" in decision.in_words()
    near = hole & (np.abs(rows - 70 - 0.2 * (columns - 100)) < 12)
    wrong = (filled[..., 0] > 135 / 255 * top) != (truth[..., 0] > 135 / 255 * top)
    assert wrong[near].mean() < 0.06
    np.testing.assert_array_equal(filled[~hole], truth[~hole])


def test_thin_holes_are_the_networks(stripes):
    pixels, _ = stripes
    hole = np.zeros(pixels.shape[:2], bool)
    hole[80:84, 20:180] = True
    filled, decisions = run(pixels, hole, "auto")
    assert (filled[hole] == 130).all()
    assert decisions == []


def test_with_too_little_photo_around_the_networks_fill_stays_and_it_is_reported():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3)).astype(np.uint8)
    hole = np.zeros((50, 50), bool)
    hole[8:42, 8:42] = True
    notes = []
    filled, (decision,) = run(pixels, hole, "patches", notes)
    assert (filled[hole] == 130).all()
    assert decision == Decision(Box(0, 0, 50, 50), decision.thickness, "network")
    assert "patches" in notes[-1]  # a note about compiling may come before


def test_without_the_compiler_the_networks_fill_stays_and_it_is_reported(stripes, monkeypatch):
    monkeypatch.setattr(detail, "why_not", lambda: "numba is not installed")
    notes = []
    filled, decisions = run(*stripes, "auto", notes)
    assert (filled[stripes[1]] == 130).all()
    assert decisions == []
    assert "numba" in notes[0]


def test_the_first_use_says_that_it_compiles(stripes, monkeypatch):
    monkeypatch.setattr(detail, "is_compiled", lambda: False)
    notes = []
    run(*stripes, "auto", notes)
    assert "once on this machine" in notes[0]


def test_once_on_this_machine_is_said_only_where_it_is_true(stripes, monkeypatch):
    monkeypatch.setattr(detail, "is_compiled", lambda: False)
    monkeypatch.setattr(detail, "why_not_kept", lambda: "no folder for it can be written")
    notes = []
    run(*stripes, "auto", notes)
    assert "once" not in notes[0]
    assert "no folder" in notes[1]
    assert "NUMBA_CACHE_DIR" in notes[1]


def test_sixteen_bits_and_grey_go_through(stripes):
    pixels, hole = stripes
    deep = pixels[:, :, :1].astype(np.uint16) * 257 + 13
    filled, _ = run(deep, hole, "patches")
    assert filled.dtype == np.uint16
    assert filled.shape == deep.shape
    assert (filled[hole] % 257 != 0).any()
    np.testing.assert_array_equal(filled[~hole], deep[~hole])


@pytest.mark.parametrize("choice", ["auto", "network", "patches"])
def test_fill_keeps_known_pixels_whatever_the_choice(stripes, choice):
    pixels, hole = stripes
    done = fill(Picture(pixels), hole, Model(card(), GreyEngine(), ""), detail=choice)
    np.testing.assert_array_equal(done.picture.pixels[~hole], pixels[~hole])
    assert len(done.decisions) == (choice != "network")


def test_the_same_photo_gives_the_same_fill(stripes):
    one, _ = run(*stripes, "auto")
    other, _ = run(*stripes, "auto")
    np.testing.assert_array_equal(one, other)


def test_a_part_too_large_for_memory_is_scaled_down(stripes, monkeypatch):
    pixels, hole = stripes
    seen = []

    def recorded(pixels, *arguments, **options):
        seen.append(pixels.shape[0] * pixels.shape[1])
        return detail_synthesize(pixels, *arguments, **options)

    detail_synthesize = detail.synthesize
    monkeypatch.setattr(detail, "synthesize", recorded)
    monkeypatch.setattr(detail, "MAX_PIXELS", 20_000)
    filled, (decision,) = run(pixels, hole, "patches")
    assert seen[0] <= 20_200
    assert decision.choice == "patches"
    assert contrast(filled, hole) > 10
    np.testing.assert_array_equal(filled[~hole], pixels[~hole])


def test_progress_rises_to_the_end_over_tiles_and_patches(stripes):
    pixels, hole = stripes
    hole[10:30, 150:190] = True  # a second thick part
    shares = []
    with Model(card(), GreyEngine(), "") as model:
        fill(Picture(pixels), hole, model, progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 10  # the patches report as well
    assert shares[-1] == 1


class StoppedError(Exception):
    pass


def test_what_progress_raises_ends_the_fill_while_patches_are_at_work(stripes):
    pixels, hole = stripes
    shares = []

    def stop(share):
        shares.append(share)
        if share > 0.5:
            raise StoppedError

    with Model(card(), GreyEngine(), "") as model, pytest.raises(StoppedError):
        fill(Picture(pixels), hole, model, progress=stop)
    assert 0.5 < shares[-1] < 1


def test_another_seed_gives_another_texture_and_the_same_seed_the_same():
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (160, 160, 1), np.uint8)
    hole = np.zeros((160, 160), bool)
    hole[50:110, 50:110] = True
    with Model(card(), GreyEngine(), "") as model:
        first, again, other = (
            fill(Picture(pixels), hole, model, detail="patches", seed=seed).picture.pixels
            for seed in (1, 1, 2)
        )
    np.testing.assert_array_equal(first, again)
    assert (first[hole] != other[hole]).any()
