"""The blind comparison: one file, each two methods, no name to be seen."""

import json
import re
from pathlib import Path

import numpy as np

from inpaintcli.evaluation import study
from inpaintcli.evaluation.scoring import Case, Fill, Scored
from inpaintcli.evaluation.study import Study, render_study
from inpaintcli.imaging.picture import Picture
from tests.conftest import photo_pixels


def scored(number=0, methods=("ours", "telea", "</script>"), size=(40, 60)):
    pixels = photo_pixels(*size)
    fills = tuple(Fill(name, pixels, 0.0, {}) for name in methods)
    hole = np.zeros(size, np.bool_)
    case = Case(name=f"{number}.png", photo=Path(f"{number}.png"))
    return Scored(case, "centre", Picture(pixels), hole, "0", fills)


def pairs_in(html):
    return json.loads(re.search(r"const pairs = (.*);\n", html)[1])


def test_every_two_methods_are_compared_on_every_hole():
    made = Study(1)
    for number in range(4):
        made.add(scored(number))
    pairs = pairs_in(render_study(made))
    assert len(pairs) == 4 * 3
    assert {tuple(pair["methods"]) for pair in pairs} == {
        ("ours", "telea"), ("ours", "</script>"), ("telea", "</script>"),
    }  # fmt: skip
    assert all(len(set(pair["methods"])) == 2 for pair in pairs)
    assert all(one.startswith("data:image/jpeg;base64,") for p in pairs for one in p["pictures"])


def test_the_file_loads_nothing_and_shows_no_name_before_the_end():
    made = Study(1)
    made.add(scored())
    html = render_study(made)
    data = html[html.index("const pairs") : html.index("const element")]
    outside_of_data = html.replace(data, "")
    assert "ours" not in outside_of_data
    assert html.count("</script>") == 1
    assert not re.search(r"https?://|src=[\"'](?!data:)|@import", outside_of_data)


def test_of_many_pairs_some_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(study, "MAX_PAIRS", 5)

    def photos(seed):
        made = Study(seed)
        for number in range(40):
            made.add(scored(number, ("a", "b"), size=(8, 8)))
        assert len(made.pairs) == 5
        return [pair.photo for pair in made.pairs]

    assert photos(1) == photos(1)
    assert photos(1) != photos(2)
    assert max(int(name.partition(".")[0]) for name in photos(1)) > 5


def test_one_method_makes_no_pair():
    made = Study(1)
    made.add(scored(methods=("ours",)))
    assert pairs_in(render_study(made)) == []
