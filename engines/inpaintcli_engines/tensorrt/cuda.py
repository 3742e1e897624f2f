"""CUDA without torch, by cuda-python: one device, one stream, buffers and graphs.

Every call of cuda-python returns its error first; here errors are raised, with a class of their own
for a lack of memory.
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
    """One device and one stream on it, through which all work goes.

    CUDA's current device is a thread's own: a thread calls `activate` before anything else.

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
        """The CUDA version of the runtime, and the newest that the driver supports."""
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
        """Allocate `size` bytes on the device.

        Raises:
            OutOfDeviceMemoryError: the device has too little memory left.
        """
        address = int(self._checked(self._rt.cudaMalloc(max(size, 1))))
        return Buffer(address, size, lambda: self._rt.cudaFree(address))

    def pinned_array(
        self, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[NDArray[Any], "Buffer"]:
        """An array in page-locked host memory, which is copied at full speed, and its buffer."""
        size = int(np.prod(shape)) * dtype.itemsize
        address = int(self._checked(self._rt.cudaMallocHost(max(size, 1))))
        memory = (ctypes.c_byte * size).from_address(address)
        array = np.frombuffer(memoryview(memory), dtype).reshape(shape)
        return array, Buffer(address, size, lambda: self._rt.cudaFreeHost(address))

    def to_device(self, target: "Buffer", source: "Buffer") -> None:
        """Copy a whole host buffer to the device, in stream order."""
        self._copy(target, source, self._rt.cudaMemcpyKind.cudaMemcpyHostToDevice)

    def to_host(self, target: "Buffer", source: "Buffer") -> None:
        """Copy from the device into a whole host buffer, in stream order."""
        self._copy(target, source, self._rt.cudaMemcpyKind.cudaMemcpyDeviceToHost)

    def synchronise(self) -> None:
        """Wait until the stream is done."""
        self._checked(self._rt.cudaStreamSynchronize(self._stream))

    def capture(self, work: Callable[[], None]) -> "Graph":
        """Record as a graph what `work` puts on the stream.

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
        """Capture mode; ended in any case, because the stream is unusable until then."""
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
        """Destroy the stream."""
        if self._stream is not None:
            self._rt.cudaStreamDestroy(self._stream)
            self._stream = None

    def _copy(self, target: "Buffer", source: "Buffer", kind: Any) -> None:
        size = min(target.size, source.size)
        self._checked(
            self._rt.cudaMemcpyAsync(target.address, source.address, size, kind, self._stream)
        )

    def _checked(self, result: tuple[Any, ...]) -> Any:
        """What a call returned besides its error, which is raised."""
        error = result[0]
        errors = self._rt.cudaError_t
        if error == errors.cudaSuccess:
            return result[1] if len(result) > 1 else None
        self._rt.cudaGetLastError()  # else the next call would return this error again
        if error == errors.cudaErrorMemoryAllocation:
            raise OutOfDeviceMemoryError("the GPU has too little memory")
        raise CudaError(self._text(error))

    def _text(self, error: Any) -> str:
        text = self._rt.cudaGetErrorString(error)[1]
        return text.decode() if isinstance(text, bytes) else str(text)


class Buffer:
    """A piece of memory, freed once."""

    def __init__(self, address: int, size: int, free: Callable[[], object]) -> None:
        self.address = address
        self.size = size
        self._free: Callable[[], object] | None = free

    def close(self) -> None:
        """Free it; a second call does nothing."""
        if self._free is not None:
            self._free()
            self._free = None


class Graph:
    """A captured CUDA graph."""

    def __init__(self, launch: Callable[[], object], free: Callable[[], object]) -> None:
        self.launch = launch
        self._free: Callable[[], object] | None = free

    def close(self) -> None:
        """Free it; a second call does nothing."""
        if self._free is not None:
            self._free()
            self._free = None
