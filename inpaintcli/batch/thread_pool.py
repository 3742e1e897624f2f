"""Run many jobs on this machine: reading, filling and writing overlap, memory is bounded."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import islice
from queue import SimpleQueue

from inpaintcli_engines.base import cores

from inpaintcli.batch.job_runner import JobRunner, as_expected
from inpaintcli.batch.jobs import Job
from inpaintcli.batch.outcome import Outcome, failed_outcome
from inpaintcli.inpaint.pipeline import Model

SPARE_THREADS = 1
"""More threads than models: one photo is read or written while all models are busy."""
WAIT_S = 1.0
"""On Windows a signal is handled only between two waits."""
MAX_DEFAULT_WORKERS = 4
"""On one machine, without --workers."""


def open_models(stack: ExitStack, open_one: Callable[[int], Model], workers: int) -> list[Model]:
    """One model for each worker; all before the first job, so that errors end the run early.

    Args:
        stack: closes them in the end.
        open_one: opens a model that uses the given number of threads.
        workers: how many.
    """
    threads = max(1, cores() // workers)  # all together do not exceed the cores
    return [stack.enter_context(open_one(threads)) for _ in range(workers)]


def run_jobs(
    jobs: Iterable[Job],
    runner: JobRunner,
    models: int,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Outcome, None, None]:
    """Run many jobs in threads; outcomes come in the order in which they are ready.

    There are SPARE_THREADS more threads than models: while every model is busy, the next photo is
    read or the last one written. No more photos than threads are in memory.

    Args:
        jobs: taken one by one, as threads are free.
        runner: runs one job; called from several threads.
        models: how many models it has.
        stop: once it returns true, no other job is begun; those in progress finish.

    Closing the generator lets the jobs in progress finish and begins no other.
    """
    threads = models + SPARE_THREADS
    waiting = iter(jobs)
    with ThreadPoolExecutor(threads) as pool:
        running: dict[Future[Outcome], Job] = {}
        try:
            while True:
                free = 0 if stop() else threads - len(running)
                running |= {pool.submit(runner.run, job): job for job in islice(waiting, free)}
                if not running:
                    return
                for future in wait(running, WAIT_S, FIRST_COMPLETED).done:
                    yield _outcome_of(future, running.pop(future))
        finally:
            pool.shutdown(cancel_futures=True)


def _outcome_of(future: Future[Outcome], job: Job) -> Outcome:
    """What the worker returned; an exception of it is the outcome of its job alone."""
    error = future.exception()
    if isinstance(error, Exception):
        return failed_outcome(job, None, as_expected(error))
    return future.result()


def model_pool(models: Sequence[Model]) -> Callable[[], AbstractContextManager[Model]]:
    """A function that lends the models, each to one thread at a time; it waits for a free one."""
    free: SimpleQueue[Model] = SimpleQueue()
    for model in models:
        free.put(model)

    @contextmanager
    def borrow() -> Iterator[Model]:
        model = free.get()
        try:
            yield model
        finally:
            free.put(model)

    return borrow


def default_workers(jobs: int) -> int:
    """Photos at a time without --workers: one a core, at most four, no more than there are jobs."""
    return max(1, min(cores(), MAX_DEFAULT_WORKERS, jobs))
