"""Many jobs on a Ray cluster: the same generator of outcomes as inpaintcli/batch/thread_pool.py.

A crew of actors with one engine each. This process alone writes the journal, and no output appears
before it has: a worker makes a draft and tells of it, the draft is announced, then the worker is
told to publish it. What a lost worker had in hand is done by another, alone, so that a photo that
ends its worker is found out and takes no other photo with it.
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
from inpaintcli.batch.jobs import Job, job_of
from inpaintcli.batch.messages import report_engine
from inpaintcli.batch.outcome import Outcome, failed_outcome
from inpaintcli.batch.resume import JournalRecorder
from inpaintcli.batch.thread_pool import SPARE_THREADS
from inpaintcli.cluster.connection import Pool, first_line
from inpaintcli.cluster.ray_worker import RemoteDraft, Worker, WorkerInfo, WorkerSettings
from inpaintcli.console import Console
from inpaintcli.errors import InpaintError
from inpaintcli.storage.locations import Location

LOSSES = 3
"""A photo that was in hand when so many workers were lost has failed."""
MAX_FAILED_STARTS = 3
"""So many workers in a row that end before they are ready end the run."""
START_S = 300.0
"""No worker ready after that: the cluster has no room."""
TURN_S = 1.0


def fill_files(
    jobs: Iterable[Job],
    pool: Pool,
    order: WorkerSettings,
    *,
    console: Console,
    recorder: JournalRecorder,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Outcome, None, None]:
    """Do many jobs on the cluster; outcomes come as they are ready.

    Args:
        jobs: taken one by one as there is room.
        pool: the cluster.
        order: what all workers are told.
        console: takes what workers have to say.
        recorder: keeps book.
        stop: once true, no other photo is begun; those at work finish and are told.

    Raises:
        InpaintError, EngineError: a worker cannot work, or there is no room for one.

    Closing the iteration ends the workers at once: what was announced, the next run finds.
    """
    course = _ClusterRun(iter(jobs), pool, order, console, recorder)
    try:
        yield from course.outcomes(stop)
    finally:
        course.dismiss()


@dataclass
class _DispatchedJob:
    """One job on its way; `drafted` and `temporary` once it is announced."""

    number: int
    job: Job
    losses: int = 0
    drafted: Outcome | None = None
    temporary: str = ""


@dataclass(eq=False)
class _Member:
    """One worker, and the jobs that it has in hand."""

    actor: Any
    since: float
    hello: WorkerInfo | None = None
    trips: list[_DispatchedJob] = field(default_factory=list)

    def has_room_for(self, trip: _DispatchedJob | None) -> bool:
        """Whether it can take a new job (None), or one that was lost before and goes alone."""
        if self.hello is None or any(other.losses for other in self.trips):
            return False
        return not self.trips if trip else len(self.trips) <= SPARE_THREADS

    def __str__(self) -> str:
        return f"{self.hello.host} (process {self.hello.pid})" if self.hello else "a machine"


@dataclass(frozen=True)
class _Step:
    """A call that a worker has yet to answer."""

    kind: Literal["open", "draft", "publish"]
    member: _Member
    trip: _DispatchedJob | None = None


class _ClusterRun:
    """One run on the cluster."""

    def __init__(
        self,
        jobs: Iterator[Job],
        pool: Pool,
        order: WorkerSettings,
        console: Console,
        recorder: JournalRecorder,
    ) -> None:
        self._jobs, self._next = jobs, next(jobs, None)
        self._pool, self._ray = pool, pool.ray
        self._order, self._console, self._recorder = _absolute_order(order), console, recorder
        self._members: list[_Member] = []
        self._steps: dict[Any, _Step] = {}
        self._again: deque[_DispatchedJob] = deque()
        self._count = self._stillborn = 0
        # Ray turns the exception of a signal's handler into a fault of its own: it waits elsewhere.
        self._asker = ThreadPoolExecutor(1)
        self._told: set[str] = set()
        for _ in range(pool.workers):
            self._hire()

    def outcomes(self, stop: Callable[[], bool]) -> Iterator[Outcome]:
        """Outcomes until all is done, or `stop` is true and nothing is in hand."""
        while True:
            if not stop():
                self._hand_out()
            if not any(member.trips for member in self._members) and (stop() or self._is_done()):
                return
            yield from self._answered()

    def dismiss(self) -> None:
        """End all workers."""
        self._asker.shutdown(cancel_futures=True)
        for member in self._members:
            self._ray.kill(member.actor)

    def _is_done(self) -> bool:
        return self._next is None and not self._again

    def _answered(self) -> Iterator[Outcome]:
        """Wait for answers, and take them."""
        calls = list(self._steps)
        asked = self._asker.submit(self._ray.wait, calls, num_returns=1, timeout=TURN_S)
        ready, _ = asked.result()
        if not ready:
            self._check_room()
        for call in ready:
            step = self._steps.pop(call, None)
            if step is None:
                continue  # of a worker that was lost meanwhile
            try:
                answer = self._asker.submit(self._ray.get, call).result()
            except self._ray.exceptions.RayActorError as error:
                yield from self._lose(step.member, error)
            except self._ray.exceptions.RayError as error:
                yield from self._refuse(step, error)
            else:
                yield from self._take(step, answer)

    def _take(self, step: _Step, answer: Any) -> Iterator[Outcome]:
        if step.kind == "open":
            self._welcome(step.member, answer)
        elif step.kind == "draft":
            yield from self._announce(step, answer)
        else:
            yield self._done(step, answer)

    # Jobs

    def _hand_out(self) -> None:
        """Give every worker what it has room for."""
        for member in self._members:
            while self._again and member.has_room_for(self._again[0]):
                self._begin(member, self._again.popleft())
            while self._next is not None and member.has_room_for(None):
                self._count += 1
                self._begin(member, _DispatchedJob(self._count, self._next))
                self._next = next(self._jobs, None)

    def _begin(self, member: _Member, trip: _DispatchedJob) -> None:
        member.trips.append(trip)
        job = _absolute(trip.job)
        self._steps[member.actor.draft.remote(trip.number, job)] = _Step("draft", member, trip)

    def _announce(self, step: _Step, drafted: RemoteDraft) -> Iterator[Outcome]:
        """Note that an output is about to appear, and let it."""
        trip, member = _trip_of(step), step.member
        self._say(drafted.notes)
        outcome = _named(drafted.outcome, trip.job)
        if not drafted.is_kept:
            yield self._done(step, outcome)
            return
        try:
            trip.temporary = self._recorder.announce(outcome)
        except InpaintError as error:
            member.actor.drop.remote(trip.number)
            yield self._done(step, replace(failed_outcome(trip.job, None, error), key=outcome.key))
            return
        trip.drafted = outcome
        call = member.actor.publish.remote(trip.number, trip.temporary)
        self._steps[call] = _Step("publish", member, trip)

    def _done(self, step: _Step, outcome: Outcome) -> Outcome:
        trip = _trip_of(step)
        step.member.trips.remove(trip)
        return _named(outcome, trip.job)

    def _refuse(self, step: _Step, error: Exception) -> Iterator[Outcome]:
        """A call failed, but its worker lives."""
        reason = EngineFailedError(f"{step.member}: {first_line(error)}")
        if step.kind == "open":
            raise reason
        yield self._done(step, failed_outcome(_trip_of(step).job, None, reason))

    def _lose(self, member: _Member, error: Exception) -> Iterator[Outcome]:
        """A worker is no more: what it had in hand is done by another."""
        self._members.remove(member)
        self._steps = {call: step for call, step in self._steps.items() if step.member != member}
        if member.hello is None:
            self._stillborn += 1
            if self._stillborn >= MAX_FAILED_STARTS:
                raise EngineFailedError(
                    f"Workers end before they are ready: {first_line(error)}",
                    hint=f"Every machine needs inpaintcli {__version__} in the Python of its Ray.",
                )
        else:
            self._console.say(f"A worker on {member} was lost; another does its photos.")
        self._ray.kill(member.actor)  # it may only be out of reach: it must not write any more
        self._hire()
        for trip in member.trips:
            yield from self._rescued(trip, member)

    def _rescued(self, trip: _DispatchedJob, member: _Member) -> Iterator[Outcome]:
        """The outcome of a job whose worker was lost; none where it is done again."""
        drafted, trip.drafted = trip.drafted, None
        if drafted is not None and self._recorder.is_there(drafted, trip.temporary):
            yield drafted
            return
        trip.losses += 1
        if trip.losses < LOSSES:
            self._again.append(trip)
            return
        reason = EngineFailedError(
            f"{LOSSES} workers were lost while they had {trip.job.photo} in hand, "
            f"the last on {member}.",
            hint="It may need more memory than a worker has: try it alone, with --workers 1.",
        )
        yield failed_outcome(trip.job, None, reason)

    # Workers

    def _hire(self) -> None:
        gpus = 1 if self._order.device.startswith("cuda") else 0
        actor = (
            self._ray.remote(Worker)
            .options(
                num_cpus=self._pool.threads,
                num_gpus=gpus,
                max_concurrency=1 + SPARE_THREADS,
            )
            .remote(self._order, self._pool.threads)
        )
        member = _Member(actor, time.monotonic())
        self._members.append(member)
        self._steps[actor.open.remote()] = _Step("open", member)

    def _welcome(self, member: _Member, hello: WorkerInfo | InpaintError | EngineError) -> None:
        if not isinstance(hello, WorkerInfo):
            raise hello
        self._stillborn = 0
        if not any(other.hello for other in self._members):
            report_engine(self._console, hello.model, hello.info, hello.why, hello.fallback)
        member.hello = hello
        self._console.detail(f"worker on {member}")
        self._say(hello.notes)

    def _check_room(self) -> None:
        """End a run that has waited too long for its first worker.

        Raises:
            EngineUnavailableError: it has.
        """
        waiting = [member.since for member in self._members if member.hello is None]
        if len(waiting) == len(self._members) and time.monotonic() > max(waiting) + START_S:
            raise EngineUnavailableError(
                f"No worker could be started within {START_S:.0f} s: the cluster has no "
                f"{self._pool.threads} free cores on any machine.",
                hint="See `ray status`, or pass --workers with a larger number.",
            )

    def _say(self, notes: Iterable[str]) -> None:
        """Tell what workers note, the same words only once."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                self._console.say(note)


def _trip_of(step: _Step) -> _DispatchedJob:
    if step.trip is None:
        raise TypeError(f"a call of the kind {step.kind} has no job")
    return step.trip


def _named(outcome: Outcome, job: Job) -> Outcome:
    """The outcome with the names that the plan has."""
    return replace(outcome, input=job.photo, mask=job.mask, output=job.output)


def _absolute(job: Job) -> Job:
    """The job with whole paths: workers have other working directories."""

    def whole(place: Location) -> Location:
        return place.absolute() if isinstance(place, Path) else place

    mask = None if job.mask is None else whole(job.mask)
    return replace(job_of(whole(job.photo), mask, whole(job.output)), replaces=job.replaces)


def _absolute_order(order: WorkerSettings) -> WorkerSettings:
    model, witness = order.model, order.witness
    if model is not None and model.endswith(".toml"):
        model = str(Path(model).absolute())
    return replace(order, model=model, witness=witness.absolute() if witness else None)
