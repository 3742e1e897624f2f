"""Arrays of Python programs as pictures and masks."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.masks import fit_mask, mask_from_picture
from inpaintcli.imaging.picture import Mask, Picture, Samples
from inpaintcli.options import MaskOptions


def picture_of_array(photo: NDArray[Any]) -> Picture:
    """An array as a picture: uint8 or uint16; (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4).

    Raises:
        ValueError: the shape or dtype is none of those.
    """
    photo = _native(photo)
    shaped = photo[..., None] if photo.ndim == 2 else photo
    if photo.dtype not in (np.uint8, np.uint16) or shaped.ndim != 3:
        raise ValueError(f"the photo is {photo.dtype} {photo.shape}, not uint8 or uint16 (h, w, c)")
    if not photo.size:
        raise ValueError(f"the photo is {photo.shape}; it has no pixels")
    if shaped.shape[2] not in (1, 3, 4):
        raise ValueError(f"the photo is {photo.shape}; it has 1, 3 or 4 channels, the last axis")
    samples = cast("Samples", shaped)
    if shaped.shape[2] == 4:
        return Picture(samples[..., :3], samples[..., 3])
    return Picture(samples)


def array_of_picture(picture: Picture, like: NDArray[Any]) -> NDArray[Any]:
    """A picture as an array of the shape and dtype of the one that it came from."""
    planes = [picture.pixels]
    if picture.alpha is not None:
        planes.append(picture.alpha[..., None])
    return np.concatenate(planes, axis=2).reshape(like.shape).astype(like.dtype, copy=False)


def mask_of_array(mask: NDArray[Any], picture: Picture, options: MaskOptions) -> Mask:
    """An array (h, w) as the mask of a picture, True in the hole.

    Bool is True in the hole, uint8 and uint16 are above `mask_threshold`.

    Raises:
        ValueError: the shape or dtype is none of those, or it is 0 and 1.
        MaskMismatchError: it has another size than the picture.
    """
    mask = _native(mask)
    if mask.ndim != 2:
        raise ValueError(f"the mask is {mask.shape}, not (h, w)")
    if mask.dtype == np.bool_:
        hole = np.asarray(mask ^ options.invert_mask, np.bool_)
        return fit_mask(hole, picture, resize=options.resize_mask)
    if mask.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"the mask is {mask.dtype}, not bool, uint8 or uint16")
    if mask.size and mask.max() == 1:
        raise ValueError("the mask holds 0 and 1 as numbers; pass mask.astype(bool)")
    hole = mask_from_picture(
        Picture(mask[..., None]), threshold=options.mask_threshold, invert=options.invert_mask
    )
    return fit_mask(hole, picture, resize=options.resize_mask)


def _native(array: NDArray[Any]) -> NDArray[Any]:
    """The array in this machine's byte order; readers of TIFF may give the file's."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)
