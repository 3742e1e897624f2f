"""Rows of scores -> one number a metric, method and group; and the table for the console."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inpaintcli.evaluation.masks import ALL_KINDS
from inpaintcli.evaluation.metrics import METRICS, Metric, total_variation
from inpaintcli.evaluation.scoring import FeatureScorer, Fill, Scored

SECONDS = Metric(
    key="seconds",
    label="seconds",
    digits=2,
    typical="median",
    meaning="a fill, without reading and writing; median over photos, and only of this machine",
)
ORIGINAL = "photo"
"""The untouched photo's row: of what a picture has by itself, its total variation."""


@dataclass(frozen=True)
class Row:
    """The scores of one fill, and where they belong."""

    photo: str
    group: str
    hole_ratio: float
    mask_sha256: str
    method: str
    values: dict[str, float]

    def to_json(self, schema: int) -> dict[str, Any]:
        """One line of `--json`."""
        return {
            "schema": schema,
            "photo": self.photo,
            "holes": self.group,
            "hole_ratio": round(self.hole_ratio, 6),
            "mask_sha256": self.mask_sha256,
            "method": self.method,
            "scores": clean(self.values),
        }


@dataclass(frozen=True)
class Group:
    """All fills of one kind of hole: typical values by method and metric; NaN for none."""

    name: str
    photos: int
    values: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """As in the summary line of `--json`."""
        methods = {method: clean(values) for method, values in self.values.items()}
        return {"holes": self.name, "photos": self.photos, "methods": methods}


@dataclass
class ScoreTable:
    """Collects rows as they come; `methods` in the order to be shown."""

    methods: tuple[str, ...]
    judge: FeatureScorer | None = None
    rows: list[Row] = field(default_factory=list)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All that have values, in order."""
        deep = self.judge.metrics if self.judge else ()
        return (*METRICS, *deep, SECONDS)

    def add(self, scored: Scored) -> list[Row]:
        """The rows of a case, one a method, the untouched photo's first; they are kept."""
        visible = None if scored.photo.alpha is None else scored.photo.alpha > 0
        inside = scored.hole if visible is None else scored.hole & visible
        pixels = scored.photo.pixels
        own = {"hole_tv": total_variation(pixels, inside), "tv": total_variation(pixels, visible)}
        rows = [_row(scored, ORIGINAL, own)]
        rows += [_row(scored, fill.method, _values(fill)) for fill in scored.fills]
        self.rows += rows
        return rows

    def groups(self) -> list[Group]:
        """All holes together, then each kind; nothing before the first row."""
        names = _in_order({row.group for row in self.rows})
        parts = [self._group(name, [name]) for name in names]
        return [self._group("all", names), *parts] if parts else []

    def masks_sha256(self) -> str:
        """One sha256 of all holes: of the lines `photo, holes, sha256 of the mask`, sorted."""
        lines = {f"{row.photo}\t{row.group}\t{row.mask_sha256}\n" for row in self.rows}
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()

    def _group(self, name: str, members: Sequence[str]) -> Group:
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            if row.group in members:
                rows[row.method].append(row)
        values = {}
        for method in (ORIGINAL, *self.methods):
            values[method] = {m.key: _typical(m, rows[method]) for m in self.metrics}
            if self.judge is not None and method != ORIGINAL:
                values[method] |= self.judge.pooled(method, members)
        return Group(name, len(rows[ORIGINAL]), values)


def _row(scored: Scored, method: str, values: dict[str, float]) -> Row:
    ratio = float(scored.hole.mean())
    return Row(scored.case.name, scored.group, ratio, scored.mask_sha256, method, values)


def _values(fill: Fill) -> dict[str, float]:
    return {**fill.scores, "seconds": fill.seconds}


def _typical(metric: Metric, rows: Sequence[Row]) -> float:
    """Mean or median over photos of what is a number; NaN where nothing is."""
    values = np.array([row.values.get(metric.key, np.nan) for row in rows])
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan")
    return float(np.median(values) if metric.typical == "median" else values.mean())


def _in_order(names: set[str]) -> list[str]:
    known = [name for name in ALL_KINDS if name in names]
    return known + sorted(names - set(known))


def clean(values: dict[str, float]) -> dict[str, float | None]:
    """Values as JSON takes them: what is no number becomes null."""
    return {key: None if np.isnan(value) else round(value, 6) for key, value in values.items()}


def is_bin(group: str) -> bool:
    """Whether the group is of holes that hide a certain share of the picture."""
    low, _, high = group.partition("-")
    return low.isdigit() and high.isdigit()


def in_words(group: str) -> str:
    """A group's name for people."""
    if is_bin(group):
        low, high = map(int, group.split("-"))
        return f"{low}-{high} % hidden"
    return {"all": "all holes"}.get(group, group)


def worth_telling(groups: Sequence[Group]) -> Sequence[Group]:
    """Without `all`, where that is the one kind there is."""
    return groups[1:] if len(groups) == 2 else groups


def table(groups: Sequence[Group], metrics: Sequence[Metric], methods: Sequence[str]) -> list[str]:
    """The groups as lines of text, columns aligned; only the brief metrics."""
    shown = [metric for metric in metrics if metric.brief]
    first = max(len(in_words(group.name)) + 8 for group in groups) if groups else 0
    first = max(first, *(len(name) + 2 for name in methods)) if groups else 0
    heads = [metric.label for metric in shown]
    widths = [max(len(head), 7) for head in heads]
    lines = [_line("", heads, first, widths)] if groups else []
    for group in groups:
        lines.append(f"{in_words(group.name)} ({group.photos})")
        for method in (ORIGINAL, *methods):
            values = group.values[method]
            texts = [metric.shown(values[metric.key]) for metric in shown]
            lines.append(_line(f"  {method}", texts, first, widths))
    return lines


def _line(name: str, cells: Sequence[str], first: int, widths: Sequence[int]) -> str:
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{name:<{first}}  {'  '.join(padded)}".rstrip()
