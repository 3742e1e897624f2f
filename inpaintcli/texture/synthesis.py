"""Gives a blurred fill the texture of the photo around the hole: multi-scale patch synthesis.

A network that was trained briefly knows which colour goes where, but blurs. The known part of the
photo has the texture. From coarse to fine, each patch that overlaps the hole (target) is matched
with the known patch most like it (source); then each pixel of the hole becomes the mean of the
sources matched over it (Wexler, Shechtman, Irani 2007, "Space-time completion of video"). The
search is PatchMatch (Barnes et al. 2009); texture features keep flat patches from winning
everywhere (Newson et al. 2014, "Video inpainting of complex scenes").

Differences from these papers:

- The initial fill is a network's instead of noise. Its low-passed colours, and its edges where it
  has some, guide the matching on every level, with a weight that grows towards the finest.
- Synthesis begins where the hole is 42 to 85 pixels thick, on the second level at most in thinner
  holes, and one level coarser where a pattern of the photo then matches far better
  (`_CoarseToFine`).
- Of patches that match equally well the nearer one is taken, and none too often (Kaspar et al.
  2015, "Self tuning texture optimization").
- On the finest level target patches stand two pixels apart: a quarter of the work, and sharper, as
  fewer are averaged.
- Finally the seams between patches are removed (`screened_poisson`).

`benchmarks/texture.py` measures quality and time.

Pure functions over arrays; the same seed gives the same pixels for any number of threads. Time is
proportional to the hole, but for some preparation of the whole crop; peak memory is about 200 bytes
for each pixel of the crop. Masks are bool, True in the hole. Importing this module does not import
Numba; `synthesize` does (0.25 s), and compiles its kernels once on a machine.
"""

import importlib.util
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.lattice import Pattern
from inpaintcli.texture.lattice_phases import phase_features
from inpaintcli.texture.level_solver import LevelSolver, SynthesisSettings
from inpaintcli.texture.line_artifacts import remove_line_artifacts
from inpaintcli.texture.pyramid import (
    PATCH_SIDE,
    Bools,
    Floats,
    Level,
    build_pyramid,
    source_patches,
)

if TYPE_CHECKING:
    from inpaintcli.kernels.numba_kernels import Call

MIN_SOURCES = 2000
"""With fewer source patches, repetition disturbs more than blur does."""
LINE_ARTIFACT_SPACING = 2
"""Target patches so many pixels apart may leave line artifacts."""
Progress = Callable[[float], None]
"""Takes the share of some work that is done, 0 to 1; what it raises ends the work."""


def ignore_progress(share: float) -> None:
    """For callers that report no progress."""


class TooFewPatchesError(ValueError):
    """The known part of the picture has too few whole patches to copy texture from."""

    def __init__(self, sources: int) -> None:
        super().__init__(
            f"The photo around the hole has {sources} whole patches of "
            f"{PATCH_SIDE}x{PATCH_SIDE} pixels to take texture from; {MIN_SOURCES} are needed."
        )
        self.sources = sources


@dataclass(frozen=True, eq=False)
class Texture:
    """A hole filled with texture.

    pixels: (h, w, channels) float32 in the input's units; known pixels as they were.
    misfit: (h, w) float32 in the input's units: root mean squared difference, features included,
        between the target and source patches over a pixel; 0 outside the hole.
    sources: number of source patches there were to choose from.
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
    """Whether the kernels are compiled already; else that takes some seconds."""
    from inpaintcli.kernels import numba_kernels

    return numba_kernels.are_compiled(_warm_up_calls())


def prepare() -> None:
    """Compile the kernels now, or load them, rather than in the first `synthesize`."""
    from inpaintcli.kernels import numba_kernels

    numba_kernels.compile_all(_warm_up_calls())


def why_not_kept() -> str:
    """Why the compiled kernels are not kept for the next run; empty where they are."""
    from inpaintcli.kernels import numba_kernels

    return numba_kernels.why_not_kept(_warm_up_calls())


def _warm_up_calls() -> list["Call"]:
    from inpaintcli.texture import lattice_kernels, patchmatch, screened_poisson

    modules = (patchmatch, screened_poisson, lattice_kernels)
    return [call for module in modules for call in module.warm_up_calls()]


def context_for(thickness: float) -> int:
    """Pixels of photo to give `synthesize` on every side of a hole of this thickness (pixels).

    On ten photos a context of 0.25, 0.5 and 1 times the thickness, and all of the photo, gave a
    misfit of 11.2, 11.0, 10.2 and 9.6 of 255, at the same PSNR and much the same time.
    """
    return math.ceil(min(max(128.0, 1.25 * thickness), 320.0))


def synthesize(  # noqa: PLR0913 - only the first three are needed
    pixels: NDArray[Any],
    initial: NDArray[Any],
    hole: Bools,
    *,
    source: Bools | None = None,
    seed: int = 0,
    threads: int = 2,
    settings: SynthesisSettings | None = None,
    patterns: Sequence[Pattern] = (),
    progress: Progress = ignore_progress,
) -> Texture:
    """Fill a hole with texture from the known part of the picture.

    The result has only colours between those of known pixels: patches are averaged, and the colours
    are clipped to that range after seams and line artifacts are removed.

    Args:
        pixels: (h, w, 1 or 3) of any numeric type and range; the content of the hole is ignored.
        initial: the initial fill: same shape and range, blurred; its known part is ignored.
        hole: (h, w) bool, True = fill.
        source: (h, w) bool, True where texture may be copied from; None for all known pixels. A
            pixel that is neither hole nor source is matched with but never copied.
        seed: of the random search.
        threads: to work with; the result does not depend on it.
        settings: None for the defaults.
        patterns: of the picture, from `find_patterns`: patches keep to their phases.
        progress: called with the share that is done, 0 to 1; what it raises ends the synthesis.

    Raises:
        ValueError: the shapes do not fit together.
        TooFewPatchesError: fewer than MIN_SOURCES source patches.
        ImportError: Numba is not installed.
    """
    _check(pixels, initial, hole, source)
    settings = settings or SynthesisSettings()
    source = ~hole if source is None else source & ~hole
    usable = source_patches(source)
    sources = int(np.count_nonzero(usable))
    if sources < MIN_SOURCES:
        raise TooFewPatchesError(sources)
    picture = pixels.astype(np.float32)
    np.copyto(picture, initial, where=hole[..., None], casting="unsafe")
    misfit = np.zeros(hole.shape, np.float32)
    if hole.any():
        levels = build_pyramid(
            picture,
            hole,
            source,
            coarsest_thickness=settings.coarsest_thickness,
            min_sources=settings.min_sources,
        )
        with ThreadPoolExecutor(max(1, threads)) as pool:
            steps = _CoarseToFine(levels, settings, patterns, seed, pool, progress)
            picture, misfit[hole] = _solved(picture, hole, steps)
        _clip_to_source_colours(picture, hole, usable)
    return Texture(picture, misfit, sources)


def _solved(picture: Floats, hole: Bools, steps: "_CoarseToFine") -> tuple[Floats, Floats]:
    """The picture with a hole of texture, colours not clipped; the misfit of the hole's pixels."""
    solver = steps.solved()
    if steps.settings.seam_reach:
        from inpaintcli.texture import screened_poisson

        screened_poisson.remove_seams(solver, hole, steps.settings.seam_reach)
    np.copyto(picture, solver.picture(picture.shape[2]), where=hole[..., None])
    if len(steps.levels) > 1 and steps.settings.spacing == LINE_ARTIFACT_SPACING:
        picture = remove_line_artifacts(picture, hole)
    return picture, solver.misfit()


def _clip_to_source_colours(picture: Floats, hole: Bools, usable: Bools) -> None:
    """Clip the hole, in place and by channel, to the range of colours of the source patches."""
    kernel = np.ones((PATCH_SIDE, PATCH_SIDE), np.uint8)
    in_sources = cv2.dilate(usable.astype(np.uint8), kernel)
    for channel in range(picture.shape[2]):
        plane = np.ascontiguousarray(picture[..., channel])
        lowest, highest, _, _ = cv2.minMaxLoc(plane, in_sources)
        np.copyto(picture[..., channel], np.clip(plane, lowest, highest), where=hole)


def _check(pixels: NDArray[Any], initial: NDArray[Any], hole: Bools, source: Bools | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] not in {1, 3}:
        raise ValueError(f"pixels are {pixels.shape}, not (h, w, 1 or 3)")
    if initial.shape != pixels.shape:
        raise ValueError(f"the initial fill is {initial.shape} but the pixels are {pixels.shape}")
    for name, mask in (("hole", hole), ("source", source)):
        if mask is not None and (mask.shape != pixels.shape[:2] or mask.dtype != np.bool_):
            raise ValueError(f"{name} is {mask.dtype} {mask.shape}, not bool {pixels.shape[:2]}")


@dataclass(frozen=True)
class _CoarseToFine:
    """From coarse to fine; each level takes its first matches from the one before.

    Levels are numbered from the coarsest.
    """

    levels: list[Level]
    settings: SynthesisSettings
    patterns: Sequence[Pattern]
    seed: int
    pool: ThreadPoolExecutor
    progress: Progress

    def solved(self) -> LevelSolver:
        """The finest level, solved.

        Synthesis can begin on two levels. On the coarsest one a patch covers so much of the photo
        that a pattern keeps its period, but the colours of the initial fill are followed less; on
        the next finer one they are followed closely. With more than two levels the latter is used,
        but where the matches from the coarsest one are far better.
        """
        solver = self._begun(0)
        for number in range(1, len(self.levels)):
            solver = self._continued(solver, number)
            if number == 1 and len(self.levels) > 2:
                later = self._begun(1)
                later.adopt(solver, self.settings.coarse_start_ratio)
                solver = later
        return solver

    def _begun(self, number: int) -> LevelSolver:
        """A level that is begun with; with fewer iterations where it is the only one."""
        solver = self._solver(number)
        solver.begin()
        if not self._is_finest(number):
            iterations = self.settings.iterations[0]
            solver.iterate(iterations, partial(self._report, number), everywhere=True)
        else:
            solver.iterate(self.settings.single_level_iterations, partial(self._report, number))
        return solver

    def _continued(self, coarser: LevelSolver, number: int) -> LevelSolver:
        """A level after the next coarser one; the finest costs most and gains least."""
        solver = self._solver(number)
        solver.begin_from(coarser)
        last = self.settings.iterations[-1]
        iterations = last if self._is_finest(number) else self._iterations(number)
        solver.iterate(iterations, partial(self._report, number))
        return solver

    def _report(self, number: int, share: float) -> None:
        """Report the progress within a level; finer ones take longer."""
        self.progress(((number + share) / len(self.levels)) ** 2)

    def _iterations(self, number: int) -> int:
        iterations = self.settings.iterations
        return iterations[min(number, len(iterations) - 1)]

    def _is_finest(self, number: int) -> bool:
        return number == len(self.levels) - 1

    def _solver(self, number: int) -> LevelSolver:
        from inpaintcli.texture import patchmatch

        spacing = self.settings.spacing if number and self._is_finest(number) else 1
        rng = np.random.default_rng((self.seed, number))
        level = self.levels[-1 - number]
        phases = phase_features(self.patterns, level, self.settings.weights.phases)
        return LevelSolver(level, self.settings, rng, self.pool, patchmatch, spacing, phases)
