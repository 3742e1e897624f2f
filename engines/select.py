"""The door: every backend, and the choice among them with its reason."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engines.backends import onnxruntime_cpu, openvino_cpu
from engines.base import Engine, EngineUnavailableError


class Backend(Protocol):
    """What a module in `engines.backends` offers."""

    NAME: str

    def why_not(self, device: str) -> str | None:
        """Why it cannot serve the device here; None when it can."""

    def load(self, path: Path, *, device: str, precision: str, threads: int | None) -> Engine:
        """Load an ONNX model."""


# In order of preference.
BACKENDS: tuple[Backend, ...] = (openvino_cpu, onnxruntime_cpu)


@dataclass(frozen=True)
class Choice:
    """An engine, and in words why it was chosen."""

    engine: Engine
    why: str


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
) -> Choice:
    """Load an ONNX model with the engine asked for, or with the first that serves.

    Args:
        path: the ONNX file.
        engine: a backend's name, or auto.
        device: auto, cpu or cuda[:N]. A device asked for is never replaced by another.
        precision: auto, fp32, bf16 or fp16.
        threads: of the inference; None leaves it to the engine.

    Raises:
        EngineUnavailableError: the engine, device or precision is not to be had here.
        EngineFailedError: the engine cannot load the model.
    """
    where = "cpu" if device == "auto" else device
    backend, why = _first_by_preference(where) if engine == "auto" else _named(engine, where)
    loaded = backend.load(path, device=where, precision=precision, threads=threads)
    if precision == "auto":
        why += f"; {loaded.info.precision}: the fastest that it does well on this processor"
    return Choice(loaded, why)


def _named(name: str, device: str) -> tuple[Backend, str]:
    backend = next((backend for backend in BACKENDS if name == backend.NAME), None)
    if backend is None:
        known = ", ".join(backend.NAME for backend in BACKENDS)
        raise EngineUnavailableError(
            f"This version has no engine '{name}' yet; it has {known}.", hint="Use --engine auto."
        )
    reason = backend.why_not(device)
    if reason is not None:
        raise EngineUnavailableError(f"--engine {name}: {reason}.", hint="Use --engine auto.")
    return backend, f"{name} on {device}: asked for"


def _first_by_preference(device: str) -> tuple[Backend, str]:
    passed: list[str] = []
    for backend in BACKENDS:
        reason = backend.why_not(device)
        if reason is None:
            passed.append(f"{backend.NAME} on {device}: the first choice that serves")
            return backend, "; ".join(passed)
        passed.append(f"not {backend.NAME}: {reason}")
    way_out = "Use --device cpu." if device != "cpu" else "Install openvino or onnxruntime."
    raise EngineUnavailableError(
        f"No engine serves the device {device}: {'; '.join(passed)}.", hint=way_out
    )
