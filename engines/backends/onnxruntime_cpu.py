"""ONNX Runtime on the CPU: where OpenVINO has no wheel, and to check it against."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.base import (
    Arrays,
    Engine,
    EngineFailedError,
    EngineInfo,
    EngineUnavailableError,
    TensorSpec,
    cores,
)

NAME = "onnxruntime"
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}


def why_not(device: str) -> str | None:
    """Why this engine cannot serve `device` here; None when it can."""
    if device != "cpu":
        return f"ONNX Runtime runs on the CPU here, not on {device}"
    if find_spec("onnxruntime") is None:
        return "the package onnxruntime is not installed (pip install onnxruntime)"
    return None


def load(path: Path, *, device: str, precision: str, threads: int | None) -> Engine:
    """Open an ONNX model on the CPU, in fp32, the only arithmetic its CPU kernels have.

    Args:
        path: the ONNX file.
        device: cpu.
        precision: fp32 or auto.
        threads: of the inference; None takes one a core that this process may use.

    Raises:
        EngineUnavailableError: another precision was asked for.
        EngineFailedError: the model cannot be loaded.
    """
    import onnxruntime

    if precision not in ("auto", "fp32"):
        raise EngineUnavailableError(
            f"ONNX Runtime computes in fp32 on the CPU, not in {precision}.",
            hint="Use --precision fp32 or --engine openvino.",
        )
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.log_severity_level = 3  # errors only: they come as exceptions as well
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise EngineFailedError(f"ONNX Runtime cannot load {path.name}: {error}") from error
    return _OnnxRuntimeEngine(session, device, options.intra_op_num_threads)


class _OnnxRuntimeEngine(Engine):
    def __init__(self, session: Any, device: str, threads: int) -> None:
        self._session = session
        self.info = EngineInfo(NAME, device, "fp32", version("onnxruntime"), threads)
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())

    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        names = [spec.name for spec in self.outputs]
        try:
            results = self._session.run(names, dict(arrays))
        except Exception as error:  # its errors share no base class but Exception
            raise RuntimeError(str(error)) from error
        return dict(zip(names, results, strict=True))

    def close(self) -> None:
        self._session = None


def _spec(value: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return TensorSpec(value.name, shape, np.dtype(_DTYPES[value.type]))
