"""TensorRT on an NVIDIA GPU: plans built on the machine that runs them, and cached."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from inpaintcli_engines.base import (
    Engine,
    EngineFailedError,
    EngineUnavailableError,
    Precision,
    Profile,
    Reporter,
    Silent,
    cores,
)
from inpaintcli_engines.nvidia import nvidia

if TYPE_CHECKING:
    from inpaintcli_engines.tensorrt.cuda import Cuda

NAME = "tensorrt"
DEVICES: tuple[str, ...] = ("cuda",)
_PACKAGES = {"tensorrt": "tensorrt", "cuda.bindings": "cuda-python", "onnx": "onnx"}
_PRECISIONS: dict[str, tuple[Precision, ...]] = {
    # What to try, in order. The first that agrees with the CPU is taken.
    "auto": ("fp16", "fp32"),
    "fp32": ("fp32",),
    "bf16": ("bf16",),
    "fp16": ("fp16",),
}
_BF16_FROM = 8.0  # compute capability: Ampere


def why_not(device: str) -> str | None:
    """Why this engine cannot serve `device` here; None when it can."""
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


def load(
    path: Path,
    *,
    device: str,
    precision: str,
    threads: int | None,
    profile: Profile | None = None,
    report: Reporter | None = None,
) -> Engine:
    """Open an ONNX model on a GPU; its plan is built the first time, which takes minutes.

    Args:
        path: the ONNX file.
        device: cuda or cuda:N.
        precision: fp32, bf16, fp16, or auto: fp16 if its plan agrees with the CPU, else fp32.
        threads: of what else the program does for this model; the GPU needs none.
        profile: the batches and sides to build for.
        report: takes what is to be said while it builds.

    Raises:
        EngineUnavailableError: no such GPU, or it lacks the precision.
        EngineFailedError: no plan can be built, or it disagrees with the CPU.
    """
    from inpaintcli_engines.tensorrt.cuda import Cuda

    profile, report = profile or Profile(), report or Silent()
    try:
        cuda = Cuda(int(device.partition(":")[2] or 0))
    except (ImportError, RuntimeError) as error:
        raise EngineUnavailableError(
            f"CUDA cannot be used: {error}.", hint="`inpaintcli doctor` says what is missing."
        ) from error
    try:
        return _first_that_agrees(path, cuda, precision, threads or cores(), profile, report)
    except BaseException:
        cuda.close()
        raise


def _first_that_agrees(
    path: Path, cuda: "Cuda", precision: str, threads: int, profile: Profile, report: Reporter
) -> Engine:
    """The engine of the first precision whose plan is accepted."""
    from inpaintcli_engines.backends.reference import reference_engine
    from inpaintcli_engines.tensorrt.plans import obtain_plan
    from inpaintcli_engines.tensorrt.runner import TensorRTEngine, describe

    name, capability = cuda.properties()
    if precision == "bf16" and float(capability) < _BF16_FROM:
        raise EngineUnavailableError(f"{name} has no bf16.", hint="Use --precision fp16.")
    kind, *others = _PRECISIONS[precision]
    try:
        plan, _entry = obtain_plan(path, cuda, kind, profile, report, reference=reference_engine)
    except EngineFailedError as error:
        if not others:
            raise
        report.note(f"{error.message} Trying {others[0]}.")
        return _first_that_agrees(path, cuda, others[0], threads, profile, report)
    except (ImportError, RuntimeError, MemoryError) as error:
        raise EngineFailedError(f"TensorRT cannot load {path.name}: {error}") from error
    return TensorRTEngine(plan, cuda, profile, describe(cuda, kind, threads), report)
