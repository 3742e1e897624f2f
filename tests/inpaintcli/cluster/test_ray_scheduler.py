"""Workers of a cluster lose no photo, whatever happens to them."""

import dataclasses
from contextlib import closing

import pytest
from inpaintcli_engines.base import EngineFailedError, EngineUnavailableError

from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.journal import NAME, Journal
from inpaintcli.batch.journal_entries import JournalIndex
from inpaintcli.batch.plan import plan_folder
from inpaintcli.batch.resume import JournalRecorder
from inpaintcli.cluster import ray_scheduler, ray_worker
from inpaintcli.cluster.connection import RayCluster, divide_cores
from inpaintcli.cluster.ray_worker import RayWorker, WorkerSettings
from inpaintcli.console import Console
from inpaintcli.errors import UsageError
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.source import BESIDE
from inpaintcli.models.cards import find_card
from inpaintcli.options import FillOptions, ModelChoice
from tests.conftest import GreyEngine, card
from tests.inpaintcli.cluster.fake_ray import FakeRay
from tests.inpaintcli.storage.test_stores import fsspec, root

__all__ = ["fsspec", "root"]

RUN_FINGERPRINT = RunFingerprint(model=find_card().sha256, options={})


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def worker_settings(shared_file):
    return WorkerSettings(
        model=ModelChoice(),
        options=FillOptions(detail="network"),
        overwrite=False,
        fingerprint=RUN_FINGERPRINT,
        shared_file=shared_file,
    )


@pytest.fixture
def run(folder, out, monkeypatch):
    """Fill the photos of `folder` on a fake cluster; gives outcomes by name."""
    monkeypatch.setattr(
        ray_worker, "open_chosen_model", lambda *_, **__: Model(card(), GreyEngine(), "fake")
    )

    def go(ray, *, workers=2, stop=lambda _: False, **changes):
        settings = dataclasses.replace(worker_settings(out / NAME), **changes)
        plan = plan_folder(folder, BESIDE, out, overwrite=False)
        done = {}
        with closing(Journal(out)) as journal:
            recorder = JournalRecorder(journal, RUN_FINGERPRINT)
            outcomes = ray_scheduler.run_jobs(
                plan.jobs,
                RayCluster(ray=ray, workers=workers, threads=1),
                settings,
                console=Console(),
                recorder=recorder,
                stop=lambda: stop(done),
            )
            for outcome in outcomes:
                recorder.record(outcome)
                assert outcome.input.name not in done
                done[outcome.input.name] = outcome
        return done

    return go


def statuses(done):
    return {name[0]: outcome.status for name, outcome in done.items()}


ALL = dict.fromkeys("012345", "filled")


def outputs(out):
    return sorted(path.name for path in out.iterdir() if path.name != NAME)


NAMES = [f"{number}.png" for number in range(6)]


def test_all_photos_are_filled_and_recorded(run, out):
    ray = FakeRay()
    done = run(ray)
    assert statuses(done) == ALL
    assert outputs(out) == NAMES
    index = JournalIndex(out / NAME)
    assert {index.last(name).status for name in NAMES} == {"filled"}
    assert ray.most <= 2 * (1 + ray_scheduler.SPARE_THREADS)
    assert all(actor.dead for actor in ray.actors)


def test_outcomes_have_the_names_of_the_plan(run, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(FakeRay())
    assert {outcome.output for outcome in done.values()} == {out / name for name in NAMES}


@pytest.mark.parametrize("moment", [-1, 1], ids=["before", "after"])
@pytest.mark.parametrize("call", ["prepare", "publish"])
def test_the_photos_of_a_lost_worker_are_done_by_another(run, out, capsys, call, moment):
    def dies(worker, name, _):
        return moment if worker.number == 0 and name == call else 0

    done = run(FakeRay(dies))
    assert statuses(done) == ALL
    assert outputs(out) == NAMES
    assert "was lost; another does its photos" in capsys.readouterr().err


def test_a_photo_that_ends_its_workers_fails_and_takes_no_other_with_it(run):
    def dies(_, name, arguments):
        return -1 if name == "prepare" and arguments[1].photo.name == "3.png" else 0

    ray = FakeRay(dies)
    done = run(ray)
    assert statuses(done) == {**ALL, "3": "failed"}
    assert "3 workers were lost" in done["3.png"].error.message
    assert done["3.png"].error.code == 8
    assert len(ray.actors) == 2 + ray_scheduler.MAX_LOSSES


def test_a_part_of_an_output_that_a_lost_worker_left_is_removed(run, out):
    seen = []

    def dies(worker, name, arguments):
        if worker.number == 0 and name == "publish":
            (out / arguments[1]).write_bytes(b"ha")
            seen.append(arguments[1])
            return -1
        return 0

    assert statuses(run(FakeRay(dies))) == ALL
    assert seen
    assert outputs(out) == NAMES


def test_workers_that_never_get_ready_end_the_run(run):
    with pytest.raises(EngineFailedError, match="before they are ready: The actor died"):
        run(FakeRay(lambda _, name, __: -1 if name == "open" else 0))


def test_an_engine_that_cannot_be_had_ends_the_run_and_names_the_machine(run, monkeypatch):
    def missing(*_, **__):
        raise EngineUnavailableError("There is no such engine.", hint="Take another.")

    monkeypatch.setattr(ray_worker, "open_chosen_model", missing)
    monkeypatch.setattr("socket.gethostname", lambda: "barn")
    with pytest.raises(EngineUnavailableError, match="barn: There is no such engine") as caught:
        run(FakeRay())
    assert caught.value.hint == "Take another."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "9.9"}, "the run is of 9.9"),
        ({"fingerprint": RunFingerprint(model="0" * 64, options={})}, "another one here"),
    ],
)
def test_a_machine_that_would_make_other_outputs_is_refused(run, changes, message):
    with pytest.raises(EngineUnavailableError, match=message):
        run(FakeRay(), **changes)


def test_a_machine_that_does_not_share_the_output_folder_is_refused(run, tmp_path):
    with pytest.raises(EngineUnavailableError, match="is not the output folder here"):
        run(FakeRay(), shared_file=tmp_path / "elsewhere" / NAME)


def test_a_photo_that_a_machine_does_not_see_is_reported_with_the_machine(run, folder, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "barn")

    class Blind(RayWorker):
        def prepare(self, number, job):
            (folder / "2.png").unlink(missing_ok=True)
            return super().prepare(number, job)

    done = run(FakeRay(make=Blind))
    assert "2.png is not visible on barn" in done["2.png"].error.message
    assert done["2.png"].error.code == 7


def test_a_fault_in_a_call_fails_one_photo(run):
    class Faulty(RayWorker):
        def prepare(self, number, job):
            if job.photo.name == "4.png":
                raise FakeRay.exceptions.RayError("task failed")
            return super().prepare(number, job)

    assert statuses(run(FakeRay(make=Faulty))) == {**ALL, "4": "failed"}


@pytest.mark.parametrize("moment", [-1, 1], ids=["before", "after"])
def test_outputs_in_a_store_are_recorded_before_they_appear(
    root, folder, tmp_path, monkeypatch, moment
):
    monkeypatch.setattr(
        ray_worker, "open_chosen_model", lambda *_, **__: Model(card(), GreyEngine(), "fake")
    )
    plan = plan_folder(folder, BESIDE, root / "out", overwrite=False)

    def dies(worker, name, arguments):
        if name == "publish":
            noted = [entry.temporary for entry in JournalIndex(tmp_path / "journal").unfinished()]
            assert arguments[1] in noted
        return moment if worker.number == 0 and name == "publish" else 0

    cluster = RayCluster(ray=FakeRay(dies), workers=2, threads=1)
    with closing(Journal(root / "out", tmp_path / "journal")) as journal:
        recorder = JournalRecorder(journal, RUN_FINGERPRINT)
        run = ray_scheduler.run_jobs(
            plan.jobs, cluster, worker_settings(None), console=Console(), recorder=recorder
        )
        assert {outcome.status for outcome in run} == {"filled"}
    assert sorted(url.name for url in (root / "out").files_below()) == NAMES


def test_once_asked_to_stop_no_other_photo_is_begun_and_those_in_progress_are_reported(run, out):
    done = run(FakeRay(), workers=1, stop=bool)
    assert 1 <= len(done) <= 1 + ray_scheduler.SPARE_THREADS
    assert outputs(out) == sorted(done)


def test_closing_lets_the_photos_in_progress_finish(run, out):
    class StopError(Exception):
        pass

    def stop(done):
        if done:
            raise StopError
        return False

    with pytest.raises(StopError):
        run(FakeRay(), stop=stop)
    assert outputs(out)
    assert not list(out.glob(".*part"))


def test_a_cluster_without_room_ends_the_run(run, monkeypatch):
    class Full(FakeRay):
        def wait(self, calls, **_):
            return [], calls

    monkeypatch.setattr(ray_scheduler, "START_TIMEOUT_S", 0.0)
    with pytest.raises(EngineUnavailableError, match="No worker could be started"):
        run(Full())


@pytest.mark.parametrize(
    ("cores_of", "jobs", "workers", "shares"),
    [
        ([2], 100, None, (2, 1)),
        ([8], 100, None, (4, 2)),
        ([8], 1, None, (1, 8)),
        ([2], 100, 4, (4, 1)),
        ([8, 8], 100, None, (8, 2)),
        ([8, 2], 100, None, (6, 1)),
        ([4, 2], 100, 2, (2, 2)),
        ([4, 4], 100, 3, (3, 2)),
        ([4, 4], 1, None, (1, 4)),
    ],
)
def test_every_worker_finds_its_cores_on_one_machine(cores_of, jobs, workers, shares):
    assert divide_cores(cores_of, jobs, workers) == shares


def test_more_workers_than_cores_are_refused_on_a_cluster():
    with pytest.raises(UsageError, match="the cluster has 4"):
        divide_cores([2, 2], 100, 5)
