"""Compares an exported graph with torch, on the same pictures with the same holes."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from inpaintcli_engines.backends import openvino_cpu
from numpy.typing import NDArray
from torch import nn

from inpaintcli.errors import ExitCode, InpaintError
from inpaintcli_training.data.masks import KINDS
from inpaintcli_training.export.parity_samples import ParitySamples
from inpaintcli_training.family import BaseGenerator

TOLERANCE = 1e-3  # over holes, of a range of 2: an eighth of an 8-bit grey level
LEAST_AGREEMENT = 0.99  # share of hole pixels, for outputs that an argmax selects
_UNITS = ((4, 4), (7, 11), (16, 12))  # the heights and widths compared, of 16 pixels each
Floats = NDArray[np.float32]
Outputs = dict[str, Floats]  # by name, as a generator's `outputs`
Run = Callable[[Floats, Floats], Outputs]


class ExportError(InpaintError):
    """The exported graph does not compute what the generator does; nothing was written."""

    code = ExitCode.MODEL


@dataclass(frozen=True)
class ExportParity:
    """How the exported graph compares with torch, over the holes of photos.

    `max_abs` is the largest difference from torch with the same rounded weights. `fp16_psnr_db`
    is the peak signal-to-noise ratio between fp16-stored and fp32 weights, both run in torch.
    `openvino_max_abs` is as `max_abs`, of OpenVINO at fp32; None where it is not installed.
    `choices_agree` is the least share of hole pixels at which the outputs that an argmax selects
    are the same; None where the generator has none.
    """

    max_abs: float
    fp16_psnr_db: float
    openvino_max_abs: float | None
    sizes: tuple[tuple[int, int], ...]  # height, width
    pictures: str  # where the pictures come from, in words
    choices_agree: float | None = None


def compare(
    model: bytes, generator: BaseGenerator, exact: BaseGenerator, samples: ParitySamples
) -> ExportParity:
    """Run the model and torch on the same pictures.

    Args:
        model: the ONNX model.
        generator: with rounded weights.
        exact: the same with the weights before rounding.
        samples: the photos that the pictures are cropped from.

    Raises:
        ExportError: a runtime's output differs from torch's by more than `TOLERANCE` in a hole.
    """
    runtimes = {"ONNX Runtime": _onnxruntime(model), "OpenVINO": _openvino(model)}
    found = {name: _Difference() for name, run in runtimes.items() if run is not None}
    squares: list[float] = []
    unit = math.lcm(16, size_multiple_of(generator))
    sizes = [(unit * h, unit * w) for h, w in _UNITS]
    for number, size in enumerate(sizes):
        image, mask = _pictures(samples, size, batch=1 + 2 * (number % 2), seed=number)
        if generator.objects:
            mask = _with_objects(mask)
        expected = _torch(generator)(image, mask)
        unrounded = _torch(exact)(image, mask)["filled"]
        squares.extend(_in_hole(expected["filled"] - unrounded, mask) ** 2)
        for name, difference in found.items():
            difference.add(_call(runtimes[name], image, mask), expected, mask, generator)
    for name, difference in found.items():
        _check(name, difference)
    noise = max(float(np.mean(squares)), 1e-20)
    openvino = found.get("OpenVINO")
    return ExportParity(
        max_abs=found["ONNX Runtime"].max_abs,
        fp16_psnr_db=10 * math.log10(2**2 / noise),
        openvino_max_abs=openvino.max_abs if openvino else None,
        sizes=tuple(sizes),
        pictures=samples.about,
        choices_agree=min((d.agree for d in found.values()), default=1.0)
        if _choices(generator)
        else None,
    )


class _Difference:
    """The largest difference of a runtime from torch so far, over holes."""

    def __init__(self) -> None:
        self.max_abs = 0.0
        self.agree = 1.0

    def add(self, found: Outputs, expected: Outputs, mask: Floats, generator: nn.Module) -> None:
        """Include the outputs of one run."""
        for name, wanted in expected.items():
            difference = np.abs(_in_hole(found[name] - wanted, mask))
            if name in _choices(generator):
                self.agree = min(self.agree, float(np.mean(difference <= TOLERANCE)))
            else:
                worst = float(np.nan_to_num(difference, nan=np.inf).max())
                self.max_abs = max(self.max_abs, worst)


def _in_hole(values: Floats, mask: Floats) -> Floats:
    """The values of (n, c, h, w) under the mask (n, 1, h, w), flat."""
    inside: Floats = values[np.broadcast_to(mask > 0, values.shape)]
    return inside


def _choices(generator: Any) -> frozenset[str]:
    """The outputs that an argmax selects."""
    choices: frozenset[str] = generator.choices
    return choices


def _check(runtime: str, difference: _Difference) -> None:
    hint = "Nothing was written. Are the weights finite, and the packages of one release?"
    if not difference.max_abs <= TOLERANCE:
        raise ExportError(
            f"In {runtime} the exported graph differs from torch by {difference.max_abs:.3g} in a "
            f"hole; at most {TOLERANCE:g} is accepted.",
            hint=hint,
        )
    if difference.agree < LEAST_AGREEMENT:
        raise ExportError(
            f"In {runtime} the exported graph differs from torch: it picks the same at "
            f"{difference.agree:.2%} of the hole only; {LEAST_AGREEMENT:.0%} is accepted.",
            hint=hint,
        )


def _call(run: Run | None, image: Floats, mask: Floats) -> Outputs:
    """Run; whatever a runtime raises becomes an `ExportError`."""
    try:
        return run(image, mask) if run else {}
    except Exception as error:
        raise ExportError(f"The exported graph does not run: {error}.") from error


def _torch(generator: Any) -> Run:
    @torch.no_grad()
    def run(image: Floats, mask: Floats) -> Outputs:
        outputs = generator(torch.from_numpy(image), torch.from_numpy(mask))
        tensors = outputs if isinstance(outputs, tuple) else (outputs,)
        return {
            name: tensor.numpy() for name, tensor in zip(generator.outputs, tensors, strict=True)
        }

    return run


def _onnxruntime(model: bytes) -> Run:
    import onnxruntime  # heavy, and only needed here

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # else it warns of weights that only training needs
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    names = [output.name for output in session.get_outputs()]

    def run(image: Floats, mask: Floats) -> Outputs:
        return dict(zip(names, session.run(names, {"image": image, "mask": mask}), strict=True))

    return run


def _openvino(model: bytes) -> Run | None:
    try:
        openvino = openvino_cpu.import_openvino()
    except ImportError:
        return None
    # OpenVINO would use bf16 by default on CPUs that have it, which differs from torch by 1e-3.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", settings)

    def run(image: Floats, mask: Floats) -> Outputs:
        results = compiled({"image": image, "mask": mask})
        return {port.get_any_name(): results[port] for port in compiled.outputs}

    return run


def _pictures(
    samples: ParitySamples, size: tuple[int, int], *, batch: int, seed: int
) -> tuple[Floats, Floats]:
    """Pictures (batch, 3, h, w) in [-1, 1] and random holes."""
    height, width = size
    rng = np.random.default_rng(seed)
    parts, masks = [], []
    for number in range(batch):
        parts.append(samples.crop(seed + number, height, width, rng).transpose(2, 0, 1))
        kind = ("rectangle", "brush", "blob")[(seed + number) % 3]
        hole = KINDS[kind](max(size), rng)[:height, :width]
        hole[height // 3 : height // 2, width // 3 : width // 2] = True  # never without a hole
        masks.append(hole[None])
    image = np.stack(parts).astype(np.float32) / np.float32(127.5) - 1
    return np.ascontiguousarray(image, np.float32), np.stack(masks).astype(np.float32)


def _with_objects(mask: Floats) -> Floats:
    """The mask with 0.5 beside its holes, as pasted objects are marked."""
    moved = np.roll(mask, (mask.shape[2] // 3, mask.shape[3] // 3), (2, 3))
    return np.maximum(mask, moved / 2)


def size_multiple_of(generator: Any) -> int:
    """Height and width must be multiples of this many pixels."""
    return int(generator.size_multiple)
