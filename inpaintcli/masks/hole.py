"""The hole of a photo: all parts of its mask together, as one array."""

from pathlib import Path

import numpy as np

from inpaintcli.imaging.masks import fit_mask, mask_from_alpha, read_mask
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.masks.drawings import Drawing
from inpaintcli.masks.labelme import read_drawing
from inpaintcli.masks.source import MaskParts
from inpaintcli.options import MaskOptions
from inpaintcli.storage.folders import ANNOTATED


def hole_of(
    picture: Picture,
    file: Path | Mask | None,
    parts: MaskParts,
    options: MaskOptions,
    photo_name: str = "the photo",
) -> Mask:
    """The pixels to fill: those of the mask file and of every part.

    `invert_mask` inverts what a mask file, transparency or colours give, and shapes are added to
    that; where there are shapes alone, all outside them is the hole.

    Args:
        picture: the photo as displayed.
        file: its mask file, a picture or LabelMe's; or a mask as `fit_mask` gives it; or None.
        parts: what else counts.
        options: how masks are read.
        photo_name: for errors.

    Returns:
        Bool (h, w), True in the hole.

    Raises:
        UnreadableError: the mask file cannot be read.
        MaskMismatchError: a part does not fit the photo; the message names it.
    """
    drawings = list(parts.drawings)
    if isinstance(file, Path) and file.suffix.lower() == ANNOTATED:
        drawings.append(read_drawing(file, parts.labels))
        file = None
    masks = _pixel_masks(picture, file, parts, options, photo_name)
    shapes = _shapes(picture, drawings, options, photo_name)
    if not masks:
        return np.asarray(shapes ^ options.invert_mask, np.bool_)
    return np.asarray(np.logical_or.reduce([*masks, shapes]), np.bool_)


def _pixel_masks(
    picture: Picture,
    file: Path | Mask | None,
    parts: MaskParts,
    options: MaskOptions,
    photo_name: str,
) -> list[Mask]:
    """The holes by a mask file, by transparency and by colours, as far as they count."""
    masks, threshold, invert = [], options.mask_threshold, options.invert_mask
    if isinstance(file, np.ndarray):
        masks.append(file)
    elif file is not None:
        found = read_mask(file, threshold=threshold, invert=invert)
        names = {"mask_name": file.name, "picture_name": photo_name}
        masks.append(fit_mask(found, picture, resize=options.resize_mask, **names))
    if parts.alpha:
        masks.append(mask_from_alpha(picture, threshold=threshold, invert=invert, name=photo_name))
    if parts.colors:
        colored = np.logical_or.reduce([color.mask(picture) for color in parts.colors])
        masks.append(np.asarray(colored ^ invert, np.bool_))
    return masks


def _shapes(
    picture: Picture, drawings: list[Drawing], options: MaskOptions, photo_name: str
) -> Mask:
    mask = np.zeros((picture.height, picture.width), np.bool_)
    for drawing in drawings:
        mask |= drawing.mask(picture, resize=options.resize_mask, photo_name=photo_name)
    return mask
