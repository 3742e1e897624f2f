import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inpaintcli_training.data.composites import (
    Annotations,
    _runs,
    compose,
    decode_segmentation,
    lalphabeta_to_rgb,
    rgb_to_lalphabeta,
    superpixel_object,
    superpixels,
    transfer_colours,
)
from inpaintcli_training.recipe import Pasted

from inpaintcli.errors import UnreadableError


def smooth(seed: int, side: int = 64, low: int = 60, high: int = 190) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(low, high, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def test_the_colour_space_is_reinhards() -> None:
    """White is (1, 1, 1) in LMS but for the matrix's rounding, so l, alpha and beta are near 0."""
    white = rgb_to_lalphabeta(np.full((1, 3), 255, np.uint8))
    assert np.abs(white).max() < 0.005
    grey = rgb_to_lalphabeta(
        np.full((1, 3), 51, np.uint8)
    )  # a fifth: log10 of 0.2 on all three cones
    assert grey[0] == pytest.approx([3**0.5 * np.log10(0.2), 0, 0], abs=0.005)


@given(st.lists(st.tuples(*[st.integers(1, 255)] * 3), min_size=1, max_size=20))
def test_colours_come_back_from_the_colour_space(colours) -> None:
    rgb = np.array(colours, np.uint8)
    assert np.abs(lalphabeta_to_rgb(rgb_to_lalphabeta(rgb)).astype(int) - rgb).max() <= 1


def test_transferred_colours_have_the_others_mean_and_deviation() -> None:
    source, target = smooth(0), smooth(1)
    moved = rgb_to_lalphabeta(transfer_colours(source, target))
    wanted = rgb_to_lalphabeta(target)
    assert moved.mean(0) == pytest.approx(wanted.mean(0), abs=0.01)
    assert moved.std(0) == pytest.approx(wanted.std(0), rel=0.05)
    assert (
        np.abs(rgb_to_lalphabeta(source).mean(0) - wanted.mean(0)).max() > 0.02
    )  # they did differ


def test_a_flat_object_does_not_become_noise() -> None:
    flat = np.full((8, 8, 3), 100, np.uint8)
    assert np.ptp(transfer_colours(flat, smooth(1)), axis=(0, 1)).max() == 0


@pytest.mark.parametrize("background", [0.0, 1.0])
def test_a_composite_is_the_photo_but_for_the_object_and_its_box(background: float) -> None:
    rgb, guide, found = smooth(2), smooth(3), np.zeros((64, 64), np.bool_)
    found[20:40, 24:36] = True
    recipe = Pasted(share=1, background=background)
    made = compose(rgb, guide, found, recipe, np.random.default_rng(0))
    assert np.array_equal(made.foreground, found)
    assert not (made.hole & made.foreground).any()
    untouched = ~made.hole & ~made.foreground
    assert np.array_equal(made.rgb[untouched], rgb[untouched])
    assert np.array_equal(made.rgb[found], transfer_colours(rgb[found], guide))
    if background:
        ys, xs = np.nonzero(made.hole | found)
        box = (slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1))
        assert (made.hole | found)[box].all()
        assert box[0].start < 20
        assert box[0].stop > 40
    else:
        assert not made.hole.any()


def test_an_object_too_large_or_missing_is_replaced_by_superpixels() -> None:
    recipe = Pasted(share=1)
    for found in (np.zeros((64, 64), np.bool_), np.ones((64, 64), np.bool_)):
        made = compose(smooth(4), smooth(5), found, recipe, np.random.default_rng(1))
        assert 0.02 <= made.foreground.mean() <= 0.3


@pytest.mark.parametrize("seed", range(8))
def test_made_objects_have_a_share_that_the_recipe_takes(seed: int) -> None:
    recipe = Pasted(share=1, share_of_crop=(0.05, 0.2))
    made = superpixel_object(smooth(seed), np.random.default_rng(seed), recipe)
    assert made.dtype == np.bool_
    assert 0.05 <= made.mean() <= 0.2


def test_superpixels_keep_to_edges() -> None:
    """Two flat halves: no superpixel crosses the edge by more than the border's own pixel."""
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:, 32:] = 255
    labels = superpixels(rgb, 8, np.random.default_rng(0))
    assert labels.min() == 0
    assert labels.max() == 63
    left, right = set(labels[:, :31].ravel()), set(labels[:, 33:].ravel())
    assert not left & right


SQUARE = np.zeros((4, 5), np.bool_)
SQUARE[1:3, 2:4] = True
# Columns top to bottom: 9 off, 2 on, 2 off, 2 on, 5 off.
RUNS = [9, 2, 2, 2, 5]


def test_polygons_and_both_run_lengths_are_the_same_object() -> None:
    polygon = [[2.0, 1.0, 3.0, 1.0, 3.0, 2.0, 2.0, 2.0]]
    for segmentation in (
        polygon,
        {"size": [4, 5], "counts": RUNS},
        {"size": [4, 5], "counts": "92203"},
    ):
        assert np.array_equal(decode_segmentation(segmentation, (4, 5)), SQUARE), segmentation


def test_polygons_of_one_object_add_up_where_they_overlap() -> None:
    whole, part = [0, 0, 4, 0, 4, 3, 0, 3], [2, 1, 3, 1, 3, 2, 2, 2]
    assert decode_segmentation([whole, part], (4, 5)).all()


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=12))
def test_compressed_runs_are_read_as_coco_writes_them(runs: list[int]) -> None:
    """Against the encoder of COCO's maskApi.c, written out: rleToString."""
    text = ""
    for number, run in enumerate(runs):
        value = run - runs[number - 2] if number > 2 else run
        more = True
        while more:
            group = value & 0x1F
            value >>= 5
            more = value != -1 if group & 0x10 else value != 0
            text += chr((group | 0x20 if more else group) + 48)
    assert _runs(text) == runs


def coco(folder: Path, segmentation: object, **changes: object) -> Path:
    content = {
        "images": [{"id": 7, "file_name": "train/a.png", "height": 4, "width": 5}],
        "annotations": [{"image_id": 7, "segmentation": segmentation} | changes],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def test_an_object_is_drawn_for_its_photo_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    annotations = Annotations(coco(tmp_path, {"counts": RUNS}))
    assert np.array_equal(annotations.draw("a.png", (4, 5), rng), SQUARE)
    assert annotations.draw("b.png", (4, 5), rng) is None
    assert annotations.draw("a.png", (8, 10), rng) is None  # another photo of that name
    crowd = Annotations(coco(tmp_path, {"counts": RUNS}, iscrowd=1))
    assert crowd.draw("a.png", (4, 5), rng) is None


def test_what_is_not_cocos_format_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    for text in ("no json", "[]", '{"images": [{}], "annotations": []}'):
        path.write_text(text)
        with pytest.raises(UnreadableError, match="COCO"):
            Annotations(path)
    with pytest.raises(UnreadableError, match="COCO"):
        Annotations(tmp_path / "missing.json")
    damaged = Annotations(coco(tmp_path, {"counts": [3, 4]}))
    with pytest.raises(UnreadableError, match=r"a\.png is damaged"):
        damaged.draw("a.png", (4, 5), np.random.default_rng(0))
