"""Batches that are too large for the device, run in parts."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli_engines.base import Arrays, OutOfDeviceMemoryError, Reporter

Outputs = dict[str, NDArray[Any]]


class Batches:
    """Runs a batch whole where it fits, else in parts; remembers the size that fitted.

    `most` is the largest batch that is tried; it halves when the device runs out of memory, which
    is told once.
    """

    def __init__(self, most: int | None, report: Reporter) -> None:
        self.most = most
        self._report = report
        self._told = False

    def run(self, run: Callable[[Arrays], Outputs], arrays: Arrays) -> Outputs:
        """The outputs of `run` on all of the batch, in order.

        Args:
            run: takes arrays with the batch as first axis.
            arrays: all of one batch size.

        Raises:
            OutOfDeviceMemoryError: not even one at a time fits.
        """
        total = next(iter(arrays.values())).shape[0]
        parts: list[Outputs] = []
        start = 0
        while start < total:
            size = min(total - start, self.most or total)
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
        self.most = size // 2
        if not self._told:
            self._told = True
            self._report.note(
                f"The GPU has too little memory for {size} pictures at a time: {self.most} from now"
            )
