"""Plans are found by everything that could make them stale, and never half there."""

import dataclasses
import json
import multiprocessing
import os
import time

import pytest
from inpaintcli_engines.base import EngineFailedError, Profile
from inpaintcli_engines.tensorrt.cache import (
    BuiltPlan,
    CacheKey,
    PlanCache,
    PlanRejectedError,
    default_folder,
    default_limit,
)

KEY = CacheKey(
    onnx_sha256="a" * 64,
    precision="fp16",
    profile=Profile(),
    tensorrt="11.4.0",
    cuda="13.0",
    driver="590.1",
    gpu="NVIDIA L4",
    compute_capability="8.9",
    system="Linux x86_64",
    workspace_mib=2048,
    effort=3,
    method=1,
)
CHANGED = {
    "onnx_sha256": "b" * 64,
    "precision": "fp32",
    "profile": Profile(batch=(1, 1, 16)),
    "tensorrt": "11.3.0",
    "cuda": "12.9",
    "driver": "580.1",
    "gpu": "NVIDIA L40S",
    "compute_capability": "9.0",
    "system": "Windows AMD64",
    "workspace_mib": 1024,
    "effort": 5,
    "method": 2,
}


def built(content=b"plan", **parity):
    return BuiltPlan(content, {"psnr_db": [70.0], **parity}, 1.0)


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path / "engines", limit=1 << 20)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(CacheKey)])
def test_a_change_of_any_part_of_the_key_makes_another_plan(cache, field):
    other = dataclasses.replace(KEY, **{field: CHANGED[field]})
    first = cache.obtain(KEY, lambda: built(b"first"))
    second = cache.obtain(other, lambda: built(b"second"))
    assert first.plan != second.plan
    assert cache.find(KEY).plan.read_bytes() == b"first"
    assert cache.find(other).plan.read_bytes() == b"second"


def test_what_is_installed_is_not_built_again(cache):
    def never():
        raise AssertionError

    cache.obtain(KEY, built)
    assert cache.obtain(KEY, never).plan.read_bytes() == b"plan"


def test_a_failed_build_leaves_nothing(cache):
    def fails():
        raise EngineFailedError("no")

    with pytest.raises(EngineFailedError):
        cache.obtain(KEY, fails)
    assert cache.entries() == []
    assert cache.find(KEY) is None


def rejects():
    raise PlanRejectedError("The plan disagrees.", hint="Use fp32.")


def test_what_was_rejected_is_not_built_again(cache):
    for build in (rejects, built):
        with pytest.raises(PlanRejectedError, match="disagrees") as caught:
            cache.obtain(KEY, build)
        assert (caught.value.hint, caught.value.digest) == ("Use fp32.", KEY.digest)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(CacheKey)])
def test_a_change_of_any_part_of_the_key_has_it_tried_again(cache, field):
    with pytest.raises(PlanRejectedError):
        cache.obtain(KEY, rejects)
    cache.obtain(dataclasses.replace(KEY, **{field: CHANGED[field]}), built)


@pytest.mark.parametrize(
    "forget",
    [
        PlanCache.clear,
        PlanCache.forget_rejections,
        lambda cache: (cache.folder / f"{KEY.digest}.rejected").write_text("{"),
        lambda cache: (cache.folder / f"{KEY.digest}.rejected").write_text("[]"),
    ],
)
def test_a_rejection_that_is_forgotten_or_damaged_does_not_count(cache, forget):
    with pytest.raises(PlanRejectedError):
        cache.obtain(KEY, rejects)
    forget(cache)
    assert cache.obtain(KEY, built).plan.read_bytes() == b"plan"


@pytest.mark.parametrize(
    "damage",
    [
        lambda e: e.plan.write_bytes(b"plam"),
        lambda e: e.plan.write_bytes(b""),
        lambda e: e.plan.unlink(),
        lambda e: e.plan.with_suffix(".json").write_text("{"),
        lambda e: e.plan.with_suffix(".json").write_text("{}"),
        lambda e: e.plan.with_suffix(".json").write_text("[1]"),
        lambda e: e.plan.with_suffix(".json").write_text(
            '{"key": {}, "sha256": "", "size": "many", "parity": {}}'
        ),
        lambda e: e.plan.with_suffix(".json").unlink(),
    ],
)
def test_a_damaged_plan_is_noticed_and_built_again(cache, damage):
    damage(cache.obtain(KEY, built))
    assert cache.find(KEY) is None
    assert cache.obtain(KEY, lambda: built(b"anew")).plan.read_bytes() == b"anew"


def test_a_sidecar_of_another_key_does_not_vouch_for_a_plan(cache):
    entry = cache.obtain(KEY, built)
    sidecar = json.loads(entry.plan.with_suffix(".json").read_text())
    sidecar["key"]["driver"] = "0"
    entry.plan.with_suffix(".json").write_text(json.dumps(sidecar))
    assert cache.find(KEY) is None


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    cache = PlanCache(tmp_path, limit=250)
    keys = [dataclasses.replace(KEY, method=n) for n in range(3)]
    for age, key in zip((300, 200), keys[:2], strict=True):
        entry = cache.obtain(key, lambda: built(b"x" * 100))
        os.utime(entry.plan.with_suffix(".json"), (time.time() - age,) * 2)
    cache.find(keys[0])  # used now
    cache.obtain(keys[2], lambda: built(b"x" * 100))
    assert cache.find(keys[1]) is None
    assert cache.find(keys[0]) is not None
    assert cache.find(keys[2]) is not None


def test_a_plan_larger_than_the_limit_is_kept_until_the_next(tmp_path):
    cache = PlanCache(tmp_path, limit=10)
    cache.obtain(KEY, lambda: built(b"x" * 100))
    assert cache.find(KEY) is not None


def test_clearing_leaves_no_plan(cache):
    cache.obtain(KEY, built)
    cache.save_timing_cache(KEY, b"timings")
    assert cache.clear() == (1, 4)
    assert cache.entries() == []
    assert cache.load_timing_cache(KEY) == b""
    assert cache.clear() == (0, 0)


def test_timings_are_of_one_machine(cache):
    cache.obtain(KEY, built)
    cache.save_timing_cache(KEY, b"timings")
    assert cache.load_timing_cache(dataclasses.replace(KEY, precision="fp32")) == b"timings"
    for field in ("tensorrt", "cuda", "driver", "gpu", "compute_capability"):
        assert cache.load_timing_cache(dataclasses.replace(KEY, **{field: CHANGED[field]})) == b""


def _obtain(folder, barrier, log):
    def slow():
        with log.open("a") as file:
            file.write("built\n")
        time.sleep(0.3)
        return built()

    barrier.wait()
    assert PlanCache(folder, limit=1000).obtain(KEY, slow).plan.read_bytes() == b"plan"


def test_processes_that_want_one_plan_build_it_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, log = context.Barrier(3), tmp_path / "log"
    arguments = (tmp_path / "engines", barrier, log)
    processes = [context.Process(target=_obtain, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text() == "built\n"


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineFailedError, match="cannot be written to"):
        PlanCache(tmp_path / "file" / "engines", limit=1).obtain(KEY, built)


def test_the_environment_names_folder_and_limit(monkeypatch, tmp_path):
    monkeypatch.setenv("INPAINTCLI_CACHE", str(tmp_path))
    monkeypatch.setenv("INPAINTCLI_CACHE_MIB", "3")
    assert default_folder() == tmp_path / "engines"
    assert default_limit() == 3 << 20
    monkeypatch.setenv("INPAINTCLI_CACHE_MIB", "much")
    with pytest.raises(EngineFailedError, match="much"):
        default_limit()
    monkeypatch.delenv("INPAINTCLI_CACHE")
    assert default_folder().parts[-2:] == ("inpaintcli", "engines")
