"""The inputs and the output of a graph, and which of them are picture and mask."""

from dataclasses import dataclass

from inpaintcli_engines.base import Engine, TensorSpec

from inpaintcli.errors import ModelError
from inpaintcli.models.contract import CHANNELS, DTYPES, Contract, ModelInput, Range

LEAST_SIDE = 64
"""Pixels: smaller squares hold no hole with its surroundings."""
MAX_SIDE = 4096
UNIT: Range = (0.0, 1.0)
SIGNED: Range = (-1.0, 1.0)
BYTES: Range = (0.0, 255.0)


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives: a picture and a mask, or one input that joins both.

    inputs: in the graph's order. output: the filled picture. side: of a fixed square, or None.
    batch: a fixed number of pictures, or None.
    """

    inputs: tuple[TensorSpec, ...]
    output: TensorSpec
    side: int | None
    batch: int | None

    @property
    def joined(self) -> bool:
        """Whether one input of four channels holds picture and mask."""
        return len(self.inputs) == 1

    @property
    def is_float(self) -> bool:
        """Whether all inputs and the output are floating point numbers."""
        return all(spec.dtype.kind == "f" for spec in (*self.inputs, self.output))

    def contract(
        self,
        name: str,
        *,
        rgb_range: Range = UNIT,
        output_range: Range = UNIT,
        mask_range: Range = UNIT,
        mask: str = "mask",
        channels: tuple[str, ...] = (),
        multiple: int = 32,
        least: int = 1,
    ) -> Contract:
        """A contract of this signature; `channels` are those of a joined input."""
        inputs = tuple(
            ModelInput(
                name=spec.name,
                channels=channels or (("rgb",) if _channels(spec) == 3 else (mask,)),
                dtype=spec.dtype.name,
                rgb_range=rgb_range,
                mask_range=mask_range,
            )
            for spec in self.inputs
        )
        return Contract(
            name=name,
            inputs=inputs,
            output=self.output.name,
            output_range=output_range,
            output_dtype=self.output.dtype.name,
            side=self.side,
            multiple=multiple,
            least=least,
            batch=self.batch,
        )


def read_signature(engine: Engine, name: str) -> Signature:
    """The signature of a graph.

    Raises:
        ModelError: it is not that of a network that fills holes.
    """
    kinds = sorted(_channels(spec) or 0 for spec in engine.inputs)
    if kinds not in ([CHANNELS["mask"], CHANNELS["rgb"]], [4]):
        raise _refusal(engine, name, "takes no picture and mask")
    pictures = [spec for spec in engine.outputs if _channels(spec) == 3 or _is_open(spec)]
    if not pictures:
        raise _refusal(engine, name, "gives no picture (n, 3, height, width)")
    if any(spec.dtype.name not in DTYPES for spec in (*engine.inputs, pictures[0])):
        raise _refusal(engine, name, f"has types other than {', '.join(DTYPES)}")
    sizes = {spec.shape[2:] for spec in engine.inputs}
    batches = {spec.shape[0] for spec in engine.inputs} - {None}
    if len(sizes) > 1 or len(batches) > 1:
        raise _refusal(engine, name, "takes pictures and masks of different sizes")
    height, width = sizes.pop()
    if height != width:
        raise _refusal(engine, name, "takes pictures of a fixed size that is not square")
    if height is not None and not LEAST_SIDE <= height <= MAX_SIDE:
        raise _refusal(engine, name, f"takes squares not of {LEAST_SIDE} to {MAX_SIDE} pixels")
    return Signature(engine.inputs, pictures[0], height, batches.pop() if batches else None)


def described(engine: Engine) -> str:
    """The inputs and outputs of a graph in words."""
    takes, gives = (", ".join(map(_described, specs)) for specs in (engine.inputs, engine.outputs))
    return f"takes {takes or 'nothing'} and gives {gives or 'nothing'}"


def _refusal(engine: Engine, name: str, fact: str) -> ModelError:
    return ModelError(
        f"{name} {fact}: it {described(engine)}.",
        hint="Supported are a picture (n, 3, h, w) and a mask (n, 1, h, w), or one input of 4 "
        "channels.",
    )


def _described(spec: TensorSpec) -> str:
    sides = ", ".join("any" if side is None else str(side) for side in spec.shape)
    return f"'{spec.name}' {spec.dtype.name} ({sides})"


def _channels(spec: TensorSpec) -> int | None:
    """The channels of a picture; None for what is no picture.

    Where a graph leaves the number open, the name says whether it is the mask.
    """
    if len(spec.shape) != 4:
        return None
    if spec.shape[1] is None:
        return CHANNELS["mask"] if "mask" in spec.name.lower() else CHANNELS["rgb"]
    return spec.shape[1]


def _is_open(spec: TensorSpec) -> bool:
    """Whether a graph says nothing of an output's shape, as some exporters leave it."""
    return not spec.shape or all(side is None for side in spec.shape)
