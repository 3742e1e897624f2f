"""A model's plan for this machine: from the cache, or built, compared with the CPU, installed."""

import hashlib
import platform
import time
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from inpaintcli_engines.base import (
    Engine,
    EngineError,
    EngineFailedError,
    Precision,
    Profile,
    Reporter,
)
from inpaintcli_engines.half_precision import convert_precision
from inpaintcli_engines.nvidia import nvidia
from inpaintcli_engines.tensorrt.build import METHOD, BuildSettings, TimingCache, build_plan
from inpaintcli_engines.tensorrt.cache import BuiltPlan, CachedPlan, CacheKey, PlanCache
from inpaintcli_engines.tensorrt.cuda import Cuda
from inpaintcli_engines.tensorrt.parity import compare
from inpaintcli_engines.tensorrt.runner import LoadedPlan, TensorRTEngine, engine_info

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
        onnx_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
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
    reference: Callable[[Path], Engine],
    cache: PlanCache | None = None,
    settings: BuildSettings | None = None,
) -> tuple[LoadedPlan, CachedPlan]:
    """The model's plan on a device, from the cache or built now.

    A new plan is installed if it agrees with what `reference` opens: the model on the CPU, in fp32.
    A plan that is undamaged on disk and yet refused by TensorRT is built again, once.

    Raises:
        EngineError: it cannot be built, disagrees with the CPU, or cannot be written.
    """
    cache, settings = cache or PlanCache(), settings or BuildSettings()
    key = make_cache_key(path, device, precision, profile, settings)

    def build() -> BuiltPlan:
        return _build(path, device, key, cache, settings, report, reference)

    entry = cache.obtain(key, build)
    place = (key.digest, device.index)
    try:
        plan = _loaded_plans.get(place) or LoadedPlan(entry.plan, device)
    except EngineFailedError as error:
        report.note(f"{error.message} It is built again.")
        cache.remove(key.digest)
        entry = cache.obtain(key, build)
        plan = LoadedPlan(entry.plan, device)
    _loaded_plans[place] = plan
    return plan, entry


def _build(
    path: Path,
    device: Cuda,
    key: CacheKey,
    cache: PlanCache,
    settings: BuildSettings,
    report: Reporter,
    reference: Callable[[Path], Engine],
) -> BuiltPlan:
    report.note(
        f"Compiling {path.name} for {key.gpu} in {key.precision}: once, some minutes; then cached"
    )
    started = time.perf_counter()
    timings = TimingCache(
        cache.load_timing_cache(key), lambda content: cache.save_timing_cache(key, content)
    )
    model = convert_precision(path.read_bytes(), key.precision)
    content = build_plan(model, device, key.profile, settings, timings, report)
    seconds = time.perf_counter() - started
    part = cache.folder / f"{key.digest}.part"
    part.write_bytes(content)
    try:
        parity = _parity(path, part, device, key, report, reference)
    except EngineError as error:
        raise EngineFailedError(error.message, hint=error.hint) from error
    finally:
        part.unlink(missing_ok=True)
    return BuiltPlan(content, parity, seconds)


def _parity(
    path: Path,
    plan: Path,
    device: Cuda,
    key: CacheKey,
    report: Reporter,
    reference: Callable[[Path], Engine],
) -> dict[str, object]:
    """Compare the new plan with the reference, running it just as it will be run."""
    own = Cuda(device.index)  # with a stream of its own, which the engine closes
    info = engine_info(own, key.precision, threads=1)
    with (
        TensorRTEngine(LoadedPlan(plan, own), own, key.profile, info, report) as engine,
        reference(path) as expected,
    ):
        return compare(engine, expected, key.profile).to_json()
