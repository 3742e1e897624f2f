"""What the browser sees: parts of a photo or a mask at the size of the screen, in 8 bits."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import InpaintError, UsageError
from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.imaging.regions import Box

THUMBNAIL = 160
"""Longer side of a thumbnail, in pixels."""
MAX_SIDE = 4096
"""Of a view."""
TINT = (255, 0, 90)
"""Of the mask over the photo."""
Size = tuple[int, int]
"""Width and height."""


def check_view(box: Box, size: Size, picture: Picture) -> None:
    """Refuse a view that is not inside the picture, or larger than a screen.

    Raises:
        UsageError: it is so.
    """
    inside = 0 <= box.top < box.bottom <= picture.height
    if not inside or not 0 <= box.left < box.right <= picture.width:
        raise UsageError("The view is not inside the photo.")
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise UsageError(f"A view has 1 to {MAX_SIDE} pixels a side.")


def picture_view(picture: Picture, box: Box, size: Size) -> tuple[bytes, str]:
    """A part of a picture, and its media type: PNG where it is shown pixel by pixel, else JPEG.

    It has the picture's colour profile. With alpha it is always PNG.
    """
    from PIL import Image

    size = min(size[0], box.width), min(size[1], box.height)
    pixels = _eight_bits(_scaled(picture.pixels[box.slices], size))
    if picture.alpha is not None:
        alpha = _eight_bits(_scaled(picture.alpha[box.slices], size))
        rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        pixels = np.concatenate([rgb, alpha], axis=2)
    image = Image.fromarray(
        np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    )
    options: dict[str, Any] = {"icc_profile": picture.origin.icc} if picture.origin.icc else {}
    if picture.alpha is not None or size == (box.width, box.height):
        return _encoded(image, "PNG", compress_level=1, **options), "image/png"
    return _encoded(image, "JPEG", quality=88, **options), "image/jpeg"


def mask_view(mask: Mask, box: Box, size: Size) -> bytes:
    """A part of a mask as PNG: TINT in the hole, transparent elsewhere."""
    from PIL import Image

    size = min(size[0], box.width), min(size[1], box.height)
    shares = _scaled(mask[box.slices].astype(np.uint8) * np.uint8(255), size)[..., 0]
    image = Image.fromarray(np.ascontiguousarray(shares))
    image.putpalette(TINT * 256)
    return _encoded(image, "PNG", transparency=bytes(range(256)), compress_level=1)


def thumbnail(path: Path) -> bytes:
    """A small JPEG of a photo file, or PNG of one that is transparent.

    Raises:
        UnreadableError: it cannot be read.
    """
    picture = _small_jpeg(path) or read_picture(path)
    scale = min(1.0, THUMBNAIL / max(picture.height, picture.width))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture_view(picture, Box(0, 0, picture.height, picture.width), size)[0]


def _small_jpeg(path: Path) -> Picture | None:
    """A JPEG decoded at a part of its size, which takes a tenth of the time; None for others."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=["JPEG"]) as image:
            image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return Picture(np.asarray(upright))
    except (OSError, ValueError, SyntaxError, InpaintError, Image.DecompressionBombError):
        return None


def _scaled(plane: NDArray[Any], size: Size) -> NDArray[Any]:
    """Samples (h, w) or (h, w, c) at a smaller size, as (h, w, c)."""
    import cv2

    if size != plane.shape[1::-1]:
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return plane.reshape(size[1], size[0], -1)


def _eight_bits(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """16 bits as the nearest of 8."""
    if samples.dtype == np.uint8:
        return samples
    return np.asarray((samples.astype(np.uint32) * 255 + 32767) // 65535, np.uint8)


def _encoded(image: Any, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
