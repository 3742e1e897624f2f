"""Puts an object of another photo, the guide, into a photo: cut out, resized, pasted, fitted.

Source: Yang et al. 2018, section 3.4, guided inpainting. There the object's whole box is pasted
and the background in it filled; here the object alone is pasted, through an alpha matte, so that
the photo's own background stays around it and nothing is left open.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.colour_profiles import pixels_like
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.objects.harmonize import chosen_method, fitting_transform
from inpaintcli.objects.soft_edges import OPAQUE, nearest_means
from inpaintcli.options import Method

Floats = NDArray[np.float32]
EDGE_BLUR = 0.7
"""Pixels: standard deviation by which the pasted edge is softened; a hard one would be jagged."""
FAINT = 0.02
"""Below this opacity a pixel stays the photo's."""
LARGE_SCALE = 1.5
"""Enlarged more than this, an object looks soft beside the photo, which is said."""


@dataclass(frozen=True, eq=False)
class Guided:
    """A photo with the guide's object in it.

    box: of the photo, in which alone pixels have changed. covered: (h, w) bool, of the box: True
    where the object or its soft edge is. method, amount: as in `Harmonized`. notes: sentences for
    the user on what was converted or left out.
    """

    picture: Picture
    box: Box
    covered: Mask
    method: Method
    amount: float
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Layer:
    """What is pasted: colours (h, w, c) and opacity (h, w), float32 in [0, 1]."""

    colours: Floats
    opacity: Floats

    def inside(self, part: Box) -> "_Layer":
        """A part of it."""
        return _Layer(self.colours[part.slices], self.opacity[part.slices])


def put_in(
    picture: Picture,
    guide: Picture,
    opacity: Floats,
    region: Box,
    place: Box,
    *,
    method: Method = "auto",
    amount: float = 1.0,
    model: Model | None = None,
) -> Guided:
    """Put an object into a photo; pixels outside its place come back bit for bit.

    Args:
        picture: the photo, as displayed.
        guide: the photo that the object is in, as displayed; of any size, depth and profile.
        opacity: (h, w) float32, 0 to 1, of the object in the guide.
        region: of the guide, with the object in it.
        place: of the photo, where the region goes; a part of it may lie outside.
        method: of the harmonization, as in `harmonize`.
        amount: of the harmonization, 0 to 1.
        model: for the method `model`.

    Raises:
        MaskMismatchError: the place is outside the photo, or nothing of the object is in it.
        UsageError, EngineError: as `harmonize`.
    """
    clipped = _clipped(place, picture)
    pixels, notes = pixels_like(guide, picture)
    notes = [f"the guide was {note}" if note.startswith("converted") else note for note in notes]
    layer = _resized(_cut_out(pixels, guide.alpha, opacity, region), place)
    scale = max(place.height / region.height, place.width / region.width)
    if scale > LARGE_SCALE:
        notes.append(f"the object is enlarged {scale:.1f} times, so it may look soft")
    visible = layer.inside(clipped.moved(-place.top, -place.left))
    if (lost := 1 - float(visible.opacity.sum() / max(1e-6, layer.opacity.sum()))) > 1e-3:
        notes.append(f"{lost:.0%} of the object lie outside the photo and are left out")
    if not (visible.opacity > 0).any():
        raise MaskMismatchError(
            "Nothing of the object lies within the photo.", hint="Move its place with --at."
        )
    method = chosen_method(method, model)
    if amount > 0:
        visible = _harmonized(picture, visible, clipped, method, amount, model)
    made, covered = _pasted(picture, visible, clipped), visible.opacity > 0
    return Guided(made, clipped, covered, method, amount, tuple(notes))


def _clipped(place: Box, picture: Picture) -> Box:
    """The part of a place that is in the photo.

    Raises:
        MaskMismatchError: there is none.
    """
    clipped = Box(
        max(0, place.top),
        max(0, place.left),
        min(picture.height, place.bottom),
        min(picture.width, place.right),
    )
    if clipped.height <= 0 or clipped.width <= 0:
        raise MaskMismatchError(
            f"The place {place.left},{place.top},{place.width},{place.height} is outside the "
            f"photo, which is {picture.width}x{picture.height}.",
            hint="--at is the upper left corner of the box's place in the photo.",
        )
    return clipped


def _cut_out(
    pixels: NDArray[Any], alpha: NDArray[Any] | None, opacity: Floats, region: Box
) -> _Layer:
    """The object of a region, its colours continued over its soft edge and beyond.

    So nothing of the guide's background comes along, which would be a fringe.
    """
    inside = region.slices
    top = np.float32(np.iinfo(pixels.dtype).max)
    colours = np.asarray(pixels[inside], np.float32) / top
    part = np.asarray(opacity[inside], np.float32)
    if alpha is not None:
        part = part * np.asarray(alpha[inside] / np.iinfo(alpha.dtype).max, np.float32)
    opaque = part >= min(OPAQUE, float(part.max()))
    if not (part > 0).any():
        raise MaskMismatchError(
            "Nothing of the object lies within the box of the guide.",
            hint="Draw --box around it, or check --guide-mask.",
        )
    continued = np.where(opaque[..., None], colours, nearest_means(colours, opaque))
    return _Layer(continued, part)


def _resized(layer: _Layer, place: Box) -> _Layer:
    """The layer at the size of its place; its edge is softened a little, but stays in the place."""
    size = (place.width, place.height)
    height, width = layer.opacity.shape
    smaller = place.height < height or place.width < width
    colours, opacity = layer.colours, layer.opacity
    if (height, width) != place.size:
        flags = (cv2.INTER_AREA,) * 2 if smaller else (cv2.INTER_LANCZOS4, cv2.INTER_LINEAR)
        resized = cv2.resize(colours, size, interpolation=flags[0]).reshape(*place.size, -1)
        colours = np.asarray(resized, np.float32)
        opacity = np.asarray(cv2.resize(opacity, size, interpolation=flags[1]), np.float32)
    soft = cv2.GaussianBlur(opacity, (0, 0), EDGE_BLUR, borderType=cv2.BORDER_REPLICATE)
    soft[soft < FAINT] = 0
    soft[soft > 1 - FAINT] = 1
    return _Layer(np.clip(colours, 0, 1).astype(np.float32), np.asarray(soft, np.float32))


def _harmonized(
    picture: Picture, layer: _Layer, place: Box, method: Method, amount: float, model: Model | None
) -> _Layer:
    """The layer with colours that fit the photo."""
    opacity = np.zeros((picture.height, picture.width), np.float32)
    opacity[place.slices] = layer.opacity
    transform = fitting_transform(_pasted(picture, layer, place), opacity, method, model)
    rgb = np.broadcast_to(layer.colours, (*layer.opacity.shape, 3))
    change = np.clip(transform.apply(rgb.reshape(-1, 3)), 0, 1).reshape(rgb.shape) - rgb
    if layer.colours.shape[2] == 1:
        change = change.mean(axis=2, keepdims=True)
    return _Layer(layer.colours + np.float32(amount) * change, layer.opacity)


def _pasted(picture: Picture, layer: _Layer, place: Box) -> Picture:
    """The photo with the layer over it; where the photo is transparent the object is not."""
    inside = place.slices
    top = int(np.iinfo(picture.pixels.dtype).max)
    before = picture.pixels[inside]
    opacity = layer.opacity[..., None]
    changed = opacity > 0
    ours = opacity
    alpha = picture.alpha
    if alpha is not None:
        below = (1 - opacity) * (alpha[inside][..., None] / np.float32(top))
        whole = np.asarray(opacity + below, np.float32)
        ours = np.asarray(opacity / np.maximum(whole, 1e-6), np.float32)
        new_alpha = np.where(changed, np.rint(whole * top), alpha[inside][..., None])
        alpha = alpha.copy()
        alpha[inside] = new_alpha[..., 0].astype(alpha.dtype)
    mixed = before + ours * (layer.colours * np.float32(top) - before)
    pixels = picture.pixels.copy()
    new = np.clip(np.rint(mixed), 0, top).astype(pixels.dtype)
    np.copyto(pixels[inside], new, where=changed)
    return picture.with_pixels(pixels).with_alpha(alpha)
