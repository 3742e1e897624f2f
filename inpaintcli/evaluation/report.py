"""The report: one HTML file with its tables, plots and pictures, which loads nothing else."""

import base64
import bisect
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import takewhile
from typing import Any

import cv2
import numpy as np

from inpaintcli.evaluation import plots
from inpaintcli.evaluation.metrics import Metric
from inpaintcli.evaluation.score_table import (
    ORIGINAL,
    GroupScores,
    ScoreTable,
    group_title,
    groups_to_show,
    is_bin,
)
from inpaintcli.evaluation.scoring import Rgb8, Scored, rgb8
from inpaintcli.imaging.picture import Mask

_SIDE = 320  # px of the longer side of a picture in the report
_BETTER = {"more": "more is better", "less": "less is better", "one": "1 is right", "none": ""}
_PLOTTED = ("hole_psnr", "hole_ssim", "p", "fd_relu3_4", "fid", "lpips_alex", "sharpness")

_STYLE = """
:root{color-scheme:light dark;--line:light-dark(#d5d8dc,#3a4048);--soft:light-dark(#5b6470,#9aa4b0)}
body{font:15px/1.5 system-ui,sans-serif;max-width:1500px;margin:2rem auto;padding:0 1.5rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
p.lead,figcaption,dd,.soft{color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.25rem .42rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;font-size:.85rem;line-height:1.25;vertical-align:bottom;white-space:normal}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:Canvas}
tr.group td{font-weight:600;padding-top:.9rem;text-align:left}td.best{font-weight:700}
tr.photo td{color:var(--soft)}
i.key{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin-right:.45rem}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:1rem}
svg{width:100%}svg text{font-size:12px;fill:currentColor}svg text.small{font-size:10px}
svg text.title{font-weight:600;font-size:14px}
svg line{stroke:var(--line)}svg polyline{stroke-width:2;stroke-opacity:.4}
svg circle{fill-opacity:.8}
.case{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:.5rem}
figure{margin:0}img{width:100%;border-radius:3px;display:block}figcaption{font-size:.82rem}
h3{font-size:.95rem;margin:1.4rem 0 .4rem}dl{display:grid;grid-template-columns:max-content 1fr}
dt{padding-right:1.2rem}dd{margin:0}pre{white-space:pre-wrap;font-size:.8rem;color:var(--soft)}
"""


@dataclass(frozen=True)
class Example:
    """One case as the report shows it. Pictures are JPEG; the hole of `shown` is a chequerboard."""

    name: str
    group: str
    hole_ratio: float
    rank: float  # the first method's hole PSNR, in dB
    shown: bytes
    photo: bytes
    fills: dict[str, tuple[bytes, float]]  # picture and hole PSNR by method


@dataclass
class Examples:
    """Keeps small pictures of three cases a group: the worst, the best, and one near the middle.

    They take about 100 kB each, and are made of cases that are kept only. Where the middle is
    becomes known as cases come in: the one that is kept may be a little beside it in the end.
    """

    _kept: dict[str, list[Example]] = field(default_factory=lambda: defaultdict(list))
    _ranks: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, scored: Scored) -> None:
        """Add a case."""
        rank = scored.fills[0].scores["hole_psnr"]
        ranks, kept = self._ranks[scored.group], self._kept[scored.group]
        bisect.insort(ranks, rank)
        chosen = _chosen([*(example.rank for example in kept), rank], ranks[len(ranks) // 2])
        candidates = [*kept, None]
        self._kept[scored.group] = [
            candidates[number] or _example(scored, rank) for number in chosen
        ]

    def of(self, group: str) -> list[Example]:
        """At most three cases of a group, from the worst to the best."""
        return list(self._kept.get(group, ()))


def _chosen(ranks: Sequence[float], middle: float) -> list[int]:
    """Which of one to four cases are kept, from the worst to the best."""
    order = sorted(range(len(ranks)), key=lambda number: ranks[number])
    if len(order) <= 3:
        return order
    inner = min(order[1:-1], key=lambda number: abs(ranks[number] - middle))
    return [order[0], inner, order[-1]]


def _example(scored: Scored, rank: float) -> Example:
    photo = rgb8(scored.photo.pixels)
    return Example(
        name=scored.case.name,
        group=scored.group,
        hole_ratio=float(scored.hole.mean()),
        rank=rank,
        shown=_jpeg(_with_hole(photo, scored.hole)),
        photo=_jpeg(photo),
        fills={
            fill.method: (_jpeg(rgb8(fill.pixels)), fill.scores["hole_psnr"])
            for fill in scored.fills
        },
    )


def render(
    score_table: ScoreTable,
    examples: Examples,
    details: dict[str, Any],
    failures: Sequence[str],
) -> str:
    """The report as HTML.

    Args:
        score_table: the scores of all fills.
        examples: the same cases.
        details: what was run, as in the summary of `--json`.
        failures: what could not be scored, a line each.
    """
    groups = score_table.groups()
    methods = score_table.methods
    text = groups_to_show(groups)
    parts = [
        "<h1>How good are the fills?</h1>",
        f'<p class="lead">{escape(_lead(score_table, groups))}</p>',
        _table(text, score_table.metrics, methods),
        *(f'<p class="soft">{escape(remark)}</p>' for remark in details.get("remarks", ())),
        "<h2>Plots</h2>",
        _legend(methods),
        _plots(score_table, groups),
    ]
    parts += [_cases(group, examples.of(group.name), methods[0]) for group in groups[1:]]
    parts += [_failures(failures), _meanings(score_table.metrics, details.get("left_out", ()))]
    return _document("".join([*parts, _run_details(details)]))


def _document(body: str) -> str:
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    title = "<title>inpaintcli evaluate</title>"
    return (
        f'<!doctype html><html lang="en"><head>{head}{title}<style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>\n"
    )


def _lead(score_table: ScoreTable, groups: Sequence[GroupScores]) -> str:
    photos = len({row.photo for row in score_table.rows})
    holes = groups[0].photos if groups else 0
    return (
        f"{photos} photos, {holes} holes, each filled by {len(score_table.methods)} methods, which "
        "do not see what is hidden. The best of each is bold; what the numbers mean is below."
    )


def _table(groups: Sequence[GroupScores], metrics: Sequence[Metric], methods: Sequence[str]) -> str:
    labels = [(m.meaning, m.label.replace(" %", "&nbsp;%")) for m in metrics]
    heads = "".join(f'<th title="{escape(meaning)}">{label}</th>' for meaning, label in labels)
    rows = [f"<tr><th></th>{heads}</tr>"]
    for group in groups:
        title = escape(f"{group_title(group.name)} ({group.photos})")
        rows.append(f'<tr class="group"><td colspan="{len(metrics) + 1}">{title}</td></tr>')
        best = {m.key: m.best([group.values[name][m.key] for name in methods]) for m in metrics}
        for number, method in enumerate((*methods, ORIGINAL)):
            cells = "".join(_cell(m, group.values[method][m.key], best[m.key]) for m in metrics)
            mark = "" if method == ORIGINAL else _key(number)
            kind = ' class="photo"' if method == ORIGINAL else ""
            rows.append(f"<tr{kind}><td>{mark}{escape(method)}</td>{cells}</tr>")
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _cell(metric: Metric, value: float, best: float) -> str:
    shown = metric.shown(value)
    wins = not np.isnan(best) and shown == metric.shown(best)  # equal as far as can be seen
    kind = ' class="best"' if wins else ""
    return f"<td{kind}>{shown}</td>"


def _key(number: int) -> str:
    return f'<i class="key" style="background:{plots.colour(number)}"></i>'


def _legend(methods: Sequence[str]) -> str:
    names = (f"{_key(number)}{escape(name)}" for number, name in enumerate(methods))
    return f"<p>{' &emsp; '.join(names)}</p>"


def _plots(score_table: ScoreTable, groups: Sequence[GroupScores]) -> str:
    drawn = [
        plots.by_ratio(
            "every fill: hole PSNR, dB",
            [
                [
                    (r.hole_ratio, r.values["hole_psnr"])
                    for r in score_table.rows
                    if r.method == method
                ]
                for method in score_table.methods
            ],
        )
    ]
    parts = groups[1:]
    labels = [group_title(group.name).removesuffix(" hidden") for group in parts]
    joined = len(list(takewhile(is_bin, (group.name for group in parts))))
    for metric in score_table.metrics:
        if len(parts) > 1 and metric.key in _PLOTTED:
            series = [
                [group.values[method][metric.key] * metric.scale for group in parts]
                for method in score_table.methods
            ]
            title = f"{metric.label}: {_BETTER[metric.better]}"
            drawn.append(plots.by_group(title, labels, series, joined=joined))
    return f'<div class="plots">{"".join(drawn)}</div>'


def _cases(group: GroupScores, shown: Sequence[Example], first: str) -> str:
    """Examples of a group under its name; `first` is the method that they are ranked by."""
    order = f"From the worst to the best of {group.photos}, by the hole PSNR of {first}."
    text = f'<p class="soft">{escape(order)}</p>' if len(shown) > 1 else ""
    return f"<h2>{escape(group_title(group.name))}</h2>{text}{''.join(map(_case, shown))}"


def _case(example: Example) -> str:
    pictures = [_figure(example.shown, f"{example.hole_ratio * 100:.0f} % hidden")]
    for method, (picture, psnr) in example.fills.items():
        text = "" if np.isnan(psnr) else f", {psnr:.1f} dB"
        pictures.append(_figure(picture, f"{method}{text}"))
    pictures.append(_figure(example.photo, ORIGINAL))
    return f'<h3>{escape(example.name)}</h3><div class="case">{"".join(pictures)}</div>'


def _figure(jpeg: bytes, caption: str) -> str:
    data = base64.b64encode(jpeg).decode()
    text = escape(caption)
    picture = f'<img alt="{text}" src="data:image/jpeg;base64,{data}">'
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"


def _failures(failures: Sequence[str]) -> str:
    if not failures:
        return ""
    lines = "".join(f"<li>{escape(failure)}</li>" for failure in failures)
    return f"<h2>Left out</h2><ul>{lines}</ul>"


def _meanings(metrics: Sequence[Metric], left_out: Sequence[str]) -> str:
    entries = []
    for metric in metrics:
        text = "; ".join(filter(None, (metric.meaning, _BETTER[metric.better])))
        entries.append(f"<dt>{escape(metric.label)}</dt><dd>{escape(text)}</dd>")
    text = "Means over holes unless stated otherwise; without “hole”, of the whole picture."
    missing = "".join(f'<p class="soft">Not computed: {escape(why)}</p>' for why in left_out)
    listed = f'<p class="soft">{text}</p><dl>{"".join(entries)}</dl>'
    return f"<h2>What the numbers mean</h2>{listed}{missing}"


def _run_details(details: dict[str, Any]) -> str:
    text = json.dumps(details, indent=1, ensure_ascii=False)
    return f"<h2>What was run</h2><pre>{escape(text)}</pre>"


def _with_hole(photo: Rgb8, hole: Mask) -> Rgb8:
    """The photo with a chequerboard in the hole, its fields as wide as 2 % of the picture."""
    side = max(2, max(hole.shape) // 50)
    rows, columns = (np.arange(length) // side for length in hole.shape)
    fields = np.where((rows[:, None] + columns) % 2, 250, 225).astype(np.uint8)
    return np.where(hole[..., None], fields[..., None], photo)


def _jpeg(rgb: Rgb8) -> bytes:
    scale = min(1.0, _SIDE / max(rgb.shape[:2]))
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
        small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        rgb = np.asarray(small, np.uint8)
    encoded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return encoded.tobytes()
