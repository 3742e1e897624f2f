"""Small graphs with the contracts of published models, and inpainters whose answer is known."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What a graph takes and gives.

    `joined` is the order of channels of a single input: mask, known, rgb. `inpainter` is mean (of
    known pixels), bent (near the mean, but not in proportion), position (x, y as shares of the
    sides, 0.5) or nothing (the hole as it was fed).
    `exchanged`: red and blue are exchanged by the inpainter. `squeezed`: no batch in the output.
    """

    image: str = "image"
    mask: str = "mask"
    output: str = "output"
    rgb: tuple[float, float] = (0, 1)
    given: tuple[float, float] = (0, 1)
    hole: float = 1
    known: float = 0
    joined: tuple[str, ...] = ()
    inpainter: str = "mean"
    composites: bool = True
    side: int | None = None
    batch: int | None = None
    dtype: str = "float32"
    exchanged: bool = False
    squeezed: bool = False
    external: bool = False


LAMA_255 = Graph(given=(0, 255), side=64)
KINDS = {
    "lama-255": LAMA_255,
    "lama-1": Graph(),
    "aot": Graph(rgb=(-1, 1), given=(-1, 1), composites=False),
    "painted": Graph(output="painted_image", side=64, batch=1, external=True),
    "lama-4": Graph(image="input", joined=("rgb", "mask"), composites=False, batch=1),
    "migan": Graph(
        image="input", joined=("known", "rgb"), rgb=(-1, 1), given=(-1, 1), side=64,
        hole=-0.5, known=0.5, composites=False,
    ),
    "migan-pipeline": Graph(
        output="result", rgb=(0, 255), given=(0, 255), hole=0, known=255, dtype="uint8",
    ),
}  # fmt: skip


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list = []
        self.constants: list = []

    def op(self, kind: str, *inputs, **attributes) -> str:
        """Append a node; numbers and arrays among its inputs become constants."""
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], **attributes))
        return name

    def constant(self, value) -> str:
        array = np.asarray(value)
        if array.dtype.kind == "f" or isinstance(value, float):
            array = array.astype(np.float32)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def inputs(self) -> tuple[str, str]:
        """The picture in [0, 1] and the hole, 1 inside."""
        graph = self.graph
        if not graph.joined:
            image, mask = (self.op("Cast", name, to=1) for name in (graph.image, graph.mask))
        else:
            at = 0 if graph.joined[0] != "rgb" else 3
            first = 1 if at == 0 else 0
            mask = self.op("Gather", graph.image, np.array([at]), axis=1)
            image = self.op("Gather", graph.image, np.arange(first, first + 3), axis=1)
        low, high = graph.rgb
        unit = self.op("Div", self.op("Sub", image, float(low)), float(high - low))
        span = float(graph.hole - graph.known)
        return unit, self.op("Div", self.op("Sub", mask, float(graph.known)), span)

    def filled(self, unit: str, hole: str) -> str:
        ones = self.op("Add", self.op("Mul", unit, 0.0), 1.0)
        if self.graph.inpainter == "nothing":
            return unit
        if self.graph.inpainter == "position":
            return self.positions(ones)
        known = self.op("Sub", 1.0, hole)
        total = self.op("ReduceSum", self.op("Mul", unit, known), np.array([2, 3]))
        count = self.op("Max", self.op("ReduceSum", known, np.array([2, 3])), 1.0)
        mean = self.op("Div", total, count)
        if self.graph.inpainter == "bent":
            square = self.op("Mul", self.op("Mul", mean, mean), 0.1)
            mean = self.op("Sub", self.op("Add", mean, square), 0.05)
        return self.op("Mul", ones, mean)

    def positions(self, ones: str) -> str:
        channels = []
        for number, axis in enumerate((3, 2)):
            one = self.op("Gather", ones, np.array([number]), axis=1)
            steps = self.op("Sub", self.op("CumSum", one, np.array(axis)), 1.0)
            count = self.op("Sub", self.op("ReduceSum", one, np.array([axis])), 1.0)
            channels.append(self.op("Div", steps, count))
        last = self.op("Mul", self.op("Gather", ones, np.array([2]), axis=1), 0.5)
        return self.op("Concat", *channels, last, axis=1)

    def result(self) -> str:
        graph = self.graph
        unit, hole = self.inputs()
        out = self.filled(unit, hole)
        if graph.exchanged:
            out = self.op("Gather", out, np.array([2, 1, 0]), axis=1)
        if graph.composites:
            known = self.op("Mul", unit, self.op("Sub", 1.0, hole))
            out = self.op("Add", known, self.op("Mul", out, hole))
        low, high = graph.given
        out = self.op("Add", self.op("Mul", out, float(high - low)), float(low))
        if graph.dtype == "uint8":
            out = self.op("Clip", self.op("Round", out), 0.0, 255.0)
        return self.op("Squeeze", out, np.array([0])) if graph.squeezed else out


def write(path: Path, graph: Graph) -> Path:
    """Write a graph; the weights of an external one go into a file beside it."""
    builder = _Builder(graph)
    out = builder.result()
    kind = TYPES[graph.dtype]
    builder.nodes.append(helper.make_node("Cast", [out], [graph.output], to=kind))
    sides = [graph.side or "h", graph.side or "w"]
    batch = graph.batch or "n"
    channels = {graph.image: 4 if graph.joined else 3}
    if not graph.joined:
        channels[graph.mask] = 1
    taken = [
        helper.make_tensor_value_info(name, kind, [batch, count, *sides])
        for name, count in channels.items()
    ]
    shape = [3, *sides] if graph.squeezed else [batch, 3, *sides]
    given = [helper.make_tensor_value_info(graph.output, kind, shape)]
    made = helper.make_graph(builder.nodes, "inpainter", taken, given, builder.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = {}
    if graph.external:
        options = {
            "save_as_external_data": True, "location": f"{path.stem}.data", "size_threshold": 0,
        }  # fmt: skip
    onnx.save(model, path, **options)
    return path


def twin(graph: Graph, **changes) -> Graph:
    """The same graph with something else than it should be."""
    return replace(graph, **changes)
