"""Scores of single fills, summed up by metric, method and group; the table for the console."""

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
    meaning="time of a fill, without reading and writing, on this machine; median over photos",
)
ORIGINAL = "photo"
"""The name of the original photo's own row, which has its total variation only."""


@dataclass(frozen=True)
class FillScores:
    """The scores of one fill of one photo."""

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
            "scores": json_values(self.values),
        }


@dataclass(frozen=True)
class GroupScores:
    """The scores of all fills of a group of holes, by method and metric; NaN for no value."""

    name: str
    photos: int
    values: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """The group as in the summary line of `--json`."""
        methods = {method: json_values(values) for method, values in self.values.items()}
        return {"holes": self.name, "photos": self.photos, "methods": methods}


@dataclass
class ScoreTable:
    """Collects scores; `methods` in the order in which they are shown."""

    methods: tuple[str, ...]
    feature_scorer: FeatureScorer | None = None
    rows: list[FillScores] = field(default_factory=list)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All metrics that have values, in the order in which they are shown."""
        deep = self.feature_scorer.metrics if self.feature_scorer else ()
        return (*METRICS, *deep, SECONDS)

    def add(self, scored: Scored) -> list[FillScores]:
        """Add the rows of a case, one for the original and one for each method; returns them."""
        visible = None if scored.photo.alpha is None else scored.photo.alpha > 0
        inside = scored.hole if visible is None else scored.hole & visible
        pixels = scored.photo.pixels
        own = {"hole_tv": total_variation(pixels, inside), "tv": total_variation(pixels, visible)}
        rows = [_row(scored, ORIGINAL, own)]
        rows += [_row(scored, fill.method, _values(fill)) for fill in scored.fills]
        self.rows += rows
        return rows

    def groups(self) -> list[GroupScores]:
        """The group `all`, then each group; empty before the first row."""
        names = _in_order({row.group for row in self.rows})
        parts = [self._group(name, [name]) for name in names]
        return [self._group("all", names), *parts] if parts else []

    def masks_sha256(self) -> str:
        """One sha256 for all masks: of the sorted lines of photo, group and the mask's sha256."""
        lines = {f"{row.photo}\t{row.group}\t{row.mask_sha256}\n" for row in self.rows}
        text = "".join(sorted(lines)).encode(errors="surrogateescape")
        return hashlib.sha256(text).hexdigest()

    def _group(self, name: str, members: Sequence[str]) -> GroupScores:
        rows: dict[str, list[FillScores]] = defaultdict(list)
        for row in self.rows:
            if row.group in members:
                rows[row.method].append(row)
        values = {}
        for method in (ORIGINAL, *self.methods):
            values[method] = {m.key: _typical(m, rows[method]) for m in self.metrics}
            if self.feature_scorer is not None and method != ORIGINAL:
                values[method] |= self.feature_scorer.pooled(method, members)
        return GroupScores(name, len(rows[ORIGINAL]), values)


def _row(scored: Scored, method: str, values: dict[str, float]) -> FillScores:
    ratio = float(scored.hole.mean())
    return FillScores(scored.case.name, scored.group, ratio, scored.mask_sha256, method, values)


def _values(fill: Fill) -> dict[str, float]:
    return {**fill.scores, "seconds": fill.seconds}


def _typical(metric: Metric, rows: Sequence[FillScores]) -> float:
    """The mean or median over photos, without NaN; NaN where there is no value."""
    values = np.array([row.values.get(metric.key, np.nan) for row in rows])
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan")
    return float(np.median(values) if metric.typical == "median" else values.mean())


def _in_order(names: set[str]) -> list[str]:
    known = [name for name in ALL_KINDS if name in names]
    return known + sorted(names - set(known))


def json_values(values: dict[str, float]) -> dict[str, float | None]:
    """Values for JSON: NaN becomes null."""
    return {key: None if np.isnan(value) else round(value, 6) for key, value in values.items()}


def is_bin(group: str) -> bool:
    """Whether the group is one of holes by the share of the picture that they hide."""
    low, _, high = group.partition("-")
    return low.isdecimal() and high.isdecimal()


def group_title(group: str) -> str:
    """The title of a group, for people."""
    if is_bin(group):
        low, high = map(int, group.split("-"))
        return f"{low}-{high} % hidden"
    return {"all": "all holes"}.get(group, group)


def groups_to_show(groups: Sequence[GroupScores]) -> Sequence[GroupScores]:
    """The groups without `all`, if there is only one besides it."""
    return groups[1:] if len(groups) == 2 else groups


def table(
    groups: Sequence[GroupScores], metrics: Sequence[Metric], methods: Sequence[str]
) -> list[str]:
    """The groups as lines of text in aligned columns, with the brief metrics only."""
    shown = [metric for metric in metrics if metric.brief]
    first = max(len(group_title(group.name)) + 8 for group in groups) if groups else 0
    first = max(first, *(len(name) + 2 for name in methods)) if groups else 0
    heads = [metric.label for metric in shown]
    widths = [max(len(head), 7) for head in heads]
    lines = [_line("", heads, first, widths)] if groups else []
    for group in groups:
        lines.append(f"{group_title(group.name)} ({group.photos})")
        for method in (ORIGINAL, *methods):
            values = group.values[method]
            texts = [metric.shown(values[metric.key]) for metric in shown]
            lines.append(_line(f"  {method}", texts, first, widths))
    return lines


def _line(name: str, cells: Sequence[str], first: int, widths: Sequence[int]) -> str:
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{name:<{first}}  {'  '.join(padded)}".rstrip()
