import json
import math
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from inpaintcli_training.loop.loss_plot import Curve, read_losses, svg, write_loss_plot

from inpaintcli.errors import OutputError, UnreadableError

SVG = "{http://www.w3.org/2000/svg}"


def write(folder: Path, lines: list[dict], more: str = "") -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "losses.jsonl").write_text(text + more)


def texts(path: Path) -> str:
    root = ET.fromstring(path.read_text())  # noqa: S314 - our own
    return "\n".join(text.text or "" for text in root.iter(f"{SVG}text"))


def test_each_loss_and_the_validation_has_a_panel_with_its_last_value(tmp_path: Path) -> None:
    write(
        tmp_path,
        [
            {"images": 10, "losses": {"hole": 1.0, "a<b": 2.0}},
            {"images": 20, "losses": {"hole": 0.1, "a<b": 3.0}},
            {"images": 20, "hole_psnr": 18.5},
        ],
    )
    labels = texts(write_loss_plot(tmp_path))
    for part in ("hole: 0.1", "a<b: 3", "hole PSNR, dB: 18.5", "20 images"):
        assert part in labels


def test_a_curve_goes_through_its_points_on_a_logarithmic_scale() -> None:
    root = ET.fromstring(  # noqa: S314 - our own
        svg("run", [Curve("hole", [(0, 1.0), (50, 0.1), (100, 0.01)], logarithmic=True)])
    )
    points = [p.split(",") for p in root.find(f"{SVG}polyline").attrib["points"].split()]
    (x0, y0), (x1, y1), (x2, y2) = [(float(x), float(y)) for x, y in points]
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y1 - y0 == pytest.approx(y2 - y1)
    assert y2 > y0  # down is smaller


@pytest.mark.parametrize(
    ("ends", "marks"),
    [
        ((0.003, 2.0), {"0.01", "0.1", "1"}),
        ((0.4, 5.0), {"0.5", "1", "2", "5"}),
        ((0.31, 0.54), {"0.3", "0.35", "0.4", "0.45", "0.5", "0.55"}),
    ],
)
def test_logarithmic_panels_are_marked_at_round_values(ends, marks: set[str]) -> None:
    curve = Curve("hole", [(0, ends[0]), (8000, ends[1])], logarithmic=True)
    root = ET.fromstring(svg("run", [curve]))  # noqa: S314 - our own
    labels = {t.text for t in root.iter(f"{SVG}text")}
    assert labels >= marks | {"0", "2,000", "4,000", "6,000", "8,000"}


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [-1.0, 0.0, 2.0]])
def test_single_flat_and_negative_curves_are_drawn(values: list[float]) -> None:
    curve = Curve("critic", [(i, v) for i, v in enumerate(values)], logarithmic=True)
    assert "nan" not in svg("run", [curve])


def test_long_runs_are_thinned_to_their_means() -> None:
    curve = Curve("hole", [(i, 1 + i % 2) for i in range(5000)], logarithmic=False)
    root = ET.fromstring(svg("run", [curve]))  # noqa: S314 - our own
    points = root.find(f"{SVG}polyline").attrib["points"].split()
    assert len(points) == 1000
    assert not any(math.isnan(float(p.split(",")[1])) for p in points)


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, [{"images": 1, "losses": {"hole": 1.0}}], more='{"images": 2, "lo')
    assert [line["images"] for line in read_losses(tmp_path)] == [1]


def test_a_run_without_any_line_is_drawn_empty_and_no_run_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, [])
    assert tmp_path.name in texts(write_loss_plot(tmp_path))
    with pytest.raises(UnreadableError):
        write_loss_plot(tmp_path / "nowhere")


def test_a_plot_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    write(tmp_path, [])
    (tmp_path / "losses.svg.part").mkdir()
    with pytest.raises(OutputError):
        write_loss_plot(tmp_path)
