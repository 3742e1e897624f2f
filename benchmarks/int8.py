"""What does int8 cost and give on the CPU? Prints JSON.

python benchmarks/int8.py FOLDER [--limit 40] [--rounds 9] [--save MODEL.onnx]

FOLDER holds photos with masks (NAME.mask.EXT). What the model sees of them in a fill is recorded;
every fourth photo calibrates (min-max, per-channel weights, convolutions of more than sixteen
channels: the membrane stays as it is), the others are measured: hole PSNR of int8 against fp32, and
OpenVINO's time against bf16 and fp32, in turns. Needs ONNX Runtime and onnx.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from inpaintcli_engines.backends import openvino_cpu
from inpaintcli_engines.base import Arrays, Engine, LoadOptions
from inpaintcli_engines.half_precision import convert_precision
from recorded_inputs import decibels, recorded, squares

from inpaintcli.models.cards import find_card

MIN_DB = 38.0  # below it an int8 variant of a model is not worth having
_MEMBRANE_CHANNELS = 16


def quantised(model: bytes, inputs: list[Arrays], folder: Path) -> Path:
    """The model with int8 convolutions, calibrated on the inputs."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._remaining: Iterator[Arrays] = iter(inputs)

        def get_next(self) -> Arrays | None:
            return next(self._remaining, None)

    graph = onnx.load_from_string(model).graph
    channels = {tensor.name: tensor.dims[1] for tensor in graph.initializer if len(tensor.dims) > 1}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    source, target = folder / "fp32.onnx", folder / "int8.onnx"
    source.write_bytes(model)
    logging.disable(logging.WARNING)  # it recommends to optimise first, which changes nothing here
    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        nodes_to_quantize=[
            n.name for n in convolutions if channels.get(n.input[1], 0) > _MEMBRANE_CHANNELS
        ],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return target


def hole_psnr(engine: Engine, exact: Engine, inputs: list[Arrays]) -> float:
    """Of a range of 2, over the holes of all inputs."""
    return decibels(
        [squares(*(e.run(a)["filled"] for e in (engine, exact)), a["mask"]) for a in inputs]
    )


def times_faster(engine: Engine, other: Engine, rounds: int) -> float:
    """The median ratio of their times at 512x512, in turns."""
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 512, 512)).astype(np.float32)
    arrays = {"image": image, "mask": (image[:, :1] > 0).astype(np.float32)}
    ratios = []
    for _ in range(rounds + 1):
        times = []
        for one in (other, engine):
            started = time.perf_counter()
            one.run(arrays)
            times.append(time.perf_counter() - started)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios[1:])


def main() -> None:
    """Print how well int8 agrees with fp32, how much faster it is, and whether that is enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    card = find_card(options.model)
    photos = recorded(options.folder, card, options.limit)
    calibrating = [arrays for seen in photos[::4] for arrays in seen]
    measured = [arrays for n, seen in enumerate(photos) if n % 4 for arrays in seen]
    with tempfile.TemporaryDirectory() as folder:
        fp32 = convert_precision(card.file.read_bytes(), "fp32")
        int8 = quantised(fp32, calibrating, Path(folder))
        size = int8.stat().st_size
        opened = {
            name: openvino_cpu.load(path, LoadOptions(precision=precision))
            for name, path, precision in (
                ("int8", int8, "auto"),
                ("auto", card.file, "auto"),
                ("fp32", card.file, "fp32"),
            )
        }
        if options.save:
            options.save.write_bytes(int8.read_bytes())
    level = hole_psnr(opened["int8"], opened["fp32"], measured)
    result = {
        "model": card.name,
        "photos": {"calibrating": len(photos[::4]), "measured": len(photos) - len(photos[::4])},
        "int8_against_fp32_db": round(level, 2),
        "enough": level >= MIN_DB,
        "mebibytes": round(size / 2**20, 1),
        "times_faster": {
            f"than {opened[name].info.precision}": round(
                times_faster(opened["int8"], opened[name], options.rounds), 2
            )
            for name in ("auto", "fp32")
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
