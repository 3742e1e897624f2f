"""Masks as files: PNG of one bit a pixel, white in the hole."""

from io import BytesIO

import numpy as np

from inpaintcli.imaging.picture import Mask


def mask_png(mask: Mask) -> bytes:
    """A mask (h, w), True in the hole, as a PNG of its size."""
    from PIL import Image

    file = BytesIO()
    # From bytes: Pillow's own conversion of bool arrays makes one byte a pixel first.
    rows = np.packbits(mask, axis=1).tobytes()
    Image.frombytes("1", (mask.shape[1], mask.shape[0]), rows).save(file, "PNG", compress_level=1)
    return file.getvalue()
