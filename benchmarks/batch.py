"""What does a batch cost beyond its engine? Prints JSON.

python benchmarks/batch.py throughput [--photos 1000] [--workers N] [--detail auto]
python benchmarks/batch.py second-run [--photos 100000]
python benchmarks/batch.py crops

throughput: photos of 512x512 (JPEG, made by code) with a hole of 128x128. Blocks of photos are
alternately filled as the command does it (read, hashed, filled, written, fsync'd, recorded in the
journal) and only filled, from arrays, by as many threads. The ratio of the two times is the cost of
everything besides the engine and the texture pass; alternating evens out other load of the machine.
Memory is the resident set after each photo: the maximum of the second half over that of the first.

second-run: processor time and memory to find that nothing is left to do, for photos of a few bytes.

crops: milliseconds of processor time for a crop, in an engine with one thread, by the crop's side
and by how many go to the engine at once.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from inpaintcli_engines.select import open_engine
from PIL import Image

from inpaintcli.batch.fill_steps import read_pair
from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.journal import NAME, Journal
from inpaintcli.batch.journal_entries import JournalIndex
from inpaintcli.batch.outcome import ModelUsed, Outcome
from inpaintcli.batch.plan import plan_folder
from inpaintcli.batch.resume import JournalRecorder, remaining
from inpaintcli.batch.thread_pool import default_workers, model_pool, open_models, run_jobs
from inpaintcli.inpaint.pipeline import Model, fill, open_model
from inpaintcli.masks.source import BESIDE, mask_source
from inpaintcli.models.cards import find_card
from inpaintcli.options import Detail, FillOptions

SIDE, HOLE, BLOCK = 512, 128, 20


def resident_mib() -> float:
    """Resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def make_photos(folder: Path, count: int) -> None:
    """Photos of waves and noise, each with its own mask."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        wave = np.sin(x / rng.uniform(8, 60)) * np.cos(y / rng.uniform(8, 60))
        grain = rng.normal(0, 6, (SIDE, SIDE, 3))
        pixels = np.clip(128 + 90 * wave[..., None] + grain, 0, 255).astype(np.uint8)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        top, left = rng.integers(40, SIDE - HOLE - 40, 2)
        mask[top : top + HOLE, left : left + HOLE] = 255
        Image.fromarray(pixels).save(folder / f"{number:06d}.jpg", quality=90)
        Image.fromarray(mask).save(folder / f"{number:06d}.mask.png")


def only_fill(jobs: tuple[LocalJob, ...], models: list[Model], options: FillOptions) -> float:
    """Seconds to fill the photos from arrays, as many at a time as there are models."""
    pairs = [read_pair(job.photo, job.mask, options) for job in jobs]
    started = time.perf_counter()
    with ThreadPoolExecutor(len(models)) as pool:
        shares = [pairs[start :: len(models)] for start in range(len(models))]

        def work(model: Model, share: list[Any]) -> None:
            for picture, mask in share:
                fill(picture, mask, model, detail=options.detail)

        list(pool.map(work, models, shares))
    return time.perf_counter() - started


def throughput(folder: Path, photos: int, workers: int | None, detail: Detail) -> dict[str, Any]:
    """Ratio of the whole to the filling, and of the memory of both halves."""
    make_photos(folder / "photos", photos)
    plan = plan_folder(folder / "photos", BESIDE, folder / "out", overwrite=True)
    blocks = [plan.jobs[start : start + BLOCK] for start in range(0, photos, BLOCK)]
    options, count = FillOptions(detail=detail), workers or default_workers(photos)
    whole: list[float] = []
    filling: list[float] = []
    memory: list[float] = []
    with ExitStack() as stack:
        models = open_models(stack, lambda threads: open_model(threads=threads), count)
        recorder = opened(stack, folder / "out")
        runner = JobRunner(
            borrow_model=model_pool(models),
            model_used=ModelUsed.of(models[0]),
            options=options,
            notify=print,
            run_fingerprint=recorder.run_fingerprint,
            recorder=recorder,
        )
        only_fill(blocks[0], models, options)  # compiles the texture pass
        for block in blocks:
            filling.append(only_fill(block, models, options))
            started = time.perf_counter()
            for outcome in run_jobs(block, runner, len(models)):
                recorder.record(outcome)
                memory.append(resident_mib())
            whole.append(time.perf_counter() - started)
    half = len(memory) // 2
    return {
        "photos": photos,
        "workers": count,
        "seconds_a_photo": round(sum(whole) / photos, 3),
        "whole_over_filling": round(sum(whole) / sum(filling), 3),
        "median_over_blocks": round(
            statistics.median(a / b for a, b in zip(whole, filling, strict=True)), 3
        ),
        "peak_mib_by_half": [round(max(memory[:half])), round(max(memory[half:]))],
        "second_half_over_first": round(max(memory[half:]) / max(memory[:half]), 3),
    }


def opened(stack: ExitStack, out: Path) -> JournalRecorder:
    """A journal in a new folder."""
    out.mkdir()
    fingerprint = RunFingerprint(model=find_card().sha256, options=asdict(FillOptions()))
    return JournalRecorder(stack.enter_context(closing(Journal(out))), fingerprint)


def second_run(folder: Path, photos: int) -> dict[str, Any]:
    """Processor seconds to plan, and to find from the journal that everything is done."""
    for name in ("photos", "out"):
        (folder / name).mkdir()
    fingerprint = RunFingerprint(model="m" * 64, options=asdict(FillOptions()))
    for number in range(photos):
        (folder / "photos" / f"{number:06d}.jpg").write_bytes(b"%d" % number)
        (folder / "out" / f"{number:06d}.jpg").touch()
    photos_folder, alpha = folder / "photos", mask_source("alpha")
    time.sleep(2.5)  # the stamps of more recent files are not reliable
    with closing(Journal(folder / "out")) as journal, no_fsync():
        recorder = JournalRecorder(journal, fingerprint)
        for job in plan_folder(photos_folder, alpha, folder / "out", overwrite=True).jobs:
            made_from = fingerprint.of_job(job.photo, job.mask)
            recorder.record(
                Outcome(
                    status="filled", input=job.photo, mask=None, output=job.output,
                    fingerprint=made_from, sha256="s" * 64,
                )
            )  # fmt: skip
    before, started = resident_mib(), time.process_time()
    plan = plan_folder(photos_folder, alpha, folder / "out", overwrite=True)
    planned = time.process_time()
    left = remaining(plan, JournalIndex(folder / "out" / NAME), folder / "out", fingerprint)
    ended = time.process_time()
    return {
        "photos": photos,
        "left_to_do": len(left.jobs),
        "plan_cpu_s": round(planned - started, 2),
        "compare_with_journal_cpu_s": round(ended - planned, 2),
        "memory_mib": round(resident_mib() - before),
        "journal_mb": round((folder / "out" / NAME).stat().st_size / 1e6),
    }


@contextmanager
def no_fsync() -> Iterator[None]:
    """Makes writing a journal fast, for one that is only read afterwards."""
    true_fsync, os.fsync = os.fsync, lambda _: None
    try:
        yield
    finally:
        os.fsync = true_fsync


def crops(rounds: int = 5) -> dict[str, Any]:
    """Least processor milliseconds for a crop, by side, then by crops at a time."""
    rng, milliseconds = np.random.default_rng(0), {}
    with open_engine(find_card().file, threads=1).engine as engine:
        for side in (128, 256, 512):
            times: dict[int, list[float]] = {1: [], 2: [], 4: [], 8: []}
            for _ in range(rounds):
                for size, found in times.items():
                    image = rng.uniform(-1, 1, (size, 3, side, side)).astype(np.float32)
                    mask = np.zeros((size, 1, side, side), np.float32)
                    mask[:, :, side // 3 : -side // 3, side // 3 : -side // 3] = 1
                    started = time.process_time()
                    engine.run({"image": image, "mask": mask})
                    found.append((time.process_time() - started) / size)
            milliseconds[f"{side} px"] = {
                size: round(1000 * min(found[1:]), 1) for size, found in times.items()
            }
    return milliseconds


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput", "second-run", "crops"])
    parser.add_argument("--photos", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--detail", choices=["auto", "network", "patches"], default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "crops":
            result = crops()
        elif options.what == "second-run":
            result = second_run(Path(folder), options.photos or 100_000)
        else:
            result = throughput(
                Path(folder), options.photos or 1000, options.workers, options.detail
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
