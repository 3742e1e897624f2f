"""Runs a TensorRT plan: device memory, one stream, CUDA graphs for input shapes that repeat.

What all shapes share (weights, activation memory) is held once. What one shape needs (an execution
context, buffers, a graph) is a `_ShapeBuffers`, of which the last used are kept.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli_engines.base import (
    Arrays,
    Engine,
    EngineFailedError,
    EngineInfo,
    OutOfDeviceMemoryError,
    Precision,
    Profile,
    Reporter,
    TensorSpec,
)
from inpaintcli_engines.batching import BatchSplitter
from inpaintcli_engines.tensorrt.build import process_logger
from inpaintcli_engines.tensorrt.cuda import Buffer, Cuda, CudaError, Graph

_MAX_BOUND_SHAPES = 16
_DTYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
}


class LoadedPlan:
    """A plan loaded onto a device: the weights, shared by all engines that run it there.

    Each engine has contexts of its own; only their creation is serialised.

    Raises:
        EngineFailedError: TensorRT refuses it: it is of another version, or damaged.
    """

    def __init__(self, content: bytes, name: str, device: Cuda) -> None:
        """Load a plan; `name` is for messages."""
        import tensorrt as trt

        device.activate()
        self._context_lock = threading.Lock()
        self.logger = process_logger()
        self._runtime = trt.Runtime(self.logger)  # must outlive the engine
        self.engine = self._runtime.deserialize_cuda_engine(content)
        if self.engine is None:
            raise EngineFailedError(
                f"TensorRT does not take the plan {name}: "
                f"{self.logger.take_errors() or 'it did not say why'}.",
                hint="Run `inpaintcli engine clear`.",
            )

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Inputs and outputs."""
        import tensorrt as trt

        found: dict[Any, list[TensorSpec]] = {
            trt.TensorIOMode.INPUT: [],
            trt.TensorIOMode.OUTPUT: [],
        }
        for number in range(self.engine.num_io_tensors):
            name = self.engine.get_tensor_name(number)
            shape = (None if n < 0 else n for n in tuple(self.engine.get_tensor_shape(name)))
            dtype = np.dtype(_DTYPES[self.engine.get_tensor_dtype(name).name])
            found[self.engine.get_tensor_mode(name)].append(TensorSpec(name, tuple(shape), dtype))
        return tuple(found[trt.TensorIOMode.INPUT]), tuple(found[trt.TensorIOMode.OUTPUT])

    def context(self) -> Any:
        """A new execution context whose scratch memory the caller allocates; None when it fails."""
        import tensorrt as trt

        with self._context_lock:
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            return self.engine.create_execution_context(strategy)


class TensorRTEngine(Engine):
    """Runs a plan. Owns its stream and buffers; the plan may be shared."""

    def __init__(
        self, plan: LoadedPlan, device: Cuda, profile: Profile, info: EngineInfo, report: Reporter
    ) -> None:
        self.info = info
        self.inputs, self.outputs = plan.specs()
        self._plan = plan
        self._device = device
        self._profile = profile
        self._splitter = BatchSplitter(profile.batch[2], report)
        self._by_shapes: OrderedDict[tuple[tuple[int, ...], ...], _ShapeBuffers] = OrderedDict()
        self._activations: Buffer | None = None
        self._graphs = True  # until the first shape that cannot be captured

    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        self._check_sides(arrays)
        self._device.activate()  # the calling thread may have changed
        return self._splitter.run(self._run_once, arrays)

    def _check_sides(self, arrays: Arrays) -> None:
        least, _, most = self._profile.side
        for name, array in arrays.items():
            if not all(least <= side <= most for side in array.shape[2:]):
                height, width = array.shape[2:]
                raise EngineFailedError(
                    f"'{name}' is {width}x{height}; the plan takes sides of {least} to {most}.",
                    hint="The card's [profile] names the sides that plans are built for.",
                )

    def _run_once(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        others = bool(self._by_shapes)
        try:
            buffers = self._buffers_for(arrays)
        except OutOfDeviceMemoryError:
            if not others:
                raise
            buffers = self._buffers_for(arrays)  # the first try has freed those of other shapes
        for name, array in arrays.items():
            np.copyto(buffers.host[name], array)
        try:
            self._launch(buffers)
            self._device.synchronise()
        except OutOfDeviceMemoryError:
            self._free()
            raise
        return {spec.name: buffers.host[spec.name].copy() for spec in self.outputs}

    def _launch(self, buffers: "_ShapeBuffers") -> None:
        """Run without a graph the first time, as TensorRT demands before a capture; then as one."""
        if buffers.graph is None and buffers.runs and self._graphs:
            try:
                buffers.graph = self._device.capture(lambda: self._enqueue(buffers))
            except CudaError:
                self._graphs = False
        if buffers.graph is not None:
            buffers.graph.launch()
        else:
            self._enqueue(buffers)
        buffers.runs += 1

    def _enqueue(self, buffers: "_ShapeBuffers") -> None:
        for spec in self.inputs:
            self._device.to_device(buffers.device[spec.name], buffers.pinned[spec.name])
        if not buffers.context.execute_async_v3(self._device.stream):
            raise self._failure("TensorRT did not run")
        for spec in self.outputs:
            self._device.to_host(buffers.pinned[spec.name], buffers.device[spec.name])

    def _buffers_for(self, arrays: Arrays) -> "_ShapeBuffers":
        shapes = tuple(arrays[spec.name].shape for spec in self.inputs)
        buffers = self._by_shapes.get(shapes)
        if buffers is None:
            try:
                buffers = self._bind_shapes(shapes)
            except OutOfDeviceMemoryError:
                self._free()
                raise
            self._by_shapes[shapes] = buffers
            if len(self._by_shapes) > _MAX_BOUND_SHAPES:
                self._by_shapes.popitem(last=False)[1].close()
        self._by_shapes.move_to_end(shapes)
        return buffers

    def _bind_shapes(self, shapes: tuple[tuple[int, ...], ...]) -> "_ShapeBuffers":
        """Allocate everything that these input shapes need.

        Raises:
            OutOfDeviceMemoryError: the device has no room for it.
        """
        context = self._plan.context()
        if context is None:
            raise self._failure("TensorRT created no context")
        for spec, shape in zip(self.inputs, shapes, strict=True):
            if not context.set_input_shape(spec.name, shape):
                raise self._failure(f"TensorRT refused {spec.name} {shape}")
        missing = context.infer_shapes()
        if missing:
            raise CudaError(f"TensorRT wants the shapes of {', '.join(missing)}")
        memory = self._activation_memory(context.update_device_memory_size_for_shapes())
        context.set_device_memory(memory.address, memory.size)
        buffers = _ShapeBuffers(context)
        try:
            for spec in (*self.inputs, *self.outputs):
                self._allocate(buffers, spec)
        except BaseException:
            buffers.close()
            raise
        return buffers

    def _allocate(self, buffers: "_ShapeBuffers", spec: TensorSpec) -> None:
        shape = tuple(buffers.context.get_tensor_shape(spec.name))
        buffers.host[spec.name], buffers.pinned[spec.name] = self._device.pinned_array(
            shape, spec.dtype
        )
        buffer = self._device.device_buffer(buffers.pinned[spec.name].size)
        buffers.device[spec.name] = buffer
        if not buffers.context.set_tensor_address(spec.name, buffer.address):
            raise self._failure(f"TensorRT refused the memory of {spec.name}")

    def _activation_memory(self, size: int) -> Buffer:
        """Scratch memory for one run, shared by all shapes, which run one after the other."""
        if self._activations is None or self._activations.size < size:
            self._free()  # contexts and graphs hold the old address
            self._activations = self._device.device_buffer(size)
        return self._activations

    def _failure(self, what: str) -> RuntimeError:
        errors = self._plan.logger.take_errors()
        if "memory" in errors.lower():
            return OutOfDeviceMemoryError(f"{what}: {errors}")
        return CudaError(f"{what}: {errors or 'it did not say why'}")

    def _free(self) -> None:
        """Free everything but the plan."""
        while self._by_shapes:
            self._by_shapes.popitem()[1].close()
        if self._activations is not None:
            self._activations.close()
            self._activations = None

    def close(self) -> None:
        """Free the device's memory and the stream."""
        self._device.activate()
        self._free()
        self._device.close()


@dataclass(eq=False)
class _ShapeBuffers:
    """The context and buffers of one set of input shapes; its graph from the second run on."""

    context: Any
    graph: Graph | None = None
    runs: int = 0

    def __post_init__(self) -> None:
        self.host: dict[str, NDArray[Any]] = {}
        self.pinned: dict[str, Buffer] = {}
        self.device: dict[str, Buffer] = {}

    def close(self) -> None:
        """Free everything; what uses the memory first."""
        if self.graph is not None:
            self.graph.close()
        self.context = None
        self.host = {}
        for buffer in (*self.pinned.values(), *self.device.values()):
            buffer.close()


def engine_info(device: Cuda, precision: Precision, threads: int) -> EngineInfo:
    """The `info` of a TensorRT engine."""
    import tensorrt as trt

    return EngineInfo("tensorrt", f"cuda:{device.index}", precision, str(trt.__version__), threads)
