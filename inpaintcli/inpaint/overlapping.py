"""Work on parts of a picture in several threads, with the outcome of one part after the other."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from inpaintcli.imaging.regions import Box

Outcome = TypeVar("Outcome")


def in_threads(boxes: Sequence[Box], work: Callable[[int], Outcome], threads: int) -> list[Outcome]:
    """Work on each part, by its number; a part waits for all earlier ones that it overlaps.

    A part may read and write the picture within its box, and so sees what earlier parts have
    written there, and nothing of later ones: as if one thread did all of them in order.

    Args:
        boxes: of the parts.
        work: called once for each number.
        threads: how many parts are worked on at a time.

    Returns:
        What `work` returned, in the order of the parts.

    Raises:
        Exception: the first that `work` raised; parts that have not begun are left out.
    """
    outcomes: dict[int, Outcome] = {}
    waiting = {
        number: {earlier for earlier in range(number) if _overlap(box, boxes[earlier])}
        for number, box in enumerate(boxes)
    }
    running: dict[Future[Outcome], int] = {}
    pool = ThreadPoolExecutor(max(1, threads))
    try:
        while waiting or running:
            for number in [number for number, earlier in waiting.items() if not earlier]:
                del waiting[number]
                running[pool.submit(work, number)] = number
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number = running.pop(future)
                outcomes[number] = future.result()
                for earlier in waiting.values():
                    earlier.discard(number)
    finally:
        pool.shutdown(cancel_futures=True)
    return [outcomes[number] for number in range(len(boxes))]


def _overlap(one: Box, other: Box) -> bool:
    rows = one.top < other.bottom and other.top < one.bottom
    return rows and one.left < other.right and other.left < one.right
