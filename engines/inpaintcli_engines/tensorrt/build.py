"""ONNX -> TensorRT plan, for TensorRT 10 and 11.

Networks are strongly typed: the precision of every layer is that of the file (`inpaintcli_engines.half_precision`), and
none of the precision flags that TensorRT 11 took away is used.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inpaintcli_engines.base import EngineFailedError, Profile, Reporter
from inpaintcli_engines.tensorrt.cuda import Cuda

METHOD = 1  # goes into the plan's key: count up when what is built here, or in `typed`, changes
_INTERRUPT_EVERY_S = 0.2


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """How much the builder may use. Both are part of a plan's key."""

    workspace_mib: int = 2048  # scratch memory that a kernel may ask for
    effort: int = 3  # TensorRT's builder optimisation level, 0 to 5; 3 is its default


@dataclass(frozen=True)
class Timings:
    """Where the builder's knowledge about kernels comes from and goes to."""

    known: bytes
    keep: Callable[[bytes], None]


def build_plan(
    onnx: bytes,
    device: Cuda,
    profile: Profile,
    settings: BuildSettings,
    timings: Timings,
    report: Reporter,
) -> bytes:
    """Compile a model for a device. Takes seconds to minutes; a signal ends it.

    Args:
        onnx: a typed model.
        device: what to compile for; kernels are timed on it.
        profile: the batches and sides that the plan is to take.
        settings: limits.
        timings: of a machine just like this one.
        report: takes the progress.

    Raises:
        EngineFailedError: the model has what TensorRT cannot do, each thing told, or it gave up.
    """
    import tensorrt as trt

    device.activate()
    logger = make_logger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(onnx, network, logger)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mib << 20)
    config.builder_optimization_level = settings.effort
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means fp32: TF32 keeps ten bits of each number
    config.add_optimization_profile(_shapes(builder, network, profile))
    cache = config.create_timing_cache(timings.known)
    config.set_timing_cache(cache, False)  # False: knowledge of another machine is not taken
    stop = threading.Event()
    monitor = make_monitor(report, stop)
    config.progress_monitor = monitor

    def work() -> Any:
        device.activate()  # the current device is a thread's own
        return builder.build_serialized_network(network, config)

    plan = _interruptible(work, stop)
    if plan is None:
        raise EngineFailedError(f"TensorRT built no plan: {logger.said() or 'it did not say why'}.")
    timings.keep(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def make_logger() -> Any:
    """A logger that keeps TensorRT's last errors instead of printing them."""
    import tensorrt as trt

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self._errors = [*self._errors[-4:], msg]

        def said(self) -> str:
            """The errors since the last call, the newest last."""
            errors, self._errors = self._errors, []
            return "; ".join(errors)

    return Logger()


def make_monitor(report: Reporter, stop: threading.Event) -> Any:
    """TensorRT's phases, which nest, as one rising share; `stop` ends the build."""
    import tensorrt as trt

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._lock = threading.Lock()  # TensorRT calls from threads of its own
            self._phases: dict[str, tuple[str | None, int]] = {}
            self._done: dict[str, float] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                self._phases[phase_name] = (parent_phase or None, max(num_steps, 1))
                self._done[phase_name] = 0.0

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                self._done[phase_name] = float(step + 1)
                self._tell(phase_name)
            return not stop.is_set()

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                if phase_name in self._phases:
                    self._done[phase_name] = self._phases[phase_name][1]
                    self._tell(phase_name)
                    del self._phases[phase_name], self._done[phase_name]

        def _tell(self, phase: str) -> None:
            """What is done of the outermost phase, with the parts of the step that it is in."""
            share = 0.0
            while True:
                parent, steps = self._phases[phase]
                share = min(1.0, (self._done[phase] + share) / steps)
                if parent is None or parent not in self._phases:
                    break
                phase = parent
            report.progress(phase, share)

    return Monitor()


def _parse(onnx: bytes, network: Any, logger: Any) -> None:
    import tensorrt as trt

    parser = trt.OnnxParser(network, logger)
    if parser.parse(onnx):
        return
    errors = [parser.get_error(number) for number in range(parser.num_errors)]
    told = [_in_words(error) for error in errors] or [logger.said() or "it did not say why"]
    raise EngineFailedError(
        f"TensorRT cannot take the model; {len(told)} reasons:\n" + "\n".join(told),
        hint="Use --engine onnxruntime.",
    )


def _in_words(error: Any) -> str:
    where = f"node {error.node()}" if error.node() >= 0 else "the model"
    named = " ".join(part for part in (error.node_name(), error.node_operator()) if part)
    return f"  {where}{f' ({named})' if named else ''}: {error.desc()}"


def _shapes(builder: Any, network: Any, profile: Profile) -> Any:
    """The optimisation profile of all inputs: (n, channels, side, side)."""
    made = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        value = network.get_input(number)
        channels = tuple(value.shape)[1]
        low, usual, high = (
            (batch, channels, side, side)
            for batch, side in zip(profile.batch, profile.side, strict=True)
        )
        made.set_shape(value.name, low, usual, high)
    return made


def _interruptible(work: Callable[[], Any], stop: threading.Event) -> Any:
    """Do `work` in a thread, so that a signal reaches the main one: it sets `stop`, and waits.

    TensorRT holds its thread for minutes, and Python handles signals between its own instructions.
    """
    results: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - carried over to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="tensorrt-build")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_INTERRUPT_EVERY_S)
    except BaseException:
        stop.set()
        thread.join()
        raise
    if errors:
        raise EngineFailedError(f"TensorRT's builder failed: {errors[0]}") from errors[0]
    return results[0]
