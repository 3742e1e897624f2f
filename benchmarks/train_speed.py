"""How many images a second does training take? Each recipe against its plain form; prints JSON.

python -m benchmarks.train_speed --features DIR [--recipe all|NAME ...] [--steps 5] [--set batch=2]
python -m benchmarks.train_speed --crops --data FOLDER [--recipe NAME ...] [--workers 0 1 2]

The plain form is fp32 (no TF32), not in channels_last, not compiled; the two take their steps in
turn, in one run. On a CPU that others use too, the seconds of the processor count, with one thread:
waiting for others is not among them. A batch of 2 keeps all recipes to minutes on a CPU. With
--crops it is the data that is measured: crops a second for each number of processes, and what share
of one crop's time goes into its hole. The features' weights do not matter for the time. A GPU where
there is one; needs the extra `train`.
"""

import argparse
import json
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from inpaintcli_training.catalog import find_recipe, recipes
from inpaintcli_training.data.crops import Crops, Photos
from inpaintcli_training.data.masks import random_hole
from inpaintcli_training.loop.trainer import Trainer, set_arithmetic
from inpaintcli_training.recipe import Recipe, with_settings


def plain(recipe: Recipe) -> Recipe:
    """The form that every trainer has."""
    return replace(recipe, precision="fp32", tf32=False, channels_last=False, compile=False)


def seconds(trainer: Trainer, crops: Crops) -> tuple[float, float]:
    """Of one step by the clock, and of the processor; its crops not counted."""
    recipe = trainer.recipe
    count = recipe.critic_steps * recipe.accumulate
    with closing(crops.batches(0, device=trainer.device)) as batches:
        parts = list(islice(batches, count))
    set_arithmetic(recipe)
    begun, worked = time.perf_counter(), time.process_time()
    trainer.step(*parts)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    return time.perf_counter() - begun, time.process_time() - worked


def steps(recipe: Recipe, photos: Photos, features: Path | None, count: int, device: str) -> dict:
    """Median images a second of the recipe and of its plain form."""
    forms = {"recipe": recipe, "plain": plain(recipe)}
    trainers = {name: Trainer(form, features, device=device) for name, form in forms.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    idle = 2 if device == "cuda" else 1  # the first steps also allocate, compile, look for kernels
    for _ in range(count + idle):
        for name, trainer in trainers.items():
            times[name].append(seconds(trainer, Crops(photos, trainer.recipe)))
    rate, work = (
        {
            name: recipe.batch / statistics.median(t[which] for t in times[name][idle:])
            for name in forms
        }
        for which in (0, 1)
    )
    return {
        "recipe": recipe.name,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "batch": recipe.batch,
        "crop": recipe.crop,
        "precision": recipe.precision,
        "images_per_second": round(rate["recipe"], 2),
        "plain_images_per_second": round(rate["plain"], 2),
        "ratio": round(rate["recipe"] / rate["plain"], 2),
        "images_per_processor_second": round(work["recipe"], 2),
        "processor_ratio": round(work["recipe"] / work["plain"], 2),
    }


def cutting(recipe: Recipe, photos: Photos, workers: list[int], batches: int) -> dict:
    """Crops a second for each number of processes, photos decoded before where memory keeps them.

    Processor time of one crop and of its hole alone, in ms, in this process.
    """
    crops = Crops(photos, recipe)
    rates = {}
    for count in workers:
        with closing(crops.batches(0, workers=count, prefetch=4)) as found:
            epoch = -(-len(photos) // recipe.batch) * max(1, count)
            list(islice(found, min(batches, epoch)))  # decodes
            begun = time.perf_counter()
            list(islice(found, batches))
            rates[count] = round(batches * recipe.batch / (time.perf_counter() - begun))
    number = recipe.batch * 4
    begun = time.thread_time()
    crops.arrays(0, number)
    whole = time.thread_time() - begun
    rng = np.random.default_rng(0)
    begun = time.thread_time()
    for _ in range(number):
        random_hole(recipe.crop, rng, recipe.holes, recipe.hole_ratio)
    hole = time.thread_time() - begun
    return {
        "recipe": recipe.name,
        "crop": recipe.crop,
        "photos": len(photos),
        "crops_per_second": rates,
        "crop_ms": round(whole / number * 1000, 3),
        "hole_ms": round(hole / number * 1000, 3),
    }


def made(folder: Path) -> Photos:
    """Pictures to train on where none are given; their content does not matter for the time."""
    rng = np.random.default_rng(0)
    for number in range(16):
        coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.resize(coarse, (480, 360)))
    return Photos([folder])


def main() -> None:
    """Print one line for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", nargs="+", default=["all"])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--data", type=Path, action="append")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--crops", action="store_true")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    names = sorted(recipes()) if options.recipe == ["all"] else options.recipe
    settings = dict(text.split("=", 1) for text in options.set)
    with tempfile.TemporaryDirectory() as folder:
        photos = Photos(options.data) if options.data else made(Path(folder))
        for name in names:
            recipe = with_settings(find_recipe(name), settings)
            if options.crops:
                found = cutting(recipe, photos, options.workers, options.steps * 20)
            else:
                found = steps(recipe, photos, options.features, options.steps, device)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
