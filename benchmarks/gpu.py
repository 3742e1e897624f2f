"""How fast is a model on this machine's GPU, by torch, ONNX Runtime and TensorRT? Prints JSON.

python benchmarks/gpu.py [--model NAME] [--sides 256 512] [--batches 1 16] [--rounds 50]

Torch runs the card's recipe with fresh weights (they do not matter for the time), eager and
compiled, fp32 without TF32; ONNX Runtime on CUDA and TensorRT run the card's file. Times are of
whole calls, with the copies from and to host memory; the runners take turns. What this machine
lacks is listed under "missing", with the reason; without a GPU that is everything.
"""

import argparse
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from inpaintcli_engines.backends import onnxruntime_any, tensorrt_gpu
from inpaintcli_engines.base import EngineError, LoadOptions, Profile
from inpaintcli_engines.nvidia import nvidia

from inpaintcli.models.cards import Card, find_card

Arrays = dict[str, np.ndarray]
Runner = Callable[[Arrays], object]


def torch_runners(card: Card, missing: dict[str, str]) -> dict[str, Runner]:
    """Eager and compiled fp32 on the GPU."""
    if find_spec("torch") is None:
        missing["torch"] = "not installed"
        return {}
    import torch

    if not torch.cuda.is_available():
        missing["torch"] = f"{torch.__version__} sees no CUDA device"
        return {}
    from inpaintcli_training.catalog import build_generator, find_recipe

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    generator = build_generator(find_recipe(card.recipe)).eval().cuda()
    compiled = torch.compile(generator)

    def runner(network: Callable[..., torch.Tensor]) -> Runner:
        @torch.inference_mode()
        def run(arrays: Arrays) -> object:
            image, mask = (torch.from_numpy(arrays[name]).cuda() for name in ("image", "mask"))
            return network(image, mask).cpu()

        return run

    return {"torch eager fp32": runner(generator), "torch compiled fp32": runner(compiled)}


def engine_runners(card: Card, profile: Profile, missing: dict[str, str]) -> dict[str, Runner]:
    """ONNX Runtime on CUDA and TensorRT, in fp32 and fp16."""
    found: dict[str, Runner] = {}
    for backend in (onnxruntime_any, tensorrt_gpu):
        for precision in ("fp32", "fp16"):
            name = f"{backend.NAME} {precision}"
            reason = backend.why_not("cuda")
            try:
                if reason is None:
                    options = LoadOptions(device="cuda", precision=precision, profile=profile)
                    found[name] = backend.load(card.file, options).run
            except EngineError as error:
                reason = error.message
            if reason is not None:
                missing[name] = reason
    return found


def inputs(side: int, batch: int) -> Arrays:
    """Noise with a hole in the middle."""
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (batch, 3, side, side)).astype(np.float32)
    mask = np.zeros((batch, 1, side, side), np.float32)
    mask[:, :, side // 4 : side // 2, side // 4 : side // 2] = 1
    return {"image": image, "mask": mask}


def measure(runners: dict[str, Runner], arrays: Arrays, rounds: int) -> dict[str, float]:
    """The median time of each in milliseconds; they take turns, after five rounds to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds + 5):
        for name, run in runners.items():
            started = time.perf_counter()
            run(arrays)
            if number >= 5:
                times[name].append((time.perf_counter() - started) * 1000)
    return {name: round(statistics.median(t), 3) for name, t in times.items()}


def main() -> None:
    """Print the medians by side and batch, the machine, and what it lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    card = find_card(options.model)
    least = card.profile.side[0]
    profile = Profile(
        batch=(1, min(options.batches), max(options.batches)),
        side=(least, min(options.sides), max(options.sides)),
    )
    missing: dict[str, str] = {}
    runners = torch_runners(card, missing) | engine_runners(card, profile, missing)
    machine = nvidia()
    results = []
    for side, batch in itertools.product(options.sides, options.batches) if runners else ():
        medians = measure(runners, inputs(side, batch), options.rounds)
        results.append({"side": side, "batch": batch, "median_ms": medians})
    report = {
        "model": card.name,
        "gpus": [gpu.name for gpu in machine.gpus] or machine.why_not,
        "driver": machine.driver or None,
        "python": platform.python_version(),
        "results": results,
        "missing": missing,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
