"""ONNX Runtime on devices that this machine has not: what stands around a session, made up here."""

from types import SimpleNamespace

import numpy as np
import pytest
from inpaintcli_engines.backends import onnxruntime_any
from inpaintcli_engines.base import (
    EngineFailedError,
    EngineUnavailableError,
    LoadOptions,
    NullReporter,
)
from inpaintcli_engines.nvidia import Gpu, Nvidia

ort = pytest.importorskip("onnxruntime", reason="the extra `onnxruntime` is not installed")


class Session:
    """As much of InferenceSession as is used; adds 1 to the picture, holds `room` pictures."""

    starts = True
    room = 100
    made: list = []  # noqa: RUF012 - reset by the fixture

    def __init__(self, model, _options, providers):
        self.model, self.providers = model, providers
        Session.made.append(self)

    def get_providers(self):
        return [self.providers[0][0]] if Session.starts else ["CPUExecutionProvider"]

    def get_inputs(self):
        return [SimpleNamespace(name="image", shape=["n", 3, "h", "w"], type="tensor(float)")]

    def get_outputs(self):
        return [SimpleNamespace(name="filled", shape=["n", 3, "h", "w"], type="tensor(float)")]

    def run(self, names, arrays):
        if len(arrays["image"]) > Session.room:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 1")
        return [arrays["image"] + 1 for _ in names]


@pytest.fixture(autouse=True)
def a_gpu(monkeypatch):
    here = Nvidia("590.1", "13.1", (Gpu("a GPU", "8.9", 1 << 30),), None)
    monkeypatch.setattr(onnxruntime_any, "nvidia", lambda: here)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(Session, "starts", True)
    monkeypatch.setattr(Session, "room", 100)
    monkeypatch.setattr(Session, "made", [])


class RecordingReporter(NullReporter):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def load(path, device="cuda:1", precision="auto", report=None):
    options = LoadOptions(
        device=device, precision=precision, threads=1, report=report or NullReporter()
    )
    return onnxruntime_any.load(path, options)


def test_the_device_asked_for_is_the_one_it_starts_on(small_model):
    with load(small_model) as engine:
        assert (engine.info.device, engine.info.precision) == ("cuda:1", "fp32")
    (session,) = Session.made
    assert session.providers == [("CUDAExecutionProvider", {"device_id": "1", "use_tf32": "0"})]


def test_fp16_takes_a_model_with_types_of_its_own(small_model):
    with load(small_model, precision="fp16") as engine:
        assert engine.info.precision == "fp16"
    assert isinstance(Session.made[0].model, bytes)
    assert Session.made[0].model != small_model.read_bytes()


def test_a_device_that_does_not_start_is_never_replaced(small_model, monkeypatch, capsys):
    monkeypatch.setattr(Session, "starts", False)
    monkeypatch.setattr(ort, "preload_dlls", lambda: print("Failed to load libcudnn.so.9"))  # noqa: T201
    with pytest.raises(EngineUnavailableError, match=r"start cuda:1: Failed to load libcudnn\.so"):
        load(small_model)
    assert capsys.readouterr().out == ""  # standard output is for data


def test_libraries_that_pip_installed_are_loaded_before_the_session(small_model, monkeypatch):
    loaded = []
    monkeypatch.setattr(ort, "preload_dlls", lambda: loaded.append(len(Session.made)))
    load(small_model).close()
    load(small_model, device="cpu", precision="fp32").close()
    assert loaded == [0]


def test_a_runtime_that_loads_no_libraries_itself_serves_too(small_model, monkeypatch):
    monkeypatch.delattr(ort, "preload_dlls")
    load(small_model).close()


def test_too_large_a_batch_is_split_and_reported(small_model, monkeypatch):
    monkeypatch.setattr(Session, "room", 2)
    reporter = RecordingReporter()
    batch = np.zeros((5, 3, 8, 8), np.float32)
    with load(small_model, report=reporter) as engine:
        assert engine.run({"image": batch})["filled"].shape == batch.shape
        monkeypatch.setattr(Session, "room", 0)
        with pytest.raises(EngineFailedError, match="allocate"):
            engine.run({"image": batch})
    assert len(reporter.notes) == 1


def test_a_wheel_without_the_device_says_which_has_it(monkeypatch):
    assert onnxruntime_any.why_not("cuda") is None
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert "onnxruntime-gpu" in onnxruntime_any.why_not("cuda")


@pytest.mark.parametrize(
    ("system", "device", "reason"),
    [("Linux", "coreml", "Darwin"), ("Linux", "directml", "Windows"), ("Darwin", "tpu", "tpu")],
)
def test_a_device_of_another_system_says_so(monkeypatch, system, device, reason):
    monkeypatch.setattr(onnxruntime_any.platform, "system", lambda: system)
    assert reason in onnxruntime_any.why_not(device)
