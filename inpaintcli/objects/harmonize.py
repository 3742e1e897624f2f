"""Harmonizes the colours and light of an object that was pasted into a photo.

Source: Yang et al. 2018, section 3.4.
"""

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import Box, bounding_box
from inpaintcli.imaging.tiles import TileSizes, model_input, model_output
from inpaintcli.inpaint.pipeline import Model, tile_sizes

OUTPUT = "harmonized"
"""The output of models that harmonize; their input mask is 0.5 on the object, 1 in holes."""
Floats = NDArray[np.float32]


def harmonize(picture: Picture, foreground: Mask, model: Model) -> Picture:
    """Harmonize an object with the photo around it; every other pixel comes back bit for bit.

    The model sees the object with its surroundings, scaled down where that is larger than a tile.
    Its change is scaled up again and added to the pixels, so that the object keeps its detail.

    Args:
        picture: as displayed, the object in it.
        foreground: (h, w) bool, True on the object.
        model: from `open_model`, with the output `harmonized`.

    Raises:
        UsageError: the model has no such output.
        MaskMismatchError: the sizes differ, or the object is the whole picture.
        EngineError: the engine failed.
    """
    _check(picture, foreground, model)
    extent = bounding_box(foreground)
    if extent is None:
        return picture
    box = _with_context(extent, tile_sizes(model.card), foreground.shape)
    inside = box.slices
    top = int(np.iinfo(picture.pixels.dtype).max)
    before = picture.pixels[inside].astype(np.float32)
    rgb = np.broadcast_to(before * np.float32(2 / top) - 1, (*before.shape[:2], 3))
    change = _change(rgb, foreground[inside], _transparent(picture, foreground)[inside], model, box)
    if before.shape[2] == 1:
        change = change.mean(axis=2, keepdims=True)
    after = np.clip(np.rint(before + change * np.float32(top / 2)), 0, top)
    pixels = picture.pixels.copy()
    where = foreground[inside][..., None]
    np.copyto(pixels[inside], after.astype(pixels.dtype), where=where)
    return picture.with_pixels(pixels)


def _check(picture: Picture, foreground: Mask, model: Model) -> None:
    if not any(spec.name == OUTPUT for spec in model.engine.outputs):
        raise UsageError(
            f"The model '{model.card.name}' does not harmonize.",
            hint="Pass --model with one of the family 'blockwise' (docs/papers/block-wise.md).",
        )
    if foreground.shape != (picture.height, picture.width):
        raise MaskMismatchError(
            f"The mask is {foreground.shape[1]}x{foreground.shape[0]} but the photo is "
            f"{picture.width}x{picture.height}.",
        )
    if foreground.all():
        raise MaskMismatchError(
            "The object is the whole picture: there is nothing to fit it to.",
            hint="White is the object; pass --invert-mask if yours is the other way round.",
        )


def _with_context(extent: Box, sizes: TileSizes, shape: tuple[int, ...]) -> Box:
    """The object's box with a margin of half its longer side, at least a hole's least context."""
    margin = max(sizes.min_context, max(extent.height, extent.width) // 2)
    return extent.grown(margin, shape[0], shape[1])


def _transparent(picture: Picture, foreground: Mask) -> Mask:
    """(h, w) bool: fully transparent pixels around the object; their colours mean nothing."""
    if picture.alpha is None:
        return np.zeros_like(foreground)
    transparent: Mask = (picture.alpha == 0) & ~foreground
    return transparent


def _change(rgb: Floats, foreground: Mask, transparent: Mask, model: Model, box: Box) -> Floats:
    """What the model would add to the pixels of a box, rgb_hwc in units of [-1, 1]."""
    sizes = tile_sizes(model.card)
    scale = min(1.0, sizes.max_side / max(box.height, box.width))
    rgb_hwc, hole = model_input(rgb, transparent, scale, sizes.size_multiple)
    _, subject = model_input(rgb, foreground, scale, sizes.size_multiple)
    image = np.ascontiguousarray(rgb_hwc.transpose(2, 0, 1)[None])
    mask = np.maximum(hole, subject / 2)[None, None].astype(np.float32)
    answer = model.run({"image": image, "mask": mask})[OUTPUT][0].transpose(1, 2, 0)
    return model_output(np.asarray(answer - rgb_hwc, np.float32), box, scale)
