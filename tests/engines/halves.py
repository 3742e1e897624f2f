"""What a model in fp16 computes, on a machine without fp16.

ONNX Runtime's CPU kernels are fp32: it puts casts around them and then takes out each pair of
casts that meets, at every optimisation level. So a model runs there, but as if it were fp32.
`rounded` makes a model of plain fp32 operators that rounds every fp16 value to the 11 bits that
fp16 keeps (Veltkamp's splitting, which no optimiser may touch). Range is not emulated;
`half_values` names the values whose size has to be looked at.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

SPLIT = np.float32(2**13 + 1)  # 24 - 11 bits
LARGEST = 65504.0


def half_values(model: bytes) -> list[str]:
    """The names of all fp16 values that nodes make."""
    inferred = shape_inference.infer_shapes(onnx.load_from_string(model))
    known = inferred.graph.value_info
    return [v.name for v in known if v.type.tensor_type.elem_type == TensorProto.FLOAT16]


def rounded(model: bytes, *, watch: bool = False) -> bytes:
    """An fp32 model that gives what the fp16 one gives.

    Args:
        model: in fp16, as `convert_precision` makes it.
        watch: make every fp16 value an output as well.
    """
    names = set(half_values(model))
    loaded = onnx.load_from_string(model)
    graph = loaded.graph
    nodes = []
    for node in graph.node:
        if node.op_type == "Cast":
            for attribute in node.attribute:
                attribute.i = TensorProto.FLOAT if attribute.i == 10 else attribute.i
        made = [name for name in node.output if name in names]
        for name in made:
            node.output[list(node.output).index(name)] = f"{name}.exact"
        nodes.append(node)
        for name in made:
            nodes += _rounding(f"{name}.exact", name)
    del graph.node[:]
    graph.node.extend(nodes)
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    graph.initializer.append(numpy_helper.from_array(SPLIT, "split"))
    if watch:
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names]
        graph.output.extend(outputs)
    return loaded.SerializeToString()


def _rounding(source: str, target: str) -> list:
    """c = 8193 x; target = c - (c - x)."""
    return [
        helper.make_node("Mul", [source, "split"], [f"{target}.c"]),
        helper.make_node("Sub", [f"{target}.c", source], [f"{target}.d"]),
        helper.make_node("Sub", [f"{target}.c", f"{target}.d"], [target]),
    ]
