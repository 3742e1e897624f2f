"""What an ONNX file says of itself, read without loading its weights or the package onnx.

An ONNX file is a protocol buffer (onnx/onnx.proto; encoding: protobuf.dev). Only the structure is
walked: fields that nothing is asked of are passed over, so that a file of gigabytes costs no more
than its list of nodes.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from inpaintcli.errors import ModelError

MAX_BYTES = 2**31 - 1
"""A protocol buffer's limit: what is larger keeps its weights in files beside the graph."""
_KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
_MAX_DEPTH = 32
# Numbers of fields in onnx.proto.
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_METADATA, _MODEL_FUNCTIONS = 7, 8, 14, 25
_GRAPH_NODES, _GRAPH_TENSORS = 1, 5
_NODE_OP, _NODE_ATTRIBUTES, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 5, 6
_TENSOR_EXTERNAL = 13
_FUNCTION_DOMAIN = 10
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass
class OnnxFile:
    """What an ONNX file says of itself.

    opset: version of the standard operators. metadata: what the exporter wrote. external: names of
    the files beside it that hold its weights, each once. unknown_ops: operators of other domains
    than the engines know, as domain.name.
    """

    opset: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    external: list[str] = field(default_factory=list)
    unknown_ops: list[str] = field(default_factory=list)


def read_onnx(path: Path) -> OnnxFile:
    """Read what an ONNX file says of itself.

    Raises:
        ModelError: it cannot be read, is no ONNX file, is damaged, or names files elsewhere.
    """
    try:
        if path.is_dir():
            raise _error(path, "is a folder, not an ONNX file")
        size = path.stat().st_size
        if size == 0:
            raise _error(path, "is empty")
        if size > MAX_BYTES:
            raise _error(path, f"is {size / 2**30:.1f} GiB large; an ONNX file has at most 2 GiB")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data, path).model()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except IndexError as error:
        raise _error(path, "is no ONNX file, or it is damaged (it ends too early)") from error
    except ValueError as error:
        raise _error(path, f"is no ONNX file, or it is damaged ({error})") from error


def _error(path: Path, fact: str) -> ModelError:
    return ModelError(f"{path} {fact}.", hint="Pass the model's .onnx file.")


class _Reader:
    """Walks one file."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        self._path = path
        self._found = OnnxFile()
        self._functions: set[str] = set()
        self._ops: set[tuple[str, str]] = set()

    def model(self) -> OnnxFile:
        """All that is asked of the file."""
        graphs = []
        for number, start, end in self._fields(0, len(self._data)):
            if number == _MODEL_GRAPH:
                graphs.append((start, end))
            elif number == _MODEL_OPSETS:
                self._opset(start, end)
            elif number == _MODEL_METADATA:
                key, value = self._pair(start, end)
                self._found.metadata[key] = value
            elif number == _MODEL_FUNCTIONS:
                self._functions.add(self._text_of(start, end, _FUNCTION_DOMAIN))
        if len(graphs) != 1 or not self._found.opset:
            raise ValueError("it holds no graph")
        self._graph(*graphs[0], 0)
        known = {*_KNOWN_DOMAINS, *self._functions}
        unknown = sorted(f"{domain}.{op}" for domain, op in self._ops if domain not in known)
        self._found.unknown_ops = unknown
        return self._found

    def _opset(self, start: int, end: int) -> None:
        domain = self._text_of(start, end, 1)
        for number, first, _ in self._fields(start, end):
            if number == 2 and domain in ("", "ai.onnx"):
                self._found.opset = self._varint(first)[0]

    def _graph(self, start: int, end: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError("its graphs are nested too deep")
        for number, first, last in self._fields(start, end):
            if number == _GRAPH_NODES:
                self._node(first, last, depth)
            elif number == _GRAPH_TENSORS:
                self._tensor(first, last)

    def _node(self, start: int, end: int, depth: int) -> None:
        domain = self._text_of(start, end, _NODE_DOMAIN)
        self._ops.add((domain, self._text_of(start, end, _NODE_OP)))
        for number, first, last in self._fields(start, end):
            if number != _NODE_ATTRIBUTES:
                continue
            for inner, low, high in self._fields(first, last):
                if inner == _ATTRIBUTE_TENSOR:
                    self._tensor(low, high)
                elif inner == _ATTRIBUTE_GRAPH:
                    self._graph(low, high, depth + 1)

    def _tensor(self, start: int, end: int) -> None:
        """Note the file beside the graph that holds a tensor, if one does."""
        for number, first, last in self._fields(start, end):
            if number != _TENSOR_EXTERNAL:
                continue
            key, value = self._pair(first, last)
            if key == "location" and value not in self._found.external:
                place = PurePosixPath(value.replace("\\", "/"))
                if place.is_absolute() or ".." in place.parts or ":" in value or not value:
                    raise _error(self._path, f"keeps weights outside its folder ('{value}')")
                self._found.external.append(value)

    def _pair(self, start: int, end: int) -> tuple[str, str]:
        return self._text_of(start, end, 1), self._text_of(start, end, 2)

    def _text_of(self, start: int, end: int, wanted: int) -> str:
        text = ""
        for number, first, last in self._fields(start, end):
            if number == wanted:
                text = self._data[first:last].decode("utf-8")
        return text

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Number, start and end of each field of a message; of a varint, its own place."""
        while start < end:
            key, start = self._varint(start)
            number, kind = key >> 3, key & 7
            if number == 0:
                raise ValueError("a field has the number 0")
            first = start
            if kind == _VARINT:
                start = self._varint(start)[1]
            elif kind == _BYTES:
                length, first = self._varint(start)
                start = first + length
            elif kind in (_FIXED64, _FIXED32):
                start += 8 if kind == _FIXED64 else 4
            else:
                raise ValueError(f"a field has the type {kind}")
            if start > end:
                raise ValueError("it ends too early")
            yield number, first, start

    def _varint(self, start: int) -> tuple[int, int]:
        """A number of seven bits a byte, the lowest first, and the place behind it."""
        value = shift = 0
        while shift < 70:
            byte = self._data[start]
            value |= (byte & 127) << shift
            start, shift = start + 1, shift + 7
            if byte < 128:
                return value, start
        raise ValueError("a number is too long")
