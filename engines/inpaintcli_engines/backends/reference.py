"""What a new TensorRT plan is compared with: the model on the CPU, in fp32."""

from pathlib import Path
from typing import Any

from inpaintcli_engines.backends import onnxruntime_any, openvino_cpu
from inpaintcli_engines.base import Engine, EngineUnavailableError


def reference_engine(path: Path) -> Engine:
    """The model on the CPU in fp32.

    Raises:
        EngineUnavailableError: no CPU engine is installed.
    """
    reasons = []
    backends: tuple[Any, ...] = (openvino_cpu, onnxruntime_any)
    for backend in backends:
        reason = backend.why_not("cpu")
        if reason is None:
            engine: Engine = backend.load(path, device="cpu", precision="fp32", threads=None)
            return engine
        reasons.append(reason)
    raise EngineUnavailableError(
        f"A plan is compared with the CPU before it is kept, but {'; '.join(reasons)}.",
        hint="pip install onnxruntime",
    )
