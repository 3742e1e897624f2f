"""Makes an object that was pasted into a photo fit the photo's colours and light.

Whatever chooses the change, what reaches the photo is a smooth colour transform
(colour_transform.py), at the photo's own size and depth: no detail of the object is lost.

Source: Yang et al. 2018, section 3.4, for the task and the model of two outputs. Their network
paints the object; here a transform is fitted to what it paints.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import Box, bounding_box
from inpaintcli.imaging.tiles import TileSizes, model_input
from inpaintcli.inpaint.pipeline import Model, tile_sizes
from inpaintcli.models.cards import find_harmonizer
from inpaintcli.objects.colour_transform import (
    ColourTransform,
    affine_fit,
    kept_sharp,
    reinhard,
)
from inpaintcli.objects.object_statistics import small_copy
from inpaintcli.objects.predicted_transform import predict
from inpaintcli.objects.soft_edges import extended_change
from inpaintcli.options import Method

OUTPUT = "harmonized"
"""The output of models that harmonize; their input mask is 0.5 on the object, 1 in holes."""
Floats = NDArray[np.float32]
WINDOW = 1024
"""Pixels: the longest side of the part of an object whose sharpness is measured."""
BAND = 1024
"""Rows that are changed at a time, so that memory is bounded."""
BAND_MARGIN = 128
"""Rows above and below a band in which the colours of soft edges are looked for."""


@dataclass(frozen=True)
class Harmonized:
    """A picture with its object fitted in, and what chose the change: `method` is never auto."""

    picture: Picture
    method: Method
    amount: float


def harmonize(
    picture: Picture,
    foreground: NDArray[Any],
    *,
    method: Method = "auto",
    amount: float = 1.0,
    model: Model | None = None,
) -> Harmonized:
    """Fit an object to the photo around it; every other pixel comes back bit for bit.

    Args:
        picture: as displayed, the object in it.
        foreground: (h, w), the object's opacity: bool, or float32 from 0 (the photo) to 1.
        method: what chooses the change. predicted: a small regression on statistics of object and
            surroundings, learned from composites with known truth. model: a transform fitted to
            the answer of a network. reinhard: mean and deviation of the surroundings. auto: the
            model where one is passed, else predicted, which is measured to be best.
        amount: how much of the change is made, 0 to 1.
        model: from `open_model`, with the output `harmonized`; only for the method `model`.

    Raises:
        UsageError: the model has no such output, or is missing; the amount is not in 0 to 1.
        MaskMismatchError: the sizes differ, or the object is the whole picture.
        EngineError: the engine failed.
    """
    chosen = chosen_method(method, model)
    if not 0 <= amount <= 1:
        raise UsageError(f"The amount is {amount}.", hint="It lies between 0 and 1.")
    opacity = np.asarray(foreground, np.float32)
    _check(picture, opacity)
    if amount == 0 or not (opacity > 0).any():
        return Harmonized(picture, chosen, amount)
    transform = fitting_transform(picture, opacity, chosen, model)
    return Harmonized(_applied(picture, opacity, transform, amount), chosen, amount)


def chosen_method(method: Method, model: Model | None) -> Method:
    """The method that auto stands for, and others themselves.

    Raises:
        UsageError: the method is `model`, and there is none.
    """
    if method == "auto":
        return "model" if model is not None else "predicted"
    if method == "model" and model is None:
        raise UsageError("The method 'model' needs a model.", hint="Open one and pass it.")
    return method


def harmonizer_name(method: Method, named: str | None) -> str | None:
    """The model that a method needs: the one that is named, or the first that harmonizes; or None.

    Raises:
        UsageError: a model is named for a method that has none.
        ModelError: one is needed, and none harmonizes.
    """
    if method not in ("auto", "model"):
        if named is not None:
            raise UsageError(f"The method '{method}' has no model.", hint="Drop --model.")
        return None
    if named is None and method == "model":
        return find_harmonizer().name
    return named


def _check(picture: Picture, opacity: Floats) -> None:
    if opacity.shape != (picture.height, picture.width):
        raise MaskMismatchError(
            f"The mask is {opacity.shape[1]}x{opacity.shape[0]} but the photo is "
            f"{picture.width}x{picture.height}.",
        )
    if (opacity > 0).all():
        raise MaskMismatchError(
            "The object is the whole picture: there is nothing to fit it to.",
            hint="White is the object; pass --invert-mask if yours is the other way round.",
        )
    if picture.alpha is not None and not ((opacity == 0) & (picture.alpha > 0)).any():
        raise MaskMismatchError(
            "All around the object is transparent: there is nothing to fit it to.",
            hint="Put the photo behind the object first.",
        )


def fitting_transform(
    picture: Picture, opacity: Floats, method: Method, model: Model | None
) -> ColourTransform:
    """The transform that fits an object to its photo.

    Arguments and errors are those of `harmonize`; some of the object is not transparent.
    """
    _check(picture, opacity)
    method = chosen_method(method, model)
    unknown = _transparent(picture, opacity)
    rgb = _three_channels(picture.pixels)
    small, ours, theirs = small_copy(rgb, opacity, unknown)
    found: ColourTransform
    if method == "model" and model is not None:
        found = affine_fit(*_answer(picture, opacity, unknown, model))
    elif method == "reinhard":
        found = reinhard(small[ours], small[theirs])
    else:
        found = predict(small, ours, theirs)
    top = int(np.iinfo(picture.pixels.dtype).max)
    return kept_sharp(found, *_window(picture, opacity), top)


def _window(picture: Picture, opacity: Floats) -> tuple[Floats, Mask]:
    """The object at full size, (h, w, 3) in [0, 1], and where it is; of a large one the middle."""
    extent = bounding_box(opacity >= opacity.max())
    assert extent is not None  # noqa: S101 - empty masks are no longer here
    y, x = (max(0, (side - WINDOW) // 2) for side in extent.size)
    part = Box(y, x, min(extent.height, y + WINDOW), min(extent.width, x + WINDOW))
    inside = part.moved(extent.top, extent.left).slices
    top = np.float32(np.iinfo(picture.pixels.dtype).max)
    rgb = _three_channels(picture.pixels[inside].astype(np.float32) / top)
    return rgb, np.asarray(opacity[inside] >= opacity.max(), np.bool_)


def _transparent(picture: Picture, opacity: Floats) -> Mask:
    """(h, w) bool: fully transparent pixels around the object; their colours mean nothing."""
    if picture.alpha is None:
        return np.zeros(opacity.shape, np.bool_)
    transparent: Mask = (picture.alpha == 0) & (opacity == 0)
    return transparent


def _three_channels(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def _answer(
    picture: Picture, opacity: Floats, unknown: Mask, model: Model
) -> tuple[Floats, Floats]:
    """The object's colours as the model sees and as it answers them, (n, 3) in [0, 1].

    It sees the object with its surroundings, scaled down where that is larger than a tile.

    Raises:
        UsageError: the model does not harmonize.
    """
    if not any(spec.name == OUTPUT for spec in model.engine.outputs):
        raise UsageError(
            f"The model '{model.card.name}' does not harmonize.",
            hint="Pass --model with one of the family 'blockwise' (docs/papers/block-wise.md).",
        )
    sizes, pasted = tile_sizes(model.card), opacity > 0.5
    extent = bounding_box(pasted) or bounding_box(opacity > 0)
    assert extent is not None  # noqa: S101 - empty masks are no longer here
    box = _with_context(extent, sizes, opacity.shape)
    scale = min(1.0, sizes.max_side / max(box.size))
    top = np.iinfo(picture.pixels.dtype).max
    rgb = _three_channels(picture.pixels[box.slices].astype(np.float32) * np.float32(2 / top) - 1)
    rgb_hwc, hole = model_input(rgb, unknown[box.slices], scale, sizes.size_multiple)
    _, subject = model_input(rgb, pasted[box.slices], scale, sizes.size_multiple)
    image = np.ascontiguousarray(rgb_hwc.transpose(2, 0, 1)[None])
    mask = np.maximum(hole, subject / 2)[None, None].astype(np.float32)
    answer = model.run({"image": image, "mask": mask})[OUTPUT][0].transpose(1, 2, 0)
    inside = subject > 0.5
    before, after = (np.asarray(part[inside] / 2 + 0.5, np.float32) for part in (rgb_hwc, answer))
    return before, after


def _with_context(extent: Box, sizes: TileSizes, shape: tuple[int, ...]) -> Box:
    """The object's box with a margin of half its longer side, at least a hole's least context."""
    margin = max(sizes.min_context, max(extent.size) // 2)
    return extent.grown(margin, shape[0], shape[1])


def _applied(
    picture: Picture, opacity: Floats, transform: ColourTransform, amount: float
) -> Picture:
    """The picture with the transform on the object, a band of rows after the other."""
    extent = bounding_box(opacity > 0)
    assert extent is not None  # noqa: S101 - empty masks are no longer here
    pixels = picture.pixels.copy()
    for first in range(extent.top, extent.bottom, BAND):
        last = min(first + BAND, extent.bottom)
        rows = slice(max(extent.top, first - BAND_MARGIN), min(extent.bottom, last + BAND_MARGIN))
        box = (rows, slice(extent.left, extent.right))
        band = _changed(picture.pixels[box], opacity[box], transform, amount)
        inner = slice(first - rows.start, last - rows.start)
        pixels[first:last, box[1]] = band[inner]
    return picture.with_pixels(pixels)


def _changed(
    pixels: NDArray[Any], opacity: Floats, transform: ColourTransform, amount: float
) -> NDArray[Any]:
    """Pixels (h, w, 1 or 3) with the transform where they are the object's."""
    top = np.iinfo(pixels.dtype).max
    before = pixels.astype(np.float32) / np.float32(top)
    rgb = _three_channels(before)
    change = np.clip(transform.apply(rgb.reshape(-1, 3)), 0, 1).reshape(rgb.shape) - rgb
    if pixels.shape[2] == 1:
        change = change.mean(axis=2, keepdims=True)
    change = extended_change(change, opacity) * (np.float32(amount) * opacity[..., None])
    after = np.clip(np.rint((before + change) * np.float32(top)), 0, top).astype(pixels.dtype)
    return np.where(opacity[..., None] > 0, after, pixels)
