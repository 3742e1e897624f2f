"""Promises of every backend, and of the choice among them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from inpaintcli_engines.base import EngineFailedError, EngineUnavailableError
from inpaintcli_engines.nvidia import Gpu, Nvidia, nvidia
from inpaintcli_engines.select import BACKENDS, available_backends, open_engine

from inpaintcli.models.cards import find_card

AFFINITIES = """
import os, sys, threading
from pathlib import Path
import numpy as np
from inpaintcli_engines.select import open_engine

seen, over = set(), threading.Event()

def look():
    while not over.wait(0.001):
        for thread in Path("/proc/self/task").iterdir():
            try:
                seen.add(os.sched_getaffinity(int(thread.name)) == os.sched_getaffinity(0))
            except ProcessLookupError:
                continue

watcher = threading.Thread(target=look)
path = Path(sys.argv[2])
with open_engine(path, engine=sys.argv[1], device="cpu", threads=1).engine as engine:
    image, mask = np.zeros((1, 3, 64, 64), np.float32), np.zeros((1, 1, 64, 64), np.float32)
    watcher.start()
    for _ in range(3):
        engine.run({"image": image, "mask": mask})
    over.set()
    watcher.join()
print(sorted(seen))
"""
USABLE = [name for name, reason in available_backends().items() if reason is None]
# fp32 runtimes order their sums differently: measured 4e-6 on the shipped model.
TOLERANCE_FP32 = 1e-3
# bf16 keeps 8 bits of each number: 30 dB over noise, the worst of pictures, was the least seen.
LEAST_BF16_DB = 30.0


@pytest.fixture(scope="module")
def model_path():
    return find_card().file


def arrays(height, width, batch=1, seed=0):
    rng = np.random.default_rng(seed)
    ramp = np.linspace(-0.8, 0.8, width, dtype=np.float32) * np.ones((height, 1), np.float32)
    image = ramp + rng.normal(0, 0.1, (batch, 3, height, width)).astype(np.float32)
    mask = np.zeros((batch, 1, height, width), np.float32)
    mask[:, :, height // 4 : height // 2, width // 4 : width // 2] = 1
    return {"image": np.clip(image, -1, 1).astype(np.float32), "mask": mask}


def test_at_least_one_engine_serves_here():
    assert USABLE


@pytest.mark.parametrize("name", USABLE)
def test_an_engine_takes_any_size_and_batch_that_the_model_takes(name, model_path):
    unit = find_card().size_multiple
    with open_engine(model_path, engine=name).engine as engine:
        assert {spec.name for spec in engine.inputs} == {"image", "mask"}
        for rows, columns, batch in [(1, 1, 1), (2, 3, 1), (1, 1, 3), (1, 1, 1)]:
            height, width = rows * unit, columns * unit
            given = arrays(height, width, batch)
            filled = engine.run(given)["filled"]
            assert filled.shape == (batch, 3, height, width)
            assert filled.dtype == np.float32
            assert np.isfinite(filled).all()


@pytest.mark.skipif(len(USABLE) < 2, reason="needs two engines to compare")
def test_the_engines_agree(model_path):
    given = arrays(192, 256)
    results = []
    for name in USABLE:
        with open_engine(model_path, engine=name, precision="fp32").engine as engine:
            results.append(engine.run(given)["filled"])
    for other in results[1:]:
        assert np.abs(other - results[0]).max() <= TOLERANCE_FP32


@pytest.mark.parametrize("name", USABLE)
def test_the_fastest_precision_agrees_with_fp32(name, model_path):
    given = arrays(192, 256)
    hole = given["mask"][:, 0] > 0
    filled = {}
    for precision in ("auto", "fp32"):
        with open_engine(model_path, engine=name, precision=precision).engine as engine:
            filled[precision] = engine.run(given)["filled"].transpose(0, 2, 3, 1)[hole]
    error = np.mean((filled["auto"] - filled["fp32"]) ** 2)
    assert 10 * np.log10(4 / max(error, 1e-12)) >= LEAST_BF16_DB


@pytest.mark.parametrize("name", USABLE)
def test_results_are_the_callers_to_keep(name, model_path):
    with open_engine(model_path, engine=name).engine as engine:
        first = engine.run(arrays(64, 64, seed=1))["filled"]
        kept = first.copy()
        engine.run(arrays(64, 64, seed=2))
        np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", USABLE)
def test_what_does_not_fit_the_model_is_refused(name, model_path):
    good = arrays(64, 64)
    wrong = [
        {"image": good["image"]},
        {**good, "image": good["image"][:, :1]},
        {**good, "image": good["image"].astype(np.float64)},
        {**good, "mask": good["mask"][0]},
    ]
    with open_engine(model_path, engine=name).engine as engine:
        for given in wrong:
            with pytest.raises(EngineFailedError):
                engine.run(given)


@pytest.mark.parametrize("name", USABLE)
def test_a_file_that_is_no_model_is_refused(name, tmp_path):
    path = tmp_path / "no.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(EngineFailedError, match=r"no\.onnx"):
        open_engine(path, engine=name)


@pytest.mark.parametrize("name", USABLE)
def test_threads_are_as_asked_for(name, model_path):
    with open_engine(model_path, engine=name, threads=1).engine as engine:
        assert engine.info.threads == 1


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs Linux and two cores",
)
@pytest.mark.parametrize("name", USABLE)
def test_an_engine_ties_no_thread_to_a_core(name, model_path):
    """Or the engines of several workers would all sit on the first one.

    In a process of its own: engines of other tests may have left threads behind.
    """
    result = subprocess.run(
        [sys.executable, "-c", AFFINITIES, name, model_path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.strip() == "[True]"


def test_the_choice_says_what_and_why(model_path):
    choice = open_engine(model_path)
    with choice.engine as engine:
        assert engine.info.name in choice.why
        assert engine.info.precision in choice.why


@pytest.mark.skipif(nvidia().why_not is None, reason="this machine has a GPU")
@pytest.mark.parametrize("engine", ["auto", "tensorrt", *USABLE])
def test_a_device_that_cannot_be_had_is_never_replaced(engine, model_path):
    with pytest.raises(EngineUnavailableError, match="cuda"):
        open_engine(model_path, engine=engine, device="cuda")


def test_an_engine_that_cannot_be_had_is_named(model_path):
    with pytest.raises(EngineUnavailableError, match="tensorrt"):
        open_engine(model_path, engine="tensorrt")


@pytest.mark.skipif("onnxruntime" not in USABLE, reason="ONNX Runtime is not installed")
def test_a_precision_that_cannot_be_had_is_refused(model_path):
    with pytest.raises(EngineUnavailableError, match="bf16"):
        open_engine(model_path, engine="onnxruntime", precision="bf16")


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: b.NAME)
def test_a_backend_without_its_package_says_so(backend, monkeypatch):
    monkeypatch.setattr(f"{backend.__name__}.find_spec", lambda _name: None)
    here = Nvidia("590.1", "13.1", (Gpu("a GPU", "8.9", 1 << 30),), None)
    monkeypatch.setattr(f"{backend.__name__}.nvidia", lambda: here, raising=False)
    assert "not installed" in backend.why_not(backend.DEVICES[0])


def test_with_the_first_engine_missing_the_next_serves_and_the_reason_is_given(
    model_path, monkeypatch
):
    if len(USABLE) < 2:
        pytest.skip("needs two engines")
    first = next(backend for backend in BACKENDS if USABLE[0] == backend.NAME)
    monkeypatch.setattr(first, "why_not", lambda _device: "it was taken away")
    choice = open_engine(model_path, device="cpu")
    with choice.engine as engine:
        assert engine.info.name == USABLE[1]
    assert "it was taken away" in choice.why


def test_with_no_engine_at_all_the_reasons_are_given(model_path, monkeypatch):
    for backend in BACKENDS:
        monkeypatch.setattr(backend, "why_not", lambda _device: "gone")
    with pytest.raises(EngineUnavailableError, match=r"gone.*gone"):
        open_engine(model_path, device="cpu")


def test_importing_the_choice_of_engines_loads_no_runtime():
    heavy = "{'openvino', 'onnxruntime', 'torch'}"
    code = f"import sys, inpaintcli_engines.select; print({heavy} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
