"""TensorRT's path from model to answer, on stand-ins for NVIDIA's modules (see conftest.py)."""

import threading
import time

import numpy as np
import pytest
from inpaintcli_engines.backends import tensorrt_gpu
from inpaintcli_engines.backends.reference import reference_engine
from inpaintcli_engines.base import (
    EngineFailedError,
    EngineUnavailableError,
    LoadOptions,
    NullReporter,
    Profile,
)
from inpaintcli_engines.half_precision import convert_precision
from inpaintcli_engines.select import open_engine
from inpaintcli_engines.tensorrt import parity
from inpaintcli_engines.tensorrt.build import make_monitor, process_logger
from inpaintcli_engines.tensorrt.cache import PlanCache

pytestmark = pytest.mark.usefixtures("gpu")
PROFILE = Profile(batch=(1, 1, 8), side=(16, 48, 96))


class RecordingReporter(NullReporter):
    """Keeps what is reported to it."""

    def __init__(self):
        self.notes = []
        self.shares = []

    def note(self, text):
        self.notes.append(text)

    def progress(self, task, share):
        self.shares.append((task, share))


def load(path, *, precision="fp32", report=None, profile=PROFILE, device="cuda"):
    options = LoadOptions(
        device=device,
        precision=precision,
        threads=1,
        profile=profile,
        report=report or NullReporter(),
    )
    return tensorrt_gpu.load(path, options)


def arrays(height=32, width=48, batch=1, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1, 1, (batch, 3, height, width)).astype(np.float32)
    mask = np.zeros((batch, 1, height, width), np.float32)
    mask[:, :, 8:20, 8:30] = 1
    return {"image": image, "mask": mask}


@pytest.fixture
def on_the_cpu(small_model):
    with reference_engine(small_model) as engine:
        yield engine


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_plan_answers_as_the_cpu_does(small_model, on_the_cpu, precision):
    with load(small_model, precision=precision) as engine:
        assert engine.info.precision == precision
        assert engine.info.device == "cuda:0"
        for given in (arrays(), arrays(64, 64), arrays(seed=3), arrays(seed=4), arrays(batch=3)):
            ours, theirs = engine.run(given)["filled"], on_the_cpu.run(given)["filled"]
            np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_two_engines_of_one_plan_share_it_and_may_run_at_once(small_model, on_the_cpu):
    with load(small_model) as first, load(small_model) as second:
        assert first._plan is second._plan
        results = {}

        def work(engine, seed):
            results[seed] = [engine.run(arrays(seed=seed))["filled"] for _ in range(5)]

        threads = [threading.Thread(target=work, args=pair) for pair in ((first, 1), (second, 2))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for seed, answers in results.items():
        expected = on_the_cpu.run(arrays(seed=seed))["filled"]
        for answer in answers:
            np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_an_opening_that_fails_gives_everything_back(gpu, small_model):
    cuda, trt = gpu
    trt.knobs.spoil = 0.2
    with pytest.raises(EngineFailedError):
        load(small_model, precision="auto")
    assert not cuda.knobs.held
    assert not cuda.knobs.streams


def test_the_second_opening_builds_nothing(gpu, small_model):
    _, trt = gpu
    for _ in range(2):
        load(small_model).close()
    assert trt.knobs.builds == 1
    load(small_model, profile=Profile(side=(16, 48, 128))).close()
    assert trt.knobs.builds == 2


def test_a_shape_that_comes_again_runs_as_a_graph(gpu, small_model):
    cuda, _ = gpu
    with load(small_model) as engine:
        before = cuda.knobs.launches
        answers = [engine.run(arrays(seed=n))["filled"] for n in range(4)]
        assert cuda.knobs.launches == before + 3  # all but the first
        again = engine.run(arrays(seed=1))["filled"]
        np.testing.assert_array_equal(again, answers[1])
        assert np.abs(answers[2] - answers[1]).max() > 0.01


def test_what_cannot_be_captured_runs_without_a_graph(gpu, small_model):
    cuda, _ = gpu
    cuda.knobs.fail_capture = True
    with load(small_model) as engine:
        first = engine.run(arrays())["filled"]
        np.testing.assert_array_equal(engine.run(arrays())["filled"], first)
        assert cuda.knobs.launches == 0


def test_many_shapes_keep_no_more_than_the_last_ones(gpu, small_model):
    cuda, _ = gpu
    with load(small_model) as engine:
        for side in range(16, 97, 2):
            engine.run(arrays(side, side))
        held = len(cuda.knobs.held)
        assert held <= 16 * 6 + 1
        first = engine.run(arrays(16, 16))["filled"]
        assert first.shape == (1, 3, 16, 16)


def test_closing_gives_everything_back(gpu, small_model):
    cuda, _ = gpu
    engine = load(small_model)
    engine.run(arrays())
    engine.close()
    assert not cuda.knobs.held
    assert not cuda.knobs.streams


def test_too_large_a_batch_is_split_and_reported_once(gpu, small_model, on_the_cpu):
    cuda, _ = gpu
    reporter = RecordingReporter()
    with load(small_model, report=reporter) as engine:
        one = 4 * 96 * 96
        cuda.knobs.memory = 3 * one * (3 + 1 + 3 + 3)  # activations, image, mask and filled of 3
        reporter.notes.clear()
        given = arrays(96, 96, batch=8)
        ours = engine.run(given)["filled"]
        np.testing.assert_allclose(ours, on_the_cpu.run(given)["filled"], atol=1e-4)
        engine.run(given)
    assert len(reporter.notes) == 1
    assert "too little memory" in reporter.notes[0]


def test_a_picture_that_does_not_fit_alone_is_an_error(gpu, small_model):
    cuda, _ = gpu
    with load(small_model) as engine:
        cuda.knobs.memory = 1000
        with pytest.raises(EngineFailedError, match="too little memory"):
            engine.run(arrays(96, 96, batch=2))
        cuda.knobs.memory = 1 << 30
        assert engine.run(arrays(96, 96))["filled"].shape == (1, 3, 96, 96)


def test_memory_that_runs_out_while_running_cuts_the_batch_too(gpu, small_model):
    cuda, _ = gpu
    with load(small_model) as engine:
        cuda.knobs.fail_execute = "CUDA error: out of memory"
        with pytest.raises(EngineFailedError, match="out of memory"):
            engine.run(arrays(batch=4))
        assert engine._splitter.largest == 1


def test_sides_beyond_the_profile_are_refused_with_the_range(small_model):
    with load(small_model) as engine, pytest.raises(EngineFailedError, match="16 to 96"):
        engine.run(arrays(32, 112))


def test_batches_beyond_the_profile_are_cut(small_model):
    with load(small_model, profile=Profile(batch=(1, 1, 2), side=(16, 48, 96))) as engine:
        assert engine.run(arrays(batch=5))["filled"].shape[0] == 5


def test_a_plan_that_disagrees_is_not_installed_and_the_figures_are_reported(gpu, small_model):
    _, trt = gpu
    trt.knobs.spoil = 0.2
    with pytest.raises(EngineFailedError, match=r"disagrees .* hole PSNR \d+\.\d.* dB"):
        load(small_model)
    assert PlanCache().entries() == []


def test_auto_takes_fp32_where_fp16_disagrees(small_model, monkeypatch):
    monkeypatch.setitem(parity.LEAST_DB, "fp16", 500.0)
    reporter = RecordingReporter()
    with load(small_model, precision="auto", report=reporter) as engine:
        assert engine.info.precision == "fp32"
    assert any("fp16 plan disagrees" in note for note in reporter.notes)


def test_auto_takes_fp16_first(small_model):
    with load(small_model, precision="auto") as engine:
        assert engine.info.precision == "fp16"


def test_the_sidecar_keeps_the_figures_of_the_comparison(small_model):
    load(small_model).close()
    (entry,) = PlanCache().entries()
    figures = entry.sidecar["parity"]
    assert min(figures["psnr_db"]) >= figures["least_db"]
    assert "fp32" in figures["reference"]
    assert entry.sidecar["key"]["gpu"] == "Fake GPU"


def test_a_plan_that_tensorrt_refuses_is_built_again(gpu, small_model):
    _, trt = gpu
    load(small_model).close()
    trt.knobs.refuse_plans = 1
    reporter = RecordingReporter()
    with load(small_model, report=reporter) as engine:
        assert engine.run(arrays())["filled"].shape == (1, 3, 32, 48)
    assert trt.knobs.builds == 2
    assert "another version" in reporter.notes[0]


def test_a_plan_damaged_on_disk_is_built_again(gpu, small_model):
    _, trt = gpu
    load(small_model).close()
    (entry,) = PlanCache().entries()
    entry.plan.write_bytes(entry.plan.read_bytes()[:-5] + b"12345")
    load(small_model).close()
    assert trt.knobs.builds == 2


def rejected(trt, small_model, **options):
    with pytest.raises(EngineFailedError) as caught:
        load(small_model, **options)
    return trt.knobs.builds, caught.value.message


@pytest.mark.parametrize("fault", ["disagrees", "no kernel", "parser"])
def test_a_plan_that_is_rejected_is_built_once_for_all_workers_and_runs(gpu, small_model, fault):
    _, trt = gpu
    if fault == "disagrees":
        trt.knobs.spoil = 0.2
    elif fault == "no kernel":
        trt.knobs.build_gives = None
    else:
        trt.knobs.errors = [(3, "a", "Conv", "no such padding")]
    first = rejected(trt, small_model)
    trt.knobs.spoil, trt.knobs.build_gives, trt.knobs.errors = 0.0, "a plan", []
    assert {rejected(trt, small_model) for _ in range(3)} == {first}
    load(small_model, precision="fp16").close()  # another key


def test_what_lacked_memory_is_tried_again(gpu, small_model, monkeypatch):
    _, trt = gpu
    tell = trt._tell

    def without_memory(_monitor):
        process_logger().log(trt.ILogger.Severity.ERROR, "out of memory")
        return False

    monkeypatch.setattr(trt, "_tell", without_memory)
    with pytest.raises(EngineFailedError, match="out of memory"):
        load(small_model)
    monkeypatch.setattr(trt, "_tell", tell)
    load(small_model).close()


def test_that_a_precision_does_not_serve_is_reported_once_a_run(gpu, small_model, monkeypatch):
    _, trt = gpu
    monkeypatch.setitem(parity.LEAST_DB, "fp16", 500.0)
    reporters = [RecordingReporter() for _ in range(4)]  # one a worker
    for reporter in reporters:
        load(small_model, precision="auto", report=reporter).close()
    notes = [note for reporter in reporters for note in reporter.notes]
    assert sum("disagrees" in note for note in notes) == 1
    assert trt.knobs.builds == 2


@pytest.fixture(params=["a file in its place", "no home", "full"])
def unusable(request, tmp_path, monkeypatch):
    """A cache that cannot keep plans."""
    if request.param == "no home":
        monkeypatch.delenv("INPAINTCLI_CACHE")
        monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: "~/.cache")
    elif request.param == "full":

        def full(cache, _path, _content):
            if cache.folder.is_relative_to(tmp_path):
                raise OSError(28, "No space left on device")
            return write(cache, _path, _content)

        write = PlanCache._write
        monkeypatch.setattr(PlanCache, "_write", full)
    else:
        (tmp_path / "cache").write_text("")
    return request.param


def test_without_a_usable_cache_the_plan_is_built_for_this_run_which_is_said_once(
    gpu, small_model, unusable, on_the_cpu
):
    del unusable
    _, trt = gpu
    reporters = [RecordingReporter() for _ in range(3)]
    for reporter in reporters:
        with load(small_model, report=reporter) as engine:
            ours, theirs = engine.run(arrays())["filled"], on_the_cpu.run(arrays())["filled"]
            np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert trt.knobs.builds == 1
    notes = [note for reporter in reporters for note in reporter.notes]
    assert sum("for this run only" in note for note in notes) == 1


def test_a_damaged_plan_that_cannot_be_removed_is_replaced_for_this_run(
    gpu, small_model, monkeypatch
):
    _, trt = gpu
    load(small_model).close()
    trt.knobs.refuse_plans = 1
    monkeypatch.setattr(PlanCache, "remove", lambda *_: None)
    with load(small_model) as engine:
        assert engine.run(arrays())["filled"].shape == (1, 3, 32, 48)
    assert trt.knobs.builds == 2


def test_a_process_has_one_logger(gpu, small_model):
    """TensorRT sends all messages to the first logger that it was given."""
    _, trt = gpu
    load(small_model).close()
    trt.knobs.refuse_plans = 1
    load(small_model).close()
    load(small_model, precision="fp16").close()
    assert len(trt.knobs.loggers) == 1


def test_errors_are_those_of_the_thread_that_asks_or_all(gpu):
    _, trt = gpu
    logger = process_logger()
    logger.take_errors()

    def log(text):
        logger.log(trt.ILogger.Severity.ERROR, text)

    thread = threading.Thread(target=log, args=("another's",))
    thread.start()
    thread.join()
    log("mine")
    assert [logger.take_errors() for _ in range(3)] == ["mine", "another's", ""]


def test_the_parsers_errors_are_reported_one_by_one(gpu, small_model):
    _, trt = gpu
    trt.knobs.errors = [(3, "conv_a", "Conv", "no such padding"), (-1, "", "", "and more")]
    with pytest.raises(EngineFailedError) as caught:
        load(small_model)
    assert "2 reasons" in caught.value.message
    assert "node 3 (conv_a Conv): no such padding" in caught.value.message
    assert "and more" in caught.value.message


@pytest.mark.parametrize("fault", [None, RuntimeError("broken")])
def test_a_builder_that_gives_up_is_an_error_with_its_reason(gpu, small_model, fault):
    _, trt = gpu
    trt.knobs.build_gives = fault
    with pytest.raises(EngineFailedError, match=r"no kernel was found|broken"):
        load(small_model)


def test_what_the_builder_learnt_is_kept_for_the_next_build(gpu, small_model):
    _, trt = gpu
    load(small_model).close()
    load(small_model, profile=Profile(side=(16, 48, 128))).close()
    assert trt.knobs.timing_caches == [b"", b"!"]


def test_the_progress_rises_to_the_end(small_model):
    reporter = RecordingReporter()
    load(small_model, report=reporter).close()
    shares = [share for _, share in reporter.shares]
    assert {task for task, _ in reporter.shares} == {"build"}
    assert shares == sorted(shares)
    assert shares[0] == 0.5
    assert shares[-1] == 1.0


def test_a_signal_stops_the_build(gpu, small_model, monkeypatch):
    _, trt = gpu

    def tell(monitor):
        monitor.phase_start("build", None, 10_000)
        while monitor.step_complete("build", 0):
            time.sleep(0.001)
        return False

    class Interrupted(BaseException):
        pass

    def interrupted(thread, timeout=None):
        if thread.name == "tensorrt-build" and timeout is not None:
            raise Interrupted
        return join(thread)

    join = threading.Thread.join
    monkeypatch.setattr(trt, "_tell", tell)
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(Interrupted):
        load(small_model)
    assert trt.knobs.stop_seen
    assert PlanCache().entries() == []


def test_phases_inside_a_step_move_the_bar():
    reporter = RecordingReporter()
    monitor = make_monitor(reporter, threading.Event())
    monitor.phase_start("all", "", 4)
    monitor.step_complete("all", 0)
    monitor.phase_start("part", "all", 2)
    monitor.step_complete("part", 0)
    monitor.phase_finish("part")
    monitor.phase_finish("part")  # a second report does no harm
    assert reporter.shares == [("all", 0.25), ("all", 0.375), ("all", 0.5)]


def test_a_device_that_is_not_there_is_an_error_of_availability(gpu, small_model):
    with pytest.raises(EngineUnavailableError, match=r"no device cuda:1; there are 1"):
        load(small_model, device="cuda:1")
    gpu[0].knobs.devices = 0
    with pytest.raises(EngineUnavailableError, match="finds no device"):
        load(small_model)


def test_bf16_needs_a_gpu_that_has_it(gpu, small_model):
    gpu[0].knobs.capability = (7, 5)
    with pytest.raises(EngineUnavailableError, match="no bf16"):
        load(small_model, precision="bf16")


def test_auto_takes_the_gpu(small_model):
    choice = open_engine(small_model, profile=PROFILE)
    with choice.engine as engine:
        assert engine.info.name == "tensorrt"
    assert choice.fallback == ""


def test_auto_falls_back_to_the_cpu_and_says_why(gpu, small_model):
    _, trt = gpu
    trt.knobs.build_gives = None
    choice = open_engine(small_model, profile=PROFILE)
    with choice.engine as engine:
        assert engine.info.device == "cpu"
    assert "no kernel was found" in choice.fallback
    assert "doctor" in choice.fallback


def test_a_gpu_asked_for_is_never_replaced(gpu, small_model):
    gpu[1].knobs.build_gives = None
    with pytest.raises(EngineFailedError, match="no kernel was found"):
        open_engine(small_model, device="cuda", engine="tensorrt", profile=PROFILE)


def test_the_cpu_asked_for_is_taken(small_model):
    with open_engine(small_model, device="cpu").engine as engine:
        assert engine.info.device == "cpu"


def test_the_plan_is_made_of_the_typed_model(small_model):
    load(small_model, precision="fp16").close()
    (entry,) = PlanCache().entries()
    assert entry.plan.read_bytes().endswith(convert_precision(small_model.read_bytes(), "fp16"))
