import numpy as np
import onnx
import pytest
from inpaintcli_training.export import onnx_graph


def test_no_two_convolutions_have_the_same_bias_and_the_result_is_the_same() -> None:
    ort = pytest.importorskip("onnxruntime")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    rng = np.random.default_rng(0)
    stored = {"w": rng.normal(size=(2, 2, 1, 1)), "a.bias": rng.normal(size=2), "b.bias": [1.0]}
    types = {"w": np.float32, "a.bias": np.float16, "b.bias": np.float32, "pads": np.int64}
    stored["pads"] = [0, 1]
    nodes = [
        helper.make_node("Cast", ["a.bias"], ["a.bias.fp32"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Pad", ["b.bias", "pads"], ["padded"]),
    ]
    biases = ["a.bias.fp32", "padded", "a.bias.fp32", "padded", "padded"]
    for number, bias in enumerate(biases):
        nodes.append(helper.make_node("Conv", [f"x{number}", "w", bias], [f"x{number + 1}"]))
    shape = [1, 2, 4, 4]
    graph = helper.make_graph(
        nodes,
        "shared",
        [helper.make_tensor_value_info("x0", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"x{len(biases)}", onnx.TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(a, types[n]), n) for n, a in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)

    def result() -> np.ndarray:
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return session.run(None, {"x0": np.ones(shape, np.float32)})[0]

    before = result()
    onnx_graph.with_separate_biases(model)
    onnx.checker.check_model(model, full_check=True)
    used = [node.input[2] for node in model.graph.node if node.op_type == "Conv"]
    assert len(set(used)) == len(biases)
    makers = {node.output[0]: node.input[0] for node in model.graph.node}
    assert len({makers.get(name, name) for name in used}) == len(biases)
    assert {t.name for t in model.graph.initializer if "." in t.name} == {"a.bias", "b.bias"}
    np.testing.assert_array_equal(result(), before)
