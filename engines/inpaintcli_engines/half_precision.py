"""An ONNX model in mixed precision: fp16 or bf16 where that is safe, fp32 where it is not.

TensorRT 11 takes the precision of each layer from the types in the file and from nowhere else, so
the choice is made here, once, for every runtime:

- Convolutions, and matrix products with a constant matrix, become half precision: most of the time
  is spent there.
- Normalisations, softmax, pooling and other means, reductions, powers and quotients stay fp32, and
  so do matrix products of two activations (attention): half precision is inaccurate in sums over
  many numbers, small divisors and exponents.
- Operators that pass numbers on (sums, activations, concatenation, slices) follow their inputs:
  half precision where all of these are. So a picture that passed no convolution stays exact.
- A constant that the half type cannot hold, such as an epsilon of 1e-8 in fp16, keeps its node
  fp32.

Inputs and outputs stay fp32. A cast stands wherever the two meet, one for each value and type.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from inpaintcli_engines.base import EngineFailedError, EngineUnavailableError

# Half precision whenever their constants fit.
_HALF_OPS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# Half precision when every number that flows in is.
_FOLLOWING_OPS = {
    "Abs", "Add", "Clip", "Concat", "DepthToSpace", "Elu", "Expand", "Flatten", "Gather",
    "GatherND", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Max", "MaxPool",
    "Min", "Mul", "Neg", "PRelu", "Pad", "Relu", "Reshape", "Resize", "Sigmoid", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip


def read_model(path: Path) -> bytes:
    """An ONNX model with all its weights in it; those in files beside it are read from there.

    Raises:
        EngineFailedError: they cannot be read, or come to more than the 2 GiB of an ONNX file.
    """
    content = path.read_bytes()
    # "location" is the key of a file's name; without the package onnx, its user says so.
    if b"location" not in content or find_spec("onnx") is None:
        return content
    import onnx

    try:
        whole: bytes = onnx.load(path).SerializeToString()
    except Exception as error:  # of protobuf, onnx, the file system
        raise EngineFailedError(f"{path.name} cannot be read with its weights: {error}") from error
    return whole


def convert_precision(model: bytes, precision: str) -> bytes:
    """The model with the types of a precision; for fp32, with fp32 weights throughout.

    Args:
        model: an ONNX model with fp32 inputs and outputs; fp16 weights followed by a cast to fp32
            count as constants.
        precision: fp32, bf16 or fp16.

    Raises:
        EngineFailedError: the model has branches or loops, or is no valid ONNX.
        EngineUnavailableError: the package `onnx` is not installed.
    """
    try:
        import onnx
        from onnx import inliner, shape_inference
    except ModuleNotFoundError as error:
        raise EngineUnavailableError(
            "To convert a model to half precision takes the package onnx, which is not installed.",
            hint="pip install onnx",
        ) from error
    try:
        loaded = inliner.inline_local_functions(onnx.load_from_string(model))
        inferred = shape_inference.infer_shapes(loaded, strict_mode=True, data_prop=True)
        result = _PrecisionConverter(inferred, precision).model()
        if precision != "bf16":  # before opset 22 the schema of Conv leaves bf16 out; TensorRT not
            onnx.checker.check_model(result, full_check=True)
    except EngineFailedError:
        raise
    except Exception as error:  # onnx raises errors of its own, of protobuf, and plain ones
        raise EngineFailedError(f"No {precision} model can be made: {error}") from error
    content: bytes = result.SerializeToString()
    return content


class _PrecisionConverter:
    """Converts one model to another precision.

    Every value that a node computes has one type: `_half` names those in half precision. A node
    that needs a value in the other type reads it from a cast that is inserted before it.
    """

    def __init__(self, model: Any, precision: str) -> None:
        from onnx import TensorProto

        self._model = model
        types = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
        self._type = types.get(precision, TensorProto.FLOAT)
        self._opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self._constants: dict[str, Any] = {}
        self._floats = self._float_values()
        self._half: set[str] = set()
        self._nodes: list[Any] = []
        self._stored: dict[str, Any] = {}
        self._casts: set[str] = set()

    def model(self) -> Any:
        """The converted model."""
        outputs = {value.name for value in self._model.graph.output}
        for node in self._fold_constants():
            self._refuse_subgraphs(node)
            half = self._type != 1 and self._is_half(node) and not outputs & set(node.output)
            self._place(node, half)
        graph = self._model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(self._stored.values())
        return self._model

    def _float_values(self) -> set[str]:
        """The names of all values that are fp32 in the model as it is."""
        graph = self._model.graph
        known = (*graph.input, *graph.output, *graph.value_info)
        return {value.name for value in known if value.type.tensor_type.elem_type == 1}

    def _fold_constants(self) -> Iterator[Any]:
        """The nodes that compute; constants, and what depends on constants alone, go to a table."""
        from onnx import numpy_helper

        for tensor in self._model.graph.initializer:
            self._constants[tensor.name] = numpy_helper.to_array(tensor)
        for node in self._model.graph.node:
            attributes = {a.name: a for a in node.attribute}
            if node.op_type == "Constant" and "value" in attributes:
                array = numpy_helper.to_array(attributes["value"].t)
                self._constants[node.output[0]] = array
            elif node.input and all(not name or name in self._constants for name in node.input):
                self._constants.update(self._computed(node))
            else:
                yield node

    def _computed(self, node: Any) -> dict[str, Any]:
        """What a node computes from constants, such as a kernel that is cast or padded."""
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        self._refuse_subgraphs(node)
        given = {name: self._constants[name] for name in node.input if name}
        values = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in given.items()
        ]
        made = [helper.make_empty_tensor_value_info(name) for name in node.output]
        graph = helper.make_graph([node], "constant", values, made)
        model = helper.make_model(graph, opset_imports=self._model.opset_import)
        results = ReferenceEvaluator(model).run(None, given)
        return dict(zip(node.output, results, strict=True))

    def _refuse_subgraphs(self, node: Any) -> None:
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise EngineFailedError(
                "The model's precision cannot be converted: "
                f"node '{node.name}' ({node.op_type}) has a subgraph.",
                hint="Export the model without branches and loops.",
            )

    def _is_half(self, node: Any) -> bool:
        numbers = [name for name in node.input if self._is_float(name)]
        flowing = [name for name in numbers if name not in self._constants]
        constant = [self._constants[name] for name in numbers if name in self._constants]
        if not flowing or not all(_fits(array, self._type) for array in constant):
            return False
        if node.op_type in _HALF_OPS:
            return len(flowing) == 1
        return node.op_type in _FOLLOWING_OPS and all(name in self._half for name in flowing)

    def _is_float(self, name: str) -> bool:
        if name in self._constants:
            return bool(self._constants[name].dtype == np.float32)
        return name in self._floats

    def _place(self, node: Any, half: bool) -> None:
        """Append the node, its inputs in the type that it computes in."""
        convertible = _inputs_of_the_computed_type(node, self._opset)
        for position, name in enumerate(node.input):
            if name:
                wants_half = half and position in convertible
                node.input[position] = self._read(name, wants_half)
        if half:
            self._half.update(name for name in node.output if name in self._floats)
        self._nodes.append(node)

    def _read(self, name: str, half: bool) -> str:
        """The name of the value in the wanted type."""
        if name in self._constants:
            return self._store(name, half and self._is_float(name))
        if not self._is_float(name) or (name in self._half) == half:
            return name
        return self._cast(name, half)

    def _store(self, name: str, half: bool) -> str:
        """Store a constant: in fp32 under its own name, or in half precision. Returns its name."""
        from onnx import helper, numpy_helper

        stored = f"{name}.low" if half else name
        if stored not in self._stored:
            array = self._constants[name]
            if half:
                converted = array.astype(helper.tensor_dtype_to_np_dtype(self._type))
                self._stored[stored] = numpy_helper.from_array(converted, stored)
            else:
                self._stored[stored] = numpy_helper.from_array(array, stored)
        return stored

    def _cast(self, name: str, half: bool) -> str:
        from onnx import helper

        target = f"{name}.{'low' if half else 'fp32'}"
        if target not in self._casts:
            self._casts.add(target)
            to = self._type if half else 1
            node = helper.make_node("Cast", [name], [target], name=f"cast {target}", to=to)
            self._nodes.append(node)
        return target


def _inputs_of_the_computed_type(node: Any, opset: int) -> set[int]:
    """Positions of the inputs that share the computed type: not scales, shapes or conditions."""
    from onnx import defs

    formal = defs.get_schema(node.op_type, opset, node.domain).inputs
    computed = formal[1 if node.op_type == "Where" else 0].type_str if formal else ""
    last = len(formal) - 1
    return {i for i in range(len(node.input)) if formal[min(i, last)].type_str == computed}


def _fits(array: Any, kind: int) -> bool:
    """Whether a half type holds a constant: all stays finite, and a scalar does not become 0.

    A weight among thousands may well become 0; a single epsilon may not.
    """
    from onnx import helper

    with np.errstate(over="ignore"):
        half = array.astype(helper.tensor_dtype_to_np_dtype(kind)).astype(np.float32)
    vanished = array.size == 1 and bool(((half == 0) & (array != 0)).any())
    return bool(np.isfinite(half).all()) and not vanished
