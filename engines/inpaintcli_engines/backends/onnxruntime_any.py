"""ONNX Runtime: the CPU where OpenVINO has no wheel, and GPUs without TensorRT.

Which devices it has depends on the wheel: `onnxruntime` has the CPU (on macOS CoreML as well),
`onnxruntime-gpu` CUDA, `onnxruntime-directml` DirectML. So far only the CPU has been tested.
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
    LoadOptions,
    OutOfDeviceMemoryError,
    Precision,
    Reporter,
    TensorSpec,
    cores,
)
from inpaintcli_engines.batching import BatchSplitter
from inpaintcli_engines.half_precision import convert_precision, read_model
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
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


def why_not(device: str) -> str | None:
    """The reason why ONNX Runtime cannot run on `device` here; None when it can."""
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


def load(path: Path, options: LoadOptions) -> Engine:
    """Open an ONNX model in fp32, on CUDA and DirectML also in fp16 (`half_precision`).

    Precision auto is fp32. Without a number of threads it takes one a core that this process may
    use. Reports when a batch is split because the device has too little memory.

    Raises:
        EngineUnavailableError: another precision was asked for, or the device does not start.
        EngineFailedError: the model cannot be loaded.
    """
    import onnxruntime

    kind, _, number = options.device.partition(":")
    precision = _choose_precision(kind, options.precision)
    onnxruntime.disable_telemetry_events()
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = threads = options.threads or cores()
    session_options.log_severity_level = 3  # errors only: they come as exceptions as well
    provider = _PROVIDERS[kind][0]
    printed = _preload_cuda_libraries(onnxruntime) if kind == "cuda" else ""
    settings = {"device_id": number or "0", "use_tf32": "0"} if kind == "cuda" else {}
    model = str(path) if precision == "fp32" else convert_precision(read_model(path), precision)
    try:
        session = onnxruntime.InferenceSession(
            model, session_options, providers=[(provider, settings)]
        )
    except Exception as error:
        raise EngineFailedError(f"ONNX Runtime cannot load {path.name}: {error}") from error
    if provider not in session.get_providers():  # it falls back to the CPU without a word
        raise EngineUnavailableError(
            f"ONNX Runtime could not start {options.device}: {printed or 'it did not say why'}.",
            hint="`inpaintcli doctor` says what is missing.",
        )
    where = f"cuda:{number or 0}" if kind == "cuda" else kind
    unknown = {value.type for value in (*session.get_inputs(), *session.get_outputs())} - {*_DTYPES}
    if unknown:
        raise EngineFailedError(f"{path.name} has inputs or outputs of {', '.join(unknown)}.")
    info = EngineInfo(NAME, where, precision, onnxruntime.__version__, threads)
    return _OnnxRuntimeEngine(session, info, options.report)


def _preload_cuda_libraries(onnxruntime: Any) -> str:
    """Load CUDA's libraries where pip installed them, which the system does not find.

    ONNX Runtime has the function since 1.21 and prints which it cannot load.

    Returns:
        What it printed, on one line.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
    return "; ".join(printed.getvalue().splitlines())


def _choose_precision(kind: str, wanted: str) -> Precision:
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
        self._splitter = BatchSplitter(None, report)
        self.info = info
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())

    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        return self._splitter.run(self._run_once, arrays)

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
