from pathlib import Path

import numpy as np
import pytest

from inpaintcli.evaluation.metrics import METRICS, Metric
from inpaintcli.evaluation.score_table import ORIGINAL, ScoreTable, in_words, table, worth_telling
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
def tally():
    tally = ScoreTable(("ours", "other"))
    tally.add(scored("a", "centre", {"hole_l1": 0.2, "sharpness": 1.0}))
    tally.add(scored("b", "00-10", {"hole_l1": 0.4, "sharpness": 5.0}))
    tally.add(scored("c", "00-10", {"hole_l1": NAN, "sharpness": 2.0}))
    return tally


def test_means_and_medians_by_group_skip_what_is_no_number(tally):
    whole, small, centre = tally.groups()
    assert [(g.name, g.photos) for g in (whole, small, centre)] == [
        ("all", 3), ("00-10", 2), ("centre", 1),
    ]  # fmt: skip
    assert whole.values["ours"]["hole_l1"] == pytest.approx(0.3)
    assert whole.values["other"]["hole_l1"] == pytest.approx(0.15)
    assert whole.values["ours"]["sharpness"] == 2.0
    assert small.values["ours"]["hole_l1"] == 0.4
    assert centre.values["ours"]["seconds"] == 2.0


def test_the_photo_has_its_own_total_variation_and_nothing_else(tally):
    own = tally.groups()[0].values[ORIGINAL]
    assert {key for key, value in own.items() if not np.isnan(value)} == {"hole_tv", "tv"}


def test_rows_are_json_without_nan(tally):
    row = next(row for row in tally.rows if (row.photo, row.method) == ("c", "ours"))
    told = row.to_json(1)
    assert told["scores"]["hole_l1"] is None
    assert told["hole_ratio"] == 0.125
    assert told["scores"]["seconds"] == 2.0
    assert tally.groups()[0].to_json()["methods"][ORIGINAL]["hole_l1"] is None


def test_the_sha256_of_all_masks_tells_sets_of_holes_apart(tally):
    again = ScoreTable(tally.methods)
    for name, group in (("c", "00-10"), ("a", "centre"), ("b", "00-10")):  # in another order
        again.add(scored(name, group, {}))
    assert again.masks_sha256() == tally.masks_sha256()
    again.add(scored("d", "centre", {}, digest="1"))
    assert again.masks_sha256() != tally.masks_sha256()


def test_what_a_judge_pools_is_asked_for_each_group():
    class FeatureScorer:
        metrics = (Metric(key="fd", label="FD", digits=1, meaning="pooled"),)
        networks = left_out = ()

        def score(self, *_):
            raise AssertionError

        def pooled(self, method, groups):
            return {"fd": float(len(groups)) if method == "ours" else 7.0}

    tally = ScoreTable(("ours", "other"), FeatureScorer())
    for name, group in (("a", "centre"), ("b", "00-10")):
        tally.add(scored(name, group, {}))
    assert [group.values["ours"]["fd"] for group in tally.groups()] == [2.0, 1.0, 1.0]
    assert tally.groups()[0].values["other"]["fd"] == 7.0
    assert np.isnan(tally.groups()[0].values[ORIGINAL]["fd"])


def test_the_table_is_aligned_and_leaves_out_what_is_not_brief(tally):
    lines = table(tally.groups(), tally.metrics, tally.methods)
    heads, first = lines[0], lines[1]
    assert first == "all holes (3)"
    assert "hole PSNR" in heads
    assert " L2 %" not in heads.replace("hole L2 %", "")
    row = next(line for line in lines if line.startswith("  ours"))
    column = heads.index("hole L1 %") + len("hole L1 %")
    assert row[:column].endswith("30.00")
    assert sum(line.startswith("  photo") for line in lines) == 3
    assert table([], tally.metrics, tally.methods) == []


def test_one_kind_of_hole_is_told_once():
    tally = ScoreTable(("ours", "other"))
    tally.add(scored("a", "centre", {}))
    assert [group.name for group in worth_telling(tally.groups())] == ["centre"]
    assert ScoreTable(("ours",)).groups() == []


def test_groups_in_words():
    assert in_words("00-10") == "0-10 % hidden"
    assert in_words("60-99") == "60-99 % hidden"
    assert in_words("brush00-10") == "brush00-10"
    assert in_words("all") == "all holes"
