"""ONNX -> TensorRT plan, for TensorRT 10 and 11.

Networks are strongly typed: the precision of every layer is the one in the file (see
`half_precision`), and none of the precision flags that TensorRT 11 removed is used.
"""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inpaintcli_engines.base import EngineFailedError, Profile, Reporter
from inpaintcli_engines.tensorrt.cache import PlanRejectedError
from inpaintcli_engines.tensorrt.cuda import Cuda

METHOD = 1  # part of the cache key: increase it when this module or `convert_precision` changes
_SIGNAL_POLL_S = 0.2
_KEPT_ERRORS = 4  # besides the newest


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What the builder may use. Both are part of the cache key."""

    workspace_mib: int = 2048  # scratch memory that a kernel may ask for
    effort: int = 3  # TensorRT's builder optimisation level, 0 to 5; 3 is its default


@dataclass(frozen=True)
class TimingCache:
    """TensorRT's timing cache: what earlier builds measured of kernels, and where to save it."""

    content: bytes
    save: Callable[[bytes], None]


def build_plan(
    onnx: bytes,
    device: Cuda,
    profile: Profile,
    settings: BuildSettings,
    timings: TimingCache,
    report: Reporter,
) -> bytes:
    """Compile a model for a device. Takes seconds to minutes; a signal ends it.

    Args:
        onnx: the model, converted to its precision.
        device: the device to compile for; kernels are timed on it.
        profile: the batches and sides that the plan will accept.
        settings: limits.
        timings: the timing cache of a machine just like this one.
        report: receives the progress.

    Raises:
        PlanRejectedError: TensorRT does not support the model, with every reason.
        EngineFailedError: it built nothing for lack of memory, or was stopped.
    """
    import tensorrt as trt

    device.activate()
    logger = process_logger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(onnx, network, logger)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mib << 20)
    config.builder_optimization_level = settings.effort
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means fp32: TF32 keeps ten bits of each number
    config.add_optimization_profile(_optimization_profile(builder, network, profile))
    cache = config.create_timing_cache(timings.content)
    config.set_timing_cache(cache, False)  # False: timings of another machine are refused
    stop = threading.Event()
    monitor = make_monitor(report, stop)
    config.progress_monitor = monitor

    def work() -> Any:
        device.activate()  # the current device is a thread's own
        return builder.build_serialized_network(network, config)

    plan = _run_interruptibly(work, stop)
    if plan is None:
        reason = logger.take_errors() or "it did not say why"
        # What lacks memory now may be built later; all else would come again.
        kind = EngineFailedError if "memory" in reason.lower() else PlanRejectedError
        raise kind(f"TensorRT built no plan: {reason}.")
    timings.save(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


@functools.cache
def process_logger() -> Any:
    """The TensorRT logger of this process, which keeps the last errors instead of printing them.

    There is one only: whatever a builder, parser or runtime is given, TensorRT sends all messages
    to the first logger that it was given in the process.
    """
    import tensorrt as trt

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._lock = threading.Lock()
            self._errors: list[tuple[int, str]] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                with self._lock:
                    self._errors = [*self._errors[-_KEPT_ERRORS:], (threading.get_ident(), msg)]

        def take_errors(self) -> str:
            """Return the last errors, the newest last, and forget them.

            Those of the calling thread if there are any, as other engines may run in other threads;
            else all, as TensorRT builds in threads of its own.
            """
            own = threading.get_ident()
            with self._lock:
                taken = [one for one in self._errors if one[0] == own] or self._errors
                self._errors = [one for one in self._errors if one not in taken]
            return "; ".join(text for _, text in taken)

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
                self._report_share(phase_name)
            return not stop.is_set()

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                if phase_name in self._phases:
                    self._done[phase_name] = self._phases[phase_name][1]
                    self._report_share(phase_name)
                    del self._phases[phase_name], self._done[phase_name]

        def _report_share(self, phase: str) -> None:
            """Report the share of the outermost phase, with the parts of its current step."""
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
    reasons = [_describe_parser_error(error) for error in errors] or [
        logger.take_errors() or "it did not say why"
    ]
    raise PlanRejectedError(
        f"TensorRT cannot take the model; {len(reasons)} reasons:\n" + "\n".join(reasons),
        hint="Use --engine onnxruntime.",
    )


def _describe_parser_error(error: Any) -> str:
    where = f"node {error.node()}" if error.node() >= 0 else "the model"
    named = " ".join(part for part in (error.node_name(), error.node_operator()) if part)
    return f"  {where}{f' ({named})' if named else ''}: {error.desc()}"


def _optimization_profile(builder: Any, network: Any, profile: Profile) -> Any:
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


def _run_interruptibly(work: Callable[[], Any], stop: threading.Event) -> Any:
    """Run `work` in a thread, so that the main thread can handle signals: it sets `stop` and waits.

    TensorRT blocks its thread for minutes, and Python handles signals only between instructions of
    the main thread.
    """
    results: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="tensorrt-build")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_SIGNAL_POLL_S)
    except BaseException:
        stop.set()
        thread.join()
        raise
    if errors:
        raise EngineFailedError(f"TensorRT's builder failed: {errors[0]}") from errors[0]
    return results[0]
