"""Work done prefetched of its use, in order: by a thread, or by processes of their own."""

import itertools
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import connection
from multiprocessing.context import BaseContext
from typing import Any

import cv2

Work = Callable[[int], Any]
_PRELOADED = "inpaintcli_training.data.crops"  # imported once for all worker processes


def prefetched(
    work: Work, numbers: Iterable[int], *, max_waiting: int, processes: int = 0
) -> Generator[Any, None, None]:
    """The results of the work on each number, in order, `max_waiting` of them prepared prefetched.

    Args:
        work: a function of the number alone; with processes it must be picklable.
        numbers: may be endless.
        max_waiting: results that wait at a time, at least 1.
        processes: 0 does the work in one thread of this process, which is enough for training on a
            CPU. A GPU consumes crops faster than Python, which runs one thread at a time, can
            prepare them; and that thread is needed to drive the GPU.
    """
    numbers = iter(numbers)
    pool, done_there = _pool(work, processes)
    waiting: deque[Future[Any]] = deque()
    try:
        while True:
            for number in itertools.islice(numbers, max_waiting - len(waiting)):
                waiting.append(pool.submit(done_there, number))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(work: Work, processes: int) -> tuple[Executor, Work]:
    if processes == 0:
        return ThreadPoolExecutor(1), work
    pool = ProcessPoolExecutor(
        processes, mp_context=_context(), initializer=_initialise_worker, initargs=(work,)
    )
    return pool, _run_work


def _context() -> BaseContext:
    """Processes that are not forked from this one: a fork of a process with threads may hang."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


_current: list[Work] = []  # in a worker process: its work


def _initialise_worker(work: Work) -> None:
    """Prepare a new worker process."""
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all processes; the trainer ends the pool
    logging.disable()  # the trainer logs what the results report
    _current.append(work)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Exit when the trainer is killed, so that no process stays behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _run_work(number: int) -> Any:
    return _current[0](number)
