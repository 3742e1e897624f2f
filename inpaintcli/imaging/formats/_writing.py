"""What all writers share: the stored orientation, palettes, and the error for 16 bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import OutputError
from inpaintcli.imaging.picture import Origin, Palette, Picture, stored

DEFLATE_LEVEL = 4
"""Takes half the time of zlib's default, 6, for files that are a few per cent larger."""
ALPHA_WEIGHT = 4
"""Weight of a step of alpha against a step of colour when the nearest entry is looked up."""


def stored_samples(picture: Picture) -> NDArray[Any]:
    """Pixels and alpha in one array (h, w, 1 to 4), in the file's orientation."""
    channels = [picture.pixels]
    if picture.alpha is not None:
        channels.append(picture.alpha[:, :, None])
    together = channels[0] if len(channels) == 1 else np.concatenate(channels, axis=2)
    return np.ascontiguousarray(stored(together, picture.origin.orientation))


def refuse_depth(picture: Picture, kind: str) -> None:
    """Refuse 16 bits a channel.

    Raises:
        OutputError: the picture has them.
    """
    if picture.depth == 16:
        raise OutputError(
            f"{kind} cannot hold the 16 bits a channel of this picture.",
            hint="Write it as .png or .tif.",
        )


def resolution(origin: Origin) -> tuple[float, float] | None:
    """Dots per inch, horizontal and vertical; None where a format could not hold them."""
    dpi = origin.dpi
    return dpi if dpi and all(1 <= value <= 65535 for value in dpi) else None


def is_bilevel(picture: Picture) -> bool:
    """Whether the file had one bit per pixel, and the picture can still be written so."""
    return picture.origin.mode == "bilevel" and picture.alpha is None and picture.depth == 8


def bits(picture: Picture) -> NDArray[np.bool_]:
    """A bilevel picture's pixels (h, w), True for white, in the file's orientation."""
    return np.asarray(stored_samples(picture)[:, :, 0] >= 128, np.bool_)


def updated_palette(picture: Picture, max_entries: int = 256) -> Palette | None:
    """The picture's palette and indices after its pixels have changed; None if it has none.

    Unchanged pixels keep their index. The colours of changed ones, chosen by Pillow's quantizer, go
    into entries that no unchanged pixel uses, at most `max_entries` in all; every changed pixel
    takes the nearest entry.
    """
    palette = picture.origin.palette
    if palette is None or palette.indices.shape != picture.pixels.shape[:2]:
        return None
    old, new = _rgba(*palette.expanded()), _rgba(picture.pixels, picture.alpha)
    changed = np.any(old != new, axis=2)
    if not changed.any():
        return palette
    wanted, inverse = np.unique(new[changed], axis=0, return_inverse=True)
    kept = np.bincount(palette.indices[~changed], minlength=256) > 0
    entries, usable = _with_new_entries(palette, kept, new[changed], max_entries)
    indices = palette.indices.copy()
    indices[changed] = usable[_nearest(wanted, entries[usable])][inverse.reshape(-1)]
    alphas = entries[:, 3] if (entries[:, 3] < 255).any() or palette.alphas is not None else None
    return Palette(np.ascontiguousarray(entries[:, :3]), indices, alphas)


def _rgba(pixels: NDArray[Any], alpha: NDArray[Any] | None) -> NDArray[np.uint8]:
    full = np.full(pixels.shape[:2], 255, np.uint8) if alpha is None else alpha
    rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return np.dstack([rgb, full]).astype(np.uint8, copy=False)


def _with_new_entries(
    palette: Palette, kept: NDArray[np.bool_], colours: NDArray[np.uint8], max_entries: int
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Entries uint8 (n, 4) with `colours` (k, 4) in the free ones; indices of the usable ones."""
    size = len(palette.colours)
    entries = np.zeros((max(size, max_entries), 4), np.uint8)
    entries[:, 3] = 255
    entries[:size, :3] = palette.colours
    if palette.alphas is not None:
        entries[:size, 3] = palette.alphas
    free = np.flatnonzero(~kept[: len(entries)])
    fresh = _quantized(colours[colours[:, 3] >= 128, :3], len(free))
    # Colours that the palette has already need no new entry.
    known = {tuple(entry) for entry in entries[np.flatnonzero(kept[:size])].tolist()}
    fresh = [colour for colour in fresh if (*colour, 255) not in known]
    # Append before replacing unused entries, which may have a meaning for others.
    free = np.concatenate([free[free >= size], free[free < size]])[: len(fresh)]
    entries[free, :3] = np.asarray(fresh, np.uint8).reshape(-1, 3)
    entries[free, 3] = 255
    last = max(size, int(free.max()) + 1 if len(free) else 0)
    usable = np.union1d(np.arange(size), free)
    return entries[:last], usable[usable < last]


def _quantized(colours: NDArray[np.uint8], count: int) -> list[tuple[int, ...]]:
    from PIL import Image

    if not len(colours) or not count:
        return []
    different = np.unique(colours, axis=0)
    if len(different) <= count:
        return [tuple(colour) for colour in different.tolist()]
    image = Image.fromarray(np.ascontiguousarray(colours)[None])
    flat = image.quantize(count, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    values = (flat.getpalette() or [])[: 3 * count]
    return [tuple(values[i : i + 3]) for i in range(0, len(values), 3)]


def _nearest(wanted: NDArray[np.uint8], entries: NDArray[np.uint8]) -> NDArray[np.intp]:
    """For each of `wanted` (k, 4), the index of the nearest of `entries` (n, 4)."""
    weight = np.array([1, 1, 1, ALPHA_WEIGHT], np.int32)
    targets = entries.astype(np.int32) * weight
    found = np.empty(len(wanted), np.intp)
    for first in range(0, len(wanted), 4096):  # bounds the table of distances to some megabytes
        part = wanted[first : first + 4096].astype(np.int32) * weight
        distances = ((part[:, None, :] - targets[None]) ** 2).sum(axis=2)
        found[first : first + 4096] = distances.argmin(axis=1)
    return found
