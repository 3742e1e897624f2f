"""What does the texture pass give, and what does it cost? Prints JSON.

python benchmarks/texture.py time
python benchmarks/texture.py pass
python benchmarks/texture.py parts
python benchmarks/texture.py fill PHOTOS STARTS OUT [--limit N] [--patches] [--set NAME=VALUE]

`time` measures synthetic photos: square holes of 32 to 1024 px with the context that a fill gives
them, 256 px in a photo of 512, thousands of specks. Wall-clock seconds with one and two threads,
and processor seconds, which other programs disturb less; also per 1,000 pixels of hole.

`pass` measures what `--detail auto` adds to `--detail network`, blend and grain included:
seconds of whole fills in turns, the median of the differences; 256 px in a photo of 512, 100 px
and 300 px in 24 megapixels.

`parts` measures what the pass is made of, in scikit-image's 512x512 `astronaut` with a hole of 64
to 256 px: contours, synthesis with two threads, blend; medians of wall-clock seconds in turns.

`fill` gives fills texture and writes them to OUT for a scorer. PHOTOS holds NAME.jpg and
NAME.mask.png (white = hole), STARTS the network's fills NAME.png. With --patches the patches alone,
else blended with the network's fill; --set changes a field of SynthesisSettings, or of its feature
weights: weights.edges=0.
"""

import argparse
import ast
import json
import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import data

from inpaintcli.imaging.picture import Picture
from inpaintcli.inpaint import pipeline
from inpaintcli.inpaint.blending import blend
from inpaintcli.inpaint.contours import continue_contours
from inpaintcli.inpaint.pipeline import open_model
from inpaintcli.texture.patch_features import FeatureWeights
from inpaintcli.texture.synthesis import (
    SynthesisSettings,
    TooFewPatchesError,
    context_for,
    prepare,
    synthesize,
)


def synthetic_photo(side: int, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise of several scales in [0, 255], and the same blurred in the hole."""
    numbers = np.random.default_rng(1)
    photo = np.full((side, side, 3), 128, np.float32)
    for size in (4, 16, 64, side):
        noise = numbers.normal(0, 20, (size, size, 3)).astype(np.float32)
        photo += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(photo, (0, 0), 10)
    return photo, np.where(hole[..., None], smooth, photo)


def square(side: int, hole_side: int) -> np.ndarray:
    """A square hole in the middle."""
    hole = np.zeros((side, side), bool)
    low = (side - hole_side) // 2
    hole[low : low + hole_side, low : low + hole_side] = True
    return hole


def timed(name: str, hole: np.ndarray) -> dict[str, Any]:
    """The best of three runs with one and with two threads."""
    photo, initial = synthetic_photo(hole.shape[0], hole)
    row: dict[str, Any] = {"case": name, "crop": hole.shape[0], "hole_px": int(hole.sum())}
    for threads in (1, 2):
        walls, cpus = [], []
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            synthesize(photo, initial, hole, threads=threads)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        row[f"wall_s_{threads}"] = round(min(walls), 3)
        row[f"cpu_s_{threads}"] = round(min(cpus), 3)
    row["cpu_ms_per_1000_px"] = round(1e6 * float(row["cpu_s_1"]) / row["hole_px"], 1)
    row["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return row


def time_all() -> None:
    """Print one line of JSON for each case."""
    started = time.process_time()
    prepare()
    print(json.dumps({"case": "prepare", "cpu_s": round(time.process_time() - started, 3)}))
    specks = np.zeros((1000, 1000), bool)
    specks[5::15, 5::15] = True
    sizes = (32, 64, 100, 128, 256, 512, 1024)
    alone = [(f"{side} px", square(side + 2 * context_for(side), side)) for side in sizes]
    for name, hole in (*alone, ("256 px in 512", square(512, 256)), ("specks", specks)):
        print(json.dumps(timed(name, hole)), flush=True)


def pass_all(rounds: int = 7) -> None:
    """Print one line of JSON for each case: seconds of the network's fill, and what is added."""
    with open_model() as model:
        for height, width, side in ((512, 512, 256), (4000, 6000, 100), (4000, 6000, 300)):
            noise = np.clip(synthetic_photo(512, square(512, 1))[0], 0, 255).astype(np.uint8)
            around = ((0, height - 512), (0, width - 512), (0, 0))
            picture = Picture(np.pad(noise, around, mode="reflect"))
            hole = np.zeros((height, width), bool)
            hole[height // 3 : height // 3 + side, width // 3 : width // 3 + side] = True
            alone, added = [], []
            for _ in range(rounds + 1):
                network = pipeline.fill(picture, hole, model, detail="network").seconds
                whole = pipeline.fill(picture, hole, model, detail="auto").seconds
                alone.append(network)
                added.append(whole - network)
            row = {"case": f"{side} px in {width}x{height}"}
            row |= {"network_s": round(statistics.median(alone[1:]), 3)}
            row |= {"added_s": round(statistics.median(added[1:]), 3)}
            print(json.dumps(row), flush=True)


def parts_all(rounds: int = 7) -> None:
    """Print one line of JSON for each hole."""
    photo = data.astronaut()
    prepare()
    with open_model() as model:
        for side in (64, 128, 256):
            hole = square(512, side)
            network = pipeline.fill(Picture(photo), hole, model, detail="network").picture.pixels
            initial = network.astype(np.float32)
            times = []
            for _ in range(rounds + 1):
                clock = [time.perf_counter()]
                start, count = continue_contours(initial, hole, ~hole)
                clock.append(time.perf_counter())
                texture = synthesize(start, start, hole, threads=2)
                clock.append(time.perf_counter())
                blend(texture, start, hole)
                clock.append(time.perf_counter())
                times.append(np.diff(clock))
            medians = np.median(times[1:], axis=0).round(3).tolist()
            names = ("contours_s", "synthesis_s", "blend_s")
            row: dict[str, Any] = {"case": f"{side} px", "contours": count}
            row |= dict(zip(names, medians, strict=True))
            print(json.dumps(row), flush=True)


def fill(options: argparse.Namespace) -> None:
    """Write filled pictures and print what they cost."""
    changes = {k: ast.literal_eval(v) for k, v in (item.split("=", 1) for item in options.set)}
    names = [name for name in changes if name.startswith("weights.")]
    weights = {name.removeprefix("weights."): changes.pop(name) for name in names}
    settings = replace(SynthesisSettings(), **changes, weights=replace(FeatureWeights(), **weights))
    options.out.mkdir(parents=True, exist_ok=True)
    seconds = []
    for path in sorted(options.photos.glob("*.jpg"))[: options.limit]:
        photo = cv2.imread(str(path))
        hole = cv2.imread(str(path.with_suffix(".mask.png")), 0) > 127
        initial = cv2.imread(str(options.starts / f"{path.stem}.png")).astype(np.float32)
        began = time.process_time()
        try:
            texture = synthesize(photo, initial, hole, settings=settings)
            answer = texture.pixels if options.patches else blend(texture, initial, hole)
        except TooFewPatchesError as error:
            print(json.dumps({"photo": path.name, "error": str(error)}))
            answer = initial
        seconds.append(time.process_time() - began)
        photo[hole] = np.clip(np.rint(answer[hole]), 0, 255)
        cv2.imwrite(str(options.out / f"{path.stem}.png"), photo)
    cost = {"median_cpu_s": float(np.median(seconds)), "worst_cpu_s": max(seconds)}
    print(json.dumps({"photos": len(seconds), **{k: round(v, 2) for k, v in cost.items()}}))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("time")
    commands.add_parser("pass")
    commands.add_parser("parts")
    filling = commands.add_parser("fill")
    filling.add_argument("photos", type=Path)
    filling.add_argument("starts", type=Path)
    filling.add_argument("out", type=Path)
    filling.add_argument("--limit", type=int)
    filling.add_argument("--patches", action="store_true")
    filling.add_argument("--set", nargs="*", default=[])
    options = parser.parse_args()
    if options.command == "time":
        time_all()
    elif options.command == "pass":
        pass_all()
    elif options.command == "parts":
        parts_all()
    else:
        fill(options)


if __name__ == "__main__":
    main()
