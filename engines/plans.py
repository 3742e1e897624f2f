"""A model's plan for this machine: found, or typed, built, compared with the CPU and installed."""

import hashlib
import platform
import time
from pathlib import Path
from weakref import WeakValueDictionary

from engines.base import EngineError, EngineFailedError, Precision, Profile, Reporter
from engines.build import METHOD, BuildSettings, Timings, build_plan
from engines.cache import Built, Entry, PlanCache, PlanKey
from engines.cuda import Cuda
from engines.nvidia import nvidia
from engines.parity import compare, reference_engine
from engines.runner import Plan, TensorRTEngine, describe
from engines.typed import typed

# Plans at work in this process, by digest and device: workers share the weights.
_loaded: "WeakValueDictionary[tuple[str, int], Plan]" = WeakValueDictionary()


def plan_key(
    path: Path, device: Cuda, precision: Precision, profile: Profile, settings: BuildSettings
) -> PlanKey:
    """Everything that a plan of this model on this device depends on."""
    import tensorrt as trt

    gpu, capability = device.properties()
    runtime, newest = device.versions()
    return PlanKey(
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


def obtain_plan(
    path: Path,
    device: Cuda,
    precision: Precision,
    profile: Profile,
    report: Reporter,
    *,
    cache: PlanCache | None = None,
    settings: BuildSettings | None = None,
) -> tuple[Plan, Entry]:
    """The model's plan on a device, from the cache or built now.

    A plan that is whole on disk and yet refused by TensorRT is built again, once.

    Raises:
        EngineError: it cannot be built, disagrees with the CPU, or cannot be kept.
    """
    cache, settings = cache or PlanCache(), settings or BuildSettings()
    key = plan_key(path, device, precision, profile, settings)

    def build() -> Built:
        return _build(path, device, key, cache, settings, report)

    entry = cache.obtain(key, build)
    place = (key.digest, device.index)
    try:
        plan = _loaded.get(place) or Plan(entry.plan, device)
    except EngineFailedError as error:
        report.note(f"{error.message} It is built again.")
        cache.remove(key.digest)
        entry = cache.obtain(key, build)
        plan = Plan(entry.plan, device)
    _loaded[place] = plan
    return plan, entry


def _build(
    path: Path,
    device: Cuda,
    key: PlanKey,
    cache: PlanCache,
    settings: BuildSettings,
    report: Reporter,
) -> Built:
    report.note(
        f"Compiling {path.name} for {key.gpu} in {key.precision}: once, some minutes; then cached"
    )
    started = time.perf_counter()
    timings = Timings(cache.timings(key), lambda content: cache.keep_timings(key, content))
    model = typed(path.read_bytes(), key.precision)
    content = build_plan(model, device, key.profile, settings, timings, report)
    seconds = time.perf_counter() - started
    part = cache.folder / f"{key.digest}.part"
    part.write_bytes(content)
    try:
        parity = _parity(path, part, device, key, report)
    except EngineError as error:
        raise EngineFailedError(error.message, hint=error.hint) from error
    finally:
        part.unlink(missing_ok=True)
    return Built(content, parity, seconds)


def _parity(
    path: Path, plan: Path, device: Cuda, key: PlanKey, report: Reporter
) -> dict[str, object]:
    """How the new plan compares, run just as it will be."""
    own = Cuda(device.index)  # a stream that the trial may close
    info = describe(own, key.precision, threads=1)
    with (
        TensorRTEngine(Plan(plan, own), own, key.profile, info, report) as engine,
        reference_engine(path) as reference,
    ):
        return compare(engine, reference, key.profile).to_json()
