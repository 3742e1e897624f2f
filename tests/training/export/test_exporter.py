"""The exported file does what torch does, is half the size, and is kept only when it is right."""

import hashlib
import math
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from inpaintcli_training.catalog import FAMILIES, build_generator
from inpaintcli_training.commands import load_weights
from inpaintcli_training.export import exporter, onnx_graph, parity
from inpaintcli_training.export.exporter import export_run, read_weights
from inpaintcli_training.export.parity import ExportError
from inpaintcli_training.export.parity_samples import find_parity_samples
from inpaintcli_training.loop.run_folder import (
    RunInfo,
    load_ema,
    write_best,
    write_checkpoint,
    write_run_info,
)
from inpaintcli_training.loop.train import Trainer
from inpaintcli_training.recipe import Recipe

from inpaintcli.errors import ExitCode, OutputError, UnreadableError

# torch's exporter takes a minute of a slow core for a family, and machines may be busy.
pytestmark = pytest.mark.timeout(400)

# fp32 all along, but runtimes sum in another order, and instance norms over few pixels divide by
# small deviations: 1e-5 is usual, 1e-3 (an eighth of an 8-bit grey level) is far from any fault.
TOLERANCE = 1e-3
# Pictures of a batch, height and width; the sides in the model's own units of at least 16 pixels.
SIZES = [(1, 4, 4), (3, 7, 11), (2, 16, 12), (1, 1, 1), (1, 2, 20)]


@dataclass(frozen=True)
class Exported:
    run: Path
    path: Path
    recipe: Recipe


def write_run(folder: Path, recipe: Recipe, *sources: Path) -> None:
    """A run folder as training leaves it, with random weights everywhere."""
    torch.manual_seed(0)
    weights = build_generator(recipe).state_dict()
    for number, (name, tensor) in enumerate(weights.items()):
        # Every fourth is a bias that is still zero: equal weights must stay apart in the file.
        torch.nn.init.normal_(tensor, std=0.1 if number % 4 != 3 else 0)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    where = tuple(map(str, sources))
    known = {"data": ("photos",), "sources": where, "features": {"file": "vgg19"}}
    info = RunInfo(photos=6, unreadable=1, **known)
    write_run_info(folder, recipe, info)
    write_checkpoint(folder, {"images": 4321}, weights)
    os.utime(folder / "ema.safetensors", (1_700_000_000, 1_700_000_000))


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def exported(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_recipes: dict[str, Recipe],
    photo_folder: Path,
) -> Exported:
    """A tiny model of each family, exported once."""
    recipe = tiny_recipes[request.param]
    run = tmp_path_factory.mktemp(recipe.family)
    write_run(run, recipe, photo_folder)
    path, _ = export_run(run, run / "out", name="tiny")
    return Exported(run, path, recipe)


def rounded_generator(exported: Exported) -> torch.nn.Module:
    """The generator with weights rounded as the file stores them."""
    weights, images = load_ema(exported.run)
    rounded = {name: exporter._rounded(weight) for name, weight in weights.items()}
    return exporter.trained_generator(exported.recipe, rounded, images)


def unit(exported: Exported) -> int:
    return math.lcm(16, build_generator(exported.recipe).size_multiple)


def inputs(batch: int, height: int, width: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(height)
    mask = np.zeros((batch, 1, height, width), np.float32)
    mask[:, :, height // 4 : height // 2 + 3, 5 : width // 2] = 1
    image = rng.uniform(-1, 1, (batch, 3, height, width)).astype(np.float32)
    return {"image": image, "mask": mask}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_onnx_runtime_agrees_with_torch_at_any_size_and_batch(exported: Exported, size) -> None:
    ort = pytest.importorskip("onnxruntime")
    batch, height, width = size
    fed = inputs(batch, unit(exported) * height, unit(exported) * width)
    session = ort.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    expected = parity._torch(rounded_generator(exported))(fed["image"], fed["mask"])
    outputs = session.run(list(expected), fed)
    choices = build_generator(exported.recipe).choices
    for found, (name, wanted) in zip(outputs, expected.items(), strict=True):
        assert found.shape == wanted.shape
        assert name in choices or np.abs(found - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_openvino_in_fp32_agrees_with_torch_at_any_size_and_batch(exported: Exported, size) -> None:
    openvino = pytest.importorskip("openvino")
    batch, height, width = size
    fed = inputs(batch, unit(exported) * height, unit(exported) * width)
    compiled = openvino.Core().compile_model(
        exported.path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    expected = parity._torch(rounded_generator(exported))(fed["image"], fed["mask"])
    found = compiled(fed)
    choices = build_generator(exported.recipe).choices
    for name in expected.keys() - choices:
        assert np.abs(found[name] - expected[name]).max() <= TOLERANCE


def test_the_graph_is_as_promised(exported: Exported) -> None:
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import if not opset.domain] == [20]

    def shape(value: onnx.ValueInfoProto) -> list[str | int]:
        dims = value.type.tensor_type.shape.dim
        return [dim.dim_param or dim.dim_value for dim in dims]

    named = {value.name: shape(value) for value in (*model.graph.input, *model.graph.output)}
    generator = build_generator(exported.recipe)
    assert tuple(value.name for value in model.graph.output) == generator.outputs
    assert generator.outputs[0] == "filled"
    assert {name: (dims[0], dims[1]) for name, dims in named.items()} == {
        "image": ("n", 3), "mask": ("n", 1), **dict.fromkeys(generator.outputs, ("n", 3)),
    } | dict.fromkeys(generator.choices, ("n", 2))  # fmt: skip
    assert all(isinstance(side, str) for dims in named.values() for side in dims[2:])


def test_the_graph_keeps_to_what_tensorrt_reads(exported: Exported) -> None:
    """Its parser knows no Col2Im, no cubic or antialiased Resize, and wants fixed kernels."""
    graph = onnx.load(exported.path).graph
    fixed = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        assert node.op_type not in {"Col2Im", "Loop", "Scan"}
        if node.op_type in {"Cast", "Constant"} and fixed.issuperset(node.input):
            fixed.add(node.output[0])
        elif node.op_type in {"Conv", "ConvTranspose"}:
            assert node.input[1] in fixed, node.name
        elif node.op_type == "Resize":
            assert attributes["mode"] in {b"nearest", b"linear"}
            assert not attributes.get("antialias")
        elif node.op_type == "Pad":
            assert attributes.get("mode", b"constant") in {b"constant", b"reflect", b"edge"}


def test_weights_are_stored_as_fp16_under_their_names_in_torch(exported: Exported) -> None:
    stored = {t.name: t.data_type for t in onnx.load(exported.path).graph.initializer}
    weights, _ = load_ema(exported.run)
    for name, weight in weights.items():
        large = weight.numel() >= 256
        assert stored[name] == (onnx.TensorProto.FLOAT16 if large else onnx.TensorProto.FLOAT)


def test_weights_read_back_are_the_averages_rounded_to_fp16(exported: Exported) -> None:
    weights, _ = load_ema(exported.run)
    back = read_weights(exported.path)
    assert back.keys() == weights.keys()
    for name, weight in weights.items():
        stored = weight.half().float() if weight.numel() >= 256 else weight
        assert torch.equal(back[name], stored)
        assert back[name].dtype == torch.float32


def test_training_can_start_from_an_exported_model(exported: Exported, features: Path) -> None:
    trainer = Trainer(exported.recipe, features)
    trainer.start_from(load_weights(exported.path))
    expected = rounded_generator(exported).state_dict()
    assert all(torch.equal(trainer.ema[name], tensor) for name, tensor in expected.items())


def test_the_card_says_what_the_model_is(exported: Exported) -> None:
    card = tomllib.loads(exported.path.with_suffix(".toml").read_text(encoding="utf-8"))
    recipe = exported.recipe
    compared = card.pop("parity")
    assert 0 <= compared["torch_onnx_max_abs"] <= TOLERANCE
    sizes = [(4, 4), (7, 11), (16, 12)]
    assert compared["sizes"] == [[unit(exported) * h, unit(exported) * w] for h, w in sizes]
    assert compared["pictures"] == "photos of the run"
    assert compared["fp16_psnr_db"] > 40
    objects = build_generator(recipe).objects
    if objects:
        assert set(card.pop("output")) == {"filled", "harmonized"}
    has_choices = bool(build_generator(recipe).choices)
    assert ("choices_agree" in compared) == has_choices
    assert card == {
        "schema": 1,
        "name": "tiny",
        "file": "tiny.onnx",
        "sha256": hashlib.sha256(exported.path.read_bytes()).hexdigest(),
        "licence": "Apache-2.0",
        "family": recipe.family,
        "recipe": recipe.name,
        "source": recipe.source,
        "task": "fill",
        "input": {
            "layout": "nchw",
            "range": [-1.0, 1.0],
            "mask": "1 is the hole" + ", 0.5 a pasted object to harmonize" * objects,
            "size_multiple": build_generator(recipe).size_multiple,
            "opset": 20,
        },
        "working": {"max_thickness": 19, "context": 0.5},
        "training": {
            "images": 4321,
            "crop": recipe.crop,
            "photos": 5,
            "features": {"file": "vgg19"},
            "data": "5 photos of photos",
            "date": "2023-11-14",
        },
        "scores": {},
    }


def test_two_files_and_no_more_are_written(exported: Exported) -> None:
    assert {p.name for p in exported.path.parent.iterdir()} == {"tiny.onnx", "tiny.toml"}


@pytest.fixture
def already(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """Exporting gives the graph at hand at once; all that follows is as ever."""
    monkeypatch.setattr(exporter, "to_onnx", lambda _generator: onnx.load(exported.path))
    return exported


@pytest.mark.parametrize("runtime", ["_onnxruntime", "_openvino"])
@pytest.mark.parametrize("fault", [0.01, np.nan])
def test_a_graph_that_differs_is_an_error_and_leaves_nothing(
    runtime: str, fault: float, already: Exported, tmp_path: Path, monkeypatch
) -> None:
    torch_itself = parity._torch(rounded_generator(already))
    monkeypatch.setattr(parity, "_onnxruntime", lambda _model: torch_itself)
    monkeypatch.setattr(parity, "_openvino", lambda _model: None)

    def wrong(image, mask):
        outputs = torch_itself(image, mask)
        return outputs | {"filled": outputs["filled"] + np.float32(fault)}

    monkeypatch.setattr(parity, runtime, lambda _model: wrong)
    with pytest.raises(ExportError, match="differs") as caught:
        export_run(already.run, tmp_path / "out")
    assert caught.value.code == ExitCode.MODEL
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_picks_otherwise_is_an_error(
    tiny_recipes: dict[str, Recipe], tmp_path: Path, monkeypatch
) -> None:
    recipe = tiny_recipes["contextual"]
    write_run(tmp_path / "run", recipe)
    weights, _ = load_ema(tmp_path / "run")
    generator = build_generator(recipe).eval()
    generator.load_state_dict(weights)
    torch_itself = parity._torch(generator)

    def wrong(image, mask):
        outputs = torch_itself(image, mask)
        elsewhere = np.random.default_rng(0).random(outputs["attention"].shape) < 0.02
        return outputs | {"attention": outputs["attention"] + 8 * elsewhere}

    monkeypatch.setattr(parity, "_onnxruntime", lambda _model: wrong)
    monkeypatch.setattr(parity, "_openvino", lambda _model: None)
    with pytest.raises(ExportError, match="picks the same at 9"):
        parity.compare(b"", generator, generator, find_parity_samples([]))


def test_a_graph_that_does_not_run_is_an_error_and_leaves_nothing(
    already: Exported, tmp_path: Path, monkeypatch
) -> None:
    def broken(_image, _mask):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(parity, "_onnxruntime", lambda _model: broken)
    with pytest.raises(ExportError, match="no such operator"):
        export_run(already.run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_without_openvino_the_card_leaves_it_out(
    already: Exported, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(parity, "_openvino", lambda _model: None)
    path, found = export_run(already.run, tmp_path, max_thickness=48, context=0.7)
    assert found.openvino_max_abs is None
    card = tomllib.loads(path.with_suffix(".toml").read_text())
    assert "openvino_max_abs" not in card["parity"]
    assert card["working"] == {"max_thickness": 48, "context": 0.7}
    assert path.name == f"{already.recipe.name}.onnx"


def test_an_output_folder_that_cannot_be_written_is_an_output_error(
    already: Exported, tmp_path: Path, monkeypatch
) -> None:
    torch_itself = parity._torch(rounded_generator(already))
    monkeypatch.setattr(parity, "_onnxruntime", lambda _model: torch_itself)
    monkeypatch.setattr(parity, "_openvino", lambda _model: None)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        export_run(already.run, tmp_path / "file")


def test_a_folder_without_a_checkpoint_is_unreadable(
    tmp_path: Path, tiny_recipes: dict[str, Recipe]
) -> None:
    with pytest.raises(UnreadableError, match="no run"):
        export_run(tmp_path)
    write_run_info(tmp_path, tiny_recipes["membrane"], RunInfo())
    with pytest.raises(UnreadableError, match="checkpoint"):
        export_run(tmp_path)


def test_what_is_no_onnx_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(UnreadableError, match="ONNX"):
        read_weights(tmp_path / "model.onnx")


def test_the_pictures_compared_have_holes_and_the_range() -> None:
    for seed, size in enumerate([(64, 64), (112, 176)]):
        image, mask = parity._pictures(find_parity_samples([]), size, batch=3, seed=seed)
        assert image.shape == (3, 3, *size)
        assert mask.shape == (3, 1, *size)
        assert image.dtype == mask.dtype == np.float32
        assert -1 <= image.min() < image.max() <= 1
        assert set(np.unique(mask)) == {0.0, 1.0}
        assert mask.any((1, 2, 3)).all()


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


def test_the_training_of_an_older_run_has_no_recorded_data(tiny_recipes) -> None:
    when = exporter.datetime(2026, 1, 2, tzinfo=exporter.UTC)
    training = exporter._training(tiny_recipes["membrane"], RunInfo(), 100, when)
    assert (training["data"], training["photos"], training["date"]) == (
        "not recorded",
        0,
        "2026-01-02",
    )


def test_the_best_weights_are_exported_where_they_are_asked_for(
    tiny_recipes: dict[str, Recipe], tmp_path: Path
) -> None:
    recipe = tiny_recipes["blockwise"]
    write_run(tmp_path, recipe)
    with pytest.raises(UnreadableError, match="best"):
        export_run(tmp_path, best=True)
    best = {name: torch.full_like(w, 0.125) for name, w in load_ema(tmp_path)[0].items()}
    write_best(tmp_path, best, 42, 19.0)
    path, _ = export_run(tmp_path, best=True)
    assert all(torch.equal(best[name], w) for name, w in read_weights(path).items())
    assert tomllib.loads(path.with_suffix(".toml").read_text())["training"]["images"] == 42
