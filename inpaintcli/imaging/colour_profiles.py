"""Pixels of one picture in the colours, channels and depth of another."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.masks import LUMA
from inpaintcli.imaging.picture import Picture


def pixels_like(picture: Picture, like: Picture) -> tuple[NDArray[Any], list[str]]:
    """Pixels of a picture as another picture would store them.

    Profiles are converted by LittleCMS, relative colorimetric with black point compensation; a
    picture without one is sRGB. That has 8 bits: the finer part of 16 is carried over as it is.

    Args:
        picture: uint8 or uint16, grey or RGB.
        like: gives profile, channels and depth.

    Returns:
        (h, w, c) of the dtype and channels of `like`, and sentences on what was converted.
    """
    pixels, notes = _converted(picture, like)
    channels, dtype = like.pixels.shape[2], like.pixels.dtype
    if pixels.dtype != dtype:
        notes.append(f"converted from {picture.depth} to {like.depth} bits a channel")
        pixels = _at_depth(pixels, dtype)
    if pixels.shape[2] > channels:
        notes.append("converted to grey, as the photo is")
        pixels = np.asarray(np.rint(pixels @ (np.array(LUMA) / 1000)), dtype)[..., None]
    elif pixels.shape[2] < channels:
        pixels = np.repeat(pixels, channels, axis=2)
    return pixels, notes


def _converted(picture: Picture, like: Picture) -> tuple[NDArray[Any], list[str]]:
    """The pixels in the profile of another picture; grey ones become RGB where profiles differ."""
    from PIL import Image, ImageCms

    ours, theirs = picture.origin.icc, like.origin.icc
    if like.pixels.shape[2] == 1:
        theirs = None  # by way of sRGB
    if ours == theirs:
        return picture.pixels, []
    try:
        source, target = _profile(ours), _profile(theirs)
        coarse = _at_depth(picture.pixels, np.dtype(np.uint8))
        mode = "L" if coarse.shape[2] == 1 else "RGB"
        image = Image.fromarray(coarse[..., 0] if mode == "L" else np.ascontiguousarray(coarse))
        transform = ImageCms.buildTransform(
            source,
            target,
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        converted = np.asarray(ImageCms.applyTransform(image, transform), np.uint8)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        return picture.pixels, [f"its colour profile cannot be converted, and is ignored: {error}"]
    names = f"converted from the colours of {_name(source)} to those of {_name(target)}"
    if picture.depth == 8:
        return converted, [names]
    finer = picture.pixels.astype(np.int32) - coarse.astype(np.int32) * 257
    return np.clip(converted.astype(np.int32) * 257 + finer, 0, 65535).astype(np.uint16), [names]


def _profile(icc: bytes | None) -> Any:
    from PIL import ImageCms

    if icc is None:
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsProfile(BytesIO(icc))


def _name(profile: Any) -> str:
    return str(profile.profile.profile_description or "an unnamed profile").strip()


def _at_depth(pixels: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Integers of another depth: the same share of the largest value."""
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.uint16:
        return np.asarray(pixels.astype(np.uint16) * 257, np.uint16)
    return np.asarray((pixels.astype(np.uint32) + 128) // 257, np.uint8)
