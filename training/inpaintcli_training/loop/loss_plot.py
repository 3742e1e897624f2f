"""`losses.svg`: a run's losses and validation over the images seen, drawn from `losses.jsonl`.

Plain SVG, one panel a curve: it opens in any browser and needs no plotting package.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from xml.sax.saxutils import escape

from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli.evaluation.plots import ticks
from inpaintcli_training.loop.run_folder import LOSSES, PLOT

Points = list[tuple[float, float]]
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 720, 120, 80, 28, 44
_MAX_POINTS = 1_000  # of a curve; more are averaged, as a screen shows no more


@dataclass(frozen=True)
class Curve:
    """A name and its values over images seen, at least one of them."""

    name: str
    points: Points
    logarithmic: bool


def read_losses(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `losses.jsonl`; an incomplete last line is left out.

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


def write_loss_plot(folder: Path) -> Path:
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
    """The curves one below the other, each with its own scale, over the images seen."""
    last = max((x for curve in curves for x, _ in curve.points), default=0) or 1
    size = f"0 0 {_WIDTH + _LEFT + 20} {_TOP + len(curves) * (_HEIGHT + _GAP) + 12}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" font-family="sans-serif"'
    parts = [
        f'{head} font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(_LEFT, 16, f"{title}, {last:,.0f} images"),
    ]
    for number, curve in enumerate(curves):
        parts += _panel(curve, _TOP + 14 + number * (_HEIGHT + _GAP), last)
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Axis:
    """The range of a panel's values, of their logarithms where it is logarithmic."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def of(cls, values: list[float], *, logarithmic: bool) -> Self:
        """The axis of these values, with a margin of a tenth of the range on both sides."""
        logarithmic = logarithmic and min(values) > 0
        low, high = (math.log10(v) if logarithmic else v for v in (min(values), max(values)))
        margin = (high - low) / 10 or abs(high) / 10 or 0.1
        return cls(low - margin, high + margin, logarithmic)

    def place(self, value: float) -> float:
        """From 0 at the top to 1 at the bottom."""
        at = math.log10(value) if self.logarithmic else value
        return (self.high - at) / (self.high - self.low)

    def marks(self) -> list[float]:
        """Round values to mark: powers of ten, or 1, 2 and 5 times them, or equal steps."""
        if not self.logarithmic:
            return ticks(self.low, self.high)
        low, high = 10**self.low, 10**self.high
        tens = [10.0**power for power in range(math.floor(self.low), math.ceil(self.high))]
        for digits in ((1,), (1, 2, 5)):
            found = [ten * digit for ten in tens for digit in digits if low < ten * digit < high]
            if len(found) > 2:
                return found
        return ticks(low, high)


def _panel(curve: Curve, top: float, last: float) -> list[str]:
    """One curve in its frame, with its name, its last value, and round numbers on both axes."""
    axis = _Axis.of([y for _, y in curve.points], logarithmic=curve.logarithmic)
    points = [
        (_LEFT + _WIDTH * x / last, top + _HEIGHT * axis.place(y))
        for x, y in _thinned(curve.points)
    ]
    how = ", logarithmic" if axis.logarithmic else ""
    parts = [_text(_LEFT, top - 5, f"{curve.name}: {curve.points[-1][1]:.4g} at the end{how}")]
    for value in axis.marks():
        y = top + _HEIGHT * axis.place(value)
        parts += [_line(_LEFT, y, _LEFT + _WIDTH, y), _text(_LEFT - 6, y + 4, f"{value:g}", "end")]
    for images in ticks(0, last):
        x = _LEFT + _WIDTH * images / last
        parts.append(_line(x, top, x, top + _HEIGHT))
        parts.append(_text(x, top + _HEIGHT + 13, f"{images:,.10g}", "middle"))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.3"/>')
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#1f6feb"/>')
    return parts


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#e3e5e8"/>'


def _text(x: float, y: float, text: str, at: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{at}">{escape(text)}</text>'


def _thinned(points: Points) -> Points:
    """At most `_MAX_POINTS` points, each the mean of its neighbours."""
    size = -(-len(points) // _MAX_POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(g[-1][0], math.fsum(y for _, y in g) / len(g)) for g in groups]
