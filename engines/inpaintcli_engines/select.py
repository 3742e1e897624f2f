"""The door: every backend, and the choice among them with its reason."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inpaintcli_engines.backends import onnxruntime_any, openvino_cpu, tensorrt_gpu
from inpaintcli_engines.base import (
    Engine,
    EngineError,
    EngineUnavailableError,
    Profile,
    Reporter,
    Silent,
)
from inpaintcli_engines.nvidia import nvidia


class Backend(Protocol):
    """What a module in `inpaintcli_engines.backends` offers."""

    NAME: str
    DEVICES: tuple[str, ...]  # kinds that it has on some machine

    def why_not(self, device: str) -> str | None:
        """Why it cannot serve the device here; None when it can."""

    def load(
        self,
        path: Path,
        *,
        device: str,
        precision: str,
        threads: int | None,
        profile: Profile | None = None,
        report: Reporter | None = None,
    ) -> Engine:
        """Load an ONNX model."""


# In order of preference.
BACKENDS: tuple[Backend, ...] = (tensorrt_gpu, openvino_cpu, onnxruntime_any)


@dataclass(frozen=True)
class Choice:
    """An engine, and in words why it was chosen.

    `fallback` is what a user should hear once: that there is a GPU and why it is not used; empty
    where there is nothing to say.
    """

    engine: Engine
    why: str
    fallback: str = ""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What is asked of an engine, whichever it is."""

    path: Path
    precision: str
    threads: int | None
    profile: Profile
    report: Reporter

    def load(self, backend: Backend, device: str) -> Engine:
        return backend.load(
            self.path,
            device=device,
            precision=self.precision,
            threads=self.threads,
            profile=self.profile,
            report=self.report,
        )


def available_backends(device: str = "cpu") -> dict[str, str | None]:
    """Every backend by name, with the reason why it cannot serve `device`, or None."""
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
) -> Choice:
    """Load an ONNX model with the engine asked for, or with the first that serves.

    With `device` auto an NVIDIA GPU comes first; when it cannot be used, for whatever reason, the
    CPU serves and `Choice.fallback` says why.

    Args:
        path: the ONNX file.
        engine: a backend's name, or auto.
        device: auto, cpu, cuda[:N], coreml or directml. One asked for is never replaced.
        precision: auto, fp32, bf16 or fp16.
        threads: of the inference; None leaves it to the engine.
        profile: the batches and sides that it will run at; some engines compile for them.
        report: takes what is to be said meanwhile, such as the progress of a compilation.

    Raises:
        EngineUnavailableError: the engine, device or precision is not to be had here.
        EngineFailedError: the engine cannot load the model.
    """
    request = _Request(
        path=path,
        precision=precision,
        threads=threads,
        profile=profile or Profile(),
        report=report or Silent(),
    )
    if device != "auto" or engine in _names("cuda", only=True):
        return _on(request, engine, device.replace("auto", "cuda"))
    choice, reasons = _on_a_gpu(request, engine)
    if choice is not None:
        return choice
    found = _on(request, engine, "cpu")
    if nvidia().gpus and engine in ("auto", *_names("cuda")):
        told = f"The GPU is not used: {'; '.join(reasons)}. `inpaintcli doctor` says more."
        return Choice(found.engine, f"{'; '.join(reasons)}; {found.why}", told)
    return found


def _on_a_gpu(request: _Request, engine: str) -> tuple[Choice | None, list[str]]:
    """The first engine that serves the GPU, or the reasons why none does."""
    reasons: list[str] = []
    if not nvidia().gpus:
        return None, reasons
    for backend in BACKENDS:
        if "cuda" not in backend.DEVICES or engine not in ("auto", backend.NAME):
            continue
        reason = backend.why_not("cuda")
        if reason is None:
            try:
                loaded = request.load(backend, "cuda")
            except EngineError as error:
                reason = error.message
            else:
                why = f"{backend.NAME} on {loaded.info.device}: the first that serves the GPU"
                return Choice(loaded, "; ".join([*reasons, why])), reasons
        reasons.append(f"not {backend.NAME}: {reason}")
    return None, reasons


def _on(request: _Request, engine: str, device: str) -> Choice:
    """An engine on this very device."""
    backend, why = _first_by_preference(device) if engine == "auto" else _named(engine, device)
    loaded = request.load(backend, device)
    if request.precision == "auto":
        why += f"; {loaded.info.precision}: the fastest that it does well on this processor"
    return Choice(loaded, why)


def _names(device: str, *, only: bool = False) -> list[str]:
    """The engines that have a device; `only`: and no other."""
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
