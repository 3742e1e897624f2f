"""Changes of the exported ONNX graph: names, weights in fp16, constant kernels, separate biases.

Each function returns the model that it was given, changed in place.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from inpaintcli_training.export.parity import ExportError

OPSET = 20
MIN_FP16_ELEMENTS = 256  # smaller weights stay fp32: fp16 would save nothing
_CAST_SUFFIX = ".fp32"  # of a weight's name after its cast


def clean_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Name the dimensions n, c, h, w; remove the exporter's notes on source lines."""
    for value in (*model.graph.input, *model.graph.output):
        for dim, name in zip(value.type.tensor_type.shape.dim, ("n", "c", "h", "w"), strict=True):
            if dim.HasField("dim_param"):
                dim.dim_param = name
    for part in (model.graph, *model.graph.node, *model.graph.initializer):
        del part.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    # These shapes have dimension names of the exporter's own; every runtime infers shapes itself.
    del model.graph.value_info[:]
    return model


def with_weights(model: onnx.ModelProto, weights: dict[str, Tensor]) -> onnx.ModelProto:
    """Store these weights; large ones in fp16, each followed by a cast to fp32.

    Raises:
        ExportError: the graph lacks some of them.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    missing = sorted(weights.keys() - stored.keys())
    if missing:
        raise ExportError(f"The exported graph lacks the weights {', '.join(missing)}.")
    casts = []
    for name, weight in weights.items():
        large = weight.numel() >= MIN_FP16_ELEMENTS
        array = weight.half().numpy() if large else weight.float().numpy()
        stored[name].CopyFrom(numpy_helper.from_array(array, name))
        if large:
            casts.append(name)
    for node in model.graph.node:
        for position, used in enumerate(node.input):
            if used in casts:
                node.input[position] = used + _CAST_SUFFIX
    for number, used in enumerate(casts):
        cast = helper.make_node("Cast", [used], [used + _CAST_SUFFIX], to=TensorProto.FLOAT)
        model.graph.node.insert(number, cast)
    onnx.checker.check_model(model, full_check=True)
    return model


def with_constant_kernels(model: onnx.ModelProto, weights: set[str]) -> onnx.ModelProto:
    """Store padded and sliced kernels as constants, as TensorRT demands.

    The weights themselves stay under their names, for training that starts from the file.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    casts = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Cast"}
    nodes: list[onnx.NodeProto] = []
    for node in list(model.graph.node):
        sources = {name: stored.get(casts.get(name, name)) for name in node.input if name}
        if node.op_type not in {"Pad", "Slice"} or None in sources.values():
            nodes.append(node)
            continue
        arrays = {name: numpy_helper.to_array(tensor) for name, tensor in sources.items() if tensor}
        found: Any = ReferenceEvaluator(node, opsets={"": OPSET}).run(None, arrays)
        array = np.asarray(found[0])
        name = node.output[0]
        if array.dtype == np.float16:
            nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
            name = f"{name}_half"
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return _without_unused(model, weights)


def _without_unused(model: onnx.ModelProto, weights: set[str]) -> onnx.ModelProto:
    """Remove nodes and tensors that are not used, except the weights."""
    outputs = {value.name for value in model.graph.output}
    taken = outputs.union(*(node.input for node in model.graph.node))
    nodes = [node for node in model.graph.node if taken.intersection(node.output)]
    taken = weights.union(*(node.input for node in nodes))
    used = [tensor for tensor in model.graph.initializer if tensor.name in taken]
    del model.graph.initializer[:]
    del model.graph.node[:]
    model.graph.initializer.extend(used)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


def with_separate_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every convolution a bias of its own, also where weights are used twice.

    For a bias that two convolutions share, OpenVINO runs a separate addition after each of them and
    another pass over the data for the activation: 8 % of the default model's time.
    """
    makers = {node.output[0]: node for node in model.graph.node}
    seen: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in list(model.graph.node):
        if node.op_type == "Conv" and len(node.input) > 2:
            if node.input[2] in seen:
                node.input[2] = _duplicate(model, node.input[2], makers, nodes)
            seen.add(node.input[2])
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _duplicate(
    model: onnx.ModelProto,
    name: str,
    makers: dict[str, onnx.NodeProto],
    nodes: list[onnx.NodeProto],
) -> str:
    """Duplicate a tensor, with the node that makes it (a cast, padding); returns the new name."""
    copied = f"{name.replace('.', '_')}_{len(nodes)}"  # no dot: not a weight by name
    if name in makers:
        twin = onnx.NodeProto()
        twin.CopyFrom(makers[name])
        twin.input[0] = _duplicate(model, twin.input[0], makers, nodes)
        twin.output[0] = twin.name = copied
        nodes.append(twin)
    else:
        stored = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        tensor = model.graph.initializer.add()
        tensor.CopyFrom(stored)
        tensor.name = copied
    return copied
