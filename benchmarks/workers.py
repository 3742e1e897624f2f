"""Do workers that share the cores lose against the best single setting? Prints JSON.

python benchmarks/workers.py [--side 256] [--seconds 6] [--rounds 5]

Throughput of the default model in pictures a second, for one worker with 1, 2, ... all cores, and
for several workers as `fill FOLDER` opens them (threads of this process, from
`thread_pool.open_models`), and for several processes as well. The settings take turns, so that what
else the machine does falls on all of them; the ratio is of medians.
"""

import argparse
import json
import multiprocessing
import statistics
import threading
import time
from contextlib import ExitStack
from typing import Any

import numpy as np
from inpaintcli_engines.base import Engine, cores

from inpaintcli.batch.thread_pool import open_models
from inpaintcli.inpaint.pipeline import open_model


def inputs(side: int) -> dict[str, np.ndarray]:
    """Noise with a hole in the middle."""
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (1, 3, side, side)).astype(np.float32)
    mask = np.zeros((1, 1, side, side), np.float32)
    mask[:, :, side // 4 : side // 2, side // 4 : side // 2] = 1
    return {"image": image, "mask": mask}


def count_until(engine: Engine, arrays: dict[str, np.ndarray], end: float) -> int:
    """How many pictures are done until a moment of `time.monotonic`."""
    done = 0
    while time.monotonic() < end:
        engine.run(arrays)
        done += 1
    return done


def by_threads(engines: list[Engine], side: int, seconds: float) -> float:
    """Pictures a second of engines that run at the same time in this process."""
    arrays, counts = inputs(side), [0] * len(engines)
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        counts[number] = count_until(engines[number], arrays, end)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(engines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def process(pipe: Any, threads: int, side: int) -> None:
    """A worker process: counts pictures for each command on its queue, until that is None."""
    with open_model(device="cpu", threads=threads) as model:
        arrays = inputs(side)
        model.engine.run(arrays)
        pipe.send("ready")
        while (end := pipe.recv()) is not None:
            pipe.send(count_until(model.engine, arrays, end))


def by_processes(pipes: list[Any], seconds: float) -> float:
    """Pictures a second of worker processes together."""
    end = time.monotonic() + seconds  # one clock for all processes of the machine
    for pipe in pipes:
        pipe.send(end)
    return sum(pipe.recv() for pipe in pipes) / seconds


def main() -> None:
    """Print the throughput of every setting and the ratio of workers to the best single one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    workers = max(2, cores())
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe() for _ in range(workers)]
    share = max(1, cores() // workers)
    for _, theirs in ends:
        context.Process(target=process, args=(theirs, share, options.side), daemon=True).start()
    pipes = [ours for ours, _ in ends]
    for pipe in pipes:
        pipe.recv()
    with ExitStack() as stack:
        settings = {}
        for threads in range(1, cores() + 1):
            model = stack.enter_context(open_model(device="cpu", threads=threads))
            settings[f"1 worker, {threads} threads"] = [model.engine]
        pool = open_models(stack, lambda n: open_model(device="cpu", threads=n), workers)
        settings[f"{workers} workers"] = [model.engine for model in pool]
        found: dict[str, list[float]] = {name: [] for name in settings}
        found[f"{workers} processes"] = []
        for engines in settings.values():
            by_threads(engines, options.side, 0.5)
        for _ in range(options.rounds):
            for name, engines in settings.items():
                found[name].append(by_threads(engines, options.side, options.seconds))
            found[f"{workers} processes"].append(by_processes(pipes, options.seconds))
    for pipe in pipes:
        pipe.send(None)
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    best = max(rate for name, rate in medians.items() if name.startswith("1 worker"))
    result = {
        "side": options.side,
        "cores": cores(),
        "pictures_per_second": {name: round(rate, 2) for name, rate in medians.items()},
        "share_of_the_best_single_one": {
            name: round(rate / best, 3) for name, rate in medians.items()
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
