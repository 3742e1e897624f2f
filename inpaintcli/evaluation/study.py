"""A blind comparison: pairs of fills in one HTML file that counts which is preferred.

As in the user studies of the papers, a viewer sees two fills of one photo side by side, without
their methods' names, in random order and on random sides. The file needs no server and loads
nothing; what was preferred is saved by the viewer as JSON.
"""

import base64
import itertools
import json
from dataclasses import asdict, dataclass, field

import cv2
import numpy as np

from inpaintcli.evaluation.scoring import Rgb8, Scored, rgb8

MAX_PAIRS = 200
"""More than one sitting; of more pairs, so many are drawn."""
_SIDE = 640  # px of the longer side of a picture


@dataclass(frozen=True)
class Pair:
    """Two fills of one hole, as data URLs of JPEG, with their methods."""

    photo: str
    group: str
    methods: tuple[str, str]
    pictures: tuple[str, str]


@dataclass
class Study:
    """Collects pairs: each two methods on each hole, at most `MAX_PAIRS` of all, by the seed."""

    seed: int
    pairs: list[Pair] = field(default_factory=list)
    seen: int = 0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def add(self, scored: Scored) -> None:
        """Add the pairs of one case; reservoir sampling (Vitter 1985, algorithm R) bounds them."""
        for first, second in itertools.combinations(scored.fills, 2):
            self.seen += 1
            place = len(self.pairs)
            if place >= MAX_PAIRS:
                place = int(self._random.integers(self.seen))
            if place >= MAX_PAIRS:
                continue
            pictures = (_data_url(rgb8(first.pixels)), _data_url(rgb8(second.pixels)))
            methods = (first.method, second.method)
            self.pairs[place : place + 1] = [
                Pair(scored.case.name, scored.group, methods, pictures)
            ]


def render_study(study: Study) -> str:
    """The study as HTML."""
    data = json.dumps([asdict(pair) for pair in study.pairs])
    return _PAGE.replace("@PAIRS@", data.replace("<", "\\u003c"))


def _data_url(picture: Rgb8) -> str:
    scale = min(1.0, _SIDE / max(picture.shape[:2]))
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(picture.dtype)
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


_PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Which looks better?</title>
<style>
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:1400px;margin:1.5rem auto;padding:0 1rem}
#pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
#pair img{width:100%;border-radius:4px}
p.buttons{display:flex;gap:1rem;justify-content:center}
button{font:inherit;padding:.5rem 1.2rem}
td,th{padding:.2rem .8rem;text-align:left}
[hidden]{display:none!important}
</style>
<h1>Which looks better?</h1>
<p id="count"></p>
<div id="pair"><img id="left" alt="left picture"><img id="right" alt="right picture"></div>
<p class="buttons" id="buttons">
<button data-choice="left">Left (&larr;)</button>
<button data-choice="none">No difference (&darr;)</button>
<button data-choice="right">Right (&rarr;)</button>
<button id="back">Back</button></p>
<div id="result" hidden><table id="wins"></table></div>
<p><button id="save">Save the answers</button></p>
<script>
"use strict";
const pairs = @PAIRS@;
const element = id => document.getElementById(id);
for (let i = pairs.length - 1; i > 0; i--) {
  const j = Math.floor(Math.random() * (i + 1));
  [pairs[i], pairs[j]] = [pairs[j], pairs[i]];
}
const swapped = pairs.map(() => Math.random() < 0.5);
const answers = [];
const side = (pair, number, right) => pair[number][swapped[pair.index] !== right ? 1 : 0];
pairs.forEach((pair, index) => pair.index = index);
function show() {
  const number = answers.length, done = number >= pairs.length;
  element("pair").hidden = done;
  element("buttons").hidden = pairs.length === 0;
  element("result").hidden = !done;
  element("count").textContent = done
    ? `${number} pairs, thank you. Save the answers below.`
    : `Pair ${number + 1} of ${pairs.length}`;
  for (const button of document.querySelectorAll("[data-choice]")) button.disabled = done;
  if (done) return result();
  element("left").src = side(pairs[number], "pictures", false);
  element("right").src = side(pairs[number], "pictures", true);
}
function counted() {
  const wins = {};
  for (const answer of answers) {
    const names = [answer.left, answer.right].sort();
    const key = JSON.stringify(names);
    wins[key] ??= {methods: names, wins: [0, 0], no_difference: 0};
    if (answer.preferred === null) wins[key].no_difference++;
    else wins[key].wins[names.indexOf(answer.preferred)]++;
  }
  return Object.values(wins);
}
function result() {
  const table = element("wins");
  table.replaceChildren();
  const add = (cells, kind) => {
    const row = table.insertRow();
    for (const text of cells) {
      row.appendChild(document.createElement(kind)).textContent = text;
    }
  };
  add(["method", "preferred", "method", "preferred", "no difference"], "th");
  for (const one of counted()) {
    add([one.methods[0], one.wins[0], one.methods[1], one.wins[1], one.no_difference], "td");
  }
}
function choose(choice) {
  const pair = pairs[answers.length];
  if (!pair) return;
  const left = side(pair, "methods", false), right = side(pair, "methods", true);
  const preferred = {left, right, none: null}[choice];
  answers.push({photo: pair.photo, group: pair.group, left, right, preferred});
  show();
}
function save() {
  const content = {schema: 1, pairs: pairs.length, counts: counted(), answers};
  const link = document.createElement("a");
  link.href = URL.createObjectURL(
    new Blob([JSON.stringify(content, null, 1)], {type: "application/json"}));
  link.download = "preferences.json";
  link.click();
}
for (const button of document.querySelectorAll("[data-choice]")) {
  button.addEventListener("click", () => choose(button.dataset.choice));
}
element("back").addEventListener("click", () => { answers.pop(); show(); });
element("save").addEventListener("click", save);
document.addEventListener("keydown", event => {
  const choice = {ArrowLeft: "left", ArrowRight: "right", ArrowDown: "none"}[event.key];
  if (choice && !event.repeat) { event.preventDefault(); choose(choice); }
});
show();
</script>
</html>
"""
