from pathlib import Path

import numpy as np
import pytest

from inpaintcli.evaluation.metrics import METRICS, Metric
from inpaintcli.evaluation.score_table import (
    ORIGINAL,
    ScoreTable,
    group_title,
    groups_to_show,
    table,
)
from inpaintcli.evaluation.scoring import Case, Fill, Scored
from inpaintcli.imaging.picture import Picture
from tests.conftest import photo_pixels

NAN = float("nan")


def scored(name: str, group: str, values: dict[str, float], *, digest: str = "0") -> Scored:
    """Two methods, the second one half as far off."""
    picture = Picture(photo_pixels(8, 8))
    hole = np.zeros((8, 8), np.bool_)
    hole[2:4, 2:6] = True
    full = dict.fromkeys((m.key for m in METRICS), 1.0) | values
    half = {key: value / 2 for key, value in full.items()}
    fills = (Fill("ours", picture.pixels, 2.0, full), Fill("other", picture.pixels, 1.0, half))
    return Scored(Case(name=name, photo=Path(name)), group, picture, hole, digest, fills)


@pytest.fixture
def score_table():
    score_table = ScoreTable(("ours", "other"))
    score_table.add(scored("a", "centre", {"hole_l1": 0.2, "sharpness": 1.0}))
    score_table.add(scored("b", "00-10", {"hole_l1": 0.4, "sharpness": 5.0}))
    score_table.add(scored("c", "00-10", {"hole_l1": NAN, "sharpness": 2.0}))
    return score_table


def test_means_and_medians_by_group_skip_what_is_no_number(score_table):
    whole, small, centre = score_table.groups()
    assert [(g.name, g.photos) for g in (whole, small, centre)] == [
        ("all", 3), ("00-10", 2), ("centre", 1),
    ]  # fmt: skip
    assert whole.values["ours"]["hole_l1"] == pytest.approx(0.3)
    assert whole.values["other"]["hole_l1"] == pytest.approx(0.15)
    assert whole.values["ours"]["sharpness"] == 2.0
    assert small.values["ours"]["hole_l1"] == 0.4
    assert centre.values["ours"]["seconds"] == 2.0


def test_the_photo_has_its_own_total_variation_and_nothing_else(score_table):
    own = score_table.groups()[0].values[ORIGINAL]
    assert {key for key, value in own.items() if not np.isnan(value)} == {"hole_tv", "tv"}


def test_rows_are_json_without_nan(score_table):
    row = next(row for row in score_table.rows if (row.photo, row.method) == ("c", "ours"))
    row_json = row.to_json(1)
    assert row_json["scores"]["hole_l1"] is None
    assert row_json["hole_ratio"] == 0.125
    assert row_json["scores"]["seconds"] == 2.0
    assert score_table.groups()[0].to_json()["methods"][ORIGINAL]["hole_l1"] is None


def test_the_sha256_of_all_masks_tells_sets_of_holes_apart(score_table):
    again = ScoreTable(score_table.methods)
    for name, group in (("c", "00-10"), ("a", "centre"), ("b", "00-10")):  # in another order
        again.add(scored(name, group, {}))
    assert again.masks_sha256() == score_table.masks_sha256()
    again.add(scored("d", "centre", {}, digest="1"))
    assert again.masks_sha256() != score_table.masks_sha256()


def test_pooled_scores_are_computed_for_each_group():
    class FeatureScorer:
        metrics = (Metric(key="fd", label="FD", digits=1, meaning="pooled"),)
        networks = left_out = ()

        def score(self, *_):
            raise AssertionError

        def pooled(self, method, groups):
            return {"fd": float(len(groups)) if method == "ours" else 7.0}

    score_table = ScoreTable(("ours", "other"), FeatureScorer())
    for name, group in (("a", "centre"), ("b", "00-10")):
        score_table.add(scored(name, group, {}))
    assert [group.values["ours"]["fd"] for group in score_table.groups()] == [2.0, 1.0, 1.0]
    assert score_table.groups()[0].values["other"]["fd"] == 7.0
    assert np.isnan(score_table.groups()[0].values[ORIGINAL]["fd"])


def test_the_table_is_aligned_and_leaves_out_what_is_not_brief(score_table):
    lines = table(score_table.groups(), score_table.metrics, score_table.methods)
    heads, first = lines[0], lines[1]
    assert first == "all holes (3)"
    assert "hole PSNR" in heads
    assert " L2 %" not in heads.replace("hole L2 %", "")
    row = next(line for line in lines if line.startswith("  ours"))
    column = heads.index("hole L1 %") + len("hole L1 %")
    assert row[:column].endswith("30.00")
    assert sum(line.startswith("  photo") for line in lines) == 3
    assert table([], score_table.metrics, score_table.methods) == []


def test_one_group_is_shown_once():
    score_table = ScoreTable(("ours", "other"))
    score_table.add(scored("a", "centre", {}))
    assert [group.name for group in groups_to_show(score_table.groups())] == ["centre"]
    assert ScoreTable(("ours",)).groups() == []


def test_groups_in_words():
    assert group_title("00-10") == "0-10 % hidden"
    assert group_title("60-99") == "60-99 % hidden"
    assert group_title("brush00-10") == "brush00-10"
    assert group_title("all") == "all holes"
