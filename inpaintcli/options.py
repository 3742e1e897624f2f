"""The options that several commands and the Python API share: each is declared here only.

An option is a field of a frozen dataclass, or an alias below where a command has it alone. Its
annotation holds the type and an `Option`: the help text and the limits. `commands/options.py` makes
the options of the command line from it; `check` compares values from Python with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, kw_only=True)
class Option:
    """What is known of an option besides its name, type and default.

    `least` and `most` are limits of numbers, `short` is a second name such as `-q`, `check` returns
    what is wrong with a text, or nothing.
    """

    help: str
    metavar: str | None = None
    least: int | None = None
    most: int | None = None
    short: str | None = None
    check: Callable[[str], str] | None = None


def _device_problem(text: str) -> str:
    kind, _, number = text.partition(":")
    known = ("auto", "cpu", "cuda", "coreml", "directml")
    if text in known or (kind == "cuda" and number.isdigit()):
        return ""
    return f"'{text}' is not a device: auto, cpu, cuda, cuda:N, coreml or directml."


def share_of(text: str) -> float:
    """A share, `0.5` or `50%`, as a number from 0 to 1.

    Raises:
        ValueError: it is none.
    """
    number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= number <= 1:
        raise ValueError(f"{text} is not between 0 and 1")
    return number


def _share_problem(text: str) -> str:
    try:
        share_of(text)
    except ValueError:
        return f"'{text}' is not an amount: 0 to 1, or 0% to 100%."
    return ""


Detail = Literal["auto", "network", "patches"]
"""Whose texture fills a hole: the model's, patches of the photo, or chosen for each hole."""
Structure = Literal["auto", "off"]
"""Whether patterns and straight lines of the photo are carried through a hole."""
Shadow = Literal["auto", "off"]
"""Whether the shadow that an object casts is removed with it, where one is found."""
Engine = Literal["auto", "openvino", "onnxruntime", "tensorrt"]
Method = Literal["auto", "predicted", "model", "reinhard"]
"""What chooses the colours of a pasted object, see `objects.harmonize`."""
MetadataPolicy = Literal["keep", "safe", "strip"]
"""What of a photo's metadata is written: all, what cannot show the photo unfilled, nothing."""
JpegMethod = Literal["blocks", "whole"]
"""Of a JPEG: only the blocks of the hole are coded anew, or the whole picture."""
Precision = Literal["auto", "fp32", "bf16", "fp16"]

ModelOption = Annotated[
    str | None, Option(metavar="NAME", help="A model's name, or the path of its card.")
]
EngineOption = Annotated[Engine, Option(help="What runs the model.")]
DeviceOption = Annotated[
    str,
    Option(
        check=_device_problem,
        help="auto, cpu, cuda[:N], coreml or directml; one asked for is never replaced.",
    ),
]
GpuOption = Annotated[str, Option(check=_device_problem, help="cuda or cuda:N.")]
PrecisionOption = Annotated[Precision, Option(help="Arithmetic.")]
MaskOption = Annotated[
    list[str] | None,
    Option(
        metavar="FILE|FOLDER|alpha|color:#RRGGBB~N|FILE.json",
        help="White is the hole. A folder holds NAME.EXT, NAME.mask.EXT or NAME_mask.EXT; "
        "alpha takes the transparent pixels; color: the pixels whose channels are at most N off; "
        "a .json file the shapes of LabelMe, COCO or VIA. May be given more than once; all add up. "
        "Left out: NAME.mask.EXT beside the photo.",
    ),
]
BoxOption = Annotated[
    list[str] | None,
    Option(
        metavar="X,Y,W,H",
        help="A box as hole, in pixels of the photo as displayed, or shares such as 70%; a "
        "negative X or Y counts from the right or the bottom. May be given more than once.",
    ),
]
PolygonOption = Annotated[
    list[str] | None,
    Option(
        metavar="'X,Y;X,Y;...'",
        help="A polygon as hole, by the same numbers. May be given more than once.",
    ),
]
LabelOption = Annotated[
    list[str] | None,
    Option(
        metavar="NAME",
        help="Of the shapes of a .json file only those with this label. May be given more than "
        "once.",
    ),
]
GrowOption = Annotated[int, Option(least=0, help="Widen the hole by so many pixels.")]
MetadataOption = Annotated[
    MetadataPolicy,
    Option(
        help="keep: all metadata, even previews of the unfilled photo; safe: without what may show "
        "it; strip: the colour profile only.",
    ),
]
MethodOption = Annotated[
    Method,
    Option(
        help="What chooses the object's new colours: predicted from statistics of object and "
        "photo, the answer of a model, or Reinhard's transfer; auto: a model where --model names "
        "one, else predicted."
    ),
]
AmountOption = Annotated[
    str,
    Option(
        metavar="0..1|N%", check=_share_problem, help="How much of the change is made; 0 is none."
    ),
]
JpegOption = Annotated[
    JpegMethod,
    Option(
        help="Of a photo and output that are JPEG: blocks codes only those of the hole anew, and "
        "all others keep every bit; whole codes the whole picture."
    ),
]
OverwriteOption = Annotated[bool, Option(help="Replace existing outputs.")]
DryRunOption = Annotated[bool, Option(help="Print what would be done.")]
WorkersOption = Annotated[int | None, Option(least=1, help="Photos at a time.  [one a core]")]


@dataclass(frozen=True, kw_only=True)
class EngineChoice:
    """What is to run a model, and where."""

    engine: EngineOption = "auto"
    device: DeviceOption = "auto"
    precision: PrecisionOption = "auto"


@dataclass(frozen=True, kw_only=True)
class ModelChoice(EngineChoice):
    """The model to use, None for the default one, and what is to run it."""

    model: ModelOption = None


@dataclass(frozen=True, kw_only=True)
class MaskChoice:
    """Where holes come from; `masks.source.mask_source` makes one value of it."""

    mask: MaskOption = None
    box: BoxOption = None
    polygon: PolygonOption = None
    label: LabelOption = None


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """How a mask is read.

    Raises:
        ValueError: a value is out of its limits.
    """

    invert_mask: Annotated[bool, Option(help="Black is the hole.")] = False
    mask_threshold: Annotated[
        int | None,
        Option(
            least=0,
            most=254,
            help="Mask values, or transparency, above this are the hole (0-255).  "
            "[127, of transparency 0]",
        ),
    ] = None
    resize_mask: Annotated[bool, Option(help="Accept a mask of another size.")] = False

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class HoleOptions:
    """How a hole is filled, wherever it comes from. Lengths in pixels of the photo.

    Raises:
        ValueError: a value is out of its limits.
    """

    detail: Annotated[
        Detail, Option(help="Whose texture: the network's, patches of the photo, or both.")
    ] = "auto"
    structure: Annotated[
        Structure,
        Option(help="auto carries patterns and straight lines of the photo through the hole."),
    ] = "auto"
    grow: GrowOption = 0
    feather: Annotated[
        int, Option(least=0, help="Blend over so many pixels inside the hole's edge.")
    ] = 0
    seed: Annotated[
        int,
        Option(least=0, help="Of the search for patches: another seed, another texture."),
    ] = 0
    metadata: MetadataOption = "safe"
    jpeg: JpegOption = "blocks"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class FillOptions(HoleOptions, MaskOptions):
    """All options on which a filled photo depends, and whether that is verified."""

    verify: Annotated[
        bool,
        Option(help="Compare each output with its photo; write none that differs but in the hole."),
    ] = False


def declared(group: type) -> dict[str, tuple[Any, Option]]:
    """The type and the `Option` of each field of a dataclass of options."""
    hints = get_type_hints(group, include_extras=True)
    found = {field.name: option_of(hints[field.name]) for field in fields(group)}
    return {name: option for name, option in found.items() if option is not None}


def option_of(annotation: Any) -> tuple[Any, Option] | None:
    """The type and the `Option` in an annotation; None where it holds no `Option`."""
    if get_origin(annotation) is not Annotated:
        return None
    kind, *metadata = get_args(annotation)
    return next(((kind, item) for item in metadata if isinstance(item, Option)), None)


def check(group: Any) -> None:
    """Compare the values of a dataclass of options with their declarations.

    Raises:
        ValueError: a value is not one of the choices, or out of its limits.
    """
    for name, (kind, option) in declared(type(group)).items():
        value = getattr(group, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise ValueError(f"there is no {name} '{value}'; there are {', '.join(get_args(kind))}")
        if value is None:
            continue
        if option.least is not None and value < option.least:
            raise ValueError(f"{name} is {value}; it is at least {option.least}")
        if option.most is not None and value > option.most:
            raise ValueError(f"{name} is {value}; it is at most {option.most}")
