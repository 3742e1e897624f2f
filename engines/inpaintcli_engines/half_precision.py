"""An ONNX model in mixed precision: fp16 or bf16 where that is safe, fp32 where it is not.

TensorRT 11 takes its precisions from the types in the file and from nowhere else, so the choice is
made here, once, for every runtime:

- Convolutions, and matrix products with a constant matrix, become low: they are the work.
- Normalisations, softmax, pooling and other means, reductions, powers and quotients stay fp32, and
  so do matrix products of two activations (attention): sums over many numbers, small divisors and
  exponents are what half precision gets wrong.
- What merely passes numbers on (sums, activations, concatenation, slices) follows its inputs: low
  where all of them are low. So a picture that never met a convolution stays exact.
- A constant that the low type cannot hold, as an epsilon of 1e-8 in fp16, keeps its node fp32.

Inputs and outputs stay fp32. Casts stand where the two meet, one for each value and type.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from inpaintcli_engines.base import EngineFailedError, EngineUnavailableError

# The work: low whenever their constants fit.
_LOW = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# Low when every number that flows in is low.
_FOLLOW = {
    "Abs", "Add", "Clip", "Concat", "DepthToSpace", "Elu", "Expand", "Flatten", "Gather",
    "GatherND", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Max", "MaxPool",
    "Min", "Mul", "Neg", "PRelu", "Pad", "Relu", "Reshape", "Resize", "Sigmoid", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip


def typed(model: bytes, precision: str) -> bytes:
    """The model with types for the precision asked for; for fp32 with fp32 weights throughout.

    Args:
        model: an ONNX model with fp32 inputs and outputs; fp16 weights followed by a cast to fp32
            are taken as the weights that they are.
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
            "Typed models are made with the package onnx, which is not installed.",
            hint="pip install onnx",
        ) from error
    try:
        loaded = inliner.inline_local_functions(onnx.load_from_string(model))
        inferred = shape_inference.infer_shapes(loaded, strict_mode=True, data_prop=True)
        result = _Retyping(inferred, precision).model()
        if precision != "bf16":  # before opset 22 the schema of Conv leaves bf16 out; TensorRT not
            onnx.checker.check_model(result, full_check=True)
    except EngineFailedError:
        raise
    except Exception as error:  # onnx raises errors of its own, of protobuf, and plain ones
        raise EngineFailedError(f"No {precision} model can be made: {error}") from error
    content: bytes = result.SerializeToString()
    return content


class _Retyping:
    """One model on its way to another precision.

    Every value that a node makes has one type, kept in `_low`; a node that needs the other one
    reads it from a cast that is put in before it.
    """

    def __init__(self, model: Any, precision: str) -> None:
        from onnx import TensorProto

        self._model = model
        types = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
        self._type = types.get(precision, TensorProto.FLOAT)
        self._opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self._constants: dict[str, Any] = {}
        self._floats = self._float_values()
        self._low: set[str] = set()
        self._nodes: list[Any] = []
        self._stored: dict[str, Any] = {}
        self._casts: set[str] = set()

    def model(self) -> Any:
        """The new model."""
        outputs = {value.name for value in self._model.graph.output}
        for node in self._fold_constants():
            self._refuse_subgraphs(node)
            low = self._type != 1 and self._is_low(node) and not outputs & set(node.output)
            self._place(node, low)
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
        """The nodes that compute; constants, and what is made of constants alone, go to a table."""
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
        """What a node makes of constants, such as a kernel that is cast or padded."""
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
                f"No typed model can be made: node '{node.name}' ({node.op_type}) has a subgraph.",
                hint="Export the model without branches and loops.",
            )

    def _is_low(self, node: Any) -> bool:
        numbers = [name for name in node.input if self._is_float(name)]
        flowing = [name for name in numbers if name not in self._constants]
        constant = [self._constants[name] for name in numbers if name in self._constants]
        if not flowing or not all(_fits(array, self._type) for array in constant):
            return False
        if node.op_type in _LOW:
            return len(flowing) == 1
        return node.op_type in _FOLLOW and all(name in self._low for name in flowing)

    def _is_float(self, name: str) -> bool:
        if name in self._constants:
            return bool(self._constants[name].dtype == np.float32)
        return name in self._floats

    def _place(self, node: Any, low: bool) -> None:
        """Put the node in, its inputs in the type that it computes in."""
        retyped = _inputs_of_the_computed_type(node, self._opset)
        for position, name in enumerate(node.input):
            if name:
                wants_low = low and position in retyped
                node.input[position] = self._read(name, wants_low)
        if low:
            self._low.update(name for name in node.output if name in self._floats)
        self._nodes.append(node)

    def _read(self, name: str, low: bool) -> str:
        """The name under which the value is found in the type wanted."""
        if name in self._constants:
            return self._store(name, low and self._is_float(name))
        if not self._is_float(name) or (name in self._low) == low:
            return name
        return self._cast(name, low)

    def _store(self, name: str, low: bool) -> str:
        """A constant in the file: in fp32 under its own name, or in the low type."""
        from onnx import helper, numpy_helper

        stored = f"{name}.low" if low else name
        if stored not in self._stored:
            array = self._constants[name]
            if low:
                converted = array.astype(helper.tensor_dtype_to_np_dtype(self._type))
                self._stored[stored] = numpy_helper.from_array(converted, stored)
            else:
                self._stored[stored] = numpy_helper.from_array(array, stored)
        return stored

    def _cast(self, name: str, low: bool) -> str:
        from onnx import helper

        target = f"{name}.{'low' if low else 'fp32'}"
        if target not in self._casts:
            self._casts.add(target)
            to = self._type if low else 1
            node = helper.make_node("Cast", [name], [target], name=f"cast {target}", to=to)
            self._nodes.append(node)
        return target


def _inputs_of_the_computed_type(node: Any, opset: int) -> set[int]:
    """Positions of the inputs whose type is that of the first: not scales, shapes or conditions."""
    from onnx import defs

    formal = defs.get_schema(node.op_type, opset, node.domain).inputs
    computed = formal[1 if node.op_type == "Where" else 0].type_str if formal else ""
    last = len(formal) - 1
    return {i for i in range(len(node.input)) if formal[min(i, last)].type_str == computed}


def _fits(array: Any, kind: int) -> bool:
    """Whether the low type keeps every number of a constant finite, and an only one from 0.

    A weight among thousands may well become 0; a lone epsilon may not.
    """
    from onnx import helper

    with np.errstate(over="ignore"):
        low = array.astype(helper.tensor_dtype_to_np_dtype(kind)).astype(np.float32)
    vanished = array.size == 1 and bool(((low == 0) & (array != 0)).any())
    return bool(np.isfinite(low).all()) and not vanished
