import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaintcli.evaluation import plots, report, scoring
from inpaintcli.evaluation.methods import classical_methods
from inpaintcli.evaluation.metrics import METRICS
from inpaintcli.evaluation.score_table import ScoreTable
from inpaintcli.imaging.images import write_picture
from inpaintcli.imaging.picture import Picture
from inpaintcli.options import MaskOptions
from tests.conftest import photo_pixels

EVIL = "<script>alert('&\").png"


@pytest.fixture
def scored(tmp_path):
    path = tmp_path / "photo.png"
    write_picture(Picture(photo_pixels(80, 400)), path)
    cases = [
        scoring.Case(name=name, photo=path, kind=kind)
        for name in (EVIL, "b.png", "c.png", "d.png")
        for kind in ("10-20", "centre")
    ]
    return list(scoring.evaluate(cases, classical_methods(), MaskOptions()))


@pytest.fixture
def html(scored):
    score_table, examples = ScoreTable(("telea", "navier-stokes")), report.Examples()
    for one in scored:
        score_table.add(one)
        examples.add(one)
    details = {"seed": 1, "masks": EVIL, "left_out": ["FID: <no file>"]}
    return report.render(score_table, examples, details, [f"{EVIL}: broken"])


def test_names_are_escaped_everywhere(html):
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#x27;&amp;&quot;).png") >= 2


def test_every_element_is_closed_and_nothing_is_fetched(html):
    class Balance(HTMLParser):
        void = frozenset({"meta", "img", "line", "circle", "polyline"})

        def __init__(self):
            super().__init__()
            self.stack = []

        def handle_starttag(self, tag, attrs):
            if tag not in self.void:
                self.stack.append(tag)
            for name, value in attrs:
                assert name not in ("src", "href") or value.startswith("data:"), (tag, value)

        def handle_endtag(self, tag):
            assert tag in self.void or self.stack.pop() == tag

    parser = Balance()
    parser.feed(html)
    assert parser.stack == []
    assert "http" not in html
    assert "url(" not in html


def test_pictures_are_small_jpegs_and_the_hole_is_shown(html):
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(pictures) == 2 * 3 * 4  # kinds of holes, examples, and what each shows
    decoded = [
        cv2.imdecode(np.frombuffer(base64.b64decode(p), np.uint8), cv2.IMREAD_COLOR)
        for p in pictures[:4]
    ]
    assert all(max(picture.shape) == 320 for picture in decoded)
    shown, _, _, photo = decoded
    assert np.abs(shown.astype(int) - photo).max() > 60


def test_the_best_of_each_column_is_bold_and_what_failed_is_reported(html):
    assert 'class="best"' in html
    assert "Left out" in html
    assert "Not computed: FID: &lt;no file&gt;" in html
    assert html.count("<svg") == 4  # every fill, and hole PSNR, hole SSIM, sharpness by group


def test_what_looks_the_same_as_the_best_is_bold_too():
    (metric,) = [metric for metric in METRICS if metric.key == "hole_psnr"]
    shown = [report._cell(metric, value, 20.001) for value in (20.001, 19.999, 19.9, float("nan"))]
    assert ["best" in cell for cell in shown] == [True, True, False, False]
    assert "best" not in report._cell(metric, float("nan"), float("nan"))


def test_a_single_example_is_neither_the_worst_nor_the_best(scored):
    score_table, examples = ScoreTable(("telea", "navier-stokes")), report.Examples()
    score_table.add(scored[0])
    examples.add(scored[0])
    assert "From the worst" not in report.render(score_table, examples, {}, [])


def test_three_examples_a_group_are_kept_from_the_worst_to_the_best(scored, monkeypatch):
    examples, made = report.Examples(), []
    encode = report._example
    monkeypatch.setattr(report, "_example", lambda *given: made.append(1) or encode(*given))
    cases = [one for one in scored if one.group == "10-20"]
    for psnr in (20.0, 30.0, 25.0, 24.0, 28.0, 26.0, 22.0, *[23.0] * 50):
        fills = (replace(cases[0].fills[0], scores={"hole_psnr": psnr}),)
        examples.add(replace(cases[0], fills=fills))
        assert len(examples.of("10-20")) <= 3
    assert [example.rank for example in examples.of("10-20")] == [20.0, 23.0, 30.0]
    assert len(made) < 12  # pictures are made of what is kept, and of nothing else
    assert examples.of("nothing") == []


VALUES = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.integers(1, 9).flatmap(
        lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=1, max_size=3)
    )
)
def test_any_values_become_a_plot_whose_points_lie_inside(series):
    labels = [f"<{number}>" for number in range(len(series[0]))]
    points = [[(number / 9, value) for number, value in enumerate(values)] for values in series]
    for svg in (plots.by_group("a & b", labels, series), plots.by_ratio("a & b", points)):
        drawn = ET.fromstring(svg)  # noqa: S314 - our own
        circles = drawn.findall("circle")
        assert len(circles) == sum(not np.isnan(v) for values in series for v in values)
        for circle in circles:
            assert 0 <= float(circle.attrib["cx"]) <= 460
            assert 0 <= float(circle.attrib["cy"]) <= 280


def test_only_groups_with_an_order_are_joined_by_lines():
    nan = float("nan")
    drawn = ET.fromstring(  # noqa: S314 - our own
        plots.by_group("t", ["0-10 %", "10-20 %", "20-30 %", "centre"], [[1, nan, 3, 4]], joined=3)
    )
    (line,) = drawn.findall("polyline")
    assert len(line.attrib["points"].split()) == 2
    assert len(drawn.findall("circle")) == 3


def test_ticks_are_round_and_inside():
    svg = plots.by_group("t", ["a", "b"], [[13.8, 27.4]])
    found = [float(text) for text in re.findall(r'text-anchor="end">(-?[\d.]+)<', svg)]
    assert found == [14, 16, 18, 20, 22, 24, 26, 28]
