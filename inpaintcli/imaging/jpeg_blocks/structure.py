"""What a JPEG file consists of: its pieces in order, components, tables and scans.

Source: ITU-T T.81, annexes A (blocks and scans) and B (markers).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.jpeg_blocks.huffman import HuffmanTable, parsed_tables

SOI, EOI, SOS, DQT, DHT, DRI, DNL = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xDC
FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended sequential, progressive; all with Huffman codes."""
OTHER_FRAMES = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "coded in JPEG's lossless mode"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "coded in layers"),
    **dict.fromkeys((0xC9, 0xCA), "coded with arithmetic coding"),
}
END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker that is neither a byte 255 of coded data nor a restart."""
MAX_COMPONENTS = 4
SIDE = 8
"""Of a block, in samples."""


class NotBlockwiseError(ValueError):
    """Why single blocks of a file cannot be replaced, as the end of "the file is ..."."""


@dataclass(frozen=True)
class Component:
    """A colour component.

    `across` and `down` are its sampling factors, `table` the number of its quantisation table,
    `size` (rows, columns) its blocks with those that fill up the last units of a scan of several
    components, `own` without them, `first` the index of its first block among all of the file.
    """

    number: int
    across: int
    down: int
    table: int
    size: tuple[int, int]
    own: tuple[int, int]
    first: int


@dataclass(frozen=True)
class Scan:
    """A pass over blocks of some components (positions in the frame).

    `first` and `last` are the coefficients in it, `high` and `low` the bits before and after it
    (successive approximation), `interval` the units between restarts or 0. `dc` and `ac` are the
    Huffman tables by component of the scan. `start` and `end` bound the coded data.
    """

    components: tuple[int, ...]
    first: int
    last: int
    high: int
    low: int
    interval: int
    dc: tuple[int, ...]
    ac: tuple[int, ...]
    tables: dict[int, HuffmanTable]
    start: int
    end: int


@dataclass(frozen=True)
class Piece:
    """A marker segment, or a scan with its header: bytes `start` to `end` of the file.

    `content` is where the content of the segment begins, behind marker and length.
    """

    marker: int
    start: int
    content: int
    end: int
    scan: int | None = None


@dataclass(frozen=True)
class Structure:
    """A whole file: all of its pieces, and how its blocks are coded."""

    height: int
    width: int
    frame: int
    components: tuple[Component, ...]
    quantisation: dict[int, NDArray[np.int32]]
    scans: tuple[Scan, ...]
    pieces: tuple[Piece, ...]

    @property
    def progressive(self) -> bool:
        """Whether coefficients come in several passes."""
        return self.frame == 0xC2

    @property
    def blocks(self) -> int:
        """Blocks of all components."""
        last = self.components[-1]
        return last.first + last.size[0] * last.size[1]

    @property
    def most(self) -> tuple[int, int]:
        """The largest sampling factors: down, across."""
        return max(c.down for c in self.components), max(c.across for c in self.components)


def parse_structure(data: bytes) -> Structure:
    """The structure of a JPEG file; what lies behind its end mark is left aside.

    Raises:
        NotBlockwiseError: its blocks cannot be replaced, or its structure is damaged.
    """
    parser = _Parser(data)
    try:
        parser.run()
        return parser.structure()
    except (struct.error, IndexError, KeyError, ValueError) as fault:
        if isinstance(fault, NotBlockwiseError):
            raise
        raise NotBlockwiseError("damaged") from fault


@dataclass
class _Parser:
    data: bytes
    frame: tuple[int, bytes] | None = None
    interval: int = 0
    quantisation: dict[int, NDArray[np.int32]] = field(default_factory=dict)
    tables: dict[int, HuffmanTable] = field(default_factory=dict)
    scans: list[Scan] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    def run(self) -> None:
        """Read all segments, up to the end mark."""
        for segment in _segments(self.data):
            piece, content = segment, self.data[segment.content : segment.end]
            if segment.marker == SOS:
                piece = self._scan(segment)
            elif piece.marker in OTHER_FRAMES:
                raise NotBlockwiseError(OTHER_FRAMES[piece.marker])
            elif piece.marker == DNL:
                raise NotBlockwiseError("of a height that is given behind its first scan")
            elif piece.marker in FRAMES:
                self._frame(piece.marker, content)
            elif piece.marker == DQT:
                self._quantisation(content)
            elif piece.marker == DHT:
                self.tables |= parsed_tables(content)
            elif piece.marker == DRI:
                (self.interval,) = struct.unpack(">H", content)
            self.pieces.append(piece)

    def structure(self) -> Structure:
        """What was read."""
        if self.frame is None or not self.scans:
            raise NotBlockwiseError("without a picture")
        marker, content = self.frame
        _, height, width, _ = struct.unpack_from(">BHHB", content)
        components = self._components()
        tables = {one.table: self.quantisation[one.table] for one in components}
        return Structure(
            height,
            width,
            marker,
            components,
            tables,
            tuple(self.scans),
            tuple(self.pieces),
        )

    def _frame(self, marker: int, content: bytes) -> None:
        if self.frame is not None:
            raise NotBlockwiseError("of several frames")
        precision, height, width, count = struct.unpack_from(">BHHB", content)
        if precision != 8:
            raise NotBlockwiseError(f"of {precision} bits a sample")
        if not height or not width or len(content) != 6 + 3 * count or count > MAX_COMPONENTS:
            raise NotBlockwiseError("damaged")
        self.frame = marker, content

    def _components(self) -> tuple[Component, ...]:
        _, content = self.frame or (0, b"")
        _, height, width, count = struct.unpack_from(">BHHB", content)
        rows = [content[6 + 3 * n : 9 + 3 * n] for n in range(count)]
        across, down = max(row[1] >> 4 for row in rows), max(row[1] & 15 for row in rows)
        found: list[Component] = []
        first = 0
        for number, factors, table in rows:
            h, v = factors >> 4, factors & 15
            if not h or not v or across % h or down % v:
                raise NotBlockwiseError("sampled in a rare manner")
            size = _parts(height, SIDE * down) * v, _parts(width, SIDE * across) * h
            own = (
                _parts(_parts(height * v, down), SIDE),
                _parts(_parts(width * h, across), SIDE),
            )
            found.append(Component(number, h, v, table, size, own, first))
            first += size[0] * size[1]
        return tuple(found)

    def _quantisation(self, content: bytes) -> None:
        if self.scans:
            raise NotBlockwiseError("one that changes its tables between scans")
        at = 0
        while at < len(content):
            number, wide = content[at] & 15, content[at] >> 4
            kind = ">u2" if wide else "u1"
            table = np.frombuffer(content, kind, 64, at + 1).astype(np.int32)
            if not table.all():
                raise NotBlockwiseError("damaged")
            self.quantisation[number] = table
            at += 1 + 64 * (2 if wide else 1)

    def _scan(self, piece: Piece) -> Piece:
        content = self.data[piece.content : piece.end]
        components = self._components()
        numbers = [one.number for one in components]
        count = content[0]
        if len(content) != 4 + 2 * count or not 1 <= count <= len(components):
            raise NotBlockwiseError("damaged")
        rows = [(content[1 + 2 * n], content[2 + 2 * n]) for n in range(count)]
        first, last, bits = content[-3:]
        if self.frame is not None and self.frame[0] != FRAMES[2]:
            first, last, bits = 0, 63, 0  # as libjpeg, which ignores other values
        found = END_OF_SCAN.search(self.data, piece.end)
        if found is None or first > last or last > 63:
            raise NotBlockwiseError("damaged")
        end = found.start()
        while end > piece.end and self.data[end - 1] == 0xFF:
            end -= 1  # bytes that fill up
        self.scans.append(
            Scan(
                components=tuple(numbers.index(number) for number, _ in rows),
                first=first,
                last=last,
                high=bits >> 4,
                low=bits & 15,
                interval=self.interval,
                dc=tuple(tables >> 4 for _, tables in rows),
                ac=tuple(0x10 | tables & 15 for _, tables in rows),
                tables=dict(self.tables),
                start=piece.end,
                end=end,
            )
        )
        return Piece(SOS, piece.start, piece.content, piece.end, len(self.scans) - 1)


def _parts(length: int, part: int) -> int:
    """Parts of a length, the last of which need not be whole."""
    return -(-length // part)


def _segments(data: bytes) -> Iterator[Piece]:
    """The segments between the marks of beginning and end; of a scan only the header."""
    at = 2
    while True:
        start = at
        at = data.index(b"\xff", at)
        while data[at + 1] == 0xFF:
            at += 1
        marker = data[at + 1]
        if marker == EOI:
            return
        if marker in (0, SOI, 1) or 0xD0 <= marker <= 0xD7:
            raise NotBlockwiseError("damaged")
        (size,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + size
        if size < 2 or end > len(data):
            raise NotBlockwiseError("damaged")
        yield Piece(marker, start, at + 4, end)
        at = end
        if marker == SOS:
            found = END_OF_SCAN.search(data, end)
            if found is None:
                raise NotBlockwiseError("damaged")
            at = found.start()
