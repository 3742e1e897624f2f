"""ONNX Runtime: the CPU where OpenVINO has no wheel, and GPUs without TensorRT.

Which devices it has depends on the wheel: `onnxruntime` has the CPU (on macOS CoreML as well),
`onnxruntime-gpu` CUDA, `onnxruntime-directml` DirectML. Only the CPU has been run by us.
"""

import contextlib
import io
import platform
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
    OutOfDeviceMemoryError,
    Precision,
    Profile,
    Reporter,
    Silent,
    TensorSpec,
    cores,
)
from inpaintcli_engines.batching import Batches
from inpaintcli_engines.half_precision import typed
from inpaintcli_engines.nvidia import nvidia

NAME = "onnxruntime"
DEVICES: tuple[str, ...] = ("cpu", "cuda", "coreml", "directml")
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "'onnxruntime-gpu[cuda,cudnn]'"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
}
_SYSTEMS = {"coreml": "Darwin", "directml": "Windows"}
_PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "cpu": ("fp32",),
    "cuda": ("fp32", "fp16"),
    "coreml": ("fp32",),
    "directml": ("fp32", "fp16"),
}
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}


def why_not(device: str) -> str | None:
    """Why this engine cannot serve `device` here; None when it can."""
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        return f"ONNX Runtime has no device {device}"
    provider, package = _PROVIDERS[kind]
    if platform.system() != _SYSTEMS.get(kind, platform.system()):
        return f"{kind} is part of {_SYSTEMS[kind]}, not of {platform.system()}"
    if find_spec("onnxruntime") is None:
        return f"the package {package} is not installed (pip install {package})"
    if kind == "cuda" and nvidia().why_not is not None:
        return nvidia().why_not
    if kind != "cpu":  # the CPU is in every wheel; to look at the others costs the import
        import onnxruntime

        if provider not in onnxruntime.get_available_providers():
            return f"this wheel of ONNX Runtime has no {kind} (pip install {package} in its place)"
    return None


def load(
    path: Path,
    *,
    device: str,
    precision: str,
    threads: int | None,
    profile: Profile | None = None,  # noqa: ARG001 - takes any size
    report: Reporter | None = None,
) -> Engine:
    """Open an ONNX model.

    Args:
        path: the ONNX file.
        device: cpu, cuda[:N], coreml or directml.
        precision: fp32 or auto; on a GPU also fp16, with types of our own (`inpaintcli_engines.half_precision`).
        threads: of the inference; None takes one a core that this process may use.
        profile: not used.
        report: is told when a batch has to be cut for want of memory.

    Raises:
        EngineUnavailableError: another precision was asked for, or the device does not start.
        EngineFailedError: the model cannot be loaded.
    """
    import onnxruntime

    kind, _, number = device.partition(":")
    chosen = _precision(kind, precision)
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.log_severity_level = 3  # errors only: they come as exceptions as well
    provider = _PROVIDERS[kind][0]
    said = _load_cuda_libraries(onnxruntime) if kind == "cuda" else ""
    settings = {"device_id": number or "0", "use_tf32": "0"} if kind == "cuda" else {}
    model = str(path) if chosen == "fp32" else typed(path.read_bytes(), chosen)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=[(provider, settings)])
    except Exception as error:
        raise EngineFailedError(f"ONNX Runtime cannot load {path.name}: {error}") from error
    if provider not in session.get_providers():  # it falls back to the CPU without a word
        raise EngineUnavailableError(
            f"ONNX Runtime could not start {device}: {said or 'it did not say why'}.",
            hint="`inpaintcli doctor` says what is missing.",
        )
    where = f"cuda:{number or 0}" if kind == "cuda" else kind
    info = EngineInfo(
        NAME, where, chosen, onnxruntime.__version__, int(options.intra_op_num_threads)
    )
    return _OnnxRuntimeEngine(session, info, report or Silent())


def _load_cuda_libraries(onnxruntime: Any) -> str:
    """Load those that pip installed, which the system does not find; what was said meanwhile.

    ONNX Runtime has the function since 1.21 and prints what it cannot load.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
    return "; ".join(said.getvalue().splitlines())


def _precision(kind: str, wanted: str) -> Precision:
    for precision in _PRECISIONS[kind]:
        if wanted in ("auto", precision):
            return precision
    raise EngineUnavailableError(
        f"ONNX Runtime computes in {' or '.join(_PRECISIONS[kind])} on {kind}, not in {wanted}.",
        hint="Use --precision auto.",
    )


class _OnnxRuntimeEngine(Engine):
    def __init__(self, session: Any, info: EngineInfo, report: Reporter) -> None:
        self._session = session
        self._batches = Batches(None, report)
        self.info = info
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())

    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        return self._batches.run(self._run_once, arrays)

    def _run_once(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        names = [spec.name for spec in self.outputs]
        try:
            results = self._session.run(names, dict(arrays))
        except Exception as error:  # its errors share no base class but Exception
            if self.info.device != "cpu" and "Failed to allocate memory" in str(error):
                raise OutOfDeviceMemoryError(str(error)) from error
            raise RuntimeError(str(error)) from error
        return dict(zip(names, results, strict=True))

    def close(self) -> None:
        self._session = None


def _spec(value: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return TensorSpec(value.name, shape, np.dtype(_DTYPES[value.type]))
