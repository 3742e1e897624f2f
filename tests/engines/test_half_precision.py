"""Half precision where it is safe: what becomes fp16, what stays, and that it still agrees.

ONNX Runtime's CPU takes fp16 models and computes them in fp32 (see halves.py), so agreement is
asked of the model as it runs there and of one that rounds every fp16 value.
"""

import numpy as np
import pytest
from inpaintcli_engines.base import EngineFailedError
from inpaintcli_engines.half_precision import convert_precision

from inpaintcli.models.cards import cards, find_card

onnx = pytest.importorskip("onnx", reason="the extra `tensorrt` or `train` is not installed")
ort = pytest.importorskip("onnxruntime", reason="the extra `onnxruntime` is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.engines.halves import LARGEST, half_values, rounded  # noqa: E402

LEAST_DB = 40.0  # of a range of 2, over the hole
HEADROOM = 8  # the largest fp16 value may be this much below what fp16 can hold
TRAINED_IMAGES = 4321  # of a tiny recipe: to its end
FP16, FP32 = TensorProto.FLOAT16, TensorProto.FLOAT


def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def graph(nodes, constants=(), inputs=(("x", [1, 4, 8, 8]),), output=("y", None)):
    """A model of these nodes from fp32 inputs to an fp32 output."""
    values = [helper.make_tensor_value_info(n, FP32, s) for n, s in inputs]
    made = helper.make_graph(
        nodes,
        "test",
        values,
        [helper.make_tensor_value_info(output[0], FP32, output[1])],
        [numpy_helper.from_array(np.asarray(a, np.float32), n) for n, a in constants],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def types_of(model):
    """The element type of every value."""
    inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(model), strict_mode=True)
    known = (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    return {v.name: v.type.tensor_type.elem_type for v in known}


WEIGHT = ("w", 0.1 * np.ones((4, 4, 1, 1)))
CONV = helper.make_node("Conv", ["x", "w"], ["c"])


def test_a_convolution_becomes_low_and_the_ends_stay_fp32():
    model = convert_precision(
        graph([CONV, helper.make_node("Tanh", ["c"], ["y"])], [WEIGHT]), "fp16"
    )
    types = types_of(model)
    assert types["x"] == types["y"] == FP32
    assert types["c"] == FP16


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("InstanceNormalization", ["c", "s", "s"], ["m"]),
        helper.make_node("Softmax", ["c"], ["m"], axis=1),
        helper.make_node("ReduceMean", ["c"], ["m"]),
        helper.make_node("ReduceL2", ["c"], ["m"]),
        helper.make_node("AveragePool", ["c"], ["m"], kernel_shape=[2, 2]),
        helper.make_node("GlobalAveragePool", ["c"], ["m"]),
        helper.make_node("MatMul", ["c", "c"], ["m"]),  # attention: two activations
        helper.make_node("Div", ["c", "c"], ["m"]),
        helper.make_node("Exp", ["c"], ["m"]),
        helper.make_node("Add", ["c", "tiny"], ["m"]),  # an epsilon that fp16 has not
        helper.make_node("Mul", ["c", "huge"], ["m"]),
    ],
    ids=lambda node: f"{node.op_type} {node.input[-1]}",
)
def test_what_half_precision_gets_wrong_stays_fp32(node):
    constants = [WEIGHT, ("s", np.ones(4)), ("tiny", 1e-9), ("huge", 1e6)]
    model = convert_precision(
        graph([CONV, node, helper.make_node("Tanh", ["m"], ["y"])], constants), "fp16"
    )
    types = types_of(model)
    assert types["c"] == FP16
    assert types["m"] == FP32


def test_what_passes_numbers_on_follows_its_inputs():
    nodes = [
        CONV,
        helper.make_node("Relu", ["c"], ["low"]),
        helper.make_node("Relu", ["x"], ["high"]),
        helper.make_node("Add", ["low", "c"], ["both"]),
        helper.make_node("Add", ["low", "high"], ["mixed"]),
        helper.make_node("Sub", ["mixed", "both"], ["y"]),
    ]
    types = types_of(convert_precision(graph(nodes, [WEIGHT]), "fp16"))
    assert types["low"] == types["both"] == FP16
    assert types["high"] == types["mixed"] == FP32


def test_scales_of_a_resize_stay_fp32():
    nodes = [
        CONV,
        helper.make_node("Resize", ["c", "", "scales"], ["r"], mode="nearest"),
        helper.make_node("Tanh", ["r"], ["y"]),
    ]
    model = convert_precision(graph(nodes, [WEIGHT, ("scales", [1, 1, 2, 2])]), "fp16")
    stored = {t.name: t.data_type for t in onnx.load_from_string(model).graph.initializer}
    assert types_of(model)["r"] == FP16
    assert stored["scales"] == FP32
    assert stored["w.low"] == FP16


def test_a_value_is_cast_once_for_all_its_readers():
    readers = [helper.make_node("Conv", ["x", "w"], [f"c{n}"]) for n in range(3)]
    total = helper.make_node("Sum", ["c0", "c1", "c2"], ["y"])
    model = onnx.load_from_string(convert_precision(graph([*readers, total], [WEIGHT]), "fp16"))
    casts = [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] == "x"]
    assert len(casts) == 1


def test_weights_stored_in_half_are_not_cast_again():
    model = convert_precision(find_card().file.read_bytes(), "fp16")
    nodes = onnx.load_from_string(model).graph.node
    stored = {t.name for t in onnx.load_from_string(model).graph.initializer}
    assert not [n for n in nodes if n.op_type == "Cast" and n.input[0] in stored]


def test_what_is_made_of_constants_alone_is_a_constant():
    """TensorRT takes kernels that are weights, not what is still to be computed."""
    pads = numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 1, 0, 0]), "pads")
    nodes = [
        helper.make_node("Constant", [], ["pads"], value=pads),
        helper.make_node("Pad", ["w", "pads"], ["wide"]),
        helper.make_node("Conv", ["x", "wide"], ["c"]),
        helper.make_node("Tanh", ["c"], ["y"]),
    ]
    narrow = ("w", np.ones((4, 3, 1, 1)))
    made = onnx.load_from_string(convert_precision(graph(nodes, [narrow]), "fp16"))
    assert [n.op_type for n in made.graph.node] == ["Cast", "Conv", "Cast", "Tanh"]
    stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    assert stored["wide.low"].shape == (4, 4, 1, 1)
    assert stored["wide.low"].dtype == np.float16
    assert not stored["wide.low"][:, 3].any()


def test_fp32_gives_the_same_numbers_with_fp32_weights(small_model):
    before = small_model.read_bytes()
    after = convert_precision(before, "fp32")
    given = next(pictures())
    np.testing.assert_array_equal(run(session(before), given), run(session(after), given))
    assert not half_values(after)


def test_bf16_takes_the_same_values_as_fp16(small_model):
    low = {
        kind: {
            t.name
            for t in onnx.load_from_string(
                convert_precision(small_model.read_bytes(), kind)
            ).graph.initializer
            if t.data_type == number
        }
        for kind, number in (("fp16", FP16), ("bf16", TensorProto.BFLOAT16))
    }
    assert low["fp16"] == low["bf16"] != set()


def test_branches_are_refused():
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["b"])],
        "branch",
        [],
        [helper.make_tensor_value_info("b", FP32, None)],
    )
    truth = helper.make_node(
        "Constant", [], ["t"], value=numpy_helper.from_array(np.asarray(True), "t")
    )
    choice = helper.make_node("If", ["t"], ["y"], then_branch=branch, else_branch=branch)
    with pytest.raises(EngineFailedError, match="subgraph"):
        convert_precision(graph([truth, choice]), "fp16")


def test_what_is_no_model_is_refused():
    with pytest.raises(EngineFailedError, match="fp16"):
        convert_precision(b"no model", "fp16")


# What follows asks every generator.


def pictures():
    """Ten pictures with holes: photos where scikit-image has them, and made ones."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:128, 0:128] / 128
    made = [
        np.stack([np.sin((9 + n) * x) * np.cos((7 + n) * y), x * y, rng.uniform(0, 1, x.shape)])
        for n in range(5)
    ]
    for number, picture in enumerate([*photos(), *made][:10]):
        mask = np.zeros((1, 1, 128, 128), np.float32)
        corner = 8 + 5 * number
        mask[:, :, corner : corner + 50, 20 : 60 + 4 * number] = 1
        yield {"image": np.clip(picture[None], -1, 1).astype(np.float32), "mask": mask}


def photos():
    data = pytest.importorskip("skimage.data", reason="the extra `dev` is not installed")
    for photo in (data.astronaut(), data.chelsea()):
        for y, x in ((40, 60), (100, 200), (160, 120)):
            yield photo[y : y + 128, x : x + 128].transpose(2, 0, 1) / 127.5 - 1


def extremes():
    """What no photo is: white, black, noise and squares, all of it hidden or one pixel."""
    rng = np.random.default_rng(6)
    shape = (1, 3, 128, 128)
    squares = np.broadcast_to(np.indices((128, 128)).sum(0) % 2 * 2.0 - 1, shape)
    images = [np.ones(shape), -np.ones(shape), rng.choice([-1.0, 1.0], shape), squares]
    masks = [np.ones((1, 1, 128, 128)), np.zeros((1, 1, 128, 128))]
    masks[1][..., 64, 64] = 1
    for image in images:
        for mask in masks:
            yield {"image": image.astype(np.float32), "mask": mask.astype(np.float32)}


def run(opened, given):
    return opened.run(["filled"], given)[0]


def hole_psnr(ours, theirs, given):
    hole = np.broadcast_to(given["mask"] > 0, theirs.shape)
    return 10 * np.log10(4 / max(np.mean((ours - theirs)[hole] ** 2), 1e-12))


def check(model):
    """It agrees in half precision, as it runs here and as it would with every value rounded."""
    half = convert_precision(model, "fp16")
    assert half_values(half)
    exact, here, watched = session(model), session(half), session(rounded(half, watch=True))
    for given in pictures():
        expected = run(exact, given)
        assert hole_psnr(run(here, given), expected, given) >= LEAST_DB
        assert hole_psnr(run(watched, given), expected, given) >= LEAST_DB
    for given in extremes():
        values = watched.run(None, given)
        assert all(np.isfinite(value).all() for value in values)
        assert max(np.abs(value).max() for value in values[1:]) <= LARGEST / HEADROOM


@pytest.mark.parametrize("name", sorted(cards()))
def test_every_shipped_model_agrees_in_half_precision(name):
    check(find_card(name).file.read_bytes())


def families():
    try:
        from inpaintcli_training.catalog import FAMILIES
    except ImportError:
        return []
    return sorted(FAMILIES)


@pytest.mark.slow
@pytest.mark.timeout(400)  # torch's exporter takes most of it
@pytest.mark.parametrize("family", families())
def test_every_generator_agrees_in_half_precision(family, tmp_path_factory):
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    from inpaintcli_training.catalog import FAMILIES
    from inpaintcli_training.export.exporter import to_onnx, trained_generator

    from tests.training.conftest import TINY
    from tests.training.exports import graph_folder, shared_graphs

    recipe = TINY[family]
    torch.manual_seed(0)
    fresh = FAMILIES[family].Generator(recipe.generator).state_dict()
    generator = trained_generator(recipe, fresh, TRAINED_IMAGES)
    with torch.no_grad():
        for parameter in generator.parameters():
            if parameter.ndim > 1 and not parameter.any():  # begins at zero: would hide its layer
                parameter.normal_(std=0.05)
    with shared_graphs(graph_folder(tmp_path_factory)):
        model = to_onnx(generator)
    check(model.SerializeToString())
