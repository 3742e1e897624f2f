"""Huffman tables of JPEG: read, looked up, and made for a given number of symbols.

Source: ITU-T T.81, annexes B.2.4.2, C and K.2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOOKUP_BITS = 10
LOOKUP = 1 << LOOKUP_BITS
MAX_BITS = 16
LONGER = LOOKUP
"""Where, in a table of lookup, least code, largest and first symbol of each length begin."""
SYMBOLS = LONGER + 3 * (MAX_BITS + 1)
LOOKUP_SIZE = SYMBOLS + 256


@dataclass(frozen=True)
class HuffmanTable:
    """`counts` are the numbers of codes of 1 to 16 bits, `symbols` those of all codes in order."""

    counts: tuple[int, ...]
    symbols: tuple[int, ...]

    def packed(self, number: int) -> bytes:
        """The content of a segment DHT; `number` is the table's, plus 16 for AC."""
        return bytes([number, *self.counts, *self.symbols])

    def coded(self) -> list[tuple[int, int, int]]:
        """Symbol, code and its length, of each symbol (annex C).

        Raises:
            ValueError: there are more codes of a length than there can be.
        """
        found, code, at = [], 0, 0
        for length, count in enumerate(self.counts, 1):
            for symbol in self.symbols[at : at + count]:
                found.append((symbol, code, length))
                code += 1
            if code > 1 << length:
                raise ValueError("too many codes")
            code <<= 1
            at += count
        return found


def parsed_tables(content: bytes) -> dict[int, HuffmanTable]:
    """The tables in a segment DHT, by number; those of AC have 16 more.

    Raises:
        ValueError: they are damaged.
    """
    found, at = {}, 0
    while at < len(content):
        number, counts = content[at], tuple(content[at + 1 : at + 17])
        symbols = tuple(content[at + 17 : at + 17 + sum(counts)])
        if len(counts) != MAX_BITS or len(symbols) != sum(counts) or number & ~0x13:
            raise ValueError("damaged tables")
        table = HuffmanTable(counts, symbols)
        table.coded()
        found[number] = table
        at += 17 + len(symbols)
    return found


def lookup(table: HuffmanTable | None) -> NDArray[np.int32]:
    """The table to decode with, int32 (LOOKUP_SIZE).

    By the next `LOOKUP_BITS` bits: 256 times the length of the code plus its symbol, or 0 where
    the code is longer; then least and largest code and position of the first symbol by length.
    """
    found = np.zeros(LOOKUP_SIZE, np.int32)
    found[LONGER + 1 : SYMBOLS : 3] = -1
    if table is None:
        return found
    for at, (symbol, code, length) in enumerate(table.coded()):
        if length <= LOOKUP_BITS:
            spare = LOOKUP_BITS - length
            found[code << spare : (code + 1) << spare] = length << 8 | symbol
        row = LONGER + 3 * length
        if found[row + 1] < 0:
            found[row], found[row + 2] = code, at
        found[row + 1] = code
        found[SYMBOLS + at] = symbol
    return found


def codes(table: HuffmanTable | None) -> NDArray[np.int64]:
    """The table to encode with: by symbol 32 times the code plus its length; 0 without a code."""
    found = np.zeros(256, np.int64)
    for symbol, code, length in table.coded() if table else ():
        found[symbol] = code << 5 | length
    return found


def best_table(numbers: NDArray[np.int64]) -> HuffmanTable:
    """The table of the shortest codes (annex K.2).

    Args:
        numbers: (256) how often each symbol is needed.
    """
    sizes = _code_sizes(numbers)
    counts = [0] * 258
    for size in sizes:
        counts[size] += size > 0
    _shorten(counts)
    order = sorted(np.flatnonzero(numbers), key=lambda symbol: (sizes[symbol], symbol))
    return HuffmanTable(tuple(counts[1 : MAX_BITS + 1]), tuple(int(symbol) for symbol in order))


def _code_sizes(numbers: NDArray[np.int64]) -> list[int]:
    """The code length of each symbol; symbol 256 keeps the code of all ones free (figure K.1)."""
    frequency = [int(number) for number in numbers] + [1]
    sizes, others = [0] * 257, [-1] * 257
    while True:
        order = sorted((f, -n) for n, f in enumerate(frequency) if f)
        if len(order) < 2:
            return sizes
        (_, least), (_, next_least) = order[:2]
        one, two = -least, -next_least
        frequency[one] += frequency[two]
        frequency[two] = 0
        last = _lengthen(one, sizes, others)
        others[last] = two
        _lengthen(two, sizes, others)


def _lengthen(symbol: int, sizes: list[int], others: list[int]) -> int:
    """Make all codes of a branch a bit longer; returns the branch's last symbol."""
    sizes[symbol] += 1
    while others[symbol] >= 0:
        symbol = others[symbol]
        sizes[symbol] += 1
    return symbol


def _shorten(counts: list[int]) -> None:
    """Bring all codes to at most 16 bits, and take out that of all ones (figure K.3)."""
    for length in range(257, MAX_BITS, -1):
        while counts[length] > 0:
            shorter = length - 2
            while not counts[shorter]:
                shorter -= 1
            counts[length] -= 2
            counts[length - 1] += 1
            counts[shorter + 1] += 2
            counts[shorter] -= 1
    length = MAX_BITS
    while not counts[length]:
        length -= 1
    counts[length] -= 1
