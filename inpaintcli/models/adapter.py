"""Runs a model of another program as if it were one of ours, as its contract says."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from inpaintcli_engines.base import Arrays, Engine, EngineFailedError, TensorSpec, as_it_is
from numpy.typing import NDArray

from inpaintcli.imaging.regions import Floats
from inpaintcli.models.contract import Contract, ModelInput

FLOAT = np.dtype(np.float32)


class AdaptedEngine(Engine):
    """An engine that takes our `image` and `mask`, gives our `filled`, and owns the model's engine.

    The model never sees what is in the hole: its input is 0 there, or mid-grey where the contract
    says that the model itself blanks the hole.
    """

    def __init__(self, engine: Engine, contract: Contract) -> None:
        """Adapt an engine.

        Raises:
            EngineFailedError: the model has not the inputs and the output of the contract.
        """
        self._engine = engine
        self._contract = contract
        self.info = engine.info
        self.inputs = (
            TensorSpec("image", (None, 3, None, None), FLOAT),
            TensorSpec("mask", (None, 1, None, None), FLOAT),
        )
        self.outputs = (TensorSpec("filled", (None, 3, None, None), FLOAT),)
        _check_names(engine, contract)

    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        image, mask = arrays["image"], arrays["mask"]
        size = len(image) if self._contract.batch is None else self._contract.batch
        parts = [
            self._run_part(image[start : start + size], mask[start : start + size], size)
            for start in range(0, len(image), size)
        ]
        return {"filled": np.concatenate(parts)}

    def _run_part(self, image: Floats, mask: Floats, size: int) -> Floats:
        """A batch that the model takes at once; the last one is filled up with its last picture."""
        count, _, height, width = image.shape
        missing = [(0, size - count), (0, 0), (0, 0), (0, 0)]
        image, mask = (np.pad(array, missing, mode="edge") for array in (image, mask))
        output = self._engine.run(model_inputs(self._contract, image, mask))[self._contract.output]
        if output.ndim != 4 or output.shape[:2] != (size, 3):
            raise ValueError(f"its output is {output.shape}, not ({size}, 3, height, width)")
        if output.shape[2] < height or output.shape[3] < width:
            raise ValueError(f"its output is {output.shape[3]}x{output.shape[2]}: too small")
        filled = decoded(self._contract, output)[:count, :, :height, :width]
        if not np.isfinite(filled).all():
            raise ValueError("its output holds NaN or infinity")
        return filled

    def close(self) -> None:
        """Close the model's engine."""
        self._engine.close()


def adapter(contract: Contract | None) -> Callable[[Engine], Engine]:
    """What makes an engine one of ours; it stays what it is where there is no contract.

    The function raises EngineFailedError where the model has not the inputs and the output of the
    contract.
    """
    if contract is None:
        return as_it_is
    return lambda engine: AdaptedEngine(engine, contract)


def model_inputs(contract: Contract, image: Floats, mask: Floats) -> dict[str, NDArray[Any]]:
    """What a model is given for our `image` (n, 3, h, w) in [-1, 1] and `mask` (n, 1, h, w).

    Raises:
        ValueError: the picture is larger than the side that the model takes.
    """
    hole = _grown(mask, contract.grow)
    height, width = (_side(contract, side) for side in image.shape[2:])
    bottom, right = height - image.shape[2], width - image.shape[3]
    widths = [(0, 0), (0, 0), (0, bottom), (0, right)]
    image, hole = (np.pad(array, widths, mode="symmetric") for array in (image, hole))
    return {one.name: _input(one, image, hole, contract.zeroed) for one in contract.inputs}


def decoded(contract: Contract, output: NDArray[Any]) -> Floats:
    """A model's output in [-1, 1], RGB; values out of its range are clipped."""
    low, high = contract.output_range
    unit = (output.astype(np.float32) - np.float32(low)) * np.float32(2 / (high - low)) - 1
    filled: Floats = np.clip(unit, -1, 1)
    return filled[:, ::-1] if contract.output_order == "bgr" else filled


def _side(contract: Contract, length: int) -> int:
    """The side of the model's input that holds so many pixels."""
    if contract.side is None:
        length = max(length, contract.least)
        return -(-length // contract.multiple) * contract.multiple
    if length > contract.side:
        raise ValueError(f"{length} pixels are more than the {contract.side} that the model takes")
    return contract.side


def _grown(mask: Floats, by: int) -> Floats:
    """The mask dilated by so many pixels each way, but where nothing would stay known."""
    if not by:
        return mask
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    grown = np.stack([cv2.dilate(one[0], kernel)[None] for one in mask])
    whole = grown.min(axis=(1, 2, 3), keepdims=True) > 0
    return np.where(whole, mask, grown).astype(np.float32)


def _input(one: ModelInput, image: Floats, hole: Floats, zeroed: bool) -> NDArray[Any]:
    """One input of the model, its channels in the order of its recipe."""
    parts = [_part(one, part, image, hole, zeroed) for part in one.channels]
    values: Floats = np.concatenate(parts, axis=1)
    if one.dtype == "uint8":
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(values.astype(one.dtype))


def _part(one: ModelInput, part: str, image: Floats, hole: Floats, zeroed: bool) -> Floats:
    if part in ("mask", "known"):
        low, high = one.mask_range
        share = hole if part == "mask" else 1 - hole
        return (share * np.float32(high - low) + np.float32(low)).astype(np.float32)
    low, high = one.rgb_range
    values = (image + 1) * np.float32((high - low) / 2) + np.float32(low)
    if zeroed:
        values = values * (1 - hole)
    return (values if part == "rgb" else values[:, ::-1]).astype(np.float32)


def _check_names(engine: Engine, contract: Contract) -> None:
    takes, gives = ([spec.name for spec in specs] for specs in (engine.inputs, engine.outputs))
    wanted = [one.name for one in contract.inputs]
    if sorted(takes) != sorted(wanted) or contract.output not in gives:
        raise EngineFailedError(
            f"The model takes {', '.join(takes)} and gives {', '.join(gives)}; its card says that "
            f"it takes {', '.join(wanted)} and gives {contract.output}.",
            hint="Correct the [contract] of its card, or add the model again.",
        )
