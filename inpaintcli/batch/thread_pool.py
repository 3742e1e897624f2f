"""Many jobs at a time on this machine: read, fill and write overlap, memory stays bounded."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import islice
from queue import SimpleQueue

from inpaintcli_engines.base import cores

from inpaintcli.batch.fill_settings import FillSettings, Notes
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.jobs import Job
from inpaintcli.batch.outcome import ModelUsed, Outcome, ProgressRecorder
from inpaintcli.inpaint.pipeline import Model

SPARE_THREADS = 1
TURN_S = 1.0
"""Windows lets a signal be seen only between two waits."""
MOST_WORKERS = 4
"""On one machine, when nobody says."""


def open_models(stack: ExitStack, open_one: Callable[[int], Model], workers: int) -> list[Model]:
    """One model a worker, so that an engine that cannot be had stops the run before it begins.

    Args:
        stack: closes them in the end.
        open_one: opens a model that uses the given number of threads.
        workers: how many.
    """
    threads = max(1, cores() // workers)  # all together do not exceed the cores
    return [stack.enter_context(open_one(threads)) for _ in range(workers)]


def fill_files(
    jobs: Iterable[Job],
    models: Sequence[Model],
    settings: FillSettings,
    *,
    notes: Notes,
    recorder: ProgressRecorder | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Outcome, None, None]:
    """Do many jobs on this machine; outcomes come as they are ready.

    One thread more than there are models: while every model is at work, the next photo is read,
    or the last one written. No more photos than threads are in memory, however many there are.

    Args:
        jobs: taken one by one as there is room.
        models: each serves one photo at a time.
        settings: the same for all.
        notes: takes what is worth saying; called from several threads.
        recorder: keeps book, or None.
        stop: once true, no other photo is begun; those at work finish and are told.

    Closing the iteration lets the photos at work finish and begins no other.
    """
    fingerprint = recorder.fingerprint if recorder else None
    filler = JobRunner(
        lender(models), ModelUsed.of(models[0]), settings, notes, fingerprint, recorder
    )
    waiting = iter(jobs)
    with ThreadPoolExecutor(len(models) + SPARE_THREADS) as pool:
        at_work: set[Future[Outcome]] = set()
        try:
            while True:
                room = 0 if stop() else len(models) + SPARE_THREADS - len(at_work)
                at_work |= {pool.submit(filler.settle, job) for job in islice(waiting, room)}
                if not at_work:
                    return
                done, at_work = wait(at_work, TURN_S, FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def lender(models: Sequence[Model]) -> Callable[[], AbstractContextManager[Model]]:
    """Lends the models, each to one thread at a time; who finds none free waits."""
    free: SimpleQueue[Model] = SimpleQueue()
    for model in models:
        free.put(model)

    @contextmanager
    def lend() -> Iterator[Model]:
        model = free.get()
        try:
            yield model
        finally:
            free.put(model)

    return lend


def default_workers(jobs: int) -> int:
    """Photos at a time when nobody says: one a core, at most four, no more than there are."""
    return max(1, min(cores(), MOST_WORKERS, jobs))
