"""JPEG files of all kinds, made by code: by Pillow and by OpenCV."""

import io

import cv2
import numpy as np
import skimage.data
from PIL import Image

PHOTO = skimage.data.astronaut()
SAMPLINGS = {"444": 0x111111, "422": 0x211111, "420": 0x221111, "440": 0x121111, "411": 0x411111}


def pillow(pixels, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **options)
    return out.getvalue()


def opencv(pixels, sampling, quality=90, **options) -> bytes:
    """`options` are progressive, optimize, and rst_interval, as in OpenCV's names of them."""
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling]]
    for name, value in options.items():
        flags += [getattr(cv2, f"IMWRITE_JPEG_{name.upper()}"), int(value)]
    done, data = cv2.imencode(".jpg", bgr, flags)
    assert done
    return data.tobytes()


def _sized(number: int) -> np.ndarray:
    """A part of the photo, of an odd size."""
    height, width = 70 + number * 7 % 61, 83 + number * 11 % 67
    return np.ascontiguousarray(PHOTO[number : number + height, 2 * number : 2 * number + width])


def sixty() -> dict[str, bytes]:
    """Sixty files: encoders, samplings, passes, tables, restarts, qualities, sizes."""
    files: dict[str, bytes] = {}
    for n, sampling in enumerate(SAMPLINGS):
        for m, options in enumerate(
            (
                {},
                {"optimize": 1},
                {"progressive": 1},
                {"rst_interval": 3},
                {"progressive": 1, "rst_interval": 5},
                {"optimize": 1, "rst_interval": 1},
            )
        ):
            quality = (35, 60, 75, 88, 95, 100)[(n + m) % 6]
            name = f"OpenCV {sampling} {quality} {' '.join(options)}"
            files[name] = opencv(_sized(len(files)), sampling, quality, **options)
    for mode in ("L", "RGB"):
        for options in (
            {},
            {"optimize": True},
            {"progressive": True},
            {"restart_marker_blocks": 2},
            {"progressive": True, "restart_marker_rows": 1},
        ):
            for quality in (20, 70, 98):
                pixels = np.asarray(Image.fromarray(_sized(len(files))).convert(mode))
                sampling = {} if mode == "L" else {"subsampling": len(files) % 3}
                name = f"Pillow {mode} {quality} {' '.join(options)} {sampling}"
                files[name] = pillow(pixels, quality=quality, **options, **sampling)
    return files
