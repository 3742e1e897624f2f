"""Between coefficients and samples: colours, chroma sampling, the cosine transform, quantisation.

Samples are float32 of 0 to 255. Source: ITU-T T.81, annex A.3; T.871, section 7, for colours.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
SIDE = 8
MOST = 1023
"""Of a quantised coefficient: ten bits, for which all tables have codes."""


def _zigzag() -> NDArray[np.intp]:
    """By place in zigzag order, the place in a row of 64 by rows (figure A.6)."""
    places = [(y, x) for y in range(SIDE) for x in range(SIDE)]
    places.sort(key=lambda p: (sum(p), p[0] if sum(p) % 2 else p[1]))
    return np.array([SIDE * y + x for y, x in places])


def _cosines() -> Floats:
    """The matrix of the cosine transform of eight samples: rows are frequencies."""
    frequency, place = np.arange(SIDE)[:, None], np.arange(SIDE)[None]
    matrix = np.cos((2 * place + 1) * frequency * np.pi / (2 * SIDE)) / 2
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


ZIGZAG = _zigzag()
COSINES = _cosines()
YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]],
    np.float32,
)


def ycbcr(rgb: NDArray[np.uint8]) -> Floats:
    """Pixels (h, w, 3) as Y, Cb and Cr."""
    return rgb.astype(np.float32) @ YCBCR.T + np.array([0, 128, 128], np.float32)


def sampled(plane: Floats, down: int, across: int) -> Floats:
    """The means of areas of `down` rows and `across` columns; edges are repeated to fill one."""
    return np.asarray(_areas(plane, down, across).mean(axis=(1, 3)), np.float32)


def any_sampled(mask: Bools, down: int, across: int) -> Bools:
    """Where such an area holds a True."""
    return np.asarray(_areas(mask, down, across).any(axis=(1, 3)), np.bool_)


def samples_of(blocks: NDArray[np.int16], table: NDArray[np.int32]) -> Floats:
    """Coefficients (n, 64), quantised, in zigzag order, as samples (n, 8, 8), not clipped."""
    rows = np.zeros((len(blocks), SIDE * SIDE), np.float32)
    rows[:, ZIGZAG] = blocks * table.astype(np.float32)
    return np.asarray(COSINES.T @ rows.reshape(-1, SIDE, SIDE) @ COSINES + 128, np.float32)


def coefficients_of(samples: Floats, table: NDArray[np.int32]) -> NDArray[np.int16]:
    """The inverse of `samples_of`."""
    rows = (COSINES @ (samples - 128) @ COSINES.T).reshape(-1, SIDE * SIDE)
    quantised = np.rint(rows[:, ZIGZAG] / table.astype(np.float32))
    return np.clip(quantised, -MOST, MOST).astype(np.int16)


def _areas(plane: NDArray[Any], down: int, across: int) -> NDArray[Any]:
    height, width = plane.shape
    if height % down or width % across:
        plane = np.pad(plane, ((0, -height % down), (0, -width % across)), mode="edge")
    return plane.reshape(plane.shape[0] // down, down, plane.shape[1] // across, across)
