"""The same promises on a real GPU: `pytest -m gpu`, with the extra `tensorrt`.

They have not been run yet: no machine with a GPU was at hand (docs/reference/engines.md). What is
measured is printed with `-s`, for docs/log.md.
"""

import dataclasses
import json
import statistics
import time

import numpy as np
import pytest
from inpaintcli_engines.backends import onnxruntime_any, tensorrt_gpu
from inpaintcli_engines.backends.reference import reference_engine
from inpaintcli_engines.base import LoadOptions, NullReporter, Profile
from inpaintcli_engines.select import open_engine
from inpaintcli_engines.tensorrt.cache import PlanCache
from inpaintcli_engines.tensorrt.cuda import Cuda
from inpaintcli_engines.tensorrt.parity import LEAST_DB, compare
from inpaintcli_engines.tensorrt.plans import make_cache_key

from inpaintcli.models.cards import find_card

MISSING = tensorrt_gpu.why_not("cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(MISSING is not None, reason=f"TensorRT: {MISSING}"),
]
LEAST = find_card().size_multiple
PROFILE = Profile(batch=(1, 1, 16), side=(LEAST, 256, 512))


class RecordingReporter(NullReporter):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of this run's own; plans are shared by its tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INPAINTCLI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield PlanCache()


def load(precision="fp16", report=None, profile=PROFILE):
    options = LoadOptions(
        device="cuda", precision=precision, profile=profile, report=report or NullReporter()
    )
    return tensorrt_gpu.load(find_card().file, options)


def arrays(side, batch=1, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1, 1, (batch, 3, side, side)).astype(np.float32)
    mask = np.zeros((batch, 1, side, side), np.float32)
    mask[:, :, side // 4 : side // 2, side // 4 : side // 2] = 1
    return {"image": image, "mask": mask}


def psnr(ours, theirs, mask):
    hole = np.broadcast_to(mask > 0, ours.shape)
    return -10 * np.log10(max(np.mean((ours - theirs)[hole] ** 2), 1e-12) / 4)


def median_ms(engine, given, rounds=30):
    times = []
    for _ in range(rounds + 5):
        started = time.perf_counter()
        engine.run(given)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[5:])


def report(**fields):
    gpu, capability = Cuda().properties()
    import tensorrt as trt

    fields = {"gpu": gpu, "compute_capability": capability, "tensorrt": trt.__version__, **fields}
    print(json.dumps(fields))  # noqa: T201 - for docs/log.md


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_plan_is_built_and_agrees_with_the_cpu(precision, cache):
    started = time.perf_counter()
    with load(precision) as engine, reference_engine(find_card().file) as reference:
        seconds = time.perf_counter() - started
        parity = compare(engine, reference, PROFILE)
    report(build_s=round(seconds, 1), precision=precision, **parity.to_json())
    assert min(parity.psnr_db) >= LEAST_DB[precision]
    assert precision in {entry.sidecar["key"]["precision"] for entry in cache.entries()}


def test_the_second_opening_is_a_hit_and_quick(cache):
    load().close()
    before = {entry.digest for entry in cache.entries()}
    reporter = RecordingReporter()
    started = time.perf_counter()
    load(report=reporter).close()
    report(open_from_cache_s=round(time.perf_counter() - started, 2))
    assert {entry.digest for entry in cache.entries()} == before
    assert reporter.notes == []


def test_a_stale_or_damaged_plan_is_built_again(cache):
    load().close()
    entry = cache.entries()[0]
    entry.plan.write_bytes(entry.plan.read_bytes()[:-1000])
    reporter = RecordingReporter()
    with load(report=reporter) as engine:
        assert engine.run(arrays(256))["filled"].shape == (1, 3, 256, 256)
    assert reporter.notes
    assert cache.entries()[0].size == entry.size or cache.entries()[0].digest == entry.digest


def test_another_profile_makes_another_plan(cache):
    load().close()
    before = len(cache.entries())
    load(profile=dataclasses.replace(PROFILE, side=(LEAST, 128, 256))).close()
    assert len(cache.entries()) == before + 1


def test_the_key_tells_the_machine():
    from inpaintcli_engines.tensorrt.build import BuildSettings

    key = make_cache_key(find_card().file, Cuda(), "fp16", PROFILE, BuildSettings())
    assert all(value not in ("", None) for value in dataclasses.asdict(key).values())


def test_a_batch_gives_what_its_pictures_give_alone():
    with load("fp32") as engine:
        given = arrays(256, batch=5)
        together = engine.run(given)["filled"]
        for number in range(5):
            alone = engine.run({n: a[number : number + 1] for n, a in given.items()})["filled"]
            assert psnr(together[number : number + 1], alone, given["mask"][:1]) >= 60


def test_graphs_and_new_shapes_in_turn_stay_right():
    with load("fp32") as engine, reference_engine(find_card().file) as reference:
        for side in (64, 256, 64, 512, 256, 64, 128, 512):
            for seed in range(3):
                given = arrays(side, seed=seed)
                ours, theirs = (e.run(given)["filled"] for e in (engine, reference))
                assert psnr(ours, theirs, given["mask"]) >= LEAST_DB["fp32"]


def test_too_little_memory_cuts_the_batch():
    reporter = RecordingReporter()
    given = arrays(512, batch=16)
    with load("fp32") as engine:
        expected = engine.run(given)["filled"]
    device = Cuda()
    with load("fp32", report=reporter) as engine:
        reporter.notes.clear()
        engine.run(arrays(512))  # what one picture needs is there
        free, _ = device.memory()
        hostage = device.device_buffer(free - (96 << 20))
        try:
            filled = engine.run(given)["filled"]
        finally:
            hostage.close()
    assert psnr(filled, expected, given["mask"]) >= 60
    assert len(reporter.notes) == 1


def test_it_is_faster_than_the_cpu():
    with load() as engine, reference_engine(find_card().file) as reference:
        ours, theirs = (median_ms(e, arrays(512), rounds=10) for e in (engine, reference))
    report(tensorrt_fp16_ms=round(ours, 2), cpu_fp32_ms=round(theirs, 2), side=512)
    assert ours < theirs


def test_auto_takes_the_gpu():
    choice = open_engine(find_card().file, profile=PROFILE)
    with choice.engine as engine:
        assert engine.info.name == "tensorrt"
    assert choice.fallback == ""


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_onnxruntime_on_cuda_agrees_with_the_cpu(precision):
    reason = onnxruntime_any.why_not("cuda")
    if reason:
        pytest.skip(f"ONNX Runtime: {reason}")
    path = find_card().file
    engine = onnxruntime_any.load(path, LoadOptions(device="cuda", precision=precision))
    with engine, reference_engine(path) as reference:
        parity = compare(engine, reference, PROFILE)
    report(onnxruntime=engine.info.version, precision=precision, **parity.to_json())
