"""Checkpoint -> ONNX and card, compared with torch before they are kept.

The graph takes pictures of any size that is a multiple of the generator's, in batches of any
length. Its weights are stored as fp16 and cast to fp32 where they are used: half the file, the
same arithmetic. They keep the names they have in torch, so that training can start from the file.
"""

import contextlib
import hashlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli_training.catalog import build_generator
from inpaintcli_training.export.parity import ExportError, ExportParity, compare, size_multiple_of
from inpaintcli_training.export.parity_samples import specimens
from inpaintcli_training.export.toml_writer import to_toml
from inpaintcli_training.family import BaseGenerator
from inpaintcli_training.loop.runs import BEST, EMA, Record, load_ema, load_recipe, load_record
from inpaintcli_training.recipe import Recipe

OPSET = 20
LICENCE = "Apache-2.0"
# Of the crop that a model was trained on: how thick a hole it fills best, and how much it is shown
# around it (in thicknesses). Measured with benchmarks/context.py for one model (crop 160: 96 px,
# see docs/log.md); for other crops the proportion is a guess.
THICKNESS_OF_CROP = 0.6
CONTEXT = 0.5
_FP16_FROM = 256  # elements; what is smaller stays fp32, it would save nothing
_CAST = ".fp32"  # suffix of a weight's name after its cast


def export_run(
    run: Path,
    out: Path | None = None,
    *,
    name: str | None = None,
    best: bool = False,
    max_thickness: int | None = None,
    context: float = CONTEXT,
) -> tuple[Path, ExportParity]:
    """Write `NAME.onnx` and its card `NAME.toml` from a run's averaged weights.

    Args:
        run: the run folder.
        out: the folder for the two files; the run folder by default.
        name: the model's name; the recipe's by default.
        best: the averages of the best validation instead of the last ones.
        max_thickness: pixels; the card tells the runtime to scale holes that are thicker. By
            default it follows the crop that the model was trained on.
        context: how much the runtime shows around a hole, in thicknesses of the hole.

    Returns:
        The ONNX file, and how it compares.

    Raises:
        UnreadableError: the folder holds no run, or one without a checkpoint.
        ExportError: the graph's output differs from torch's; no file is left behind.
        OutputError: the files cannot be written.
    """
    recipe = load_recipe(run)
    weights, images = load_ema(run, best=best)
    exact = trained_generator(recipe, weights, images)
    rounded = {key: _rounded(weight) for key, weight in weights.items()}
    generator = trained_generator(recipe, rounded, images)
    model = to_onnx(generator)
    record = load_record(run)
    parity = compare(model.SerializeToString(), generator, exact, specimens(record.sources))
    out, name = out or run, name or recipe.name
    card = _card(name, recipe, parity, generator)
    thickness = max_thickness or round(THICKNESS_OF_CROP * recipe.crop)
    card["working"] = {"max_thickness": thickness, "context": context}
    trained = datetime.fromtimestamp((run / (BEST if best else EMA)).stat().st_mtime, UTC)
    card["training"] = _training(recipe, record, images, trained)
    return _keep(model, card, out, name), parity


def trained_generator(recipe: Recipe, weights: dict[str, Tensor], images: int) -> BaseGenerator:
    """The recipe's generator with these weights, as it is after so many images, for inference."""
    generator: BaseGenerator = build_generator(recipe).eval()
    generator.load_state_dict(weights)
    generator.begin(images)
    return generator


def to_onnx(generator: BaseGenerator) -> onnx.ModelProto:
    """The generator as ONNX: `image` (n, 3, h, w), `mask` (n, 1, h, w) -> its `outputs`, all fp32.

    Raises:
        ExportError: the graph lacks one of the generator's weights.
    """
    weights = {k: w for k, w in generator.state_dict().items() if k not in generator.idle}
    model = _with_weights(_named(_graph(generator)), weights)
    return _with_own_biases(_with_fixed_kernels(model, set(weights)))


def _graph(generator: BaseGenerator) -> onnx.ModelProto:
    """What the exporter makes of the generator, with any number and size of pictures."""
    multiple = size_multiple_of(generator)
    height, width = torch.export.Dim("h", min=2), torch.export.Dim("w", min=2)
    dims = {0: torch.export.Dim("batch"), 2: multiple * height, 3: multiple * width}
    sample = torch.zeros(2, 3, 5 * multiple, 6 * multiple)
    mask = torch.zeros(2, 1, 5 * multiple, 6 * multiple)
    with _quiet():
        program = torch.onnx.export(
            generator,
            (sample, mask),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=["image", "mask"],
            output_names=list(generator.outputs),
            dynamic_shapes={"image": dims, "mask": dims},
            optimize=False,
            verbose=False,
        )
        assert program is not None  # noqa: S101 - with dynamo=True it is a program
        _optimise(program)
    return program.model_proto


def _optimise(program: torch.onnx.ONNXProgram) -> None:
    """Fold what is constant, but leave every weight as it is under its name.

    The optimiser would merge weights that are equal, as biases that are still zero, and batch norms
    with the convolutions before them. It leaves inputs alone: for its time, weights are inputs.
    """
    inputs = program.model.graph.inputs
    count = len(inputs)
    inputs.extend(program.model.graph.initializers.values())
    program.optimize()
    del program.model.graph.inputs[count:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's talk: it prints, logs what it leaves alone, and warns.

    Its warnings are of its own deprecated calls (copyreg, LeafSpec) and of dimensions that share
    a name, which `image` and `mask` are meant to do.
    """
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with plain dimension names, and without the exporter's notes on source lines."""
    for value in (*model.graph.input, *model.graph.output):
        for dim, name in zip(value.type.tensor_type.shape.dim, ("n", "c", "h", "w"), strict=True):
            if dim.HasField("dim_param"):
                dim.dim_param = name
    for part in (model.graph, *model.graph.node, *model.graph.initializer):
        del part.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    # Shapes in here name dimensions of the exporter's own; every runtime infers them anew.
    del model.graph.value_info[:]
    return model


def _with_weights(model: onnx.ModelProto, weights: dict[str, Tensor]) -> onnx.ModelProto:
    """The model with these weights; large ones in fp16, each followed by a cast to fp32."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    missing = sorted(weights.keys() - stored.keys())
    if missing:
        raise ExportError(f"The exported graph lacks the weights {', '.join(missing)}.")
    casts = []
    for name, weight in weights.items():
        large = weight.numel() >= _FP16_FROM
        array = weight.half().numpy() if large else weight.float().numpy()
        stored[name].CopyFrom(numpy_helper.from_array(array, name))
        if large:
            casts.append(name)
    for node in model.graph.node:
        for position, used in enumerate(node.input):
            if used in casts:
                node.input[position] = used + _CAST
    for number, used in enumerate(casts):
        cast = helper.make_node("Cast", [used], [used + _CAST], to=TensorProto.FLOAT)
        model.graph.node.insert(number, cast)
    onnx.checker.check_model(model, full_check=True)
    return model


def _with_fixed_kernels(model: onnx.ModelProto, weights: set[str]) -> onnx.ModelProto:
    """The model with padded and cut kernels stored as such: TensorRT wants them fixed.

    The weights themselves stay under their names, for runs that begin with the file.
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
    """The model without casts and tensors that nobody takes, but for the weights."""
    outputs = {value.name for value in model.graph.output}
    taken = outputs.union(*(node.input for node in model.graph.node))
    nodes = [node for node in model.graph.node if taken.intersection(node.output)]
    taken = weights.union(*(node.input for node in nodes))
    kept = [tensor for tensor in model.graph.initializer if tensor.name in taken]
    del model.graph.initializer[:]
    del model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


def _with_own_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a bias of its own for every convolution, also where weights are used twice.

    Of a bias that two convolutions share OpenVINO makes an addition after each of them, and another
    pass over the data with the activation: 8 % of the default model's time.
    """
    makers = {node.output[0]: node for node in model.graph.node}
    seen: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in list(model.graph.node):
        if node.op_type == "Conv" and len(node.input) > 2:
            if node.input[2] in seen:
                node.input[2] = _copy(model, node.input[2], makers, nodes)
            seen.add(node.input[2])
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _copy(
    model: onnx.ModelProto,
    name: str,
    makers: dict[str, onnx.NodeProto],
    nodes: list[onnx.NodeProto],
) -> str:
    """The name of a second tensor like this one, with what makes it (a cast, padding) put in."""
    copied = f"{name.replace('.', '_')}_{len(nodes)}"  # no dot: not a weight by name
    if name in makers:
        twin = onnx.NodeProto()
        twin.CopyFrom(makers[name])
        twin.input[0] = _copy(model, twin.input[0], makers, nodes)
        twin.output[0] = twin.name = copied
        nodes.append(twin)
    else:
        stored = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        tensor = model.graph.initializer.add()
        tensor.CopyFrom(stored)
        tensor.name = copied
    return copied


def _rounded(weight: Tensor) -> Tensor:
    """The weight as it comes back from the file."""
    return weight.half().float() if weight.numel() >= _FP16_FROM else weight.float()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The generator's weights back from an exported file, by their names in torch, as fp32.

    Raises:
        UnreadableError: it is no ONNX file.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # onnx raises protobuf's errors, which have no common type
        raise UnreadableError(f"{path} cannot be read as ONNX: {error}.") from error
    # Weights have dotted names, as in torch; the exporter's own constants have none.
    tensors = [tensor for tensor in model.graph.initializer if "." in tensor.name]
    return {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
        for tensor in tensors
    }


def _card(
    name: str, recipe: Recipe, parity: ExportParity, generator: BaseGenerator
) -> dict[str, Any]:
    """The card's fields without what `_keep` and the training record add."""
    compared: dict[str, Any] = {
        "torch_onnx_max_abs": parity.max_abs,
        "fp16_psnr_db": round(parity.fp16_psnr_db, 2),
        "sizes": [list(size) for size in parity.sizes],
        "pictures": parity.pictures,
    }
    if parity.openvino_max_abs is not None:
        compared["openvino_max_abs"] = parity.openvino_max_abs
    if parity.choices_agree is not None:
        compared["choices_agree"] = round(parity.choices_agree, 4)
    objects = ", 0.5 a pasted object to harmonize" if generator.objects else ""
    card: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "file": f"{name}.onnx",
        "sha256": "",
        "licence": LICENCE,
        "family": recipe.family,
        "recipe": recipe.name,
        "source": recipe.source,
        "task": "fill",
        "input": {
            "layout": "nchw",
            "range": [-1.0, 1.0],
            "mask": f"1 is the hole{objects}",
            "size_multiple": generator.size_multiple,
            "opset": OPSET,
        },
        "working": {},
        "training": {},
        "parity": compared,
        "scores": {},
    }
    if generator.objects:
        card["output"] = {"filled": "meant for the hole", "harmonized": "meant for the object"}
    return card


def _training(recipe: Recipe, record: Record, images: int, ended: datetime) -> dict[str, Any]:
    sources = ", ".join(record.data)
    usable = record.photos - record.unreadable
    return {
        "images": images,
        "crop": recipe.crop,
        "photos": usable,
        "features": record.features,
        "data": f"{usable} photos of {sources}" if sources else "not recorded",
        "date": ended.date().isoformat(),
    }


def _keep(model: onnx.ModelProto, card: dict[str, Any], out: Path, name: str) -> Path:
    """Write both files under temporary names, then give them theirs; the card last."""
    content = model.SerializeToString()
    card["sha256"] = hashlib.sha256(content).hexdigest()
    target = out / f"{name}.onnx"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as folder:
            onnx_part, card_part = Path(folder, "model"), Path(folder, "card")
            onnx_part.write_bytes(content)
            card_part.write_text(to_toml(card), encoding="utf-8")
            onnx_part.replace(target)
            card_part.replace(out / f"{name}.toml")
    except OSError as error:
        raise OutputError(f"The model cannot be written to {out}: {error}.") from error
    return target
