"""Batches that are too large for the device's memory are run in parts."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli_engines.base import Arrays, OutOfDeviceMemoryError, Reporter

Outputs = dict[str, NDArray[Any]]


class BatchSplitter:
    """Runs a batch at once where it fits, else in parts; remembers the size that fitted.

    `largest` is the largest batch that is tried, None for any. It halves whenever the device runs
    out of memory; the first time this is reported.
    """

    def __init__(self, largest: int | None, report: Reporter) -> None:
        self.largest = largest
        self._report = report
        self._reported = False

    def run(self, run: Callable[[Arrays], Outputs], arrays: Arrays) -> Outputs:
        """Call `run` on the whole batch or on its parts; its outputs, joined in order.

        Args:
            run: takes arrays whose first axis is the batch.
            arrays: all with the same batch size.

        Raises:
            OutOfDeviceMemoryError: not even a batch of one fits.
        """
        total = next(iter(arrays.values())).shape[0]
        parts: list[Outputs] = []
        start = 0
        while start < total:
            size = min(total - start, self.largest or total)
            try:
                parts.append(run({name: a[start : start + size] for name, a in arrays.items()}))
            except OutOfDeviceMemoryError:
                if size == 1:
                    raise
                self._halve(size)
            else:
                start += size
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _halve(self, size: int) -> None:
        self.largest = size // 2
        if not self._reported:
            self._reported = True
            self._report.note(
                f"The GPU has too little memory for {size} pictures at a time: "
                f"{self.largest} from now"
            )
