"""OpenVINO on the CPU: the default where its wheel exists."""

import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli_engines.base import (
    Arrays,
    Engine,
    EngineFailedError,
    EngineInfo,
    EngineUnavailableError,
    Precision,
    Profile,
    Reporter,
    TensorSpec,
)

NAME = "openvino"
DEVICES: tuple[str, ...] = ("cpu",)
_KERNELS_KEPT = 1000
"""About a hundred for each size of input. OpenVINO's own limit, 5000, lets an engine that meets
ever new sizes grow to 0.9 GB; with this one it stays below 0.5 GB."""
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_CAPABILITIES: dict[str, Precision] = {"BF16": "bf16", "FP16": "fp16", "FP32": "fp32"}


def why_not(device: str) -> str | None:
    """Why this engine cannot serve `device` here; None when it can."""
    if device not in DEVICES:
        return f"OpenVINO runs on the CPU here, not on {device}"
    if find_spec("openvino") is None:
        return "the package openvino is not installed (pip install openvino)"
    return None


def imported() -> Any:
    """The package openvino, without its telemetry.

    Its import sends an event to Google and leaves a number for this user in the home folder
    (openvino/tools/ovc/__init__.py) unless it finds no package openvino_telemetry.

    Raises:
        ImportError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # not to be found
    import openvino

    return openvino


def load(
    path: Path,
    *,
    device: str,
    precision: str,
    threads: int | None,
    profile: Profile | None = None,  # noqa: ARG001 - takes any size
    report: Reporter | None = None,  # noqa: ARG001 - has nothing to say
) -> Engine:
    """Compile an ONNX model for the CPU.

    Args:
        path: the ONNX file.
        device: cpu.
        precision: fp32, bf16, fp16, or auto: bf16 where the processor has it, else fp32.
            OpenVINO's own default differs by processor, so the hint is always set.
        threads: of the inference; None leaves it to OpenVINO (one a physical core).
        profile: not used.
        report: not used.

    Raises:
        EngineUnavailableError: the processor lacks the precision.
        EngineFailedError: the model cannot be compiled.
    """
    ov = imported()

    core = ov.Core()
    found = _precisions(core)
    if precision != "auto" and precision not in found:
        raise EngineUnavailableError(
            f"OpenVINO has no {precision} on this processor; it has {', '.join(found)}.",
            hint="Use --precision auto.",
        )
    chosen: Precision = found[0] if precision == "auto" else _precision(precision)
    config: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[chosen],
        "PERFORMANCE_HINT": "LATENCY",
        # Pinned, the threads of every engine of a machine would sit on its first cores: two
        # workers of one thread each had the throughput of one.
        "ENABLE_CPU_PINNING": False,
        "CPU_RUNTIME_CACHE_CAPACITY": _KERNELS_KEPT,
    }
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = threads
    try:
        compiled = core.compile_model(core.read_model(path), device.upper(), config)
    except RuntimeError as error:
        raise EngineFailedError(f"OpenVINO cannot load {path.name}: {error}") from error
    return _OpenVinoEngine(compiled, device, chosen)


def precisions() -> list[Precision]:
    """What OpenVINO computes in on this processor, the one that it takes first."""
    ov = imported()

    return _precisions(ov.Core())


def _precisions(core: Any) -> list[Precision]:
    """What the processor has, the fastest first: bf16, then fp32, then the rest.

    fp16 comes last: where a CPU has it, its range is too small to be the silent choice.
    """
    have = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    order: list[Precision] = ["bf16", "fp32", "fp16"]
    named = {_CAPABILITIES[name] for name in have if name in _CAPABILITIES} | {"fp32"}
    return [precision for precision in order if precision in named]


def _precision(name: str) -> Precision:
    return {"fp32": "fp32", "bf16": "bf16", "fp16": "fp16"}[name]  # type: ignore[return-value]


class _OpenVinoEngine(Engine):
    def __init__(self, compiled: Any, device: str, precision: Precision) -> None:
        self._request = compiled.create_infer_request()
        threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self.info = EngineInfo(NAME, device, precision, version("openvino"), threads)
        self.inputs = tuple(_spec(port) for port in compiled.inputs)
        self.outputs = tuple(_spec(port) for port in compiled.outputs)

    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        results = self._request.infer(dict(arrays))
        return {spec.name: np.array(results[spec.name]) for spec in self.outputs}

    def close(self) -> None:
        self._request = None


def _spec(port: Any) -> TensorSpec:
    shape = tuple(
        None if dimension.is_dynamic else int(dimension.get_length())
        for dimension in port.get_partial_shape()
    )
    return TensorSpec(port.get_any_name(), shape, np.dtype(port.get_element_type().to_dtype()))
