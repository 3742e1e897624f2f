"""What all readers share: the size limit, and one kind of error for damaged files."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli.errors import InpaintError, UnreadableError
from inpaintcli.imaging.picture import Palette

MAX_PIXELS = 500_000_000
"""More than cameras and stitching give; a forged header cannot ask for more memory than that."""


class DamagedError(ValueError):
    """Why a file cannot be read, in words for the user."""


@contextmanager
def decoding(name: str, kind: str) -> Iterator[None]:
    """Turn every exception of a decoder into `UnreadableError`, and ignore its warnings.

    Raises:
        UnreadableError: a library raised any exception, as it may on damaged data.
    """
    # By module and permanently: `catch_warnings` is not safe with threads.
    warnings.filterwarnings("ignore", module=r"PIL\.|tifffile")
    try:
        yield
    except InpaintError:
        raise
    except MemoryError as fault:
        raise UnreadableError(
            f"{name} is too large for the memory of this machine.", hint="Scale it down first."
        ) from fault
    except Exception as fault:
        # What libraries say speaks of their own code.
        reason = f" ({fault})" if isinstance(fault, DamagedError) else ""
        raise UnreadableError(
            f"{name} is a damaged or incomplete {kind} file{reason}.",
            hint="Copy or export it again.",
        ) from fault


def check_size(width: int, height: int, name: str) -> None:
    """Refuse impossible sizes, before anything is decoded.

    Raises:
        UnreadableError: more than `MAX_PIXELS` pixels, or none.
    """
    if width < 1 or height < 1:
        raise UnreadableError(f"{name} is {width}x{height} by its header.", hint="It is damaged.")
    if width * height > MAX_PIXELS:
        raise UnreadableError(
            f"{name} is {width}x{height}, more than {MAX_PIXELS // 10**6} megapixels.",
            hint="Split it or scale it down first.",
        )


def unsupported_mode(name: str, what: str) -> UnreadableError:
    """The error for colours that would not survive a conversion to RGB and back."""
    return UnreadableError(
        f"{name} is {what}, which is not supported.", hint="Convert it to RGB first."
    )


def several_pictures(name: str, what: str) -> UnreadableError:
    """The error for files of several pictures."""
    return UnreadableError(f"{name} is {what}.", hint="Save the one picture to fill by itself.")


def split_alpha(samples: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Samples (h, w) or (h, w, 1 to 4) as pixels (h, w, 1 or 3) and alpha (h, w) or None."""
    if samples.ndim == 2:
        samples = samples[:, :, None]
    channels = samples.shape[2]
    if channels in (1, 3):
        return np.ascontiguousarray(samples), None
    pixels = np.ascontiguousarray(samples[:, :, : channels - 1])
    return pixels, np.ascontiguousarray(samples[:, :, -1])


def padded_palette(
    colours: NDArray[np.uint8], indices: NDArray[np.uint8], alphas: NDArray[np.uint8] | None
) -> Palette:
    """A palette with a colour for every index: those beyond its end are opaque black."""
    size = max(len(colours), int(indices.max()) + 1)
    padded = np.zeros((size, 3), np.uint8)
    padded[: len(colours)] = colours
    if alphas is not None:
        opaque = np.full(size, 255, np.uint8)
        opaque[: len(alphas)] = alphas[:size]
        alphas = opaque
    return Palette(padded, indices, alphas)
