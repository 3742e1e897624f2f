"""A GPU that is not there: stand-ins for NVIDIA's modules, and a small model."""

import sys
from types import ModuleType
from weakref import WeakValueDictionary

import numpy as np
import pytest
from inpaintcli_engines import nvidia
from inpaintcli_engines.nvidia import Gpu, Nvidia
from inpaintcli_engines.tensorrt import plans


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """The fakes in place of `tensorrt` and `cuda.bindings`; their knobs; an empty cache."""
    pytest.importorskip("onnx", reason="the extra `tensorrt` or `train` is not installed")
    pytest.importorskip("onnxruntime", reason="the extra `onnxruntime` is not installed")
    from tests.engines import fake_cuda, fake_tensorrt

    monkeypatch.setattr(fake_cuda, "knobs", fake_cuda.Knobs())
    monkeypatch.setattr(fake_tensorrt, "knobs", fake_tensorrt.Knobs())
    package, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
    package.bindings, bindings.runtime = bindings, fake_cuda
    modules = {
        "tensorrt": fake_tensorrt,
        "cuda": package,
        "cuda.bindings": bindings,
        "cuda.bindings.runtime": fake_cuda,
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    here = Nvidia("590.1", "13.1", (Gpu("Fake GPU", "8.9", 1 << 30),), None)
    for name in (
        "inpaintcli_engines.tensorrt.plans",
        "inpaintcli_engines.select",
        "inpaintcli_engines.backends.tensorrt_gpu",
    ):
        monkeypatch.setattr(f"{name}.nvidia", lambda: here)
    monkeypatch.setattr("inpaintcli_engines.backends.onnxruntime_any.nvidia", lambda: here)
    monkeypatch.setattr("inpaintcli_engines.backends.tensorrt_gpu._found", lambda _module: True)
    monkeypatch.setenv("INPAINTCLI_CACHE", str(tmp_path / "cache"))
    nvidia.nvidia.cache_clear()
    monkeypatch.setattr(plans, "_noted", set())
    monkeypatch.setattr(plans, "_loaded_plans", WeakValueDictionary())
    plans._cache_of_process.cache_clear()
    return fake_cuda, fake_tensorrt


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """Two convolutions over the picture and the hole, weights kept as ours are."""
    pytest.importorskip("onnx", reason="the extra `tensorrt` or `train` is not installed")
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    path.write_bytes(small_onnx())
    return path


def small_onnx(seed: int = 0) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    shapes = {"a.weight": (8, 4, 3, 3), "b.weight": (3, 8, 3, 3)}
    weights = [
        numpy_helper.from_array((0.2 * rng.normal(size=s)).astype(np.float16), n)
        for n, s in shapes.items()
    ]
    pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Cast", [f"{n}"], [f"{n}.fp32"], to=TensorProto.FLOAT) for n in shapes
    ]
    nodes += [
        helper.make_node("Concat", ["image", "mask"], ["seen"], axis=1),
        helper.make_node("Conv", ["seen", "a.weight.fp32"], ["a"], **pads),
        helper.make_node("Relu", ["a"], ["active"]),
        helper.make_node("Conv", ["active", "b.weight.fp32"], ["b"], **pads),
        helper.make_node("Tanh", ["b"], ["filled"]),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])
        for name, channels in (("image", 3), ("mask", 1), ("filled", 3))
    ]
    graph = helper.make_graph(nodes, "small", values[:2], values[2:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()
