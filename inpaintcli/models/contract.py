"""What a model of another program takes and gives back, as the [contract] of its card says.

The program's own models need none: they take `image` (n, 3, h, w) float32 RGB in [-1, 1] and `mask`
(n, 1, h, w) float32, 1 in the hole, and give `filled`, like `image`.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

CHANNELS = {"rgb": 3, "bgr": 3, "mask": 1, "known": 1}
"""Channels of each part of a recipe; `mask` is high in the hole, `known` outside it."""
DTYPES = ("float32", "float16", "uint8")
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """One input of a model, (n, c, h, w).

    channels: parts of `CHANNELS`, in order. rgb_range: values of black and white. mask_range:
    values of a mask channel where it is low and where it is high.
    """

    name: str
    channels: tuple[str, ...]
    dtype: str = "float32"
    rgb_range: Range = (0.0, 1.0)
    mask_range: Range = (0.0, 1.0)

    def __post_init__(self) -> None:
        _check_choice("channels", self.channels, tuple(CHANNELS))
        _check_choice("dtype", (self.dtype,), DTYPES)
        _check_range(self.rgb_range)
        _check_range(self.mask_range)
        if not self.channels:
            raise ValueError(f"the input '{self.name}' has no channels")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a model takes and gives back.

    name: of the kind of contract, as `--as` takes it.
    inputs: in the model's order.
    output: the name of the filled picture, (n, 3, h, w). output_order: rgb or bgr. output_range:
        values of black and white. output_dtype: its type.
    side: of the square that the model takes, None where it takes any size.
    multiple, least: where it takes any size, sides are multiples of the one, at least the other.
    batch: the number of pictures that it takes at a time, None where it takes any.
    composites: whether known pixels come back as they were.
    grow: pixels that the mask is dilated by for the model.
    zeroed: whether the picture is 0 in the (grown) hole, in the units of the model.
    one_hole: whether holes that lie apart are given one at a time.
    """

    name: str
    inputs: tuple[ModelInput, ...]
    output: str
    output_order: str = "rgb"
    output_range: Range = (0.0, 1.0)
    output_dtype: str = "float32"
    side: int | None = None
    multiple: int = 1
    least: int = 1
    batch: int | None = None
    composites: bool = False
    grow: int = 0
    zeroed: bool = True
    one_hole: bool = False

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ValueError("the contract has no inputs")
        _check_choice("output_order", (self.output_order,), ("rgb", "bgr"))
        _check_choice("output_dtype", (self.output_dtype,), DTYPES)
        _check_range(self.output_range)
        if min(self.side or 1, self.multiple, self.least, self.batch or 1) < 1 or self.grow < 0:
            raise ValueError("side, multiple, least and batch are at least 1, grow at least 0")

    @property
    def size_multiple(self) -> int:
        """The sides of the input are multiples of this."""
        return self.side or self.multiple

    def to_table(self) -> dict[str, Any]:
        """The [contract] of a card: values of TOML, an input a table, in order."""
        table: dict[str, Any] = {
            "name": self.name,
            "output": self.output,
            "output_order": self.output_order,
            "output_range": list(self.output_range),
            "output_dtype": self.output_dtype,
        }
        if self.side is None:
            table |= {"multiple": self.multiple, "least": self.least}
        else:
            table["side"] = self.side
        if self.batch is not None:
            table["batch"] = self.batch
        table |= {
            "composites": self.composites,
            "grow": self.grow,
            "zeroed": self.zeroed,
            "one_hole": self.one_hole,
        }
        return table | {"inputs": {one.name: _input_table(one) for one in self.inputs}}

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> Self:
        """The contract in a card's [contract].

        Raises:
            KeyError, TypeError, ValueError: a field is missing, unknown or wrong.
        """
        fields = dict(table)
        inputs = tuple(_read_input(name, one) for name, one in fields.pop("inputs").items())
        if "output_range" in fields:
            fields["output_range"] = _read_range(fields["output_range"])
        contract = cls(inputs=inputs, **fields)
        for field in ("side", "multiple", "least", "batch", "grow"):
            value = getattr(contract, field)
            if value is not None and not isinstance(value, int):
                raise ValueError(f"{field} is {value!r}, not a whole number")
        return contract


def inverted(contract: Contract) -> Contract:
    """The same contract with the other polarity of the mask."""
    other = {"mask": "known", "known": "mask"}
    inputs = tuple(
        replace(one, channels=tuple(other.get(part, part) for part in one.channels))
        for one in contract.inputs
    )
    return replace(contract, name=f"{contract.name}-inverted", inputs=inputs)


def _input_table(one: ModelInput) -> dict[str, Any]:
    table: dict[str, Any] = {"channels": list(one.channels), "dtype": one.dtype}
    if {"rgb", "bgr"} & set(one.channels):
        table["rgb_range"] = list(one.rgb_range)
    if {"mask", "known"} & set(one.channels):
        table["mask_range"] = list(one.mask_range)
    return table


def _read_input(name: str, table: dict[str, Any]) -> ModelInput:
    fields = dict(table)
    fields["channels"] = tuple(fields["channels"])
    for key in ("rgb_range", "mask_range"):
        if key in fields:
            fields[key] = _read_range(fields[key])
    return ModelInput(name=name, **fields)


def _read_range(value: Any) -> Range:
    low, high = value
    return float(low), float(high)


def _check_choice(field: str, values: tuple[str, ...], choices: tuple[str, ...]) -> None:
    for value in values:
        if value not in choices:
            raise ValueError(f"{field}: there is no '{value}'; there are {', '.join(choices)}")


def _check_range(values: Range) -> None:
    low, high = values
    if not low != high:
        raise ValueError(f"a range from {low} to {high} is empty")
