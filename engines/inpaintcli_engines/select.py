"""The list of all backends, and the choice among them with its reason."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from inpaintcli_engines.backends import onnxruntime_any, openvino_cpu, tensorrt_gpu
from inpaintcli_engines.base import (
    Backend,
    Engine,
    EngineError,
    EngineUnavailableError,
    LoadOptions,
    NullReporter,
    Profile,
    Reporter,
    as_it_is,
)
from inpaintcli_engines.nvidia import nvidia

# In order of preference; mypy checks every module against the protocol.
BACKENDS: tuple[Backend, ...] = (tensorrt_gpu, openvino_cpu, onnxruntime_any)


@dataclass(frozen=True)
class Choice:
    """An engine, and in words why it was chosen.

    `fallback` says that there is a GPU and why it is not used, for the user to be shown once; it is
    empty where there is nothing to say.
    """

    engine: Engine
    why: str
    fallback: str = ""


def available_backends(device: str = "cpu") -> dict[str, str | None]:
    """Every backend by name, with the reason why it cannot run on `device`; None where it can."""
    return {backend.NAME: backend.why_not(device) for backend in BACKENDS}


def open_engine(
    path: Path,
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    profile: Profile | None = None,
    report: Reporter | None = None,
    adapt: Callable[[Engine], Engine] = as_it_is,
) -> Choice:
    """Load an ONNX model with the engine asked for, or with the first that can run it.

    With `device` auto an NVIDIA GPU comes first; when it cannot be used, for whatever reason, the
    CPU is used and `Choice.fallback` says why.

    Args:
        path: the ONNX file.
        engine: a backend's name, or auto.
        device: auto, cpu, cuda[:N], coreml or directml. A device named here is never replaced.
        precision: auto, fp32, bf16 or fp16.
        threads: of the inference; None leaves the number to the engine.
        profile: the batches and sides that it will run at; some engines compile for them.
        report: receives messages and progress, such as that of a compilation.
        adapt: see `LoadOptions`.

    Raises:
        EngineUnavailableError: this machine lacks the engine, device or precision.
        EngineFailedError: the engine cannot load the model.
    """
    options = LoadOptions(
        precision=precision,
        threads=threads,
        profile=profile or Profile(),
        report=report or NullReporter(),
        adapt=adapt,
    )
    if device != "auto" or engine in _names("cuda", only=True):
        return _load_on_device(
            path, engine, replace(options, device=device.replace("auto", "cuda"))
        )
    choice, reasons = _load_on_gpu(path, engine, options)
    if choice is not None:
        return choice
    found = _load_on_device(path, engine, options)
    if nvidia().gpus and engine in ("auto", *_names("cuda")):
        fallback = f"The GPU is not used: {'; '.join(reasons)}. `inpaintcli doctor` says more."
        return Choice(found.engine, f"{'; '.join(reasons)}; {found.why}", fallback)
    return found


def _load_on_gpu(path: Path, engine: str, options: LoadOptions) -> tuple[Choice | None, list[str]]:
    """The first engine that can use the GPU, or the reasons why none can."""
    reasons: list[str] = []
    if not nvidia().gpus:
        return None, reasons
    for backend in BACKENDS:
        if "cuda" not in backend.DEVICES or engine not in ("auto", backend.NAME):
            continue
        reason = backend.why_not("cuda")
        if reason is None:
            try:
                loaded = backend.load(path, replace(options, device="cuda"))
            except EngineError as error:
                reason = error.message
            else:
                why = f"{backend.NAME} on {loaded.info.device}: the first that serves the GPU"
                return Choice(loaded, "; ".join([*reasons, why])), reasons
        reasons.append(f"not {backend.NAME}: {reason}")
    return None, reasons


def _load_on_device(path: Path, engine: str, options: LoadOptions) -> Choice:
    """The engine asked for, or the first that can, on `options.device` and no other."""
    device = options.device
    backend, why = _first_by_preference(device) if engine == "auto" else _named(engine, device)
    loaded = backend.load(path, options)
    if options.precision == "auto":
        why += f"; {loaded.info.precision}: the fastest that it does well on this processor"
    return Choice(loaded, why)


def _names(device: str, *, only: bool = False) -> list[str]:
    """The backends that have a device; with `only`, those that have no other."""
    having = [b for b in BACKENDS if device in b.DEVICES]
    return [b.NAME for b in having if not only or set(b.DEVICES) == {device}]


def _named(name: str, device: str) -> tuple[Backend, str]:
    backend = next((backend for backend in BACKENDS if name == backend.NAME), None)
    if backend is None:
        known = ", ".join(backend.NAME for backend in BACKENDS)
        raise EngineUnavailableError(
            f"There is no engine '{name}'; there are {known}.", hint="Use --engine auto."
        )
    reason = backend.why_not(device)
    if reason is not None:
        raise EngineUnavailableError(
            f"--engine {name} on {device}: {reason}.", hint="Use --engine auto."
        )
    return backend, f"{name} on {device}: asked for"


def _first_by_preference(device: str) -> tuple[Backend, str]:
    passed: list[str] = []
    for backend in BACKENDS:
        if device.partition(":")[0] not in backend.DEVICES:
            continue
        reason = backend.why_not(device)
        if reason is None:
            passed.append(f"{backend.NAME} on {device}: the first choice that serves")
            return backend, "; ".join(passed)
        passed.append(f"not {backend.NAME}: {reason}")
    if not passed:
        known = ", ".join(sorted({kind for backend in BACKENDS for kind in backend.DEVICES}))
        raise EngineUnavailableError(
            f"There is no device '{device}'; there are {known}.", hint="Use --device auto."
        )
    way_out = "Use --device cpu." if device != "cpu" else "Install openvino or onnxruntime."
    raise EngineUnavailableError(
        f"No engine serves the device {device}: {'; '.join(passed)}.", hint=way_out
    )
