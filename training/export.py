"""Checkpoint -> ONNX and card, compared with torch before they are kept.

The graph takes pictures of any size that is a multiple of the generator's, in batches of any
length. Its weights are stored as fp16 and cast to fp32 where they are used: half the file, the
same arithmetic. They keep the names they have in torch, so that training can start from the file.
"""

import contextlib
import copy
import hashlib
import io
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from inpaintcli.errors import ExitCode, InpaintError, OutputError, UnreadableError
from training.catalog import build_generator
from training.masks import KINDS
from training.recipe import Recipe
from training.runs import EMA, Record, load_ema, load_recipe, load_record

OPSET = 20
TOLERANCE = 1e-3  # over holes, of a range of 2: an eighth of an 8-bit grey level
LICENCE = "Apache-2.0"
MAX_THICKNESS = 64
_FP16_FROM = 256  # elements; what is smaller stays fp32, it would save nothing
_CAST = ".fp32"  # suffix of a weight's name after its cast
_UNITS = ((4, 4), (7, 11), (16, 12))  # the heights and widths compared, of 16 pixels each

Floats = NDArray[np.float32]
Run = Callable[[Floats, Floats], Floats]


class ExportError(InpaintError):
    """The exported graph does not do what the generator does; nothing was kept."""

    code = ExitCode.MODEL


@dataclass(frozen=True)
class Parity:
    """How the exported graph compares with torch, over the holes of real and made pictures.

    `max_abs` is the largest difference from torch with the same rounded weights. `fp16_psnr_db`
    is the peak signal-to-noise ratio between fp16-stored and fp32 weights, both run in torch.
    `openvino_max_abs` is as `max_abs`, of OpenVINO at fp32; None where it is not installed.
    """

    max_abs: float
    fp16_psnr_db: float
    openvino_max_abs: float | None
    sizes: tuple[tuple[int, int], ...]  # height, width


def export_run(
    run: Path,
    out: Path | None = None,
    *,
    name: str | None = None,
    max_thickness: float = MAX_THICKNESS,
    min_context: float | None = None,
) -> tuple[Path, Parity]:
    """Write `NAME.onnx` and its card `NAME.toml` from a run's averaged weights.

    Args:
        run: the run folder.
        out: the folder for the two files; the run folder by default.
        name: the model's name; the recipe's by default.
        max_thickness: pixels; the card tells the runtime to scale holes that are thicker.
        min_context: share of the hole's size that the runtime shows around it; left to the
            runtime when None.

    Returns:
        The ONNX file, and how it compares.

    Raises:
        UnreadableError: the folder holds no run, or one without a checkpoint.
        ExportError: the graph's output differs from torch's; no file is left behind.
        OutputError: the files cannot be written.
    """
    recipe = load_recipe(run)
    weights, images = load_ema(run)
    generator = build_generator(recipe).eval()
    generator.load_state_dict({key: _rounded(w) for key, w in weights.items()})
    model = to_onnx(generator)
    parity = compare(model.SerializeToString(), recipe, generator, weights)
    out, name = out or run, name or recipe.name
    card = _card(name, recipe, parity, size_multiple=_multiple(generator))
    card["working"]["max_thickness"] = max_thickness
    if min_context is not None:
        card["working"]["min_context"] = min_context
    trained = datetime.fromtimestamp((run / EMA).stat().st_mtime, UTC)
    card["training"] = _training(recipe, load_record(run), images, trained)
    return _keep(model, card, out, name), parity


def to_onnx(generator: nn.Module) -> onnx.ModelProto:
    """The generator as ONNX: `image` (n, 3, h, w), `mask` (n, 1, h, w) -> `filled`, all fp32.

    Raises:
        ExportError: the graph lacks one of the generator's weights.
    """
    # The exporter merges weights that are equal, as biases that are still zero: it is given a
    # stand-in whose weights all differ, and the real ones are put in afterwards, by name.
    weights = generator.state_dict()
    stand_in = copy.deepcopy(generator)
    for parameter in stand_in.parameters():
        nn.init.normal_(parameter, std=0.1)
    return _with_weights(_named(_graph(stand_in)), weights)


def _graph(generator: nn.Module) -> onnx.ModelProto:
    """What the exporter makes of the generator, with any number and size of pictures."""
    multiple = _multiple(generator)
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
            output_names=["filled"],
            dynamic_shapes={"image": dims, "mask": dims},
            verbose=False,
        )
    assert program is not None  # noqa: S101 - with dynamo=True it is a program
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's talk: it prints, logs that torchvision is missing, and warns.

    Its warnings are of its own deprecated calls (copyreg, LeafSpec) and of dimensions that share
    a name, which `image` and `mask` are meant to do.
    """
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
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
        cast = helper.make_node("Cast", [used], [used + _CAST], to=onnx.TensorProto.FLOAT)
        model.graph.node.insert(number, cast)
    onnx.checker.check_model(model, full_check=True)
    return model


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


def compare(
    model: bytes, recipe: Recipe, generator: nn.Module, weights: dict[str, Tensor]
) -> Parity:
    """Run the model and torch on the same pictures.

    Args:
        model: the ONNX model.
        recipe: of the generator.
        generator: with rounded weights.
        weights: before rounding.

    Raises:
        ExportError: a runtime's output differs from torch's by more than `TOLERANCE` in a hole.
    """
    exact = build_generator(recipe).eval()
    exact.load_state_dict(weights)
    runtimes = {"ONNX Runtime": _onnxruntime(model), "OpenVINO": _openvino(model)}
    worst = {name: 0.0 for name, run in runtimes.items() if run is not None}
    squares: list[float] = []
    unit = math.lcm(16, _multiple(generator))
    sizes = [(unit * h, unit * w) for h, w in _UNITS]
    for number, size in enumerate(sizes):
        image, mask = _pictures(size, batch=1 + 2 * (number % 2), seed=number)
        hole = np.broadcast_to(mask > 0, image.shape)
        expected = _torch(generator)(image, mask)
        squares.extend((expected - _torch(exact)(image, mask))[hole] ** 2)
        for name, before in worst.items():
            difference = np.abs(_call(runtimes[name], image, mask) - expected)[hole]
            worst[name] = max(before, float(np.nan_to_num(difference, nan=np.inf).max()))
    for name, difference in worst.items():
        _check(name, difference)
    noise = max(float(np.mean(squares)), 1e-20)
    return Parity(
        max_abs=worst["ONNX Runtime"],
        fp16_psnr_db=10 * math.log10(2**2 / noise),
        openvino_max_abs=worst.get("OpenVINO"),
        sizes=tuple(sizes),
    )


def _check(runtime: str, difference: float) -> None:
    if not difference <= TOLERANCE:
        raise ExportError(
            f"In {runtime} the exported graph differs from torch by {difference:.3g} in a hole; "
            f"at most {TOLERANCE:g} is accepted.",
            hint="Nothing was written. Are the weights finite, and the packages of one release?",
        )


def _call(run: Run | None, image: Floats, mask: Floats) -> Floats:
    """Run, with whatever a runtime raises as our error."""
    try:
        return run(image, mask) if run else image
    except Exception as error:
        raise ExportError(f"The exported graph does not run: {error}.") from error


def _torch(generator: nn.Module) -> Run:
    @torch.no_grad()
    def run(image: Floats, mask: Floats) -> Floats:
        filled: Floats = generator(torch.from_numpy(image), torch.from_numpy(mask)).numpy()
        return filled

    return run


def _onnxruntime(model: bytes) -> Run:
    import onnxruntime  # heavy, and only the comparison needs it

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def run(image: Floats, mask: Floats) -> Floats:
        filled: Floats = session.run(None, {"image": image, "mask": mask})[0]
        return filled

    return run


def _openvino(model: bytes) -> Run | None:
    try:
        import openvino  # need not be installed
    except ImportError:
        return None
    # CPUs with bf16 would use it unasked, which alone is 1e-3 away from torch.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", settings)

    def run(image: Floats, mask: Floats) -> Floats:
        filled: Floats = compiled({"image": image, "mask": mask})[0]
        return filled

    return run


def _pictures(size: tuple[int, int], *, batch: int, seed: int) -> tuple[Floats, Floats]:
    """Pictures (batch, 3, h, w) in [-1, 1], photos where there are any, and random holes."""
    height, width = size
    rng = np.random.default_rng(seed)
    photo = _photo(seed)
    parts, masks = [], []
    for number in range(batch):
        y = int(rng.integers(0, photo.shape[0] - height + 1))
        x = int(rng.integers(0, photo.shape[1] - width + 1))
        parts.append(photo[y : y + height, x : x + width].transpose(2, 0, 1))
        kind = ("rectangle", "brush", "blob")[(seed + number) % 3]
        hole = KINDS[kind](max(size), rng)[:height, :width]
        hole[height // 3 : height // 2, width // 3 : width // 2] = True  # never without a hole
        masks.append(hole[None])
    image = np.stack(parts).astype(np.float32) / np.float32(127.5) - 1
    return np.ascontiguousarray(image, np.float32), np.stack(masks).astype(np.float32)


def _photo(number: int) -> NDArray[np.uint8]:
    """One of scikit-image's bundled photos (h, w, 3), or noise where it is not installed."""
    try:
        from skimage import data  # a developer's package, need not be installed
    except ImportError:
        noise = np.random.default_rng(number).integers(0, 256, (512, 512, 3))
        return noise.astype(np.uint8)
    # These two are in the package itself; others would be fetched.
    photo: NDArray[np.uint8] = (data.astronaut, data.chelsea)[number % 2]()  # type: ignore[no-untyped-call]
    return photo


def _multiple(generator: Any) -> int:
    """The pixels of which height and width must be multiples."""
    return int(generator.size_multiple)


def _card(name: str, recipe: Recipe, parity: Parity, *, size_multiple: int) -> dict[str, Any]:
    """The card's fields without what `_keep` and the training record add."""
    compared: dict[str, Any] = {
        "torch_onnx_max_abs": parity.max_abs,
        "fp16_psnr_db": round(parity.fp16_psnr_db, 2),
        "sizes": [list(size) for size in parity.sizes],
    }
    if parity.openvino_max_abs is not None:
        compared["openvino_max_abs"] = parity.openvino_max_abs
    return {
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
            "mask": "1 is the hole",
            "size_multiple": size_multiple,
            "opset": OPSET,
        },
        "working": {},
        "training": {},
        "parity": compared,
        "scores": {},
    }


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


def to_toml(table: dict[str, Any], prefix: str = "") -> str:
    """A table as TOML: strings, numbers, booleans, arrays of these, tables; no dates, no None."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"{_toml_string(key)} = {_toml_value(value)}" for key, value in plain.items()]
    text = "".join(f"{line}\n" for line in lines)
    for key, value in tables.items():
        path = prefix + _toml_string(key)
        text += f"\n[{path}]\n" + to_toml(value, f"{path}.")
    return text


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, str):
        return _toml_quoted(value)
    if isinstance(value, int | float):
        return repr(value)  # Python's nan, inf and 1e-05 are TOML's, too
    raise TypeError(f"{type(value).__name__} has no form here in TOML")


def _toml_string(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _toml_quoted(key)


def _toml_quoted(text: str) -> str:
    """A basic string; what TOML wants escaped becomes its code point."""
    escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\\x7f' else c for c in text)
    return f'"{escaped}"'
