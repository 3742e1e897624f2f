"""CUDA without torch: one device, one stream, and memory that frees itself, by cuda-python.

Every call of cuda-python returns its error first; here errors are raised, and running out of memory
is told apart.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli_engines.base import EngineUnavailableError, OutOfDeviceMemoryError


class CudaError(RuntimeError):
    """A call of CUDA's runtime failed."""


class Cuda:
    """One device and a stream of our own on it; all work goes through that stream.

    The device is set for each thread that calls `activate`; the rest must follow on that thread.

    Raises:
        EngineUnavailableError: there is no such device.
    """

    def __init__(self, index: int = 0) -> None:
        from cuda.bindings import runtime

        self._rt = runtime
        self.index = index
        error, count = runtime.cudaGetDeviceCount()
        if error != runtime.cudaError_t.cudaSuccess or not count:
            raise EngineUnavailableError(
                f"CUDA finds no device: {self._text(error)}.", hint="Use --device cpu."
            )
        if index >= count:
            raise EngineUnavailableError(
                f"There is no device cuda:{index}; there are {count}, counted from 0.",
                hint="Use --device cuda:0.",
            )
        self.activate()
        self._stream = self._checked(
            runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking)
        )

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return int(self._stream)

    def activate(self) -> None:
        """Make this device the calling thread's."""
        self._checked(self._rt.cudaSetDevice(self.index))

    def properties(self) -> tuple[str, str]:
        """The device's name and compute capability, such as ("NVIDIA L4", "8.9")."""
        found = self._checked(self._rt.cudaGetDeviceProperties(self.index))
        name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
        return name.rstrip("\0"), f"{found.major}.{found.minor}"

    def versions(self) -> tuple[str, str]:
        """The CUDA version of the runtime, and the newest that the driver takes."""
        numbers = (
            self._checked(self._rt.cudaRuntimeGetVersion()),
            self._checked(self._rt.cudaDriverGetVersion()),
        )
        runtime, driver = (f"{n // 1000}.{n % 1000 // 10}" for n in numbers)
        return runtime, driver

    def memory(self) -> tuple[int, int]:
        """Free and total bytes of the device."""
        status, free, total = self._rt.cudaMemGetInfo()
        self._checked((status,))
        return free, total

    def device_buffer(self, size: int) -> "Buffer":
        """`size` bytes on the device.

        Raises:
            OutOfDeviceMemoryError: it has not that much.
        """
        address = int(self._checked(self._rt.cudaMalloc(max(size, 1))))
        return Buffer(address, size, lambda: self._rt.cudaFree(address))

    def pinned_array(
        self, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[NDArray[Any], "Buffer"]:
        """An array in page-locked host memory, which copies reach at full speed, and its owner."""
        size = int(np.prod(shape)) * dtype.itemsize
        address = int(self._checked(self._rt.cudaMallocHost(max(size, 1))))
        memory = (ctypes.c_byte * size).from_address(address)
        array = np.frombuffer(memoryview(memory), dtype).reshape(shape)
        return array, Buffer(address, size, lambda: self._rt.cudaFreeHost(address))

    def to_device(self, target: "Buffer", source: "Buffer") -> None:
        """Copy the whole of a host buffer, in the order of the stream."""
        self._copy(target, source, self._rt.cudaMemcpyKind.cudaMemcpyHostToDevice)

    def to_host(self, target: "Buffer", source: "Buffer") -> None:
        """Copy into the whole of a host buffer, in the order of the stream."""
        self._copy(target, source, self._rt.cudaMemcpyKind.cudaMemcpyDeviceToHost)

    def synchronise(self) -> None:
        """Wait until the stream is done."""
        self._checked(self._rt.cudaStreamSynchronize(self._stream))

    def capture(self, work: Callable[[], None]) -> "Graph":
        """Record what `work` puts on the stream, to be launched as one.

        Raises:
            CudaError: something in it cannot be recorded.
        """
        with self._capturing() as ended:
            work()
        graph = ended[0]
        try:
            executable = self._checked(self._rt.cudaGraphInstantiate(graph, 0))
        finally:
            self._rt.cudaGraphDestroy(graph)
        return Graph(
            launch=lambda: self._checked(self._rt.cudaGraphLaunch(executable, self._stream)),
            free=lambda: self._rt.cudaGraphExecDestroy(executable),
        )

    @contextmanager
    def _capturing(self) -> Iterator[list[Any]]:
        """Capture mode; ended whatever happens, because the stream is unusable until then."""
        mode = self._rt.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._checked(self._rt.cudaStreamBeginCapture(self._stream, mode))
        ended: list[Any] = []
        try:
            yield ended
        except BaseException:
            self._rt.cudaStreamEndCapture(self._stream)
            self._rt.cudaGetLastError()  # what broke the capture must not fail the next call
            raise
        ended.append(self._checked(self._rt.cudaStreamEndCapture(self._stream)))

    def close(self) -> None:
        """Give the stream back."""
        if self._stream is not None:
            self._rt.cudaStreamDestroy(self._stream)
            self._stream = None

    def _copy(self, target: "Buffer", source: "Buffer", kind: Any) -> None:
        size = min(target.size, source.size)
        self._checked(
            self._rt.cudaMemcpyAsync(target.address, source.address, size, kind, self._stream)
        )

    def _checked(self, result: tuple[Any, ...]) -> Any:
        """What a call returned beside its error."""
        error = result[0]
        errors = self._rt.cudaError_t
        if error == errors.cudaSuccess:
            return result[1] if len(result) > 1 else None
        self._rt.cudaGetLastError()  # a call that failed is not to fail the next one
        if error == errors.cudaErrorMemoryAllocation:
            raise OutOfDeviceMemoryError("the GPU has too little memory")
        raise CudaError(self._text(error))

    def _text(self, error: Any) -> str:
        text = self._rt.cudaGetErrorString(error)[1]
        return text.decode() if isinstance(text, bytes) else str(text)


class Buffer:
    """A piece of memory, given back once."""

    def __init__(self, address: int, size: int, free: Callable[[], object]) -> None:
        self.address = address
        self.size = size
        self._free: Callable[[], object] | None = free

    def close(self) -> None:
        """Give it back."""
        if self._free is not None:
            self._free()
            self._free = None


class Graph:
    """A captured piece of work."""

    def __init__(self, launch: Callable[[], object], free: Callable[[], object]) -> None:
        self.launch = launch
        self._free: Callable[[], object] | None = free

    def close(self) -> None:
        """Give it back."""
        if self._free is not None:
            self._free()
            self._free = None
