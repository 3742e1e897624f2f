"""Work done ahead of its use, in order: by a thread, or by processes of their own."""

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
_PRELOADED = (
    "inpaintcli_training.data.crops"  # what the work's module imports, once for all processes
)


def ahead(
    work: Work, numbers: Iterable[int], *, most: int, processes: int = 0
) -> Generator[Any, None, None]:
    """The results of the work on each number, in order, `most` of them prepared ahead.

    Args:
        work: a function of the number alone; with processes it must be picklable.
        numbers: may be without end.
        most: results that wait at a time, at least 1.
        processes: 0 does the work in one thread of this process, which is enough beside a CPU. A
            GPU takes crops faster than Python, which runs one thread at a time, cuts them; and
            what Python does run is wanted for the GPU.
    """
    numbers = iter(numbers)
    pool, done_there = _pool(work, processes)
    waiting: deque[Future[Any]] = deque()
    try:
        while True:
            for number in itertools.islice(numbers, most - len(waiting)):
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
        processes, mp_context=_context(), initializer=_begin, initargs=(work,)
    )
    return pool, _do


def _context() -> BaseContext:
    """Processes that share nothing with this one: a fork of a process with threads may hang."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


_current: list[Work] = []  # the work of a process of the pool


def _begin(work: Work) -> None:
    """In a new process of the pool."""
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the trainer ends the pool
    logging.disable()  # the trainer tells what the results say
    _current.append(work)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A trainer that is killed leaves no process behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _do(number: int) -> Any:
    return _current[0](number)
