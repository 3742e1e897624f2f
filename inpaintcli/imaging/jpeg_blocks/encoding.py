"""Compiled: the coded data of a scan from its coefficients.

Arrays as in decoding.py. With the same tables as the file's own, what libjpeg wrote comes back bit
for bit: runs of blocks are gathered as it does.

`table` is int64 (2, 512 * components): what symbols are coded with (`huffman.codes`), and how often
each was needed. Of each component come 256 symbols of DC, and 256 of AC.
Source: ITU-T T.81, annexes F.1 and G.1; libjpeg's jcphuff.c for the length of runs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.jpeg_blocks.decoding import Blocks, Bytes, Ints, Scalar
from inpaintcli.kernels.numba_kernels import kernel

MAX_RUN = 0x7FFF
MAX_CORRECTIONS = 1000 - 63
"""Further bits that may wait for the end of a run before a block is added."""
WAITING = 6
"""Where in the state further bits wait. Before them come: bytes written, bits that wait and their
number, blocks in the run, number of further bits that wait, 1 where a symbol has no code."""
STATE_SIZE = WAITING + 1100
SPARE = 2048
"""Bytes of room that must be left to begin with another block."""
AC = 256
SYMBOLS = 512


@kernel
def _drained(out: Bytes, at: Scalar, bits: Scalar, left: Scalar) -> tuple[Any, Any]:
    """Write whole bytes of `left` bits; where the next byte goes, and how many bits still wait."""
    while left >= 8:
        left -= 8
        byte = (bits >> left) & 255
        out[at] = byte
        at += 1
        if byte == 255:
            out[at] = 0
            at += 1
    return at, left


@kernel
def _put(out: Bytes, state: Ints, value: Scalar, count: Scalar) -> None:
    """Write `count` bits, at most 31, of a number."""
    bits = (state[1] << count) | value
    left = state[2] + count
    if left >= 32:
        state[0], left = _drained(out, state[0], bits, left)
    state[1], state[2] = bits, left


@kernel
def _flush(out: Bytes, state: Ints) -> None:
    """Fill the last byte with ones, and write all bits that wait."""
    if state[2] % 8:
        spare = 8 - state[2] % 8
        _put(out, state, (1 << spare) - 1, spare)
    state[0], state[2] = _drained(out, state[0], state[1], state[2])


@kernel
def _put_symbol(out: Bytes, state: Ints, table: Ints, at: Scalar) -> None:
    table[1, at] += 1
    code = table[0, at]
    if code == 0:
        state[5] = 1
    else:
        _put(out, state, code >> 5, code & 31)


@kernel
def _size(value: Scalar) -> Any:
    """Bits of a value of 0 to 65535."""
    size = np.int64(0)
    if value >= 256:
        value >>= 8
        size += 8
    if value >= 16:
        value >>= 4
        size += 4
    if value >= 4:
        value >>= 2
        size += 2
    if value >= 2:
        return size + 2
    return size + value


@kernel
def _put_value(out: Bytes, state: Ints, table: Ints, at: Scalar, value: Scalar) -> None:
    """A symbol of some zeros (in `at`) and a size, and the value of that size."""
    size = _size(abs(value))
    _put_symbol(out, state, table, at + size)
    if size:
        coded = value if value > 0 else value - 1
        _put(out, state, coded & ((1 << size) - 1), size)


@kernel
def _end_run(out: Bytes, state: Ints, table: Ints, ac: Scalar) -> None:
    """Write the run of blocks that have ended, and the further bits that wait for it."""
    if state[3] == 0:
        return
    size = _size(state[3]) - 1
    _put_symbol(out, state, table, ac + (size << 4))
    if size:
        _put(out, state, state[3] & ((1 << size) - 1), size)
    state[3] = 0
    _put_waiting(out, state, 0, state[4])
    state[4] = 0


@kernel
def _put_waiting(out: Bytes, state: Ints, first: Scalar, count: Scalar) -> None:
    for n in range(WAITING + first, WAITING + first + count):
        _put(out, state, state[n], 1)


@kernel
def _put_zeros(out: Bytes, state: Ints, table: Ints, ac: Scalar, run: Scalar) -> Any:
    """Write what comes before a coefficient: runs of blocks, of 16 zeros; the zeros that remain."""
    _end_run(out, state, table, ac)
    while run > 15:
        _put_symbol(out, state, table, ac + 0xF0)
        run -= 16
    return run


@kernel
def _put_ac(out: Bytes, state: Ints, table: Ints, ac: Scalar, block: Blocks, band: Ints) -> None:
    """The coefficients of a block that come for the first time."""
    # Not by `_put`: this takes most of the time, and variables are faster than the state.
    run, bits, left = 0, state[1], state[2]
    for k in range(max(1, band[0]), band[1] + 1):
        value = np.int64(block[k])
        magnitude = abs(value) >> band[2]
        if magnitude == 0:
            run += 1
            continue
        if state[3] > 0 or run > 15:
            state[1], state[2] = bits, left
            run = _put_zeros(out, state, table, ac, run)
            bits, left = state[1], state[2]
        size = _size(magnitude)
        symbol = ac + (run << 4 | size)
        code = table[0, symbol]
        table[1, symbol] += 1
        state[5] |= code == 0
        coded = magnitude if value > 0 else (1 << size) - 1 - magnitude
        bits = (((bits << (code & 31)) | (code >> 5)) << size) | coded
        left += (code & 31) + size
        if left >= 32:
            state[0], left = _drained(out, state[0], bits, left)
        run = 0
    state[1], state[2] = bits, left
    if run > 0:
        state[3] += 1
        if band[4] == 0 or state[3] == MAX_RUN:
            _end_run(out, state, table, ac)


@kernel
def _end_interval(out: Bytes, state: Ints, table: Ints, ac: Scalar, marker: Scalar) -> None:
    """End a stretch of data, with a restart marker if one is given (not negative)."""
    _end_run(out, state, table, ac)
    _flush(out, state)
    if marker >= 0:
        out[state[0]] = 255
        out[state[0] + 1] = 208 + marker
        state[0] += 2


@kernel
def encode_first(
    out: Bytes,
    state: Ints,
    table: Ints,
    order: NDArray[np.int32],
    unit: Ints,
    band: Ints,
    coefficients: Blocks,
) -> Any:
    """Code a sequential scan, or a progressive one that is the first of its coefficients.

    Args:
        out: the coded data are written to it.
        state: (STATE_SIZE) zeros.
        table: the codes; its numbers are added to.
        order: the blocks.
        unit: the components.
        band: (5) first and last coefficient, low bit, blocks between restarts, 1 if progressive.
        coefficients: of all blocks.

    Returns:
        Bytes written; -1 where `out` is too small.
    """
    before = np.zeros(unit.shape[0], np.int64)
    for n in range(order.shape[0]):
        if state[0] + SPARE > out.shape[0]:
            return np.int64(-1)
        if n > 0 and n % band[3] == 0:
            _end_interval(out, state, table, AC, (n // band[3] - 1) % 8)
            before[:] = 0
        component = unit[n % unit.shape[0]]
        block = coefficients[order[n]]
        if band[0] == 0:
            value = np.int64(block[0]) >> band[2]
            _put_value(out, state, table, SYMBOLS * component, value - before[component])
            before[component] = value
        if band[1] > 0:
            _put_ac(out, state, table, SYMBOLS * component + AC, block, band)
    _end_interval(out, state, table, AC, -1)
    return state[0]


@kernel
def _last_new(block: Blocks, band: Ints) -> Any:
    """Where the last coefficient is that this scan is the first to see; -1 for none."""
    last = -1
    for k in range(band[0], band[1] + 1):
        if abs(np.int64(block[k])) >> band[2] == 1:
            last = k
    return last


@kernel
def _put_refinement(
    out: Bytes, state: Ints, table: Ints, ac: Scalar, block: Blocks, band: Ints
) -> None:
    """Further bits of the coefficients of a block, and those that come new (figure G.8)."""
    last, run, first, count = _last_new(block, band), 0, state[4], 0
    for k in range(band[0], band[1] + 1):
        size = abs(np.int64(block[k])) >> band[2]
        if size == 0:
            run += 1
            continue
        while run > 15 and k <= last:
            _end_run(out, state, table, ac)
            _put_symbol(out, state, table, ac + 0xF0)
            run -= 16
            _put_waiting(out, state, first, count)
            first, count = 0, 0
        if size > 1:
            state[WAITING + first + count] = size & 1
            count += 1
            continue
        _end_run(out, state, table, ac)
        _put_symbol(out, state, table, ac + (run << 4 | 1))
        _put(out, state, np.int64(block[k] > 0), 1)
        _put_waiting(out, state, first, count)
        first, count, run = 0, 0, 0
    if run > 0 or count > 0:
        state[3] += 1
        state[4] += count
        if state[3] == MAX_RUN or state[4] > MAX_CORRECTIONS:
            _end_run(out, state, table, ac)


@kernel
def encode_refinement(
    out: Bytes,
    state: Ints,
    table: Ints,
    order: NDArray[np.int32],
    unit: Ints,
    band: Ints,
    coefficients: Blocks,
) -> Any:
    """Code a scan with a further bit of coefficients; arguments as `encode_first`."""
    for n in range(order.shape[0]):
        if state[0] + SPARE > out.shape[0]:
            return np.int64(-1)
        if n > 0 and n % band[3] == 0:
            _end_interval(out, state, table, AC, (n // band[3] - 1) % 8)
        block = coefficients[order[n]]
        if band[0] == 0:
            _put(out, state, (np.int64(block[0]) >> band[2]) & 1, 1)
        else:
            ac = SYMBOLS * unit[n % unit.shape[0]] + AC
            _put_refinement(out, state, table, ac, block, band)
    _end_interval(out, state, table, AC, -1)
    return state[0]
