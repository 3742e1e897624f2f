"""One level of patch synthesis: its picture, its nearest-neighbour field, and how both improve.

A `LevelSolver` matches (PatchMatch finds each target patch's nearest source patch) and votes (each
pixel of the hole becomes the mean of the source patches that are matched over it) by turns.
`synthesis` goes from level to level and documents the method; `patchmatch` has the kernels.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.level_arrays import (
    LevelArrays,
    NearestNeighbourField,
    padded,
    unpadded,
)
from inpaintcli.texture.patch_features import FeatureWeights, contrast, patch_features
from inpaintcli.texture.pyramid import (
    PATCH_RADIUS,
    PATCH_SIDE,
    Bools,
    Floats,
    Level,
    source_patches,
)

MAX_EXCESS = 4.0
"""Upper bound of a source's excess use: uses over the usual number, less one."""
NO_PHASES = np.zeros(0, np.float32)
"""Of a picture without patterns."""
STRIPS = 8
"""Parts that a level's work is cut into; fixed, so that the result is the same on any machine."""


@dataclass(frozen=True, kw_only=True)
class SynthesisSettings:
    """Settings of patch synthesis. The defaults are measured values.

    coarsest_thickness: approximate thickness of the hole on the coarsest level, in its pixels.
    coarse_start_ratio: with more than two levels, matches that come from the coarsest level are
        kept where they cost at most this share of those that begin one level finer.
    coarse_start_window: side in pixels of the squares over which these costs are compared.
    iterations: of matching and voting, coarsest level first; the last value is the finest level's.
    single_level_iterations: of matching and voting where there is only one level.
    sweeps: of PatchMatch in an iteration.
    spacing: pixels between target patches on the finest of several levels, 1 to PATCH_RADIUS.
    low_pass_sigmas: of the blurs before the first matches of a level that synthesis begins with.
    weights: of the features that patches are compared by besides their colours.
    repeat_penalty: cost of a source used twice as often as usual, as a colour difference in
        standard deviations of the photo.
    repeat_min_downscale: levels of at least this downscale count uses.
    max_bias: most that a smooth patch's colour is shifted by, in standard deviations of the photo.
    smooth_deviation: standard deviation of a patch, in those of the photo, at which it counts as
        half smooth.
    confidence_decay: factor that a patch's vote loses with each pixel of depth in the hole.
    vote_sigma: spread of the votes' weights, see `patchmatch.vote`.
    seam_reach: pixels over which a step between patches is spread; 0 leaves seams as they are.
    search_radius: pixels, of the random search on levels that begin with given matches.
    min_sources: a level with fewer whole source patches is not used.
    """

    coarsest_thickness: float = 30
    coarse_start_ratio: float = 0.75
    coarse_start_window: int = 29
    iterations: tuple[int, ...] = (10, 6, 4)
    single_level_iterations: int = 3
    sweeps: int = 2
    spacing: int = 2
    low_pass_sigmas: tuple[float, ...] = (4.0, 2.5, 1.5)
    weights: FeatureWeights = field(default_factory=FeatureWeights)
    repeat_penalty: float = 0.18
    repeat_min_downscale: int = 4
    max_bias: float = 0.08
    smooth_deviation: float = 0.05
    confidence_decay: float = 1.3
    vote_sigma: float = 0.2
    seam_reach: float = 10.0
    search_radius: int = 16
    min_sources: int = 300

    def __post_init__(self) -> None:
        if not 1 <= self.spacing <= PATCH_RADIUS:  # larger steps would leave the picture
            raise ValueError(f"patches {self.spacing} apart: 1 to {PATCH_RADIUS} is possible")


class LevelSolver:
    """The working state of one level, changed in place by its methods.

    shape: (h, w) of the level. arrays: its picture and features, flat. field: the nearest-neighbour
    field from target patches (those that overlap the hole) to source patches (those wholly known).
    """

    def __init__(
        self,
        level: Level,
        settings: SynthesisSettings,
        rng: np.random.Generator,
        pool: ThreadPoolExecutor,
        kernels: ModuleType,
        spacing: int,
        phases: Floats = NO_PHASES,
    ) -> None:
        """Start from random matches.

        Args:
            level: of the pyramid, the initial fill in its hole.
            settings: of the synthesis.
            rng: for the random matches and the random search.
            pool: threads to work in.
            kernels: the module `patchmatch`, which only the caller imports as it imports Numba.
            spacing: pixels from one target patch to the next.
            phases: flat, from `lattice_phases`; empty without a pattern.
        """
        self.shape: tuple[int, int] = level.hole.shape
        self._settings, self._rng, self._pool = settings, rng, pool
        self._kernels = kernels
        self._backwards = False  # direction of the next sweep
        penalized = level.downscale >= settings.repeat_min_downscale
        self._repeat_penalty = settings.repeat_penalty * contrast(level) if penalized else 0.0
        usable = source_patches(level.source)
        self.arrays, self._hole_positions = self._flat_arrays(level, usable, spacing, phases)
        self.field = self._random_field(level, np.flatnonzero(usable))
        self._misfit = np.zeros(self._hole_positions.size, np.float32)
        self._max_bias = _max_bias(level, settings)

    def picture(self, channels: int) -> Floats:
        """The current picture (h, w, channels); for a grey one, any of its three equal channels."""
        return self._rgb()[..., :channels]

    def misfit(self) -> Floats:
        """(k): misfit of each pixel of the hole, in raster order; see `synthesis.Texture`."""
        return np.sqrt(self._misfit / (3 * PATCH_SIDE * PATCH_SIDE), dtype=np.float32)

    def begin(self) -> None:
        """First matches, on the level that synthesis begins with.

        On low-passed pictures, with less blur each time: the initial fill says where which colour
        goes, but not what it looks like in detail, and the first votes resemble it only coarsely.
        """
        rgb = self._rgb()
        for sigma in self._settings.low_pass_sigmas:
            blurred = cv2.GaussianBlur(rgb, (0, 0), sigma)
            arrays = self.arrays._replace(picture=padded(np.asarray(blurred, np.float32)))
            self._match(arrays, max(self.shape))
            self._vote()

    def begin_from(self, coarser: Self) -> None:
        """First matches from the next coarser level: the same sources, at twice the resolution."""
        columns, width = coarser.shape[1], self.shape[1]
        y, x = np.divmod(self.field.targets, width)
        coarse_y = np.clip(y // 2, PATCH_RADIUS, coarser.shape[0] - 1 - PATCH_RADIUS)
        coarse_x = np.clip(x // 2, PATCH_RADIUS, columns - 1 - PATCH_RADIUS)
        parents = coarser.arrays.target_index[coarse_y * columns + coarse_x]
        source_y, source_x = np.divmod(coarser.field.sources[parents], columns)
        source_y = 2 * (source_y - coarse_y) + y
        source_x = 2 * (source_x - coarse_x) + x
        inside = (source_y >= 0) & (source_y < self.shape[0])
        inside &= (source_x >= 0) & (source_x < width) & (parents >= 0)
        positions = np.where(inside, source_y * width + source_x, 0)
        valid = inside & self.arrays.usable[positions]
        np.copyto(self.field.sources, positions.astype(np.int32), where=valid)
        np.copyto(self.field.costs, coarser.field.costs[parents])
        # The others keep random sources, with next to no vote.
        self.field.costs[~valid] = 4 * coarser.field.costs.max()
        self._vote()

    def iterate(
        self, count: int, after: Callable[[float], None], *, everywhere: bool = False
    ) -> None:
        """Match and vote by turns; search near the present sources, or everywhere.

        `after` is called after each iteration, with the share of them that is done.
        """
        radius = max(self.shape) if everywhere else self._settings.search_radius
        for done in range(1, count + 1):
            self._match(self.arrays, radius)
            self._vote()
            after(done / count)

    def adopt(self, other: Self, ratio: float) -> None:
        """Take over another solver's matches where they cost at most `ratio` times the own."""
        own_costs, other_costs = self._mean_costs(), other._mean_costs()
        better = other_costs <= np.float32(ratio) * own_costs
        np.copyto(self.field.sources, other.field.sources, where=better)
        np.copyto(self.field.costs, other.field.costs, where=better)
        self._vote()

    def gradients(self, positions: NDArray[np.int32]) -> tuple[Floats, Floats]:
        """(k, 3), (k, 3): votes for the differences to the next pixel in the row and the column."""
        gradients = np.zeros((positions.size, 2, 3), np.float32)
        work = partial(
            self._kernels.vote_gradients,
            self.arrays,
            self.field,
            positions,
            sigma=self._settings.vote_sigma,
            gradients=gradients.reshape(-1),
        )
        self.in_strips(positions.size, work)
        return gradients[:, 0], gradients[:, 1]

    def in_strips(
        self, size: int, work: Callable[[tuple[int, int]], None], *, min_strip: int = 512
    ) -> None:
        """Cut `size` items into strips, none of much fewer than `min_strip`; work in threads."""
        count = min(STRIPS, 1 + size // min_strip)
        cuts = [size * n // count for n in range(count + 1)]
        for _ in self._pool.map(work, itertools.pairwise(cuts)):
            pass

    def _rgb(self) -> Floats:
        """(h, w, 3): the current picture, a view."""
        return unpadded(self.arrays.picture, self.shape)

    def _mean_costs(self) -> Floats:
        """(m): mean costs of the patches around each target, but for a constant factor."""
        costs = np.zeros(self.shape, np.float32)
        costs.ravel()[self.field.targets] = self.field.costs
        side = self._settings.coarse_start_window
        means = cv2.blur(costs, (side, side), borderType=cv2.BORDER_CONSTANT)
        return np.asarray(means.ravel()[self.field.targets], np.float32)

    def _flat_arrays(
        self, level: Level, usable: Bools, spacing: int, phases: Floats
    ) -> tuple[LevelArrays, NDArray[np.int32]]:
        """The kernels' arrays, and the positions of the hole's pixels."""
        height, width = self.shape
        kernel = np.ones((PATCH_SIDE, PATCH_SIDE), np.uint8)
        targets = cv2.dilate(level.hole.astype(np.uint8), kernel) > 0
        targets[:PATCH_RADIUS] = targets[height - PATCH_RADIUS :] = False
        targets[:, :PATCH_RADIUS] = targets[:, width - PATCH_RADIUS :] = False
        targets &= _grid(height, spacing)[:, None] & _grid(width, spacing)
        target_index = np.full(height * width, -1, np.int32)
        target_index[targets.ravel()] = np.arange(np.count_nonzero(targets))
        arrays = LevelArrays(
            padded(level.rgb),
            patch_features(level, self._settings.weights).ravel(),
            usable.ravel(),
            target_index,
            width,
            np.zeros(height * width, np.float32),
            spacing,
            phases,
        )
        return arrays, np.flatnonzero(level.hole).astype(np.int32)

    def _random_field(self, level: Level, positions: NDArray[np.intp]) -> NearestNeighbourField:
        """Random sources; confidence falls with depth in the hole (Wexler 2007, section 3.2)."""
        targets = np.flatnonzero(self.arrays.target_index >= 0).astype(np.int32)
        drawn = self._rng.integers(0, positions.size, targets.size)
        sources = positions[drawn].astype(np.int32)
        depth = cv2.distanceTransform(level.hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        capped = np.minimum(depth.ravel()[targets], 60)
        confidence = self._settings.confidence_decay**-capped
        costs = np.ones(targets.size, np.float32)
        bias = np.zeros(3 * targets.size, np.float32)
        return NearestNeighbourField(targets, sources, costs, confidence.astype(np.float32), bias)

    def _match(self, arrays: LevelArrays, radius: int) -> None:
        """Sweeps of PatchMatch over all targets, forwards and backwards by turns."""
        for sweep, seed in enumerate(self._rng.integers(0, 2**62, self._settings.sweeps)):
            if self._repeat_penalty:
                self._penalize_repetition()
            work = partial(
                self._kernels.match,
                arrays,
                self.field,
                self.field.sources.copy(),
                remeasure=sweep == 0,
                backwards=self._backwards,
                radius=radius,
                seed=int(seed),
            )
            self.in_strips(self.field.targets.size, work)
            self._backwards = not self._backwards

    def _penalize_repetition(self) -> None:
        """Sources used more often than others cost more, against visible repetition.

        After the occurrence map of Kaspar et al. 2015, "Self tuning texture optimization".
        """
        counts = np.bincount(self.field.sources, minlength=self.arrays.repeat_costs.size)
        uses = counts.reshape(self.shape).astype(np.float32)
        for _ in range(2):  # a patch copies its surroundings, and so do its neighbours
            uses = np.asarray(cv2.blur(uses, (PATCH_SIDE, PATCH_SIDE)), np.float32)
        usual = max(1.0, self.field.targets.size / np.count_nonzero(self.arrays.usable))
        excess = np.clip(uses / np.float32(usual) - 1, 0, MAX_EXCESS).ravel()
        unit = np.float32(3 * PATCH_SIDE * PATCH_SIDE * self._repeat_penalty**2)
        self.arrays.repeat_costs[:] = excess * unit

    def _update_bias(self) -> None:
        """Smooth patches get the mean colour of the current picture, within bounds.

        Patches of a sky differ slightly in colour, which would show where they meet. After the bias
        of Darabi et al. 2012, "Image melding"; there all patches have one.
        """
        means = _patch_means(self._rgb()).reshape(-1, 3)
        change = means[self.field.targets] - means[self.field.sources]
        bound = self._max_bias[self.field.sources][:, None]
        self.field.bias[:] = np.clip(change, -bound, bound).ravel()

    def _vote(self) -> None:
        self._update_bias()
        work = partial(
            self._kernels.vote,
            self.arrays,
            self.field,
            self._hole_positions,
            sigma=self._settings.vote_sigma,
            misfit=self._misfit,
        )
        self.in_strips(self._hole_positions.size, work)


def _max_bias(level: Level, settings: SynthesisSettings) -> Floats:
    """(n): most that a patch's colours may be shifted by, in the picture's units.

    By the position of its centre; next to nothing where the patch has texture.
    """
    mean, mean_square = _patch_means(level.rgb), _patch_means(np.square(level.rgb))
    variance = np.maximum(mean_square - np.square(mean), 0).mean(2)
    deviation = max(contrast(level), 1e-6)
    smooth = 1 / (1 + np.square(variance / (settings.smooth_deviation * deviation) ** 2))
    return np.asarray(settings.max_bias * deviation * smooth, np.float32).ravel()


def _patch_means(rgb: Floats) -> Floats:
    """(h, w, 3): the mean colour of the patch around each pixel."""
    return np.asarray(cv2.blur(rgb, (PATCH_SIDE, PATCH_SIDE)), np.float32)


def _grid(side: int, spacing: int) -> Bools:
    """(side) True where patches are centred: every `spacing` pixels, and the last one that fits."""
    positions = np.arange(side)
    chosen = (positions - PATCH_RADIUS) % spacing == 0
    return np.asarray(chosen | (positions == side - 1 - PATCH_RADIUS), np.bool_)
