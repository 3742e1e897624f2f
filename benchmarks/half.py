"""What would a GPU in fp16 lose? Prints a JSON object for each model.

python benchmarks/half.py FOLDER [--models NAME ...] [--limit 10]

FOLDER holds photos with masks (NAME.mask.EXT). Each model (all that are found) is converted to
half precision as for TensorRT and run on its inputs when the photos are filled: once as ONNX
Runtime runs an fp16 model on the CPU, which is in fp32 between two casts, and once with every fp16
value rounded to the 11 bits that fp16 keeps (tests/engines/halves.py). Printed are hole PSNR
against fp32, over all photos and of the worst one, and the largest fp16 value, where 65,504 is the
limit; and hole PSNR of the default CPU engine in its default precision. Needs a checkout, onnx and
ONNX Runtime.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from inpaintcli_engines.base import Arrays
from inpaintcli_engines.half_precision import convert_precision
from inpaintcli_engines.select import open_engine
from recorded_inputs import decibels, recorded, squares

from inpaintcli.models.cards import Card, cards, find_card
from tests.engines.halves import half_values, rounded

MIN_DB = 40.0  # of every photo


def session(model: bytes) -> Any:
    """The model in ONNX Runtime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def compared(card: Card, photos: list[list[Arrays]]) -> dict[str, Any]:
    """PSNR of a model in half precision against itself in fp32, and its largest value."""
    exact = card.file.read_bytes()
    half = convert_precision(exact, "fp16")
    reference, on_cpu, watched = (session(m) for m in (exact, half, rounded(half, watch=True)))
    names = ["filled", *half_values(half)]
    differences: dict[str, list[Any]] = {"on_cpu": [], "rounded": []}
    worst, largest = np.inf, 0.0
    for seen in photos:
        of_photo = []
        for arrays in seen:
            [expected] = reference.run(["filled"], arrays)
            [filled] = on_cpu.run(["filled"], arrays)
            values = dict(zip(names, watched.run(names, arrays), strict=True))
            largest = max(largest, *(float(np.abs(values[n]).max()) for n in names[1:]))
            differences["on_cpu"].append(squares(filled, expected, arrays["mask"]))
            of_photo.append(squares(values["filled"], expected, arrays["mask"]))
        worst = min(worst, decibels(of_photo))
        differences["rounded"] += of_photo
    return {
        "as_onnxruntime_runs_it_db": round(decibels(differences["on_cpu"]), 1),
        "rounded_db": round(decibels(differences["rounded"]), 1),
        "worst_photo_db": round(worst, 1),
        "enough": worst >= MIN_DB,
        "largest": round(largest, 1),
    }


def on_the_cpu(card: Card, photos: list[list[Arrays]]) -> dict[str, Any]:
    """PSNR of the default engine, at the precision that it takes, against itself in fp32."""
    with (
        open_engine(card.file, device="cpu").engine as engine,
        open_engine(card.file, device="cpu", precision="fp32").engine as exact,
    ):
        differences = [
            squares(*(e.run(arrays)["filled"] for e in (engine, exact)), arrays["mask"])
            for seen in photos
            for arrays in seen
        ]
        return {f"{engine.info.name}_{engine.info.precision}_db": round(decibels(differences), 1)}


def main() -> None:
    """Print the figures of each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=sorted(cards()))
    parser.add_argument("--limit", type=int, default=10)
    options = parser.parse_args()
    for card in map(find_card, options.models):
        photos = recorded(options.folder, card, options.limit)
        result: dict[str, Any] = {"model": card.name, "photos": len(photos)}
        result |= on_the_cpu(card, photos) | compared(card, photos)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
