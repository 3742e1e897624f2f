"""`losses.svg`: a run's losses and validation over the images seen, drawn from `losses.jsonl`.

Plain SVG, one panel a curve: no plotting package is worth its weight for this, and a file that is
text opens in any browser and stays sharp.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from inpaintcli.errors import OutputError, UnreadableError
from training.runs import LOSSES, PLOT

Points = list[tuple[float, float]]
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 720, 120, 80, 28, 44
_MOST = 1_000  # points of a curve; more are averaged, a screen shows no more


@dataclass(frozen=True)
class Curve:
    """A name and its values over images seen, at least one of them."""

    name: str
    points: Points
    logarithmic: bool


def read_losses(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `losses.jsonl`; a last line that was cut short is left out.

    Raises:
        UnreadableError: the folder has none.
    """
    try:
        lines = (folder / LOSSES).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UnreadableError(f"{folder} has no {LOSSES} to read: {error}.") from error
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def draw(folder: Path) -> Path:
    """Write `losses.svg` into the run folder and return its path.

    Raises:
        UnreadableError: the folder has no `losses.jsonl`.
        OutputError: the folder cannot be written.
    """
    picture = svg(folder.resolve().name, _curves(read_losses(folder)))
    path = folder / PLOT
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(picture, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"The plot cannot be written to {folder}: {error}.") from error
    return path


def _curves(lines: list[dict[str, Any]]) -> list[Curve]:
    """One curve for each loss, then the validation."""
    losses: dict[str, Points] = {}
    validation: Points = []
    for line in lines:
        for name, value in line.get("losses", {}).items():
            losses.setdefault(name, []).append((line["images"], value))
        if "hole_psnr" in line:
            validation.append((line["images"], line["hole_psnr"]))
    curves = [Curve(name, points, logarithmic=True) for name, points in losses.items()]
    if validation:
        curves.append(Curve("validation: hole PSNR, dB", validation, logarithmic=False))
    return curves


def svg(title: str, curves: list[Curve]) -> str:
    """The curves under each other, each with its own scale, over one axis of images."""
    last = max((x for curve in curves for x, _ in curve.points), default=0) or 1
    size = f"0 0 {_WIDTH + _LEFT + 20} {_TOP + len(curves) * (_HEIGHT + _GAP) + 12}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" font-family="sans-serif"'
    parts = [
        f'{head} font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(_LEFT, 16, title),
    ]
    for number, curve in enumerate(curves):
        parts += _panel(curve, _TOP + 14 + number * (_HEIGHT + _GAP), last)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(curve: Curve, top: float, last: float) -> list[str]:
    """One curve in its frame, with its name, its last value, and the ends of both axes."""
    logarithmic = curve.logarithmic and all(y > 0 for _, y in curve.points)
    points = [(x, math.log10(y) if logarithmic else y) for x, y in _thinned(curve.points)]
    low, high = min(y for _, y in points), max(y for _, y in points)
    place = [
        (_LEFT + _WIDTH * x / last, top + _HEIGHT * _share(high - y, high - low)) for x, y in points
    ]
    how = ", logarithmic" if logarithmic else ""
    bottom = top + _HEIGHT
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
    frame = f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}"'
    return [
        f'{frame} fill="none" stroke="#ccc"/>',
        f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.3"/>',
        f'<circle cx="{place[-1][0]:.1f}" cy="{place[-1][1]:.1f}" r="2.5" fill="#1f6feb"/>',
        _text(_LEFT, top - 5, f"{curve.name}: {curve.points[-1][1]:.4g} at the end{how}"),
        _text(_LEFT - 6, top + 8, f"{10**high if logarithmic else high:.4g}", at="end"),
        _text(_LEFT - 6, bottom, f"{10**low if logarithmic else low:.4g}", at="end"),
        _text(_LEFT, bottom + 13, "0"),
        _text(_LEFT + _WIDTH, bottom + 13, f"{last:,.0f} images", at="end"),
    ]


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.5


def _text(x: float, y: float, text: str, *, at: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{at}">{escape(text)}</text>'


def _thinned(points: Points) -> Points:
    """At most `_MOST` points, each the mean of its neighbours."""
    size = -(-len(points) // _MOST)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(g[-1][0], math.fsum(y for _, y in g) / len(g)) for g in groups]
