"""Two kinds of plots as inline SVG: values by group, and one point for each fill."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

# Okabe and Ito (2008): distinguishable with any colour vision.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999")
_WIDTH, _HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 30, 60


def colour(number: int) -> str:
    """The colour of the method of that number."""
    return COLOURS[number % len(COLOURS)]


@dataclass(frozen=True)
class _Axis:
    """Maps values from `low` to `high` to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def by_group(
    title: str, labels: Sequence[str], series: Sequence[Sequence[float]], *, joined: int = 0
) -> str:
    """A point for each group, a series for each method; NaN leaves a gap.

    Points of different methods are drawn a little apart. The first `joined` groups have an order,
    such as shares of the picture, and are joined by lines.
    """
    y, marks = _vertical([value for values in series for value in values])
    step = (_WIDTH - _LEFT - _RIGHT) / len(labels)
    positions = [_LEFT + step * (number + 0.5) for number in range(len(labels))]
    parts = [_frame(title, y, marks)]
    slanted = max(map(len, labels)) * 7 > step  # 7 px a letter
    for x, label in zip(positions, labels, strict=True):
        parts.append(_label(x, label, slanted=slanted))
    apart = min(6.0, 0.7 * step / len(series))
    for number, values in enumerate(series):
        aside = apart * (number - (len(series) - 1) / 2)
        points = [
            (group, x + aside, y.at(value))
            for group, (x, value) in enumerate(zip(positions, values, strict=True))
            if not np.isnan(value)
        ]
        path = " ".join(f"{a:.1f},{b}" for group, a, b in points if group < joined)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour(number)}"/>')
        parts += [_dot(a, b, number, 4) for _, a, b in points]
    return _svg(title, parts)


def by_ratio(title: str, series: Sequence[Sequence[tuple[float, float]]]) -> str:
    """A point for each fill: the share of the picture that was hidden (0 to 1) against a value."""
    shares = [share for points in series for share, _ in points]
    y, marks = _vertical([value for points in series for _, value in points])
    x = _Axis(0, max([*shares, 0.1]), _LEFT, _WIDTH - _RIGHT)
    parts = [_frame(title, y, marks)]
    parts += [
        _text(x.at(share / 100), _HEIGHT - 40, f"{share:g} %", "middle")
        for share in ticks(0, x.high * 100)
    ]
    parts.append(_text((_LEFT + _WIDTH) / 2, _HEIGHT - 22, "hidden share of the picture", "middle"))
    for number, points in enumerate(series):
        parts += [_dot(x.at(a), y.at(b), number, 2.5) for a, b in points if not np.isnan(b)]
    return _svg(title, parts)


def _vertical(values: Sequence[float]) -> tuple[_Axis, list[float]]:
    known = [value for value in values if not np.isnan(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    margin = 0.08 * (high - low) or abs(high) * 0.1 or 1.0
    axis = _Axis(low - margin, high + margin, _HEIGHT - _BOTTOM, _TOP)
    return axis, ticks(axis.low, axis.high)


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers between `low` and `high`."""
    rough = (high - low) / 5
    size = 10.0 ** np.floor(np.log10(rough))
    step = float(size * min((1, 2, 5, 10), key=lambda factor: abs(factor * size - rough)))
    first = int(np.ceil(low / step))
    return [round(number * step, 10) for number in range(first, int(high / step) + 1)]


def _frame(title: str, y: _Axis, marks: Sequence[float]) -> str:
    parts = [f'<text x="{_LEFT}" y="16" class="title">{escape(title)}</text>']
    for mark in marks:
        at = y.at(mark)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(_text(_LEFT - 6, at + 4, f"{mark:g}", "end"))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _label(x: float, text: str, *, slanted: bool) -> str:
    """The label of a group; slanted where labels would overlap."""
    if not slanted:
        return _text(x, _HEIGHT - 40, text, "middle")
    transform = f'transform="translate({x + 4:.1f} {_HEIGHT - 46}) rotate(-32)"'
    return f'<text {transform} text-anchor="end" class="small">{escape(text)}</text>'


def _dot(x: float, y: float, number: int, radius: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y}" r="{radius}" fill="{colour(number)}"/>'


def _svg(title: str, parts: Sequence[str]) -> str:
    view = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"'
    return f"<svg {view}>{''.join(parts)}</svg>"
