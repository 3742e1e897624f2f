"""Runs a TensorRT plan: device memory, staging, one stream, CUDA graphs for shapes that come again.

What many shapes share (weights, activation memory) is held once; what one shape needs (an execution
context, buffers, a graph) lives in a `_Bound`, of which the last used ones are kept.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
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
from inpaintcli_engines.batching import Batches
from inpaintcli_engines.tensorrt.build import make_logger
from inpaintcli_engines.tensorrt.cuda import Buffer, Cuda, CudaError, Graph

_KEPT_SHAPES = 16
_DTYPES = {"FLOAT": np.float32, "HALF": np.float16, "INT32": np.int32, "INT64": np.int64}


class Plan:
    """A plan loaded onto a device: the weights, shared by all engines that run it there.

    Each of them has contexts of its own; only their making is serialised.

    Raises:
        EngineFailedError: TensorRT does not take the file: another version's, or damaged.
    """

    def __init__(self, path: Path, device: Cuda) -> None:
        import tensorrt as trt

        device.activate()
        self._making = threading.Lock()
        self.logger = make_logger()
        self._runtime = trt.Runtime(self.logger)  # must outlive what it made
        self.engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self.engine is None:
            raise EngineFailedError(
                f"TensorRT does not take the plan {path.name}: "
                f"{self.logger.said() or 'it did not say why'}.",
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
        """A new execution context whose scratch memory is ours to give; None when it fails."""
        import tensorrt as trt

        with self._making:
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            return self.engine.create_execution_context(strategy)


class TensorRTEngine(Engine):
    """A plan at work. Owns its stream and buffers; the plan may be shared."""

    def __init__(
        self, plan: Plan, device: Cuda, profile: Profile, info: EngineInfo, report: Reporter
    ) -> None:
        self.info = info
        self.inputs, self.outputs = plan.specs()
        self._plan = plan
        self._device = device
        self._profile = profile
        self._batches = Batches(profile.batch[2], report)
        self._bound: OrderedDict[tuple[tuple[int, ...], ...], _Bound] = OrderedDict()
        self._activations: Buffer | None = None
        self._graphs = True  # until the first shape that cannot be captured

    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        self._check_sides(arrays)
        self._device.activate()  # this may be another thread than the last time
        return self._batches.run(self._run_once, arrays)

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
        others = bool(self._bound)
        try:
            bound = self._bound_to(arrays)
        except OutOfDeviceMemoryError:
            if not others:
                raise
            bound = self._bound_to(arrays)  # what other shapes held may be all that was missing
        for name, array in arrays.items():
            np.copyto(bound.host[name], array)
        try:
            self._launch(bound)
            self._device.synchronise()
        except OutOfDeviceMemoryError:
            self._drop()
            raise
        return {spec.name: bound.host[spec.name].copy() for spec in self.outputs}

    def _launch(self, bound: "_Bound") -> None:
        """The first time as it comes, which lets TensorRT settle; then as a graph."""
        if bound.graph is None and bound.runs and self._graphs:
            try:
                bound.graph = self._device.capture(lambda: self._enqueue(bound))
            except CudaError:
                self._graphs = False
        if bound.graph is not None:
            bound.graph.launch()
        else:
            self._enqueue(bound)
        bound.runs += 1

    def _enqueue(self, bound: "_Bound") -> None:
        for spec in self.inputs:
            self._device.to_device(bound.device[spec.name], bound.pinned[spec.name])
        if not bound.context.execute_async_v3(self._device.stream):
            raise self._failure("TensorRT did not run")
        for spec in self.outputs:
            self._device.to_host(bound.pinned[spec.name], bound.device[spec.name])

    def _bound_to(self, arrays: Arrays) -> "_Bound":
        shapes = tuple(arrays[spec.name].shape for spec in self.inputs)
        bound = self._bound.get(shapes)
        if bound is None:
            try:
                bound = self._bind(shapes)
            except OutOfDeviceMemoryError:
                self._drop()
                raise
            self._bound[shapes] = bound
            if len(self._bound) > _KEPT_SHAPES:
                self._bound.popitem(last=False)[1].close()
        self._bound.move_to_end(shapes)
        return bound

    def _bind(self, shapes: tuple[tuple[int, ...], ...]) -> "_Bound":
        """A context with everything that these input shapes need.

        Raises:
            OutOfDeviceMemoryError: the device has no room for it.
        """
        context = self._plan.context()
        if context is None:
            raise self._failure("TensorRT gave no context")
        for spec, shape in zip(self.inputs, shapes, strict=True):
            if not context.set_input_shape(spec.name, shape):
                raise self._failure(f"TensorRT refused {spec.name} {shape}")
        missing = context.infer_shapes()
        if missing:
            raise CudaError(f"TensorRT wants the shapes of {', '.join(missing)}")
        memory = self._activation_memory(context.update_device_memory_size_for_shapes())
        context.set_device_memory(memory.address, memory.size)
        bound = _Bound(context)
        try:
            for spec in (*self.inputs, *self.outputs):
                self._give_buffers(bound, spec)
        except BaseException:
            bound.close()
            raise
        return bound

    def _give_buffers(self, bound: "_Bound", spec: TensorSpec) -> None:
        shape = tuple(bound.context.get_tensor_shape(spec.name))
        bound.host[spec.name], bound.pinned[spec.name] = self._device.pinned_array(
            shape, spec.dtype
        )
        buffer = self._device.device_buffer(bound.pinned[spec.name].size)
        bound.device[spec.name] = buffer
        if not bound.context.set_tensor_address(spec.name, buffer.address):
            raise self._failure(f"TensorRT refused the memory of {spec.name}")

    def _activation_memory(self, size: int) -> Buffer:
        """Scratch memory for one run, shared by all shapes: they run one after the other."""
        if self._activations is None or self._activations.size < size:
            self._drop()  # contexts and graphs hold the old address
            self._activations = self._device.device_buffer(size)
        return self._activations

    def _failure(self, what: str) -> RuntimeError:
        said = self._plan.logger.said()
        if "memory" in said.lower():
            return OutOfDeviceMemoryError(f"{what}: {said}")
        return CudaError(f"{what}: {said or 'it did not say why'}")

    def _drop(self) -> None:
        """Give back all that is held beside the plan."""
        while self._bound:
            self._bound.popitem()[1].close()
        if self._activations is not None:
            self._activations.close()
            self._activations = None

    def close(self) -> None:
        """Give the device's memory and the stream back."""
        self._device.activate()
        self._drop()
        self._device.close()


@dataclass(eq=False)
class _Bound:
    """One set of input shapes: its context, its buffers, and the graph once it has come twice."""

    context: Any
    graph: Graph | None = None
    runs: int = 0

    def __post_init__(self) -> None:
        self.host: dict[str, NDArray[Any]] = {}
        self.pinned: dict[str, Buffer] = {}
        self.device: dict[str, Buffer] = {}

    def close(self) -> None:
        """Give it all back, what uses the memory first."""
        if self.graph is not None:
            self.graph.close()
        self.context = None
        self.host = {}
        for buffer in (*self.pinned.values(), *self.device.values()):
            buffer.close()


def describe(device: Cuda, precision: Precision, threads: int) -> EngineInfo:
    """What a TensorRT engine says of itself."""
    import tensorrt as trt

    return EngineInfo("tensorrt", f"cuda:{device.index}", precision, str(trt.__version__), threads)
