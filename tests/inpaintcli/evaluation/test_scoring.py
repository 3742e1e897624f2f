from pathlib import Path

import numpy as np
import pytest
from inpaintcli_engines.base import EngineFailedError
from PIL import Image

from inpaintcli.errors import UnreadableError
from inpaintcli.evaluation import scoring
from inpaintcli.evaluation.methods import Method, classical_methods
from inpaintcli.imaging.images import write_picture
from inpaintcli.imaging.picture import Picture
from inpaintcli.options import MaskOptions
from tests.conftest import photo_pixels


def peeking(seen: list) -> Method:
    """Returns what it was shown, and remembers it."""

    def fill(picture, mask):
        seen.append((picture.pixels.copy(), mask.copy()))
        return picture.pixels

    return Method("peek", fill)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_picture(Picture(photo_pixels(64, 80)), path)
    return path


def case(photo: Path, **changes) -> scoring.Case:
    return scoring.Case(**{"name": photo.name, "photo": photo, "kind": "centre", **changes})


def score(cases, methods=None, feature_scorer=None, **mask_options):
    return list(
        scoring.evaluate(
            cases, methods or classical_methods(), MaskOptions(**mask_options), feature_scorer
        )
    )


def test_no_method_sees_what_is_hidden_and_known_pixels_count_as_the_photos(photo):
    seen = []
    [scored] = score([case(photo)], [peeking(seen), Method("black", lambda p, _: p.pixels * 0)])
    shown, hole = seen[0]
    np.testing.assert_array_equal(hole, scored.hole)
    assert (shown[hole] == 127).all()
    peek, black = scored.fills
    np.testing.assert_array_equal(black.pixels[~hole], scored.photo.pixels[~hole])
    assert (black.pixels[hole] == 0).all()
    assert peek.scores["hole_l1"] < black.scores["hole_l1"]


def test_own_masks_are_grouped_by_ratio_or_by_their_given_kind(photo, tmp_path):
    mask = tmp_path / "mask.png"
    Image.fromarray(np.pad(np.full((32, 40), 255, np.uint8), ((0, 32), (0, 40)))).save(mask)
    by_ratio, by_kind = score(
        [case(photo, mask=mask, kind=None), case(photo, mask=mask, kind="corner")]
    )
    assert (by_ratio.group, by_kind.group) == ("20-30", "corner")
    assert by_ratio.hole.mean() == 0.25
    [inverted] = score([case(photo, mask=mask, kind=None)], invert_mask=True)
    assert inverted.group == "60-99"


def test_masks_of_another_size_need_to_be_allowed(photo, tmp_path):
    mask = tmp_path / "mask.png"
    Image.fromarray(np.pad(np.full((16, 20), 255, np.uint8), ((0, 16), (0, 20)))).save(mask)
    [failed] = score([case(photo, mask=mask)])
    assert "40x32" in failed.error.message
    [scored] = score([case(photo, mask=mask)], resize_mask=True)
    assert scored.hole.mean() == 0.25


def test_one_bad_file_never_stops_the_rest(photo, tmp_path):
    broken, empty = tmp_path / "broken.jpg", tmp_path / "empty.png"
    broken.write_bytes(b"\xff\xd8\xff\xe0 nothing")
    Image.new("L", (80, 64)).save(empty)
    outcomes = score([case(broken), case(photo, mask=empty), case(tmp_path / "no"), case(photo)])
    *failures, scored = outcomes
    assert all(isinstance(failure, scoring.Failed) for failure in failures)
    assert "hides no visible pixel" in failures[1].error.message
    assert isinstance(scored, scoring.Scored)


def test_engine_errors_and_faults_of_a_method_are_outcomes(photo):
    def failing(error):
        def fill(_picture, _mask):
            raise error

        return [Method("failing", fill)]

    [failed] = score([case(photo)], failing(EngineFailedError("it broke")))
    assert failed.error.message == "it broke"
    [failed] = score([case(photo)], failing(ZeroDivisionError("oh")))
    assert "ZeroDivisionError" in failed.error.message


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (3, 16), (1, 16)])
def test_grey_and_deep_photos_are_scored_as_they_are(tmp_path, channels, depth):
    path = tmp_path / "photo.png"
    write_picture(Picture(photo_pixels(64, 80, channels, depth)), path)
    [scored] = score([case(path)])
    assert scored.photo.depth == depth
    assert scored.fills[0].pixels.shape[2] == channels
    assert 10 < scored.fills[0].scores["hole_psnr"] < 40


def test_transparent_pixels_are_not_scored(tmp_path):
    """Colours under transparent pixels are arbitrary: only visible pixels are scored."""
    pixels, alpha = photo_pixels(64, 80), np.full((64, 80), 255, np.uint8)
    alpha[:32] = 0
    first, other = tmp_path / "a.png", tmp_path / "b.png"
    write_picture(Picture(pixels, alpha), first)
    rubbish = pixels.copy()
    rubbish[:32] = 255 - rubbish[:32]
    write_picture(Picture(rubbish, alpha), other)
    grey = Method("grey", lambda p, _: np.full_like(p.pixels, 100))
    one, two = score([case(first), case(other)], [grey])
    for key in ("hole_l1", "hole_psnr", "l1", "hole_l2"):
        assert one.fills[0].scores[key] == two.fills[0].scores[key]
    alpha[:] = 0
    write_picture(Picture(pixels, alpha), first, overwrite=True)
    [failed] = score([case(first)])
    assert "hides no visible pixel" in failed.error.message


def test_a_feature_scorer_sees_eight_bit_colour_and_adds_its_scores(tmp_path):
    path = tmp_path / "photo.png"
    write_picture(Picture(photo_pixels(64, 80, 1, 16)), path)

    class FeatureScorer:
        metrics = networks = left_out = ()

        def score(self, group, photo, hole, fills):
            assert (group, photo.dtype, photo.shape) == ("centre", np.uint8, (64, 80, 3))
            assert all(fill.shape == photo.shape for fill in fills.values())
            assert hole.sum() == 32**2
            return {method: {"deep": float(len(method))} for method in fills}

        def pooled(self, _method, _groups):
            raise AssertionError

    [scored] = score([case(path)], feature_scorer=FeatureScorer())
    assert [fill.scores["deep"] for fill in scored.fills] == [5, 13]


def test_groups_come_from_a_table(tmp_path):
    table = tmp_path / "kinds.csv"
    table.write_text("file,kind,hole_ratio\na.jpg,thin,0.1\nsub/b.jpg,blob,0.2\n")
    assert scoring.read_kinds(table) == {"a.jpg": "thin", "sub/b.jpg": "blob"}
    table.write_text("name,kind\na.jpg,thin\n")
    with pytest.raises(UnreadableError, match="file"):
        scoring.read_kinds(table)
    with pytest.raises(UnreadableError, match="gone"):
        scoring.read_kinds(tmp_path / "gone.csv")
