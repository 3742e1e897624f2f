"""How fast is a model in each engine, against torch and the paper's DMFN? Prints JSON.

python benchmarks/engine_speed.py [--model NAME] [--size 512] [--rounds 7] [--no-dmfn]

All are measured in one run, interleaved, at batch 1; needs the extra `train`. Weights do not
matter for the time, so torch's are random. "times_torch" is how much faster an engine is than the
same generator in torch, eager, fp32: the median over rounds of the ratio within a round, which
other programs on the machine hardly change.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from inpaintcli_engines.base import cores
from inpaintcli_engines.select import available_backends, open_engine
from inpaintcli_training.catalog import build_generator, find_recipe

from inpaintcli.models.cards import Card, find_card


def runners(card: Card, size: int, recipes: list[str]) -> dict[str, Callable[[], object]]:
    """The engines and generators by name: each call fills one picture of size x size pixels."""
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (1, 3, size, size)).astype(np.float32)
    mask = np.zeros((1, 1, size, size), np.float32)
    mask[:, :, size // 4 : size // 2, size // 4 : size // 2] = 1
    found: dict[str, Callable[[], object]] = {}
    for name, reason in available_backends().items():
        for precision in ("auto", "fp32") if reason is None else ():
            engine = open_engine(card.file, engine=name, precision=precision).engine
            key = f"{name} {engine.info.precision}"
            found.setdefault(key, lambda e=engine: e.run({"image": image, "mask": mask}))
    for recipe in recipes:
        generator = build_generator(find_recipe(recipe)).eval()
        inputs = torch.from_numpy(image), torch.from_numpy(mask)
        found[f"torch fp32 {recipe}"] = lambda g=generator, i=inputs: g(*i)
    return found


def milliseconds(run: Callable[[], object]) -> float:
    """Median of three runs in a row, after one that fills caches and wakes threads."""
    times = []
    for _ in range(4):
        started = time.perf_counter()
        run()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[1:])


def main() -> None:
    """Print the median and the shortest time of each, and the ratios to DMFN in torch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a card's name or path; the default model")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-dmfn", action="store_true", help="leave DMFN out: it takes seconds")
    options = parser.parse_args()
    torch.set_num_threads(cores())
    card = find_card(options.model)
    own = card.recipe
    measured = runners(card, options.size, [own] if options.no_dmfn else [own, "dmfn"])
    times: dict[str, list[float]] = {name: [] for name in measured}
    with torch.inference_mode():
        for _ in range(options.rounds + 1):
            for name, run in measured.items():
                times[name].append(milliseconds(run))
    times = {name: t[1:] for name, t in times.items()}  # the first round warms up
    medians = {name: statistics.median(t) for name, t in times.items()}
    result = {
        "size": options.size,
        "cores": cores(),
        "median_ms": {name: round(t, 1) for name, t in medians.items()},
        "least_ms": {name: round(min(t), 1) for name, t in times.items()},
        "times_torch": {
            name: round(_ratio(times[f"torch fp32 {own}"], t), 2) for name, t in times.items()
        },
    }
    if not options.no_dmfn:
        dmfn = medians["torch fp32 dmfn"]
        result["share_of_dmfn_in_torch"] = {n: round(t / dmfn, 4) for n, t in medians.items()}
    print(json.dumps(result))


def _ratio(theirs: list[float], ours: list[float]) -> float:
    """The median over rounds of their time over ours."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


if __name__ == "__main__":
    main()
