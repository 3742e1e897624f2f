"""Compiled: the coefficients of a scan from its coded data.

A block is a row of `coefficients`, int16 (blocks, 64), in zigzag order. `order` are the blocks of
the scan in turn; of each `unit` of them, `unit[i]` is the scan's component that block i is of.
Source: ITU-T T.81, annexes F.2 and G.2.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.jpeg_blocks.huffman import LONGER, LOOKUP_BITS, MAX_BITS, SYMBOLS
from inpaintcli.kernels.numba_kernels import kernel

Scalar = Any
"""A number in a kernel: Numba finds out of which type."""
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Blocks = NDArray[np.int16]
AT, BITS, COUNT, RUN, DAMAGED = 0, 1, 2, 3, 4
"""Places in the state: next byte, bits read ahead and their number, blocks left of an EOB run."""
STATE_SIZE = 5
AHEAD = 16
"""Bytes that must be readable behind the coded data."""
TOO_LARGE = 16
"""Bits of a value: none has as many."""


@kernel
def unstuffed(data: Bytes, start: Scalar, end: Scalar, plain: Bytes, bounds: Ints) -> Any:
    """Coded data without zero bytes behind 255 and without restart markers.

    Args:
        data: the file.
        start: of the coded data.
        end: of it.
        plain: (end - start + AHEAD) is set.
        bounds: (intervals + 1) is set: where in `plain` the data between two restarts begin.

    Returns:
        Whether the restarts are as many as there should be, and in order.
    """
    at, to, interval = start, 0, 0
    bounds[0] = 0
    while at < end:
        value = data[at]
        if value == 255 and at + 1 < end and data[at + 1] != 0:
            marker = data[at + 1]
            if marker == 255:
                at += 1
                continue
            if marker != 208 + interval % 8 or interval + 2 >= bounds.shape[0]:
                return False
            interval += 1
            bounds[interval] = to
            at += 2
            continue
        plain[to] = value
        to += 1
        at += 2 if value == 255 else 1
    bounds[interval + 1] = to
    return interval + 2 == bounds.shape[0]


@kernel
def _filled(data: Bytes, at: Scalar, bits: Scalar, count: Scalar) -> tuple[Any, Any, Any]:
    """The state with 32 bits more; zeros behind the end."""
    for n in range(at, at + 4):
        bits = (bits << 8) | (np.int64(data[n]) if n < data.shape[0] else 0)
    return at + 4, bits, count + 32


@kernel
def _fill(data: Bytes, state: Ints) -> None:
    """Read ahead, so that 32 bits are there."""
    if state[2] < 32:
        state[0], state[1], state[2] = _filled(data, state[0], state[1], state[2])


@kernel
def _bits(state: Ints, count: Scalar) -> Any:
    """So many bits (at most 16) of those read ahead, as a number."""
    state[2] -= count
    return (state[1] >> state[2]) & ((1 << count) - 1)


@kernel
def _long_code(bits: Scalar, count: Scalar, table: NDArray[np.int32]) -> Any:
    """256 times the length of the next code plus its symbol, of a long code; 0 where none fits."""
    for length in range(LOOKUP_BITS + 1, MAX_BITS + 1):
        code = (bits >> (count - length)) & ((1 << length) - 1)
        row = LONGER + 3 * length
        if table[row + 1] >= 0 and table[row] <= code <= table[row + 1]:
            return length << 8 | np.int64(table[SYMBOLS + table[row + 2] + code - table[row]])
    return np.int64(0)


@kernel
def _symbol(state: Ints, table: NDArray[np.int32]) -> Any:
    """The symbol of the next code."""
    found = np.int64(table[(state[1] >> (state[2] - LOOKUP_BITS)) & ((1 << LOOKUP_BITS) - 1)])
    if found == 0:
        found = _long_code(state[1], state[2], table)
        state[4] |= found == 0
    state[2] -= found >> 8
    return found & 255


@kernel
def _value(state: Ints, count: Scalar) -> Any:
    """A signed value of so many bits (table F.1)."""
    if count == 0:
        return np.int64(0)
    if count >= TOO_LARGE:
        state[4] = 1
        return np.int64(0)
    value = _bits(state, count)
    if value < (1 << (count - 1)):
        return value - (1 << count) + 1
    return value


@kernel
def _ac_first(
    data: Bytes, state: Ints, table: NDArray[np.int32], block: Blocks, band: Ints
) -> None:
    """The coefficients of a block from `band[0]` to `band[1]`, times 2 to the power `band[2]`."""
    # Not by `_symbol` and `_value`: this takes most of the time, and variables are faster.
    at, bits, count, k = state[0], state[1], state[2], band[0]
    while k <= band[1]:
        if count < 32:
            at, bits, count = _filled(data, at, bits, count)
        found = np.int64(table[(bits >> (count - LOOKUP_BITS)) & ((1 << LOOKUP_BITS) - 1)])
        if found == 0:
            found = _long_code(bits, count, table)
            state[4] |= found == 0
        count -= found >> 8
        run, size = (found >> 4) & 15, found & 15
        if size == 0 and run < 15:
            count -= run
            state[3] = (1 << run) + ((bits >> count) & ((1 << run) - 1)) - 1
            break
        k += run
        if k <= band[1]:
            count -= size
            value = (bits >> count) & ((1 << size) - 1)
            if size and value < (1 << (size - 1)):
                value += 1 - (1 << size)
            block[k] = value << band[2]
        k += 1
    state[4] |= k > band[1] + 1
    state[0], state[1], state[2] = at, bits, count


@kernel
def _is_whole(state: Ints, end: Scalar) -> Any:
    """Whether a stretch of data ended where its bits do, but for those that fill up a byte."""
    left = 8 * (end - state[0]) + state[2]
    return state[4] == 0 and state[3] == 0 and 0 <= left < 8


@kernel
def decode_first(
    data: Bytes,
    bounds: Ints,
    order: NDArray[np.int32],
    unit: Ints,
    band: Ints,
    tables: NDArray[np.int32],
    coefficients: Blocks,
) -> Any:
    """Decode a sequential scan, or a progressive one that is the first of its coefficients.

    Args:
        data: the coded data, see `unstuffed`.
        bounds: of its stretches.
        order: the blocks.
        unit: the components.
        band: (5) first and last coefficient, low bit, blocks between restarts, 1 if progressive.
        tables: (components, 2, LOOKUP_SIZE) for DC and AC.
        coefficients: is set.

    Returns:
        Whether the data were whole.
    """
    state, before = np.zeros(STATE_SIZE, np.int64), np.zeros(unit.shape[0], np.int64)
    rest = band.copy()
    rest[0] = max(1, band[0])
    for interval in range(bounds.shape[0] - 1):
        state[:] = 0
        state[0] = bounds[interval]
        before[:] = 0
        first = interval * band[3]
        for n in range(first, min(first + band[3], order.shape[0])):
            component = unit[n % unit.shape[0]]
            block = coefficients[order[n]]
            if band[0] == 0:
                _fill(data, state)
                before[component] += _value(state, _symbol(state, tables[component, 0]))
                block[0] = before[component] << band[2]
            if state[3] > 0:
                state[3] -= 1
            elif band[1] > 0:
                _ac_first(data, state, tables[component, 1], block, rest)
            if state[4] or (state[3] > 0 and band[4] == 0):
                return False
        if not _is_whole(state, bounds[interval + 1]):
            return False
    return True


@kernel
def _corrected(data: Bytes, state: Ints, block: Blocks, k: Scalar, step: Scalar) -> None:
    """A further bit of a coefficient that is not zero."""
    _fill(data, state)
    if _bits(state, 1) and not (abs(block[k]) & step):
        block[k] += step if block[k] > 0 else -step


@kernel
def _skipped(
    data: Bytes, state: Ints, block: Blocks, k: Scalar, last: Scalar, run: Scalar, step: Scalar
) -> Any:
    """Where the zero behind `run` zeros is; others on the way get a further bit (figure G.7)."""
    while k <= last:
        if block[k] != 0:
            _corrected(data, state, block, k, step)
        else:
            if run == 0:
                return k
            run -= 1
        k += 1
    return k


@kernel
def _ac_refined(
    data: Bytes, state: Ints, table: NDArray[np.int32], block: Blocks, band: Ints
) -> None:
    k, last, step = band[0], band[1], 1 << band[2]
    while state[3] == 0 and k <= last:
        _fill(data, state)
        symbol = _symbol(state, table)
        run, size = symbol >> 4, symbol & 15
        value = np.int64(0)
        if size > 1 or state[4]:
            state[4] = 1
            return
        if size == 1:
            value = step if _bits(state, 1) else -step
        elif run < 15:
            state[3] = (1 << run) + _bits(state, run)
            break
        k = _skipped(data, state, block, k, last, run, step)
        if k > last:
            state[4] = 1
            return
        block[k] = value
        k += 1
    if state[3] > 0:
        _skipped(data, state, block, k, last, 64, step)
        state[3] -= 1


@kernel
def decode_refinement(
    data: Bytes,
    bounds: Ints,
    order: NDArray[np.int32],
    unit: Ints,
    band: Ints,
    tables: NDArray[np.int32],
    coefficients: Blocks,
) -> Any:
    """Decode a scan with a further bit of coefficients; arguments as `decode_first`."""
    state = np.zeros(STATE_SIZE, np.int64)
    for interval in range(bounds.shape[0] - 1):
        state[:] = 0
        state[0] = bounds[interval]
        first = interval * band[3]
        for n in range(first, min(first + band[3], order.shape[0])):
            component = unit[n % unit.shape[0]]
            block = coefficients[order[n]]
            if band[0] == 0:
                _fill(data, state)
                block[0] |= _bits(state, 1) << band[2]
            else:
                _ac_refined(data, state, tables[component, 1], block, band)
            if state[4]:
                return False
        if not _is_whole(state, bounds[interval + 1]):
            return False
    return True
