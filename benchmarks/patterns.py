"""Are patterns found, what do they give, and what does the search cost? Prints JSON lines.

python benchmarks/patterns.py made-up [--shares 0.1 0.3 0.5]
python benchmarks/patterns.py photos FOLDER

`made-up` fills holes in pictures of five patterns in twelve perspectives, with noise, blur and
light that falls off, with and without the pattern: mean difference from the truth in the hole, of
255; last a line with the ratio of the means and the worst case.

`photos` looks for patterns around the holes of NAME.jpg with NAME.mask.png (white = hole): steps,
cells, share of the detail that is predicted, share of the hole, processor seconds.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inpaintcli.texture.lattice import MIN_CERTAINTY, Pattern
from inpaintcli.texture.lattice_drawing import drawn
from inpaintcli.texture.lattice_patterns import find_patterns
from inpaintcli.texture.synthesis import prepare, synthesize
from tests.inpaintcli.texture.pattern_cases import KINDS, PERSPECTIVES, Case, blurred, case


def made_up(shares: Sequence[float]) -> None:
    """Print a line for each case."""
    prepare()
    ratios, totals = [], np.zeros(2)
    for share in shares:
        for kind in KINDS:
            for number, perspective in enumerate(PERSPECTIVES):
                made = case(kind, perspective, share=share)
                began = time.process_time()
                patterns = find_patterns(blurred(made), ~made.hole)
                seconds = time.process_time() - began
                errors = [_error(made, []), _error(made, patterns)]
                totals += errors
                ratios.append(errors[1] / errors[0])
                row: dict[str, Any] = {"kind": kind, "perspective": number, "share": share}
                row |= {"patterns": len(patterns), "cpu_s": round(seconds, 2)}
                row |= {"without": round(errors[0], 2), "with": round(errors[1], 2)}
                print(json.dumps(row), flush=True)
    ratio, worst = float(totals[1] / totals[0]), max(ratios)
    print(json.dumps({"cases": len(ratios), "ratio": round(ratio, 3), "worst": round(worst, 3)}))


def _error(made: Case, patterns: list[Pattern]) -> float:
    start = blurred(made)
    for pattern in patterns:
        start = drawn(start, made.hole, ~made.hole, pattern)
    pixels = synthesize(start, start, made.hole, patterns=patterns).pixels
    return float(np.abs(pixels - made.picture)[made.hole].mean())


def photos(folder: Path) -> None:
    """Print a line for each photo."""
    prepare()
    for path in sorted(folder.glob("*.mask.png")):
        name = path.name.removesuffix(".mask.png")
        picture = np.asarray(cv2.imread(str(folder / f"{name}.jpg")), np.float32)
        hole = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) > 127
        began = time.process_time()
        patterns = find_patterns(picture, ~hole)
        seconds = time.process_time() - began
        found = [
            {
                "steps": pattern.lattice.steps.T.round(1).tolist(),
                "cells": round(pattern.cells),
                "predicted": round(pattern.predicted, 2),
                "share": round(float((pattern.certainty[hole] >= MIN_CERTAINTY).mean()), 2),
            }
            for pattern in patterns
        ]
        print(json.dumps({"photo": name, "cpu_s": round(seconds, 2), "patterns": found}))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("made-up")
    making.add_argument("--shares", type=float, nargs="*", default=[0.1, 0.3, 0.5])
    looking = commands.add_parser("photos")
    looking.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.command == "made-up":
        made_up(options.shares)
    else:
        photos(options.folder)


if __name__ == "__main__":
    main()
