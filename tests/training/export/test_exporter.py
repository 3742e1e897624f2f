"""The exported file does what torch does, is half the size, and is kept only when it is right."""

import hashlib
import math
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from inpaintcli_training.catalog import FAMILIES, build_generator
from inpaintcli_training.commands import load_weights
from inpaintcli_training.export import exporter, parity
from inpaintcli_training.export.exporter import export_run, read_weights
from inpaintcli_training.loop.run_folder import RunInfo, load_ema, write_best, write_run_info
from inpaintcli_training.loop.train import Trainer
from inpaintcli_training.recipe import Recipe

from inpaintcli.errors import UnreadableError
from tests.training.exports import (
    Exported,
    export_tiny,
    graph_folder,
    rounded_generator,
    shared_graphs,
    write_run,
)

# torch's exporter takes a minute of a slow core for a family, and machines may be busy.
pytestmark = pytest.mark.timeout(400)

# fp32 all along, but runtimes sum in another order, and instance norms over few pixels divide by
# small deviations: 1e-5 is usual, 1e-3 (an eighth of an 8-bit grey level) is far from any fault.
TOLERANCE = 1e-3
# Pictures of a batch, height and width; the sides in the model's own units of at least 16 pixels.
SIZES = [(1, 4, 4), (3, 7, 11), (2, 9, 6), (1, 1, 1), (1, 2, 20)]


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def exported(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_recipes: dict[str, Recipe],
    photo_folder: Path,
) -> Exported:
    """A tiny model of each family, exported once."""
    recipe = tiny_recipes[request.param]
    return export_tiny(tmp_path_factory, recipe, photo_folder)


def unit(exported: Exported) -> int:
    return math.lcm(16, build_generator(exported.recipe).size_multiple)


def inputs(batch: int, height: int, width: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(height)
    mask = np.zeros((batch, 1, height, width), np.float32)
    mask[:, :, height // 4 : height // 2 + 3, 5 : width // 2] = 1
    image = rng.uniform(-1, 1, (batch, 3, height, width)).astype(np.float32)
    return {"image": image, "mask": mask}


def assert_agrees_at_every_size(exported: Exported, run: parity.Run) -> None:
    torch_itself = parity._torch(rounded_generator(exported))
    choices = build_generator(exported.recipe).choices
    for batch, height, width in SIZES:
        fed = inputs(batch, unit(exported) * height, unit(exported) * width)
        found = run(**fed)
        for name, wanted in torch_itself(**fed).items():
            assert found[name].shape == wanted.shape
            assert name in choices or np.abs(found[name] - wanted).max() <= TOLERANCE


def test_onnx_runtime_agrees_with_torch_at_any_size_and_batch(exported: Exported) -> None:
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    assert_agrees_at_every_size(
        exported, lambda **fed: dict(zip(names, session.run(names, fed), strict=True))
    )


def test_openvino_in_fp32_agrees_with_torch_at_any_size_and_batch(exported: Exported) -> None:
    openvino = pytest.importorskip("openvino")
    compiled = openvino.Core().compile_model(
        exported.path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    assert_agrees_at_every_size(
        exported,
        lambda **fed: {port.get_any_name(): array for port, array in compiled(fed).items()},
    )


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


def test_weights_read_back_are_the_ema_rounded_to_fp16(exported: Exported) -> None:
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


def test_the_training_of_an_older_run_has_no_recorded_data(tiny_recipes) -> None:
    when = exporter.datetime(2026, 1, 2, tzinfo=exporter.UTC)
    training = exporter._training(tiny_recipes["membrane"], RunInfo(), 100, when)
    assert (training["data"], training["photos"], training["date"]) == (
        "not recorded",
        0,
        "2026-01-02",
    )


def test_the_best_weights_are_exported_where_they_are_asked_for(
    tiny_recipes: dict[str, Recipe], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recipe = tiny_recipes["blockwise"]
    write_run(tmp_path, recipe)
    with pytest.raises(UnreadableError, match="best"):
        export_run(tmp_path, best=True)
    best = {name: torch.full_like(w, 0.125) for name, w in load_ema(tmp_path)[0].items()}
    write_best(tmp_path, best, 42, 19.0)
    with shared_graphs(graph_folder(tmp_path_factory)):
        path, _ = export_run(tmp_path, best=True)
    assert all(torch.equal(best[name], w) for name, w in read_weights(path).items())
    assert tomllib.loads(path.with_suffix(".toml").read_text())["training"]["images"] == 42
