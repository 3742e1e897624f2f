"""A model's plan for this machine: from the cache, or built, compared with the CPU, installed."""

import atexit
import functools
import hashlib
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from inpaintcli_engines.base import (
    EngineError,
    EngineFailedError,
    Precision,
    Profile,
    Reporter,
)
from inpaintcli_engines.half_precision import convert_precision, read_model
from inpaintcli_engines.nvidia import nvidia
from inpaintcli_engines.tensorrt.build import METHOD, BuildSettings, TimingCache, build_plan
from inpaintcli_engines.tensorrt.cache import (
    BuiltPlan,
    CachedPlan,
    CacheKey,
    CacheUnusableError,
    PlanCache,
)
from inpaintcli_engines.tensorrt.cuda import Cuda
from inpaintcli_engines.tensorrt.parity import Comparison
from inpaintcli_engines.tensorrt.runner import LoadedPlan, TensorRTEngine, engine_info

_noted: set[str] = set()
# Plans loaded in this process, by digest and device: the threads of a batch share the weights.
_loaded_plans: "WeakValueDictionary[tuple[str, int], LoadedPlan]" = WeakValueDictionary()


def make_cache_key(
    path: Path, device: Cuda, precision: Precision, profile: Profile, settings: BuildSettings
) -> CacheKey:
    """Everything that a plan of this model on this device depends on."""
    import tensorrt as trt

    gpu, capability = device.properties()
    runtime, newest = device.versions()
    return CacheKey(
        onnx_sha256=hashlib.sha256(read_model(path)).hexdigest(),
        precision=precision,
        profile=profile,
        tensorrt=str(trt.__version__),
        cuda=runtime,
        driver=nvidia().driver or newest,
        gpu=gpu,
        compute_capability=capability,
        system=f"{platform.system()} {platform.machine()}",
        workspace_mib=settings.workspace_mib,
        effort=settings.effort,
        method=METHOD,
    )


def get_plan(
    path: Path,
    device: Cuda,
    precision: Precision,
    profile: Profile,
    report: Reporter,
    *,
    comparison: Comparison,
    cache: PlanCache | None = None,
    settings: BuildSettings | None = None,
) -> tuple[LoadedPlan, CachedPlan]:
    """The model's plan on a device, from the cache or built now.

    A new plan is installed if it agrees with the model on the CPU, in fp32, by `comparison`.
    A plan that is undamaged on disk and yet refused by TensorRT is built again, once. Where plans
    cannot be kept, it is built for this process, which is reported once.

    Raises:
        PlanRejectedError: TensorRT cannot compile the model, or the plan disagrees with the CPU.
        EngineError: it cannot be built now.
    """
    settings = settings or BuildSettings()
    key = make_cache_key(path, device, precision, profile, settings)
    built: list[BuiltPlan] = []

    def build(folder: PlanCache) -> BuiltPlan:
        if not built:  # what could not be written is not built twice
            built.append(_build(path, device, key, folder, settings, report, comparison))
        return built[0]

    def obtain() -> CachedPlan:
        if _cache_of_process.cache_info().currsize:
            found = _cache_of_process().find(key)
            if found is not None:
                return found
        try:
            kept = cache or PlanCache()
            return kept.obtain(key, lambda: build(kept))
        except CacheUnusableError as error:
            text = f"{error.message} The engine is compiled for this run only. {error.hint}"
            note_once(report, error.message, text)
            own = _cache_of_process()
            return own.obtain(key, lambda: build(own))

    entry = obtain()
    place = (key.digest, device.index)
    try:
        plan = _loaded_plans.get(place) or _loaded(entry, device)
    except EngineFailedError as error:
        report.note(f"{error.message} It is built again.")
        built.clear()
        entry = _built_again(entry, obtain, lambda: build(_cache_of_process()), key)
        plan = _loaded(entry, device)
    _loaded_plans[place] = plan
    return plan, entry


def note_once(report: Reporter, key: str, text: str) -> None:
    """Pass a sentence on, unless one with that key was passed on in this process."""
    if key not in _noted:
        _noted.add(key)
        report.note(text)


def _built_again(
    entry: CachedPlan,
    obtain: Callable[[], CachedPlan],
    build: Callable[[], BuiltPlan],
    key: CacheKey,
) -> CachedPlan:
    """A new plan in place of one that TensorRT refuses, which cannot be removed everywhere."""
    found = PlanCache(entry.plan.parent)
    found.remove(key.digest)
    if found.find(key) is None:
        return obtain()
    return _cache_of_process().obtain(key, build)


def _loaded(entry: CachedPlan, device: Cuda) -> LoadedPlan:
    try:
        content = entry.plan.read_bytes()
    except OSError as error:  # removed by another process, which needed the space
        raise EngineFailedError(f"{entry.plan} cannot be read: {error.strerror}.") from error
    return LoadedPlan(content, entry.plan.name, device)


@functools.cache
def _cache_of_process() -> PlanCache:
    """A cache in a temporary folder, which is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="inpaintcli-engines-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return PlanCache(Path(folder))


def _build(
    path: Path,
    device: Cuda,
    key: CacheKey,
    cache: PlanCache,
    settings: BuildSettings,
    report: Reporter,
    comparison: Comparison,
) -> BuiltPlan:
    report.note(
        f"Compiling {path.name} for {key.gpu} in {key.precision}: once, some minutes; then cached"
    )
    started = time.perf_counter()
    timings = TimingCache(
        cache.load_timing_cache(key), lambda content: cache.save_timing_cache(key, content)
    )
    model = convert_precision(read_model(path), key.precision)
    content = build_plan(model, device, key.profile, settings, timings, report)
    seconds = time.perf_counter() - started
    parity = _parity(path, content, device, key, report, comparison)
    return BuiltPlan(content, parity, seconds)


def _parity(
    path: Path,
    plan: bytes,
    device: Cuda,
    key: CacheKey,
    report: Reporter,
    comparison: Comparison,
) -> dict[str, object]:
    """Compare the new plan with the reference, running it just as it will be run.

    Raises:
        PlanRejectedError: they disagree.
        EngineFailedError: one of them cannot run it now.
    """
    own = Cuda(device.index)  # with a stream of its own, which the engine closes
    info = engine_info(own, key.precision, threads=1)
    try:
        with TensorRTEngine(
            LoadedPlan(plan, f"of {path.name}", own), own, key.profile, info, report
        ) as engine:
            return comparison.report(engine, path, key.profile).to_json()
    except EngineFailedError:
        raise
    except EngineError as error:
        raise EngineFailedError(error.message, hint=error.hint) from error
