"""Gives a smooth fill the texture of the photo around the hole: multi-scale patch synthesis.

A network that was trained briefly knows which colour goes where, but blurs. The known part of the
photo has the texture. From coarse to fine, each patch that overlaps the hole looks for the known
patch most like it, then each pixel of the hole becomes the mean of what the patches over it show
(Wexler, Shechtman, Irani 2007, "Space-time completion of video"); the search is PatchMatch (Barnes
et al. 2009); texture features keep flat patches from winning everywhere (Newson et al. 2014, "Video
inpainting of complex scenes"). What is ours: the start is a network's fill instead of noise, and
its low-passed colours, and its edges where it has some, stay a soft guide on every level, the
firmer the finer. In holes of up to 85 pixels' thickness patches begin at half the size; in thicker
ones where the hole is 42 to 85 pixels thick, or one level coarser where a pattern of the photo then
fits far better (`_CoarseToFine`). At last the seams between patches are taken out (`melding`). Of
patches that fit alike the nearer one is taken, and none too often (Kaspar et al. 2015, "Self tuning
texture optimization"). On the finest level patches stand two pixels apart: a quarter of the work,
and sharper, as fewer are averaged. `benchmarks/texture.py` measures it.

Pure functions over arrays; the same seed gives the same pixels for any number of threads. Cost
follows the hole, but for a little preparation of the whole crop; peak memory is about 200 bytes for
each pixel of the crop. Masks are bool, True in the hole. Importing this module does not import
Numba; `synthesize` does (0.25 s), and compiles its kernels once on a machine.
"""

import importlib.util
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.canvas import Canvas, SynthesisSettings
from inpaintcli.texture.pyramid import PATCH, Bools, Floats, Level, pyramid, source_patches
from inpaintcli.texture.ripples import unruled

LEAST_SOURCES = 2000
"""With fewer patches to choose from, repetition shows more than blur does."""
RULED = 2
"""Patches so many pixels apart may leave ruled lines."""


class TooFewPatchesError(ValueError):
    """The known part of the picture has too few whole patches to take texture from."""

    def __init__(self, sources: int) -> None:
        super().__init__(
            f"The photo around the hole has {sources} whole patches of {PATCH}x{PATCH} pixels "
            f"to take texture from; {LEAST_SOURCES} are needed."
        )
        self.sources = sources


@dataclass(frozen=True, eq=False)
class Texture:
    """A hole filled with texture.

    pixels: (h, w, channels) float32 in the input's units; known pixels as they were.
    misfit: (h, w) float32 in the input's units: how badly the patches over a pixel fit (root of
        the mean squared difference of a sample, all cues included); 0 outside the hole.
    sources: number of whole patches there were to choose from.
    """

    pixels: Floats
    misfit: Floats
    sources: int


def why_not() -> str | None:
    """Why texture cannot be synthesized on this machine; None where it can."""
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed"
    return None


def is_compiled() -> bool:
    """Whether the kernels need not be compiled first, which takes some seconds."""
    from inpaintcli.texture import compiled, melding, patchmatch

    return compiled.are_compiled([*patchmatch.calls(), *melding.calls()])


def prepare() -> None:
    """Compile the kernels now, or load them, rather than in the first `synthesize`."""
    from inpaintcli.texture import compiled, melding, patchmatch

    compiled.compile_all([*patchmatch.calls(), *melding.calls()])


def context_for(thickness: float) -> int:
    """Pixels of photo to give `synthesize` on every side of a hole so thick.

    On ten photos 0.25 / 0.5 / 1 times the thickness / all there was fitted with a misfit of 11.2 /
    11.0 / 10.2 / 9.6 of 255, at the same PSNR and much the same time.
    """
    return math.ceil(min(max(128.0, 1.25 * thickness), 320.0))


def synthesize(
    pixels: NDArray[Any],
    start: NDArray[Any],
    hole: Bools,
    *,
    source: Bools | None = None,
    seed: int = 0,
    threads: int = 2,
    settings: SynthesisSettings | None = None,
) -> Texture:
    """Fill a hole with texture from the known part of the picture.

    The result has only colours between those of known pixels: patches are averaged, not painted,
    and what takes out seams and ruled lines is kept to that range.

    Args:
        pixels: (h, w, 1 or 3) of any numeric type and range; what is in the hole is not looked at.
        start: the same shape and range: a smooth fill; its known part is not looked at.
        hole: (h, w) bool, True = fill.
        source: (h, w) bool, True where texture may be taken from; None for all known pixels. A
            pixel that is neither hole nor source is matched with but never copied.
        seed: of the random search.
        threads: to work with; the result does not depend on it.
        settings: None for the measured ones.

    Raises:
        ValueError: the shapes do not fit together.
        TooFewPatchesError: fewer than LEAST_SOURCES whole patches to choose from.
        ImportError: Numba is not installed.
    """
    _check(pixels, start, hole, source)
    settings = settings or SynthesisSettings()
    source = ~hole if source is None else source & ~hole
    usable = source_patches(source)
    sources = int(np.count_nonzero(usable))
    if sources < LEAST_SOURCES:
        raise TooFewPatchesError(sources)
    picture = pixels.astype(np.float32)
    np.copyto(picture, start, where=hole[..., None], casting="unsafe")
    misfit = np.zeros(hole.shape, np.float32)
    if hole.any():
        levels = pyramid(
            picture, hole, source, thickness=settings.thickness, sources=settings.least_sources
        )
        with ThreadPoolExecutor(max(1, threads)) as pool:
            canvas = _CoarseToFine(levels, settings, seed, pool).solved()
            if settings.meld:
                from inpaintcli.texture import melding

                melding.meld(canvas, hole, settings.meld)
        answer = canvas.picture(pixels.shape[2])
        np.copyto(picture, answer, where=hole[..., None])
        if len(levels) > 1 and settings.spacing == RULED:
            picture = unruled(picture, hole)
        _keep_to_colours(picture, hole, usable)
        misfit[hole] = canvas.misfit()
    return Texture(picture, misfit, sources)


def _keep_to_colours(picture: Floats, hole: Bools, usable: Bools) -> None:
    """In the hole no colour beyond those that patches may show, in place."""
    shown = cv2.dilate(usable.astype(np.uint8), np.ones((PATCH, PATCH), np.uint8))
    for channel in range(picture.shape[2]):
        plane = np.ascontiguousarray(picture[..., channel])
        lowest, highest, _, _ = cv2.minMaxLoc(plane, shown)
        np.copyto(picture[..., channel], np.clip(plane, lowest, highest), where=hole)


def _check(pixels: NDArray[Any], start: NDArray[Any], hole: Bools, source: Bools | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] not in {1, 3}:
        raise ValueError(f"pixels are {pixels.shape}, not (h, w, 1 or 3)")
    if start.shape != pixels.shape:
        raise ValueError(f"the start is {start.shape} but the pixels are {pixels.shape}")
    for name, mask in (("hole", hole), ("source", source)):
        if mask is not None and (mask.shape != pixels.shape[:2] or mask.dtype != np.bool_):
            raise ValueError(f"{name} is {mask.dtype} {mask.shape}, not bool {pixels.shape[:2]}")


@dataclass(frozen=True)
class _CoarseToFine:
    """From coarse to fine; each level takes its first matches from the one before.

    Levels are counted from the coarsest.
    """

    levels: list[Level]
    settings: SynthesisSettings
    seed: int
    pool: ThreadPoolExecutor

    def solved(self) -> Canvas:
        """The finest level.

        There are two ways to begin. On the coarsest level patches see so much of the photo that a
        pattern finds its step, but they see past the start; on the next finer one they follow it.
        With more than two levels that is the better way, but where patches of the other fit far
        better.
        """
        canvas = self._begun(0)
        for number in range(1, len(self.levels)):
            canvas = self._gone_on(canvas, number)
            if number == 1 and len(self.levels) > 2:
                led = self._begun(1)
                led.adopt(canvas, self.settings.pattern)
                canvas = led
        return canvas

    def _begun(self, number: int) -> Canvas:
        """Where the finest level is the only one it is refined less: it costs most."""
        canvas = self._canvas(number)
        canvas.begin()
        if not self._is_finest(number):
            canvas.refine(self.settings.rounds[0], everywhere=True)
        else:
            canvas.refine(self.settings.lone_rounds)
        return canvas

    def _gone_on(self, coarser: Canvas, number: int) -> Canvas:
        """The finest level costs most and gains least."""
        canvas = self._canvas(number)
        canvas.go_on_from(coarser)
        last = self.settings.rounds[-1]
        canvas.refine(last if self._is_finest(number) else self._rounds(number))
        return canvas

    def _rounds(self, number: int) -> int:
        rounds = self.settings.rounds
        return rounds[min(number, len(rounds) - 1)]

    def _is_finest(self, number: int) -> bool:
        return number == len(self.levels) - 1

    def _canvas(self, number: int) -> Canvas:
        from inpaintcli.texture import patchmatch

        spacing = self.settings.spacing if number and self._is_finest(number) else 1
        numbers = np.random.default_rng((self.seed, number))
        level = self.levels[-1 - number]
        return Canvas(level, self.settings, numbers, self.pool, patchmatch, spacing)
