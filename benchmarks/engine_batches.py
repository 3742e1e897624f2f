"""Is a batch of tiles faster than the same tiles one by one? Prints a JSON line for each case.

python benchmarks/engine_batches.py [--model NAME] [--engine NAME] [--batches 2,4,8]
    [--sizes 96,192,512] [--threads 1,2] [--rounds 15]

Both run by turns; a ratio is time one by one over time in a batch, in the same round, and the
median over rounds, of wall-clock and of processor time. More than 1 means that the batch is faster.
"equal" says whether the outputs are the same bit for bit.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from inpaintcli_engines.base import Arrays, Engine
from inpaintcli_engines.select import open_engine

from inpaintcli.models.cards import Card, find_card


def tiles(count: int, side: int) -> Arrays:
    """A batch of `count` pictures of noise with a square hole each."""
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (count, 3, side, side)).astype(np.float32)
    mask = np.zeros((count, 1, side, side), np.float32)
    mask[:, :, side // 4 : side // 2, side // 4 : side // 2] = 1
    return {"image": image * (1 - mask), "mask": mask}


def one_by_one(engine: Engine, arrays: Arrays, count: int) -> list[Any]:
    """The filled pictures, each from a call of its own."""
    return [
        engine.run({name: array[n : n + 1] for name, array in arrays.items()})["filled"]
        for n in range(count)
    ]


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor time of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def measured(card: Card, count: int, side: int, options: argparse.Namespace, threads: int) -> Any:
    """One line: ratios, milliseconds a tile, and whether the outputs are equal."""
    arrays = tiles(count, side)
    with open_engine(card.file, engine=options.engine, threads=threads).engine as engine:
        singly = np.concatenate(one_by_one(engine, arrays, count))
        together = engine.run(arrays)["filled"]
        rounds = []
        for _ in range(options.rounds + 2):
            alone = seconds(lambda: one_by_one(engine, arrays, count))
            batch = seconds(lambda: engine.run(arrays))
            rounds.append((*alone, *batch))
        walls, cpus, batch_walls, batch_cpus = np.array(rounds[2:]).T  # the first ones warm up
        return {
            "engine": f"{engine.info.name} {engine.info.precision}",
            "threads": threads,
            "side": side,
            "batch": count,
            "wall_ratio": round(statistics.median(walls / batch_walls), 3),
            "cpu_ratio": round(statistics.median(cpus / np.maximum(batch_cpus, 1e-9)), 3),
            "cpu_ms_one_by_one": round(1000 * float(np.median(cpus)) / count, 2),
            "cpu_ms_in_a_batch": round(1000 * float(np.median(batch_cpus)) / count, 2),
            "equal": bool(np.array_equal(singly, together)),
        }


def main() -> None:
    """Measure all combinations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a card's name or path; the default model")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--batches", default="2,4,8")
    parser.add_argument("--sizes", default="96,192,512")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    card = find_card(options.model)
    for threads in map(int, options.threads.split(",")):
        for side in map(int, options.sizes.split(",")):
            for count in map(int, options.batches.split(",")):
                print(json.dumps(measured(card, count, side, options, threads)), flush=True)


if __name__ == "__main__":
    main()
