"""Masks, bool (h, w), True in the hole: read from files or alpha, resized, dilated, feathered."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import MaskMismatchError, UsageError
from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.picture import Mask, Picture, displayed

THRESHOLD = 127
"""For the lightness of masks."""
ALPHA_THRESHOLD = 0
"""For transparency: soft erasers leave a ring that is half transparent, which is hole as well."""
FAINT = 16
"""Of 255: a mask's pixels this near to black or white are meant as such."""
PHOTO_GREYS, PHOTO_LEVELS = 0.3, 64
"""More in-between pixels than this share, in more levels than that, are a photo's, not a mask's."""
LUMA = (299, 587, 114)
"""Weights of red, green and blue in the luma of a colour (ITU-R BT.601), in thousandths."""


def read_mask(path: Path, *, threshold: int | None = None, invert: bool = False) -> Mask:
    """The mask in a picture file of any kind: True where it is lighter than `threshold` (127).

    The mask's own EXIF orientation is applied. Colours count by their luma, 16 bits by their
    8-bit equivalent. With transparency: strokes of one or a few colours on transparent ground are
    the hole wherever they are opaque; of a photo with a part erased, that part is; else the luma
    is multiplied by the alpha, as over black.

    Raises:
        UnreadableError: the file cannot be read.
        UsageError: the threshold is not in 0 to 254.
    """
    return mask_from_picture(read_picture(path), threshold=threshold, invert=invert)


def mask_from_picture(
    picture: Picture, *, threshold: int | None = None, invert: bool = False
) -> Mask:
    """As `read_mask`, from a picture that is read already."""
    threshold = THRESHOLD if threshold is None else threshold
    _check_threshold(threshold)
    lightness, scale = _lightness(picture)
    return _above(lightness, threshold, scale) ^ invert


def opacity_from_picture(picture: Picture, *, invert: bool = False) -> NDArray[np.float32]:
    """The grey levels of a mask as an object's opacity, float32 (h, w), 0 to 1.

    Lightness as in `read_mask`. Levels nearer than FAINT to black or white are meant as such.
    """
    lightness, scale = _lightness(picture)
    opacity = np.asarray(lightness / scale, np.float32)
    opacity[opacity < FAINT / 255] = 0
    opacity[opacity > 1 - FAINT / 255] = 1
    return 1 - opacity if invert else opacity


def max_lightness(path: Path) -> int:
    """The largest lightness in a mask file, 0 to 255; with a threshold below it there is a hole.

    Raises:
        UnreadableError: the file cannot be read.
    """
    lightness, scale = _lightness(read_picture(path))
    return -(-int(lightness.max()) * 255 // scale)


def mask_from_alpha(
    picture: Picture,
    *,
    threshold: int | None = None,
    invert: bool = False,
    name: str = "the picture",
) -> Mask:
    """The transparent pixels as the hole: those whose transparency is above `threshold` of 255.

    With the default, 0, every pixel that is not fully opaque is the hole.

    Raises:
        MaskMismatchError: the picture has no alpha.
        UsageError: the threshold is not in 0 to 254.
    """
    threshold = ALPHA_THRESHOLD if threshold is None else threshold
    _check_threshold(threshold)
    if picture.alpha is None:
        raise MaskMismatchError(
            f"{name} has no transparency to take the hole from.", hint="Name a mask with --mask."
        )
    top = int(np.iinfo(picture.alpha.dtype).max)
    return _above(np.asarray(top - picture.alpha), threshold, top) ^ invert


def fit_mask(
    mask: Mask,
    picture: Picture,
    *,
    resize: bool = False,
    mask_name: str = "",
    picture_name: str = "",
) -> Mask:
    """The mask at the picture's size, as displayed.

    Where the photo's orientation swaps its sides, a mask of the *stored* size was drawn on the
    stored pixels and is rotated with the photo. (Where both sizes are equal the mask is taken as
    displayed.) With `resize`, a mask of any other size is scaled; scaled down, a pixel is in the
    hole if any part of it is, so that nothing of the hole stays visible.

    Raises:
        MaskMismatchError: the sizes differ and `resize` is false.
    """
    size = (picture.height, picture.width)
    if mask.shape == size:
        return mask
    shape = (mask.shape[0], mask.shape[1])
    check_mask_size(shape, picture, resize=resize, mask_name=mask_name, picture_name=picture_name)
    if _is_stored_size(shape, picture):
        return np.asarray(displayed(mask, picture.origin.orientation), np.bool_)
    return _resized(mask, size)


def check_mask_size(
    size: tuple[int, int],
    picture: Picture,
    *,
    resize: bool = False,
    mask_name: str = "",
    picture_name: str = "",
) -> None:
    """Refuse a mask of that size (rows, columns) where `fit_mask` does.

    Raises:
        MaskMismatchError: the sizes differ and `resize` is false.
    """
    if resize or size == (picture.height, picture.width) or _is_stored_size(size, picture):
        return
    raise MaskMismatchError(
        f"{_named('The mask', mask_name)} is {size[1]}x{size[0]} but "
        f"{_named('the photo', picture_name)} is {picture.width}x{picture.height}.",
        hint="Draw the mask on the photo itself, or pass --resize-mask.",
    )


def _is_stored_size(size: tuple[int, int], picture: Picture) -> bool:
    """Whether it is that of the stored pixels, where the orientation swaps the sides."""
    return picture.origin.orientation >= 5 and size == (picture.width, picture.height)


def fit_opacity(
    opacity: NDArray[np.float32],
    picture: Picture,
    *,
    resize: bool = False,
    mask_name: str = "",
    picture_name: str = "",
) -> NDArray[np.float32]:
    """An opacity, (h, w) from 0 to 1, at the picture's size; rotated and scaled as by `fit_mask`.

    Raises:
        MaskMismatchError: the sizes differ and `resize` is false.
    """
    import cv2

    size = (picture.height, picture.width)
    if opacity.shape == size:
        return opacity
    orientation = picture.origin.orientation
    if orientation >= 5 and opacity.shape == size[::-1]:
        return displayed(opacity, orientation)
    names = {"mask_name": mask_name, "picture_name": picture_name}
    fit_mask(opacity > 0, picture, resize=resize, **names)  # for its error
    smaller = size[0] < opacity.shape[0] or size[1] < opacity.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(opacity, size[::-1], interpolation=interpolation), np.float32)


def dilate(mask: Mask, pixels: int) -> Mask:
    """The mask dilated by a disk: all pixels within `pixels` (Euclidean) of the hole.

    Raises:
        UsageError: `pixels` is negative.
    """
    import cv2

    if pixels < 0:
        raise UsageError(f"--grow is {pixels}.", hint="A hole can only grow: name 0 or more.")
    if pixels == 0 or not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= pixels, np.bool_)


def feather_weights(mask: Mask, pixels: int) -> NDArray[np.float32]:
    """Opacity of the fill: float32 (h, w), 0 outside the hole, 1 deep inside.

    Rises linearly from the hole's boundary inwards over `pixels`: at Euclidean distance d from the
    nearest known pixel it is d / (pixels + 1), at most 1. Known pixels stay untouched, and
    `pixels` = 0 gives the mask itself. The picture's border is not a boundary of the hole.

    Raises:
        UsageError: `pixels` is negative.
    """
    import cv2

    if pixels < 0:
        raise UsageError(f"--feather is {pixels}.", hint="Name 0 or more.")
    if pixels == 0 or mask.all():
        return mask.astype(np.float32)
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.minimum(depth / np.float32(pixels + 1), 1), np.float32)


def _named(kind: str, name: str) -> str:
    """Kind and name, as photo and mask often have the same name."""
    return f"{kind} {name}".rstrip()


def _check_threshold(threshold: int) -> None:
    if not 0 <= threshold <= 254:
        raise UsageError(
            f"--mask-threshold is {threshold}.", hint="Name 0 (all but black) to 254 (white only)."
        )


def _above(values: NDArray[Any], threshold: int, scale: int) -> Mask:
    """Where `values`, in which `scale` corresponds to 255, are above `threshold`.

    In integers, so that the result does not depend on rounding.
    """
    return np.asarray(values > threshold * scale // 255, np.bool_)


def _lightness(picture: Picture) -> tuple[NDArray[Any], int]:
    """Lightness of each pixel of a mask, as in `read_mask`, and the value that means 255."""
    top = int(np.iinfo(picture.pixels.dtype).max)
    alpha = picture.alpha
    if alpha is None or (alpha == top).all():
        return _luma(picture.pixels), 1000 * top
    if _has_one_colour(picture.pixels) and alpha.min() < alpha.max():
        return alpha, top
    if (alpha == 0).any() and (alpha > 0).any():
        luma = _luma(picture.pixels)[alpha > 0] * 255 // (1000 * top)
        grey = (luma >= FAINT) & (luma <= 255 - FAINT)
        if grey.mean() > PHOTO_GREYS and np.unique(luma).size > PHOTO_LEVELS:
            return np.asarray(top - alpha), top
        if not ((luma < FAINT).any() and (luma > 255 - FAINT).any()):
            return alpha, top
    return _luma(picture.pixels).astype(np.uint64) * alpha, 1000 * top * top


def _luma(pixels: NDArray[Any]) -> NDArray[np.uint32]:
    """Luma (h, w), in thousandths of a sample's step."""
    if pixels.shape[2] == 1:
        return pixels[:, :, 0].astype(np.uint32) * np.uint32(1000)
    luma = np.zeros(pixels.shape[:2], np.uint32)
    for channel, weight in enumerate(LUMA):
        luma += pixels[:, :, channel].astype(np.uint32) * np.uint32(weight)
    return luma


def _has_one_colour(pixels: NDArray[Any]) -> bool:
    return bool((pixels == pixels[0, 0]).all())


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    import cv2

    smaller = size[0] < mask.shape[0] or size[1] < mask.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    share = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=interpolation)
    return np.asarray(share > 0 if smaller else share >= 0.5, np.bool_)
