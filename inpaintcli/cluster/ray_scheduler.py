"""Run many jobs on a Ray cluster: like thread_pool.py, with workers in place of threads.

Each worker, a Ray actor, has one model. Only this process writes the journal, and no output is
published before it has been announced there: a worker prepares a draft and reports it, this process
announces it, then the worker publishes it. The jobs of a lost worker are done by another one, each
alone: so a photo that ends its worker is identified, and takes no other photo with it.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from inpaintcli_engines.base import EngineError, EngineFailedError, EngineUnavailableError

from inpaintcli import __version__
from inpaintcli.batch.jobs import Job
from inpaintcli.batch.messages import report_engine
from inpaintcli.batch.outcome import Outcome, failed_outcome
from inpaintcli.batch.resume import JournalRecorder
from inpaintcli.batch.thread_pool import SPARE_THREADS
from inpaintcli.cluster.connection import RayCluster, first_line
from inpaintcli.cluster.ray_worker import RayWorker, RemoteDraft, WorkerInfo, WorkerSettings
from inpaintcli.console import Console
from inpaintcli.errors import InpaintError
from inpaintcli.storage.locations import Location

MAX_LOSSES = 3
"""A photo has failed when so many workers were lost while they had it."""
MAX_FAILED_STARTS = 3
"""So many workers in a row that end before they are ready end the run."""
START_TIMEOUT_S = 300.0
"""If no worker is ready after that, the cluster has no room for one."""
WAIT_S = 1.0


def run_jobs(
    jobs: Iterable[Job],
    cluster: RayCluster,
    settings: WorkerSettings,
    *,
    console: Console,
    recorder: JournalRecorder,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Outcome, None, None]:
    """Run many jobs on the cluster; outcomes come in the order in which they are ready.

    Args:
        jobs: taken one by one, as workers are free.
        cluster: where.
        settings: what all workers are given.
        console: where to report on the workers.
        recorder: announces outputs before they are published.
        stop: once it returns true, no other job is begun; those in progress finish.

    Raises:
        InpaintError, EngineError: a worker cannot work, or there is no room for one.

    Closing the generator ends the workers at once; the next run finds what was announced.
    """
    run = _ClusterRun(iter(jobs), cluster, settings, console, recorder)
    try:
        yield from run.outcomes(stop)
    finally:
        run.stop_workers()


@dataclass
class _DispatchedJob:
    """One job that a worker has; `announced` and `temporary` are set once it is announced."""

    number: int
    job: Job
    losses: int = 0
    announced: Outcome | None = None
    temporary: str = ""


@dataclass(eq=False)
class _WorkerHandle:
    """One worker, and the jobs that it has; `info` is None until it is ready."""

    actor: Any
    started_at: float
    info: WorkerInfo | None = None
    jobs: list[_DispatchedJob] = field(default_factory=list)

    def has_room_for(self, retried: _DispatchedJob | None) -> bool:
        """Whether it can take a new job (None), or one that is retried, which it takes alone."""
        if self.info is None or any(other.losses for other in self.jobs):
            return False
        return not self.jobs if retried else len(self.jobs) <= SPARE_THREADS

    def __str__(self) -> str:
        return f"{self.info.host} (process {self.info.pid})" if self.info else "a machine"


@dataclass(frozen=True)
class _PendingCall:
    """A call that a worker has not answered yet."""

    method: Literal["open", "prepare", "publish"]
    worker: _WorkerHandle
    dispatched: _DispatchedJob | None = None


class _ClusterRun:
    """One run on the cluster."""

    def __init__(
        self,
        jobs: Iterator[Job],
        cluster: RayCluster,
        settings: WorkerSettings,
        console: Console,
        recorder: JournalRecorder,
    ) -> None:
        self._jobs, self._next = jobs, next(jobs, None)
        self._cluster, self._ray = cluster, cluster.ray
        self._settings = _with_absolute_paths(settings)
        self._console, self._recorder = console, recorder
        self._workers: list[_WorkerHandle] = []
        self._pending: dict[Any, _PendingCall] = {}
        self._retries: deque[_DispatchedJob] = deque()
        self._dispatched = self._failed_starts = 0
        # Ray takes an exception in a signal handler for its own fault, so another thread waits.
        self._waiter = ThreadPoolExecutor(1)
        self._reported_notes: set[str] = set()
        for _ in range(cluster.workers):
            self._start_worker()

    def outcomes(self, stop: Callable[[], bool]) -> Iterator[Outcome]:
        """Outcomes until all is done, or `stop` returns true and no job is in progress."""
        while True:
            if not stop():
                self._dispatch()
            is_busy = any(worker.jobs for worker in self._workers)
            if not is_busy and (stop() or self._is_done()):
                return
            yield from self._answers()

    def stop_workers(self) -> None:
        """End all workers."""
        self._waiter.shutdown(cancel_futures=True)
        for worker in self._workers:
            self._ray.kill(worker.actor)

    def _is_done(self) -> bool:
        return self._next is None and not self._retries

    def _answers(self) -> Iterator[Outcome]:
        """Wait for answers, and handle them."""
        waiting = self._waiter.submit(
            self._ray.wait, list(self._pending), num_returns=1, timeout=WAIT_S
        )
        ready, _ = waiting.result()
        if not ready:
            self._check_start_timeout()
        for reference in ready:
            call = self._pending.pop(reference, None)
            if call is None:
                continue  # of a worker that was lost
            try:
                answer = self._waiter.submit(self._ray.get, reference).result()
            except self._ray.exceptions.RayActorError as error:
                yield from self._worker_lost(call.worker, error)
            except self._ray.exceptions.RayError as error:
                yield from self._call_failed(call, error)
            else:
                yield from self._answered(call, answer)

    def _answered(self, call: _PendingCall, answer: Any) -> Iterator[Outcome]:
        if call.method == "open":
            self._worker_ready(call.worker, answer)
        elif call.method == "prepare":
            yield from self._prepared(call, answer)
        else:
            yield self._finished(call, answer)

    # Jobs

    def _dispatch(self) -> None:
        """Give every worker as many jobs as it has room for."""
        for worker in self._workers:
            while self._retries and worker.has_room_for(self._retries[0]):
                self._prepare(worker, self._retries.popleft())
            while self._next is not None and worker.has_room_for(None):
                self._dispatched += 1
                self._prepare(worker, _DispatchedJob(self._dispatched, self._next))
                self._next = next(self._jobs, None)

    def _prepare(self, worker: _WorkerHandle, dispatched: _DispatchedJob) -> None:
        worker.jobs.append(dispatched)
        job = _with_absolute_locations(dispatched.job)
        reference = worker.actor.prepare.remote(dispatched.number, job)
        self._pending[reference] = _PendingCall("prepare", worker, dispatched)

    def _prepared(self, call: _PendingCall, draft: RemoteDraft) -> Iterator[Outcome]:
        """Announce the output and have it published."""
        dispatched, worker = _job_of(call), call.worker
        self._say(draft.notes)
        outcome = _with_locations_of(dispatched.job, draft.outcome)
        if not draft.is_kept:
            yield self._finished(call, outcome)
            return
        try:
            dispatched.temporary = self._recorder.announce(outcome)
        except InpaintError as error:
            worker.actor.discard.remote(dispatched.number)
            failed = failed_outcome(dispatched.job, None, error)
            yield self._finished(call, replace(failed, fingerprint=outcome.fingerprint))
            return
        dispatched.announced = outcome
        reference = worker.actor.publish.remote(dispatched.number, dispatched.temporary)
        self._pending[reference] = _PendingCall("publish", worker, dispatched)

    def _finished(self, call: _PendingCall, outcome: Outcome) -> Outcome:
        dispatched = _job_of(call)
        call.worker.jobs.remove(dispatched)
        return _with_locations_of(dispatched.job, outcome)

    def _call_failed(self, call: _PendingCall, error: Exception) -> Iterator[Outcome]:
        """A call failed, but its worker lives."""
        reason = EngineFailedError(f"{call.worker}: {first_line(error)}")
        if call.method == "open":
            raise reason
        yield self._finished(call, failed_outcome(_job_of(call).job, None, reason))

    def _retry_or_fail(
        self, dispatched: _DispatchedJob, worker: _WorkerHandle
    ) -> Iterator[Outcome]:
        """The outcome of a job whose worker was lost; none where it is done again."""
        announced, dispatched.announced = dispatched.announced, None
        if announced is not None and self._recorder.was_published(announced, dispatched.temporary):
            yield announced
            return
        dispatched.losses += 1
        if dispatched.losses < MAX_LOSSES:
            self._retries.append(dispatched)
            return
        reason = EngineFailedError(
            f"{MAX_LOSSES} workers were lost while they filled {dispatched.job.photo}, "
            f"the last on {worker}.",
            hint="It may need more memory than a worker has: try it alone, with --workers 1.",
        )
        yield failed_outcome(dispatched.job, None, reason)

    # Workers

    def _start_worker(self) -> None:
        gpus = 1 if self._settings.model.device.startswith("cuda") else 0
        actor = (
            self._ray.remote(RayWorker)
            .options(
                num_cpus=self._cluster.threads,
                num_gpus=gpus,
                max_concurrency=1 + SPARE_THREADS,
            )
            .remote(self._settings, self._cluster.threads)
        )
        worker = _WorkerHandle(actor, time.monotonic())
        self._workers.append(worker)
        self._pending[actor.open.remote()] = _PendingCall("open", worker)

    def _worker_ready(
        self, worker: _WorkerHandle, info: WorkerInfo | InpaintError | EngineError
    ) -> None:
        if not isinstance(info, WorkerInfo):
            raise info
        self._failed_starts = 0
        if not any(other.info for other in self._workers):
            report_engine(self._console, info.model, info.info, info.why, info.fallback)
        worker.info = info
        self._console.detail(f"worker on {worker}")
        self._say(info.notes)

    def _worker_lost(self, worker: _WorkerHandle, error: Exception) -> Iterator[Outcome]:
        """Start another worker, and have it do the lost one's jobs."""
        self._workers.remove(worker)
        self._pending = {
            reference: call for reference, call in self._pending.items() if call.worker != worker
        }
        if worker.info is None:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS:
                raise EngineFailedError(
                    f"Workers end before they are ready: {first_line(error)}",
                    hint=f"Every machine needs inpaintcli {__version__} in the Python of its Ray.",
                )
        else:
            self._console.say(f"A worker on {worker} was lost; another does its photos.")
        self._ray.kill(worker.actor)  # it may only be unreachable: it must not write any more
        self._start_worker()
        for dispatched in worker.jobs:
            yield from self._retry_or_fail(dispatched, worker)

    def _check_start_timeout(self) -> None:
        """End a run that has waited too long for its first worker.

        Raises:
            EngineUnavailableError: it has.
        """
        starting = [worker.started_at for worker in self._workers if worker.info is None]
        is_none_ready = len(starting) == len(self._workers)
        if is_none_ready and time.monotonic() > max(starting) + START_TIMEOUT_S:
            raise EngineUnavailableError(
                f"No worker could be started within {START_TIMEOUT_S:.0f} s: the cluster has no "
                f"{self._cluster.threads} free cores on any machine.",
                hint="See `ray status`, or pass --workers with a larger number.",
            )

    def _say(self, notes: Iterable[str]) -> None:
        """Report notes of the workers, each text only once."""
        for note in notes:
            if note not in self._reported_notes:
                self._reported_notes.add(note)
                self._console.say(note)


def _job_of(call: _PendingCall) -> _DispatchedJob:
    if call.dispatched is None:
        raise TypeError(f"a call of {call.method} has no job")
    return call.dispatched


def _with_locations_of(job: Job, outcome: Outcome) -> Outcome:
    """The outcome with the names that the plan has, in place of absolute ones."""
    return replace(outcome, input=job.photo, mask=job.mask, output=job.output)


def _with_absolute_locations(job: Job) -> Job:
    """The job with absolute paths: workers have other working directories."""

    def absolute(location: Location) -> Location:
        return location.absolute() if isinstance(location, Path) else location

    mask = None if job.mask is None else absolute(job.mask)
    return replace(job, photo=absolute(job.photo), mask=mask, output=absolute(job.output))


def _with_absolute_paths(settings: WorkerSettings) -> WorkerSettings:
    choice, shared_file = settings.model, settings.shared_file
    if choice.model is not None and choice.model.endswith(".toml"):
        choice = replace(choice, model=str(Path(choice.model).absolute()))
    return replace(
        settings, model=choice, shared_file=shared_file.absolute() if shared_file else None
    )
