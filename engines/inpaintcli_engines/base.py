"""What every engine shares: named arrays in, named arrays out, on a device, at a precision."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Precision = Literal["fp32", "bf16", "fp16"]
Arrays = Mapping[str, NDArray[Any]]


class EngineError(Exception):
    """No engine could be loaded, or one failed; `code` is the exit code of the process.

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
    """This machine lacks the engine, the device or the precision that was asked for."""

    code = 7


class EngineFailedError(EngineError):
    """An engine could not load the model, or failed while it ran."""

    code = 8


class OutOfDeviceMemoryError(RuntimeError):
    """The device has too little memory for this batch; a smaller one may fit."""


class Reporter(Protocol):
    """Receives messages and progress while an engine loads or runs."""

    def note(self, text: str) -> None:
        """Take a sentence for the user."""

    def progress(self, task: str, share: float) -> None:
        """Take the share of a long task that is done, 0 to 1."""


class NullReporter:
    """A reporter that ignores everything."""

    def note(self, text: str) -> None:
        """Ignore the sentence."""

    def progress(self, task: str, share: float) -> None:
        """Ignore the progress."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The batch sizes and the sides (pixels) that a model will run at: minimum, usual, maximum.

    Engines that compile for a range of sizes (TensorRT) are built for it and are fastest at the
    usual one; the others take any size.

    Raises:
        ValueError: a triple is not in rising order, or begins below 1.
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
    """Which backend runs (`name`), on which device (cpu, cuda:0), and how."""

    name: str
    device: str
    precision: Precision
    version: str
    threads: int


class Closable(ABC):
    """What is closed at the end of a `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held; nothing can be asked of it afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Engine(Closable):
    """A loaded model. A context manager; `close` frees its memory.

    `run` may be called again and again with any batch, height and width that the model takes.
    It is not safe to call from two threads at once.
    """

    info: EngineInfo
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Run the model; the returned arrays belong to the caller and are never overwritten.

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

    def close(self) -> None:
        """Free memory and threads; the engine cannot run afterwards. Some have nothing to free."""

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


def as_it_is(engine: Engine) -> Engine:
    """The engine itself: it takes `image` and `mask` and gives `filled`."""
    return engine


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is to be loaded, whichever the backend.

    `device` is cpu, cuda[:N], coreml or directml. `precision` is fp32, bf16, fp16, or auto: the
    backend's own choice. `threads` are those of the inference; None leaves the number to the
    backend. Backends that take any size ignore the `profile`, and those that compile nothing have
    nothing to report. `adapt` makes an engine of this model take `image` and `mask` and give
    `filled`, where one is compared with another; the backend itself returns the model's own.
    """

    device: str = "cpu"
    precision: str = "auto"
    threads: int | None = None
    profile: Profile = Profile()
    report: Reporter = field(default_factory=NullReporter)
    adapt: Callable[[Engine], Engine] = as_it_is


class Backend(Protocol):
    """What each module in `inpaintcli_engines.backends` offers."""

    NAME: str
    DEVICES: tuple[str, ...]  # kinds of device, whether or not this machine has them

    def why_not(self, device: str) -> str | None:
        """The reason why this backend cannot run on `device` here; None when it can."""

    def load(self, path: Path, options: LoadOptions) -> Engine:
        """Load an ONNX model.

        Raises:
            EngineUnavailableError: this machine lacks the device or the precision.
            EngineFailedError: the model cannot be loaded or compiled.
        """


def cores() -> int:
    """How many cores this process may use (a container's share, not the machine's count)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
