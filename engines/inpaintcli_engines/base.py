"""The value: an engine takes named arrays and gives named arrays, on a device, at a precision."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Precision = Literal["fp32", "bf16", "fp16"]
Arrays = Mapping[str, NDArray[Any]]


class EngineError(Exception):
    """An engine cannot be had or failed; `code` is what the process returns.

    The message names the thing and the fact, `hint` the way out.
    """

    code: ClassVar[int] = 8

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class EngineUnavailableError(EngineError):
    """The engine, device or precision asked for is not to be had on this machine."""

    code = 7


class EngineFailedError(EngineError):
    """An engine could not load the model, or failed while it ran."""

    code = 8


class OutOfDeviceMemoryError(RuntimeError):
    """The device has too little memory for this batch; a smaller one may fit."""


class Reporter(Protocol):
    """Takes what an engine has to say while it loads or runs."""

    def note(self, text: str) -> None:
        """A sentence for the user."""

    def progress(self, task: str, share: float) -> None:
        """How much of a long task is done, 0 to 1."""


class Silent:
    """A reporter that keeps everything to itself."""

    def note(self, text: str) -> None:
        """Nothing is said."""

    def progress(self, task: str, share: float) -> None:
        """Nothing is shown."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The batches and the sides (pixels) that a model will run at: least, usual, most.

    Engines that compile for a range of sizes (TensorRT) are built for it and are fastest at the
    usual one; the others take any size.

    Raises:
        ValueError: a triple does not rise, or begins below 1.
    """

    batch: tuple[int, int, int] = (1, 1, 8)
    side: tuple[int, int, int] = (16, 192, 512)

    def __post_init__(self) -> None:
        for name in ("batch", "side"):
            least, usual, most = getattr(self, name)
            if not 1 <= least <= usual <= most:
                raise ValueError(f"{name} {least}, {usual}, {most} is not least, usual, most")


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: its name, its shape (None where any size goes) and its dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class EngineInfo:
    """What runs, where, how: `name` of the backend, `device` such as cpu or cuda:0."""

    name: str
    device: str
    precision: Precision
    version: str
    threads: int


class Engine(ABC):
    """A loaded model. A context manager; `close` gives its memory back.

    `run` may be called again and again with any batch, height and width that the model takes.
    It is not safe to call from two threads at once.
    """

    info: EngineInfo
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Named inputs to named outputs; the outputs are the caller's to keep.

        Raises:
            EngineFailedError: names, ranks or dtypes do not fit the model, or it failed.
        """
        self._check(arrays)
        try:
            return self._run(arrays)
        except (MemoryError, RuntimeError, ValueError) as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise EngineFailedError(
                f"{self.info.name} failed on {shapes}: {error}".strip(),
                hint="Try --engine with another engine, or --precision fp32.",
            ) from error

    @abstractmethod
    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]: ...

    def close(self) -> None:  # noqa: B027 - an engine may have nothing to give back
        """Give memory and threads back; the engine cannot run afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self, arrays: Arrays) -> None:
        expected = {spec.name: spec for spec in self.inputs}
        if arrays.keys() != expected.keys():
            raise EngineFailedError(
                f"The model takes {', '.join(expected)}, not {', '.join(arrays) or 'nothing'}."
            )
        for name, array in arrays.items():
            spec = expected[name]
            fits = array.dtype == spec.dtype and len(array.shape) == len(spec.shape)
            if not fits or any(
                want not in (None, have) for want, have in zip(spec.shape, array.shape, strict=True)
            ):
                raise EngineFailedError(
                    f"'{name}' is {array.dtype} {array.shape}; "
                    f"the model takes {spec.dtype} {spec.shape}."
                )


def cores() -> int:
    """The cores that this process may use (a container's share, not the machine's count)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
