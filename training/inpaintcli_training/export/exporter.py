"""Checkpoint -> ONNX file and card, compared with torch before they are written.

The graph takes pictures of any size that is a multiple of the generator's, in batches of any size.
Its weights are stored as fp16 and cast to fp32 where they are used: half the file size, the same
arithmetic. They keep their names of torch, so that training can start from the file.
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
from onnx import numpy_helper
from torch import Tensor

from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli.models.toml_writer import to_toml
from inpaintcli_training.catalog import build_generator
from inpaintcli_training.export.onnx_graph import (
    MIN_FP16_ELEMENTS,
    OPSET,
    clean_names,
    with_constant_kernels,
    with_separate_biases,
    with_weights,
)
from inpaintcli_training.export.parity import ExportParity, compare, size_multiple_of
from inpaintcli_training.export.parity_samples import find_parity_samples
from inpaintcli_training.family import BaseGenerator
from inpaintcli_training.loop.run_folder import (
    BEST,
    EMA,
    RunInfo,
    load_ema,
    load_recipe,
    load_run_info,
)
from inpaintcli_training.recipe import Recipe

LICENCE = "Apache-2.0"
# The thickest hole that a model fills well, as a share of the crop that it was trained on; and how
# much it sees around a hole, in thicknesses of the hole. Measured by benchmarks/context.py for one
# model (crop 160: 96 px, see docs/log.md); for other crops the proportion is a guess.
THICKNESS_OF_CROP = 0.6
CONTEXT = 0.5


def export_run(
    run: Path,
    out: Path | None = None,
    *,
    name: str | None = None,
    best: bool = False,
    max_thickness: int | None = None,
    context: float = CONTEXT,
) -> tuple[Path, ExportParity]:
    """Write `NAME.onnx` and its card `NAME.toml` from a run's EMA weights.

    Args:
        run: the run folder.
        out: the folder for the two files; the run folder by default.
        name: the model's name; the recipe's by default.
        best: the weights of the best validation instead of the last ones.
        max_thickness: pixels, for the card: the runtime scales thicker holes down. By default a
            share of the crop that the model was trained on.
        context: how much the model sees around a hole, in thicknesses of the hole, for the card.

    Returns:
        The ONNX file, and how it compares.

    Raises:
        UnreadableError: the folder holds no run, or one without a checkpoint.
        ExportError: the graph's output differs from torch's; nothing is written.
        OutputError: the files cannot be written.
    """
    recipe = load_recipe(run)
    weights, images = load_ema(run, best=best)
    exact = trained_generator(recipe, weights, images)
    rounded = {key: _rounded(weight) for key, weight in weights.items()}
    generator = trained_generator(recipe, rounded, images)
    model = to_onnx(generator)
    info = load_run_info(run)
    parity = compare(model.SerializeToString(), generator, exact, find_parity_samples(info.sources))
    out, name = out or run, name or recipe.name
    card = _card(name, recipe, parity, generator)
    thickness = max_thickness or round(THICKNESS_OF_CROP * recipe.crop)
    card["working"] = {"max_thickness": thickness, "context": context}
    trained = datetime.fromtimestamp((run / (BEST if best else EMA)).stat().st_mtime, UTC)
    card["training"] = _training(recipe, info, images, trained)
    return _write_files(model, card, out, name), parity


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
    model = with_weights(clean_names(_graph(generator)), weights)
    return with_separate_biases(with_constant_kernels(model, set(weights)))


def _graph(generator: BaseGenerator) -> onnx.ModelProto:
    """The generator as torch's exporter converts it, with batch and sides dynamic."""
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
    """Fold constants, but keep every weight under its name.

    The optimiser would merge equal weights, such as biases that are still zero, and batch norms
    with the convolutions before them. It leaves inputs alone, so meanwhile the weights are inputs.
    """
    inputs = program.model.graph.inputs
    count = len(inputs)
    inputs.extend(program.model.graph.initializers.values())
    program.optimize()
    del program.model.graph.inputs[count:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which prints, logs and warns.

    Its warnings are about its own deprecated calls (copyreg, LeafSpec) and about dimensions that
    share a name, as those of `image` and `mask` do on purpose.
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


def _rounded(weight: Tensor) -> Tensor:
    """The weight as the file stores it, as fp32."""
    return weight.half().float() if weight.numel() >= MIN_FP16_ELEMENTS else weight.float()


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
    """The card's fields except those that `_write_files` and `_training` add."""
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


def _training(recipe: Recipe, info: RunInfo, images: int, ended: datetime) -> dict[str, Any]:
    sources = ", ".join(info.data)
    usable = info.photos - info.unreadable
    return {
        "images": images,
        "crop": recipe.crop,
        "photos": usable,
        "features": info.features,
        "data": f"{usable} photos of {sources}" if sources else "not recorded",
        "date": ended.date().isoformat(),
    }


def _write_files(model: onnx.ModelProto, card: dict[str, Any], out: Path, name: str) -> Path:
    """Write both files under temporary names, then rename them; the card last."""
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
