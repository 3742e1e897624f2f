"""A stand-in for the module `tensorrt`, as much of it as the engines use.

A "plan" is the ONNX model with its profile; it runs in ONNX Runtime on memory of `fake_cuda`. Names
and parameters are those of NVIDIA's bindings, which test_contract.py compares for 10 and 11.
`knobs` makes it fail in the ways that the real one does.
"""

import json
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

import numpy as np
import onnx

from tests.engines import fake_cuda

__version__ = "11.4.0.106"


@dataclass
class Knobs:
    """What goes wrong; reset for every test."""

    builds: int = 0
    refuse_plans: int = 0  # so many deserialisations fail
    spoil: float = 0.0  # added to every output
    errors: list = field(default_factory=list)  # of the parser
    build_gives: Any = "a plan"
    timing_caches: list = field(default_factory=list)
    stop_seen: bool = False
    workspace: int = 0
    loggers: set = field(default_factory=set)  # that were passed in: TensorRT uses the first only


knobs = Knobs()


class ILogger:
    class Severity(IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def log(self, severity, msg):
        raise NotImplementedError


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(Enum):
    WORKSPACE = 0


class BuilderFlag(Enum):
    TF32 = 7


class TensorIOMode(Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(Enum):
    FLOAT = 0
    HALF = 1
    INT32 = 3
    INT64 = 8


class ExecutionContextAllocationStrategy(Enum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class IProgressMonitor:
    def phase_start(self, phase_name, parent_phase, num_steps): ...
    def step_complete(self, phase_name, step): ...
    def phase_finish(self, phase_name): ...


class ParserError:
    def __init__(self, node, name, operator, text):
        self._all = node, name, operator, text

    def node(self):
        return self._all[0]

    def node_name(self):
        return self._all[1]

    def node_operator(self):
        return self._all[2]

    def desc(self):
        return self._all[3]


class ITensor:
    def __init__(self, name, shape):
        self.name, self.shape = name, shape


class INetworkDefinition:
    def __init__(self):
        self._model = b""

    @property
    def num_inputs(self):
        return len(onnx.load_from_string(self._model).graph.input)

    def get_input(self, index):
        value = onnx.load_from_string(self._model).graph.input[index]
        return ITensor(value.name, _shape(value))


class OnnxParser:
    def __init__(self, network, logger):
        self._network = network
        knobs.loggers.add(logger)

    def parse(self, model):
        self._network._model = model
        return not knobs.errors

    @property
    def num_errors(self):
        return len(knobs.errors)

    def get_error(self, index):
        return ParserError(*knobs.errors[index])


class ITimingCache:
    def __init__(self, content):
        self._content = content

    def serialize(self):
        return self._content + b"!"


class IOptimizationProfile:
    def __init__(self):
        self._shapes = {}

    def set_shape(self, input, min, opt, max):
        self._shapes[input] = [min, opt, max]


class IBuilderConfig:
    def __init__(self):
        self.builder_optimization_level = 3
        self.progress_monitor = None
        self._profile = self._cache = None

    def set_memory_pool_limit(self, pool, pool_size):
        assert pool is MemoryPoolType.WORKSPACE
        knobs.workspace = pool_size

    def clear_flag(self, flag):
        assert isinstance(flag, BuilderFlag)

    def add_optimization_profile(self, profile):
        self._profile = profile
        return 0

    def create_timing_cache(self, serialized_timing_cache):
        knobs.timing_caches.append(serialized_timing_cache)
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache, ignore_mismatch):
        self._cache = cache
        return True

    def get_timing_cache(self):
        return self._cache


class Builder:
    def __init__(self, logger):
        self._logger = logger
        knobs.loggers.add(logger)

    def create_network(self, flags=0):
        assert flags == 2, "strongly typed"
        return INetworkDefinition()

    def create_builder_config(self):
        return IBuilderConfig()

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        knobs.builds += 1
        if not _tell(config.progress_monitor):
            knobs.stop_seen = True
            return None
        if isinstance(knobs.build_gives, Exception):
            raise knobs.build_gives
        if knobs.build_gives is None:
            self._logger.log(ILogger.Severity.ERROR, "no kernel was found")
            return None
        shapes = json.dumps(config._profile._shapes).encode()
        return b"PLAN" + len(shapes).to_bytes(4, "little") + shapes + network._model


def _tell(monitor):
    """Two steps, the second of which has two steps of its own."""
    monitor.phase_start("build", None, 2)
    if not monitor.step_complete("build", 0):
        return False
    monitor.phase_start("kernels", "build", 2)
    for step in range(2):
        if not monitor.step_complete("kernels", step):
            return False
    monitor.phase_finish("kernels")
    monitor.phase_finish("build")
    return True


class Runtime:
    def __init__(self, logger):
        self._logger = logger
        knobs.loggers.add(logger)

    def deserialize_cuda_engine(self, serialized_engine):
        if knobs.refuse_plans or serialized_engine[:4] != b"PLAN":
            knobs.refuse_plans = max(0, knobs.refuse_plans - 1)
            self._logger.log(ILogger.Severity.ERROR, "the plan is of another version")
            return None
        size = int.from_bytes(serialized_engine[4:8], "little")
        return ICudaEngine(serialized_engine[8 + size :], self._logger)


class ICudaEngine:
    def __init__(self, model, logger):
        import onnxruntime

        graph = onnx.load_from_string(model).graph
        self._values = [(v, TensorIOMode.INPUT) for v in graph.input]
        self._values += [(v, TensorIOMode.OUTPUT) for v in graph.output]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._logger = logger

    @property
    def num_io_tensors(self):
        return len(self._values)

    def get_tensor_name(self, index):
        return self._values[index][0].name

    def _named(self, name):
        return next(value for value in self._values if value[0].name == name)

    def get_tensor_shape(self, name):
        return _shape(self._named(name)[0])

    def get_tensor_dtype(self, name):
        return DataType.FLOAT

    def get_tensor_mode(self, name):
        return self._named(name)[1]

    def create_execution_context(self, strategy):
        assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine):
        self._engine = engine
        self._shapes, self._addresses, self._memory = {}, {}, 0

    def set_input_shape(self, name, shape):
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self):
        inputs = {v.name for v, mode in self._engine._values if mode is TensorIOMode.INPUT}
        return sorted(inputs - self._shapes.keys())

    def update_device_memory_size_for_shapes(self):
        return 4 * int(np.prod(self._first()))

    def set_device_memory(self, memory, size):
        assert size >= self.update_device_memory_size_for_shapes()
        self._memory = memory

    def get_tensor_shape(self, name):
        n, _, height, width = self._first()
        return self._shapes.get(name, (n, 3, height, width))

    def _first(self):
        return next(iter(self._shapes.values()))

    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        if fake_cuda.knobs.fail_execute:
            self._engine._logger.log(ILogger.Severity.ERROR, fake_cuda.knobs.fail_execute)
            return False
        fake_cuda.check_alive(self._memory)
        fake_cuda.on_stream(stream_handle, self._compute)
        return True

    def _compute(self):
        arrays = {
            name: fake_cuda.view(self._addresses[name], shape)
            for name, shape in self._shapes.items()
        }
        (name,) = (v.name for v, mode in self._engine._values if mode is TensorIOMode.OUTPUT)
        (filled,) = self._engine._session.run([name], arrays)
        fake_cuda.view(self._addresses[name], filled.shape)[...] = filled + knobs.spoil


def _shape(value):
    return tuple(
        d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim
    )
