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
    LoadOptions,
    Precision,
    TensorSpec,
)

NAME = "openvino"
DEVICES: tuple[str, ...] = ("cpu",)
_KERNEL_CACHE_SIZE = 1000
"""A size of input takes about a hundred kernels. With OpenVINO's own limit of 5000, an engine that
meets ever new sizes grows to 0.9 GB; with this one it stays below 0.5 GB."""
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_CAPABILITIES: dict[str, Precision] = {"BF16": "bf16", "FP16": "fp16", "FP32": "fp32"}


def why_not(device: str) -> str | None:
    """The reason why OpenVINO cannot run on `device` here; None when it can."""
    if device not in DEVICES:
        return f"OpenVINO runs on the CPU here, not on {device}"
    if find_spec("openvino") is None:
        return "the package openvino is not installed (pip install openvino)"
    return None


def import_openvino() -> Any:
    """Import the package openvino, without its telemetry.

    Its import sends an event to Google and leaves a number for this user in the home folder
    (openvino/tools/ovc/__init__.py) unless it finds no package openvino_telemetry.

    Raises:
        ImportError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # not to be found
    import openvino

    return openvino


def load(path: Path, options: LoadOptions) -> Engine:
    """Compile an ONNX model for the CPU.

    Precision auto is bf16 where the processor has it, else fp32: OpenVINO's own default differs by
    processor, so the precision is always set. Without a number of threads OpenVINO takes one a
    physical core.

    Raises:
        EngineUnavailableError: the processor lacks the precision.
        EngineFailedError: the model cannot be compiled.
    """
    core = import_openvino().Core()
    precision = _choose_precision(options.precision, _supported_precisions(core))
    config: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        # With pinning, the threads of every engine of a machine would share its first cores: two
        # workers of one thread each had the throughput of one.
        "ENABLE_CPU_PINNING": False,
        "CPU_RUNTIME_CACHE_CAPACITY": _KERNEL_CACHE_SIZE,
    }
    if options.threads is not None:
        config["INFERENCE_NUM_THREADS"] = options.threads
    try:
        compiled = core.compile_model(core.read_model(path), options.device.upper(), config)
    except RuntimeError as error:
        raise EngineFailedError(f"OpenVINO cannot load {path.name}: {error}") from error
    return _OpenVinoEngine(compiled, options.device, precision)


def precisions() -> list[Precision]:
    """The precisions that OpenVINO has on this processor, its default first."""
    return _supported_precisions(import_openvino().Core())


def _supported_precisions(core: Any) -> list[Precision]:
    """The precisions that the processor has, the fastest first: bf16, then fp32, then the rest.

    fp16 comes last: where a CPU has it, its range is too small for a default.
    """
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    order: list[Precision] = ["bf16", "fp32", "fp16"]
    named = {_CAPABILITIES[name] for name in capabilities if name in _CAPABILITIES} | {"fp32"}
    return [precision for precision in order if precision in named]


def _choose_precision(wanted: str, supported: list[Precision]) -> Precision:
    if wanted == "auto":
        return supported[0]
    for precision in supported:
        if precision == wanted:
            return precision
    raise EngineUnavailableError(
        f"OpenVINO has no {wanted} on this processor; it has {', '.join(supported)}.",
        hint="Use --precision auto.",
    )


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
