"""TensorRT on an NVIDIA GPU: plans are built on the machine that runs them, and cached."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from inpaintcli_engines.base import (
    Engine,
    EngineFailedError,
    EngineUnavailableError,
    LoadOptions,
    Precision,
    cores,
)
from inpaintcli_engines.nvidia import nvidia

if TYPE_CHECKING:
    from inpaintcli_engines.tensorrt.cuda import Cuda

NAME = "tensorrt"
DEVICES: tuple[str, ...] = ("cuda",)
_PACKAGES = {"tensorrt": "tensorrt", "cuda.bindings": "cuda-python", "onnx": "onnx"}
_PRECISIONS: dict[str, tuple[Precision, ...]] = {
    # Tried in this order; the first whose plan agrees with the CPU is used.
    "auto": ("fp16", "fp32"),
    "fp32": ("fp32",),
    "bf16": ("bf16",),
    "fp16": ("fp16",),
}
_MIN_BF16_CAPABILITY = 8.0  # Ampere


def why_not(device: str) -> str | None:
    """The reason why TensorRT cannot run on `device` here; None when it can."""
    if device.partition(":")[0] not in DEVICES:
        return f"TensorRT runs on an NVIDIA GPU, not on {device}"
    if nvidia().why_not is not None:
        return nvidia().why_not
    missing = [package for module, package in _PACKAGES.items() if not _found(module)]
    if missing:
        return f"the package {missing[0]} is not installed (pip install 'inpaintcli[tensorrt]')"
    return None


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def load(path: Path, options: LoadOptions) -> Engine:
    """Open an ONNX model on a GPU; its plan is built the first time, which takes minutes.

    Precision auto is fp16 if its plan agrees with the CPU, else fp32. The plan is built for the
    batches and sides of `options.profile`. The GPU itself needs no threads: their number is only
    passed on, for what else the program does for this model.

    Raises:
        EngineUnavailableError: no such GPU, or it lacks the precision.
        EngineFailedError: no plan can be built, or it disagrees with the CPU.
    """
    from inpaintcli_engines.tensorrt.cuda import Cuda

    try:
        cuda = Cuda(int(options.device.partition(":")[2] or 0))
    except (ImportError, RuntimeError) as error:
        raise EngineUnavailableError(
            f"CUDA cannot be used: {error}.", hint="`inpaintcli doctor` says what is missing."
        ) from error
    try:
        return _load_first_accurate(path, cuda, options, options.precision)
    except BaseException:
        cuda.close()
        raise


def _load_first_accurate(path: Path, cuda: "Cuda", options: LoadOptions, precision: str) -> Engine:
    """The engine of the first precision, from `precision` on, whose plan agrees with the CPU."""
    from inpaintcli_engines.backends.reference import reference_engine
    from inpaintcli_engines.tensorrt.cache import PlanRejectedError
    from inpaintcli_engines.tensorrt.parity import Comparison
    from inpaintcli_engines.tensorrt.plans import get_plan, note_once
    from inpaintcli_engines.tensorrt.runner import TensorRTEngine, engine_info

    name, capability = cuda.properties()
    if precision == "bf16" and float(capability) < _MIN_BF16_CAPABILITY:
        raise EngineUnavailableError(f"{name} has no bf16.", hint="Use --precision fp16.")
    kind, *others = _PRECISIONS[precision]
    try:
        plan, _entry = get_plan(
            path,
            cuda,
            kind,
            options.profile,
            options.report,
            comparison=Comparison(reference_engine, options.adapt),
        )
    except EngineFailedError as error:
        if not others:
            raise
        digest = error.digest if isinstance(error, PlanRejectedError) else ""
        note_once(options.report, digest or error.message, f"{error.message} Trying {others[0]}.")
        return _load_first_accurate(path, cuda, options, others[0])
    except (ImportError, RuntimeError, MemoryError) as error:
        raise EngineFailedError(f"TensorRT cannot load {path.name}: {error}") from error
    info = engine_info(cuda, kind, options.threads or cores())
    return TensorRTEngine(plan, cuda, options.profile, info, options.report)
