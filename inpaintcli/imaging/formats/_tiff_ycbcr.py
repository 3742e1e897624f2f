"""TIFF of YCbCr that is not coded as JPEG: its data units, to RGB. Source: TIFF 6.0, section 21."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.imaging.formats._reading import DamagedError

COEFFICIENTS, SUBSAMPLING, REFERENCE, PREDICTOR = 529, 530, 532, 317
Decode = Callable[[bytes, int], bytes]


def samples(page: Any, decode: Decode) -> NDArray[np.uint8]:
    """The pixels (h, w, 3), in the file's orientation, RGB.

    Args:
        page: tifffile's.
        decode: decompresses a strip or tile to so many bytes.

    Raises:
        DamagedError: planes that lie apart, a predictor, or a strip of another size.
    """
    across, down = (int(one) for one in _tag(page, SUBSAMPLING, (2, 2)))
    if int(page.planarconfig) != 1 or _tag(page, PREDICTOR, 1) != 1:
        raise DamagedError("YCbCr in separate planes or with a predictor is not supported")
    height, width = int(page.imagelength), int(page.imagewidth)
    found = np.zeros((height, width, 3), np.uint8)
    rows, columns = _segment_size(page)
    a_row = -(-width // columns)
    for data, index in page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts):
        y, x = index // a_row * rows, index % a_row * columns
        tall = rows if page.is_tiled else min(rows, height - y)
        units = (-(-tall // down), -(-columns // across))
        plain = decode(data or b"", units[0] * units[1] * (across * down + 2))
        part = _rgb(_full(plain, units, across, down), page)[:tall, :columns]
        area = found[y : y + tall, x : x + columns]
        area[:] = part[: area.shape[0], : area.shape[1]]
    return found


def _segment_size(page: Any) -> tuple[int, int]:
    """Rows and columns of a strip or tile."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return min(int(page.rowsperstrip), int(page.imagelength)), int(page.imagewidth)


def _full(plain: bytes, units: tuple[int, int], across: int, down: int) -> NDArray[Any]:
    """Y, Cb and Cr (h, w, 3) of data units: each `down` rows of `across` Y, then one Cb, one Cr."""
    size = across * down + 2
    if len(plain) < units[0] * units[1] * size:
        raise DamagedError("a strip is too short")
    table = np.frombuffer(plain, np.uint8)[: units[0] * units[1] * size].reshape(*units, size)
    blocks = table[..., :-2].reshape(*units, down, across).swapaxes(1, 2)
    light = blocks.reshape(units[0] * down, units[1] * across)
    chroma = table[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.dstack([light, chroma])


def _rgb(ycc: NDArray[Any], page: Any) -> NDArray[np.uint8]:
    """RGB of Y, Cb and Cr, by the file's coefficients and its reference black and white."""
    red, green, blue = _numbers(_tag(page, COEFFICIENTS, (0.299, 0.587, 0.114)), 3)
    low = _numbers(_tag(page, REFERENCE, (0, 255, 128, 255, 128, 255)), 6)
    y = (ycc[..., 0] - low[0]) * 255 / (low[1] - low[0])
    b, r = (
        (ycc[..., 1 + i] - low[2 + 2 * i]) * 127 / (low[3 + 2 * i] - low[2 + 2 * i])
        for i in range(2)
    )
    reds, blues = y + r * (2 - 2 * red), y + b * (2 - 2 * blue)
    greens = (y - red * reds - blue * blues) / green
    return np.clip(np.dstack([reds, greens, blues]) + 0.5, 0, 255).astype(np.uint8)


def _numbers(value: Any, count: int) -> list[float]:
    """`count` numbers of a tag, whose rationals tifffile gives as twice as many."""
    flat = [float(one) for one in value]
    if len(flat) == 2 * count:
        return [a / b for a, b in zip(flat[::2], flat[1::2], strict=True)]
    return flat


def _tag(page: Any, code: int, otherwise: Any) -> Any:
    found = page.tags.get(code)
    return otherwise if found is None else found.value
