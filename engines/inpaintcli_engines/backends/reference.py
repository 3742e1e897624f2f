"""The reference that a new TensorRT plan is compared with: the model on the CPU, in fp32."""

from pathlib import Path

from inpaintcli_engines.backends import onnxruntime_any, openvino_cpu
from inpaintcli_engines.base import Backend, Engine, EngineUnavailableError, LoadOptions


def reference_engine(path: Path) -> Engine:
    """Load the model on the CPU in fp32.

    Raises:
        EngineUnavailableError: no CPU engine is installed.
    """
    reasons = []
    backends: tuple[Backend, ...] = (openvino_cpu, onnxruntime_any)
    for backend in backends:
        reason = backend.why_not("cpu")
        if reason is None:
            return backend.load(path, LoadOptions(device="cpu", precision="fp32"))
        reasons.append(reason)
    raise EngineUnavailableError(
        f"A plan is compared with the CPU before it is installed, but {'; '.join(reasons)}.",
        hint="pip install onnxruntime",
    )
