"""All coefficients of a JPEG file, and the file again from them."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.jpeg_blocks import decoding, encoding
from inpaintcli.imaging.jpeg_blocks.huffman import HuffmanTable, best_table, codes, lookup
from inpaintcli.imaging.jpeg_blocks.structure import (
    DHT,
    EOI,
    NotBlockwiseError,
    Piece,
    Scan,
    Structure,
    parse_structure,
)

Blocks = NDArray[np.int16]
"""(blocks, 64): coefficients, quantised, in zigzag order, of all components one after another."""
Segment = tuple[int, bytes]
MIN_ROOM = 1 << 16


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The coefficients of a file, and the structure that they have in it."""

    structure: Structure
    blocks: Blocks

    def plane(self, component: int) -> Blocks:
        """Those of a component as (rows, columns, 64); a view."""
        one = self.structure.components[component]
        rows, columns = one.size
        return self.blocks[one.first : one.first + rows * columns].reshape(rows, columns, 64)


def read_coefficients(data: bytes) -> Coefficients:
    """The coefficients of a JPEG file.

    Raises:
        NotBlockwiseError: they cannot be replaced one by one, or the coded data are damaged.
    """
    structure = parse_structure(data)
    blocks = np.zeros((structure.blocks, 64), np.int16)
    file = np.frombuffer(data, np.uint8)
    for scan in structure.scans:
        if not _decode(file, structure, scan, blocks):
            raise NotBlockwiseError("damaged in its coded data, or coded in a rare manner")
    if not is_complete(structure):
        raise NotBlockwiseError("one that lacks some of its coefficients")
    return Coefficients(structure, blocks)


def is_complete(structure: Structure) -> bool:
    """Whether the scans hold all coefficients, each bit once and in order."""
    bits: dict[tuple[int, int], int] = {}
    for scan in structure.scans:
        for component in scan.components:
            for k in range(scan.first, scan.last + 1):
                expected = bits.get((component, k), 0)
                if scan.high != expected or (scan.high and scan.low != scan.high - 1):
                    return False
                bits[component, k] = scan.low or -1
    return bits == {(n, k): -1 for n in range(len(structure.components)) for k in range(64)}


def encoded(
    data: bytes, coefficients: Coefficients, metadata: Callable[[Piece], bytes | None]
) -> bytes:
    """The file with other coefficients.

    The codes stay where they have one for every symbol; else a scan gets the shortest ones.

    Args:
        data: the file that the coefficients were read from.
        coefficients: the new ones, with the structure of that file.
        metadata: what to write instead of a segment; None leaves its bytes as they are.
    """
    structure = coefficients.structure
    scans = [_encode(structure, scan, coefficients.blocks) for scan in structure.scans]
    same = all(
        tables == _used(scan) for scan, (_, tables) in zip(structure.scans, scans, strict=True)
    )
    parts, current = [data[:2]], dict[int, HuffmanTable]()
    for piece in structure.pieces:
        if piece.marker == DHT and not same:
            continue
        if piece.scan is None:
            other = metadata(piece)
            parts.append(data[piece.start : piece.end] if other is None else other)
            continue
        bits, tables = scans[piece.scan]
        if not same:
            parts += _new_tables(tables, current)
        parts += [data[piece.start : piece.end], bits]
    return b"".join([*parts, bytes([0xFF, EOI])])


def packed(marker: int, content: bytes) -> bytes:
    """A marker segment."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _new_tables(
    tables: dict[int, HuffmanTable], current: dict[int, HuffmanTable]
) -> Iterator[bytes]:
    """The segments of those tables that are not yet in force."""
    for number, table in tables.items():
        if current.get(number) != table:
            current[number] = table
            yield packed(DHT, table.packed(number))


def _used(scan: Scan) -> dict[int, HuffmanTable]:
    """The tables that a scan needs, by number.

    Raises:
        NotBlockwiseError: one is missing.
    """
    found: dict[int, HuffmanTable | None] = {}
    if scan.first == 0 and scan.high == 0:
        found |= {number: scan.tables.get(number) for number in scan.dc}
    if scan.last > 0:
        found |= {number: scan.tables.get(number) for number in scan.ac}
    whole = {number: table for number, table in found.items() if table is not None}
    if len(whole) != len(found):
        raise NotBlockwiseError("one without tables of its own")
    return whole


def _order(structure: Structure, scan: Scan) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The blocks of a scan in turn, and the scan's component of each block of a unit."""
    parts, unit = [], []
    for n, index in enumerate(scan.components):
        one = structure.components[index]
        rows, columns = one.size
        blocks = np.arange(one.first, one.first + rows * columns, dtype=np.int32)
        grid = blocks.reshape(rows, columns)
        if len(scan.components) == 1:
            return grid[: one.own[0], : one.own[1]].ravel(), np.zeros(1, np.int64)
        units = grid.reshape(rows // one.down, one.down, columns // one.across, one.across)
        parts.append(units.swapaxes(1, 2).reshape(-1, one.down * one.across))
        unit += [n] * (one.down * one.across)
    return np.concatenate(parts, axis=1).ravel(), np.array(unit, np.int64)


def _band(structure: Structure, scan: Scan, order: int, unit: int) -> NDArray[np.int64]:
    blocks = scan.interval * unit if scan.interval else order
    return np.array([scan.first, scan.last, scan.low, blocks, structure.progressive], np.int64)


def _decode(file: NDArray[np.uint8], structure: Structure, scan: Scan, blocks: Blocks) -> bool:
    _used(scan)
    order, unit = _order(structure, scan)
    band = _band(structure, scan, len(order), len(unit))
    plain = np.zeros(scan.end - scan.start + decoding.AHEAD, np.uint8)
    bounds = np.zeros(-(-len(order) // int(band[3])) + 1, np.int64)
    if not decoding.unstuffed(file, scan.start, scan.end, plain, bounds):
        return False
    tables = np.array(
        [
            [lookup(scan.tables.get(dc)), lookup(scan.tables.get(ac))]
            for dc, ac in zip(scan.dc, scan.ac, strict=True)
        ]
    )
    decode: Any = decoding.decode_refinement if scan.high else decoding.decode_first
    return bool(decode(plain, bounds, order, unit, band, tables, blocks))


def _encode(
    structure: Structure, scan: Scan, blocks: Blocks
) -> tuple[bytes, dict[int, HuffmanTable]]:
    """The coded data of a scan, and the tables that they are coded with."""
    tables = _used(scan)
    bits, missing = _coded(structure, scan, blocks, tables)
    if not missing:
        return bits, tables
    tables = {
        number: best_table(missing[number]) if number in missing else table
        for number, table in tables.items()
    }
    bits, missing = _coded(structure, scan, blocks, tables)
    if missing:
        raise NotBlockwiseError("one that no table can code")
    return bits, tables


def _coded(
    structure: Structure, scan: Scan, blocks: Blocks, tables: dict[int, HuffmanTable]
) -> tuple[bytes, dict[int, NDArray[np.int64]]]:
    """The coded data, and the numbers of symbols of those tables that lack one."""
    order, unit = _order(structure, scan)
    band = _band(structure, scan, len(order), len(unit))
    numbers_of = [pair for pairs in zip(scan.dc, scan.ac, strict=True) for pair in pairs]
    table = np.zeros((2, 256 * len(numbers_of)), np.int64)
    table[0] = np.concatenate([codes(tables.get(number)) for number in numbers_of])
    encode: Any = encoding.encode_refinement if scan.high else encoding.encode_first
    room = MIN_ROOM + (scan.end - scan.start) * 5 // 4
    while True:
        table[1] = 0
        out, state = np.empty(room, np.uint8), np.zeros(encoding.STATE_SIZE, np.int64)
        size = encode(out, state, table, order, unit, band, blocks)
        if size >= 0:
            break
        room *= 2
    numbers: dict[int, NDArray[np.int64]] = {}
    for number, found in zip(numbers_of, table[1].reshape(-1, 256), strict=True):
        numbers[number] = numbers.get(number, 0) + found
    missing = {
        number: found
        for number, found in numbers.items()
        if number in tables and (found[codes(tables[number]) == 0] > 0).any()
    }
    return out[:size].tobytes(), missing
