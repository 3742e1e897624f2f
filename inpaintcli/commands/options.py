"""The options that several commands share: one name, one meaning, one line of help."""

from enum import StrEnum
from typing import Annotated

import typer


class EngineName(StrEnum):
    """What runs the model."""

    auto = "auto"
    openvino = "openvino"
    onnxruntime = "onnxruntime"
    tensorrt = "tensorrt"


class PrecisionName(StrEnum):
    """Arithmetic of the engine."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class Detail(StrEnum):
    """Whose texture fills a hole."""

    auto = "auto"
    network = "network"
    patches = "patches"


def _device(text: str) -> str:
    kind, _, number = text.partition(":")
    known = ("auto", "cpu", "cuda", "coreml", "directml")
    if text not in known and not (kind == "cuda" and number.isdigit()):
        message = f"'{text}' is not a device: auto, cpu, cuda, cuda:N, coreml or directml."
        raise typer.BadParameter(message)
    return text


ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="A model's name, or the path of its card."),
]
EngineOption = Annotated[EngineName, typer.Option("--engine", help="What runs the model.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        callback=_device,
        help="auto, cpu, cuda[:N], coreml or directml; one asked for is never replaced.",
    ),
]
GpuOption = Annotated[str, typer.Option("--device", callback=_device, help="cuda or cuda:N.")]
PrecisionOption = Annotated[PrecisionName, typer.Option("--precision", help="Arithmetic.")]
MaskOption = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="FILE|FOLDER|alpha",
        help="White is the hole. A folder holds NAME.EXT, NAME.mask.EXT or NAME_mask.EXT; "
        "alpha takes the transparent pixels; left out: NAME.mask.EXT beside the photo.",
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "-o", "--output", help="File, folder or URL; - is standard output. [NAME.filled.EXT]"
    ),
]
DetailOption = Annotated[
    Detail,
    typer.Option("--detail", help="Whose texture: the network's, patches of the photo, or both."),
]
InvertOption = Annotated[bool, typer.Option("--invert-mask", help="Black is the hole.")]
ThresholdOption = Annotated[
    int,
    typer.Option(
        "--mask-threshold", min=0, max=254, help="Mask values above this are the hole (0-255)."
    ),
]
GrowOption = Annotated[int, typer.Option("--grow", min=0, help="Widen the hole by so many pixels.")]
FeatherOption = Annotated[
    int, typer.Option("--feather", min=0, help="Blend over so many pixels inside the hole's rim.")
]
ResizeOption = Annotated[bool, typer.Option("--resize-mask", help="Accept a mask of another size.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Photos at a time.  [one a core]")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object a line on standard output.")
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]
