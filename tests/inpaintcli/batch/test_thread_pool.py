"""Many jobs at a time: overlap, bounds, order of ending."""

import pickle
import threading

import pytest
from PIL import Image

from inpaintcli.batch.fill_steps import read_pair
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.outcome import ModelUsed
from inpaintcli.batch.plan import plan_folder
from inpaintcli.batch.thread_pool import SPARE_THREADS, default_workers, model_pool, run_jobs
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.source import BESIDE
from inpaintcli.options import FillOptions
from tests.conftest import GreyEngine, card


def models(count=1):
    return [Model(card(), GreyEngine(), "") for _ in range(count)]


def fill_all(jobs, models, **stop):
    runner = JobRunner(
        borrow_model=model_pool(models),
        model_used=ModelUsed.of(models[0]),
        options=FillOptions(),
        notify=lambda _: None,
    )
    return run_jobs(jobs, runner, len(models), **stop)


def outcomes(folder, out, workers=1):
    plan = plan_folder(folder, BESIDE, out, overwrite=False)
    return {outcome.input.name: outcome for outcome in fill_all(plan.jobs, models(workers))}


@pytest.mark.parametrize("workers", [1, 3])
def test_all_photos_are_filled(folder, tmp_path, workers):
    done = outcomes(folder, tmp_path / "out", workers)
    assert {o.status for o in done.values()} == {"filled"}
    assert len(list((tmp_path / "out").iterdir())) == 6


@pytest.mark.parametrize("workers", [1, 3])
def test_one_bad_file_never_stops_the_rest(folder, tmp_path, workers):
    (folder / "2.png").write_bytes(b"")
    (folder / "3.mask.png").write_bytes(b"no mask")
    Image.new("L", (5, 5)).save(folder / "4.mask.png")
    done = outcomes(folder, tmp_path / "out", workers)
    assert {name: o.status for name, o in done.items() if o.status != "filled"} == dict.fromkeys(
        ["2.png", "3.png", "4.png"], "failed"
    )
    codes = {name: int(o.error.code) for name, o in done.items() if o.error}
    assert codes == {"2.png": 3, "3.png": 3, "4.png": 4}
    assert not (tmp_path / "out/2.png").exists()


def test_each_engine_serves_one_photo_at_a_time(folder, tmp_path):
    class Watched(GreyEngine):
        busy = False

        def _run(self, arrays):
            assert not self.busy
            self.busy = True
            threading.Event().wait(0.01)
            self.busy = False
            return super()._run(arrays)

    pool = [Model(card(), Watched(), "") for _ in range(2)]
    plan = plan_folder(folder, BESIDE, tmp_path / "out", overwrite=False)
    runs = fill_all(plan.jobs, pool)
    assert {o.status for o in runs} == {"filled"}


def test_workers_follow_cores_and_photos(monkeypatch):
    monkeypatch.setattr("inpaintcli.batch.thread_pool.cores", lambda: 8)
    assert default_workers(100) == 4
    assert default_workers(2) == 2
    assert default_workers(0) == 1


class Gate(GreyEngine):
    """Counts who is inside, and holds everybody until opened."""

    def __init__(self):
        super().__init__()
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def _run(self, arrays):
        self.entered.release()
        self.open.wait(30)
        return super()._run(arrays)


def test_the_next_photo_is_read_while_the_engine_is_busy(folder, tmp_path, monkeypatch):
    gate, read = Gate(), threading.Semaphore(0)

    def reading(*job):
        read.release()
        return read_pair(*job)

    monkeypatch.setattr("inpaintcli.batch.job_runner.read_pair", reading)
    plan = plan_folder(folder, BESIDE, tmp_path / "out", overwrite=False)
    runs = fill_all(plan.jobs, [Model(card(), gate, "")])
    first = threading.Thread(target=lambda: next(runs))
    first.start()
    assert gate.entered.acquire(timeout=30)
    assert read.acquire(timeout=30)
    assert read.acquire(timeout=30)
    gate.open.set()
    first.join(30)
    runs.close()


def test_jobs_are_taken_as_there_is_room(folder, tmp_path):
    taken = []

    def jobs():
        for number in range(1000):
            taken.append(number)
            yield LocalJob(folder / "0.png", folder / "0.mask.png", tmp_path / f"{number}.png")

    runs = fill_all(jobs(), models(2))
    for _ in range(5):
        next(runs)
    runs.close()
    assert len(taken) <= 5 + 2 * (2 + SPARE_THREADS)


def test_once_asked_to_stop_no_other_photo_is_begun_and_those_in_progress_are_reported(
    folder, tmp_path
):
    plan = plan_folder(folder, BESIDE, tmp_path / "out", overwrite=False)
    stop = threading.Event()
    runs = fill_all(plan.jobs, models(1), stop=stop.is_set)
    done = [next(runs)]
    stop.set()
    done += runs
    assert 1 <= len(done) <= 1 + 1 + SPARE_THREADS
    assert len(list((tmp_path / "out").iterdir())) == len(done)


def test_outcomes_and_plans_travel_between_processes(folder, tmp_path):
    (folder / "2.png").write_bytes(b"")
    plan = plan_folder(folder, BESIDE, tmp_path / "out", overwrite=False)
    assert pickle.loads(pickle.dumps(plan)) == plan  # noqa: S301
    for outcome in fill_all(plan.jobs, models(1)):
        copy = pickle.loads(pickle.dumps(outcome))  # noqa: S301
        assert copy.to_json() == outcome.to_json()


def test_an_exception_in_a_worker_fails_its_photo_alone(folder, tmp_path, monkeypatch):
    run = JobRunner.run

    def fragile(self, job):
        if job.photo.name == "2.png":
            raise RuntimeError("a fault")
        return run(self, job)

    monkeypatch.setattr(JobRunner, "run", fragile)
    done = outcomes(folder, tmp_path / "out")
    assert {name for name, o in done.items() if o.status == "failed"} == {"2.png"}
    assert int(done["2.png"].error.code) == 70
    assert len(done) == 6
