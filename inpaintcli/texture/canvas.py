"""One level of the texture pass: the present picture, what every patch shows, matching and voting.

`texture` goes from level to level and says where the ideas come from; `patchmatch` has the kernels,
compiled by Numba, which whoever makes a Canvas has imported.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.texture.cues import Cues, contrast, features
from inpaintcli.texture.pyramid import PATCH, REACH, Bools, Floats, Level, source_patches

if TYPE_CHECKING:
    from inpaintcli.texture.patchmatch import Field, Scene

MOST_EXCESS = 4.0
"""More uses of a source than so many times the usual number, less one, count as so many."""
STRIPS = 8
"""Parts that a level's work is cut into; fixed, so that the result is the same on any machine."""


@dataclass(frozen=True, kw_only=True)
class SynthesisSettings:
    """How texture is synthesized. The defaults are measured: docs/log.md has the figures."""

    thickness: float = 30  # of the hole at the coarsest level, about; twice that on the next
    pattern: float = 0.75  # what patches begun coarsest may cost at most, of those led by the start
    pattern_side: int = 29  # pixels, of the squares in which this is decided
    rounds: tuple[int, ...] = (10, 6, 4)  # of matching and voting, coarsest level first; last stays
    lone_rounds: int = 3  # ... where there is one level only
    sweeps: int = 2  # of PatchMatch in a round
    spacing: int = 2  # of the patches over the hole, on the finest level of several; 1 to REACH
    low_pass: tuple[float, ...] = (4.0, 2.5, 1.5)  # sigmas of the blur before the first matches
    cues: Cues = field(default_factory=Cues)
    repeat: float = 0.18  # what is shown twice as often as usual: colours off by so many contrasts
    repeat_step: int = 4  # ... on levels whose pixels stand for so many of the photo's, or more
    shade: float = 0.08  # calm patches are shown lighter or darker by so many contrasts at most
    calm: float = 0.05  # deviation of a half calm patch, in contrasts
    fall: float = 1.3  # by which a patch's vote loses weight with each pixel from the rim
    spread: float = 0.2  # of the weights of a vote, see patchmatch.vote
    meld: float = 10.0  # pixels over which a step between patches is spread; 0 leaves it
    radius: int = 16  # of the random search, but where a coarse level is begun with
    least_sources: int = 300  # a level with fewer is not gone down to

    def __post_init__(self) -> None:
        if not 1 <= self.spacing <= REACH:  # a step further would leave the picture
            raise ValueError(f"patches {self.spacing} apart: 1 to {REACH} is possible")


class Canvas:
    """The working state of one level."""

    def __init__(
        self,
        level: Level,
        settings: SynthesisSettings,
        numbers: np.random.Generator,
        pool: ThreadPoolExecutor,
        kernels: ModuleType,
        spacing: int,
    ) -> None:
        self.shape: tuple[int, int] = level.hole.shape
        self._settings, self._numbers, self._pool = settings, numbers, pool
        self._kernels = kernels
        self._backwards = False  # the next sweep
        counts = level.step >= settings.repeat_step
        self._repeat = settings.repeat * contrast(level) if counts else 0.0
        usable = source_patches(level.source)
        self.scene, self._holes = self._set_up(level, usable, spacing)
        self.field = self._fresh_field(level, np.flatnonzero(usable))
        self._misfit = np.zeros(self._holes.size, np.float32)
        self._bounds = _bounds_of_shifts(level, settings)

    def picture(self, channels: int) -> Floats:
        """(h, w, channels), grey being one of three equal channels."""
        return self.scene.picture.reshape(*self.shape, 3)[..., :channels]

    def misfit(self) -> Floats:
        """Of each pixel of the hole, in raster order; see Texture."""
        return np.sqrt(self._misfit / (3 * PATCH * PATCH), dtype=np.float32)

    def begin(self) -> None:
        """First matches, on a level that is begun with.

        On low-passed pictures, less and less: the start says where which colour goes, not how it
        looks, and what was voted for first looks like it only in the large.
        """
        rgb = self.scene.picture.reshape(*self.shape, 3)
        for sigma in self._settings.low_pass:
            blurred = cv2.GaussianBlur(rgb, (0, 0), sigma)
            scene = self.scene._replace(picture=np.asarray(blurred, np.float32).ravel())
            self._match(scene, max(self.shape))
            self._vote()

    def go_on_from(self, coarser: Self) -> None:
        """First matches from the level before: the same sources, at twice the resolution."""
        columns, width = coarser.shape[1], self.shape[1]
        y, x = np.divmod(self.field.targets, width)
        above = np.clip(y // 2, REACH, coarser.shape[0] - 1 - REACH)
        left = np.clip(x // 2, REACH, columns - 1 - REACH)
        parents = coarser.scene.numbers[above * columns + left]
        source_y, source_x = np.divmod(coarser.field.sources[parents], columns)
        source_y = 2 * (source_y - above) + y
        source_x = 2 * (source_x - left) + x
        inside = (source_y >= 0) & (source_y < self.shape[0])
        inside &= (source_x >= 0) & (source_x < width) & (parents >= 0)
        places = np.where(inside, source_y * width + source_x, 0)
        good = inside & self.scene.usable[places]
        np.copyto(self.field.sources, places.astype(np.int32), where=good)
        np.copyto(self.field.costs, coarser.field.costs[parents])
        self.field.costs[~good] = 4 * coarser.field.costs.max()  # random ones: hardly a vote
        self._vote()

    def refine(self, rounds: int, *, everywhere: bool = False) -> None:
        """Match and vote by turns; search near what is found already, or everywhere."""
        for _ in range(rounds):
            self._match(self.scene, max(self.shape) if everywhere else self._settings.radius)
            self._vote()

    def adopt(self, other: Self, bar: float) -> None:
        """Show what another canvas of this level shows, where that costs at most `bar` of this."""
        mine, theirs = self._costs_around(), other._costs_around()
        better = theirs <= np.float32(bar) * mine
        np.copyto(self.field.sources, other.field.sources, where=better)
        np.copyto(self.field.costs, other.field.costs, where=better)
        self._vote()

    def steps(self, places: NDArray[np.int32]) -> tuple[Floats, Floats]:
        """(k, 3), (k, 3): steps of colour to the next pixel in a row and in a column, as shown."""
        steps = np.zeros((places.size, 2, 3), np.float32)
        work = partial(
            self._kernels.vote_steps,
            self.scene,
            self.field,
            places,
            spread=self._settings.spread,
            steps=steps.reshape(-1),
        )
        self.in_strips(places.size, work)
        return steps[:, 0], steps[:, 1]

    def in_strips(
        self, size: int, work: Callable[[tuple[int, int]], None], *, least: int = 512
    ) -> None:
        """Cut `size` things into strips, none of much fewer than `least`, and work in threads."""
        count = min(STRIPS, 1 + size // least)
        cuts = [size * n // count for n in range(count + 1)]
        for _ in self._pool.map(work, itertools.pairwise(cuts)):
            pass

    def _costs_around(self) -> Floats:
        """(m): mean costs of the patches around each one, but for a factor."""
        costs = np.zeros(self.shape, np.float32)
        costs.ravel()[self.field.targets] = self.field.costs
        side = self._settings.pattern_side
        around = cv2.blur(costs, (side, side), borderType=cv2.BORDER_CONSTANT)
        return np.asarray(around.ravel()[self.field.targets], np.float32)

    def _set_up(
        self, level: Level, usable: Bools, spacing: int
    ) -> tuple["Scene", NDArray[np.int32]]:
        height, width = self.shape
        targets = cv2.dilate(level.hole.astype(np.uint8), np.ones((PATCH, PATCH), np.uint8)) > 0
        targets[:REACH] = targets[height - REACH :] = False
        targets[:, :REACH] = targets[:, width - REACH :] = False
        targets &= _lattice(height, spacing)[:, None] & _lattice(width, spacing)
        numbers = np.full(height * width, -1, np.int32)
        numbers[targets.ravel()] = np.arange(np.count_nonzero(targets))
        scene = self._kernels.Scene(
            level.rgb.flatten(),
            features(level, self._settings.cues).ravel(),
            usable.ravel(),
            numbers,
            width,
            np.zeros(height * width, np.float32),
            spacing,
        )
        return scene, np.flatnonzero(level.hole).astype(np.int32)

    def _fresh_field(self, level: Level, places: NDArray[np.intp]) -> "Field":
        """Random sources; trust falls with the depth in the hole (Wexler 2007, section 3.2)."""
        targets = np.flatnonzero(self.scene.numbers >= 0).astype(np.int32)
        sources = places[self._numbers.integers(0, places.size, targets.size)].astype(np.int32)
        depth = cv2.distanceTransform(level.hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        trust = self._settings.fall ** -np.minimum(depth.ravel()[targets], 60)
        costs = np.ones(targets.size, np.float32)
        shifts = np.zeros(3 * targets.size, np.float32)
        field: Field = self._kernels.Field(
            targets, sources, costs, trust.astype(np.float32), shifts
        )
        return field

    def _match(self, scene: "Scene", radius: int) -> None:
        for sweep, seed in enumerate(self._numbers.integers(0, 2**62, self._settings.sweeps)):
            if self._repeat:
                self._count_uses()
            work = partial(
                self._kernels.match,
                scene,
                self.field,
                self.field.sources.copy(),
                fresh=sweep == 0,
                backwards=self._backwards,
                radius=radius,
                seed=int(seed),
            )
            self.in_strips(self.field.targets.size, work)
            self._backwards = not self._backwards

    def _count_uses(self) -> None:
        """Sources that are shown more often than others cost more, lest one thing appear in rows.

        After the occurrence map of Kaspar et al. 2015, "Self tuning texture optimization".
        """
        uses = np.bincount(self.field.sources, minlength=self.scene.overuse.size)
        around = uses.reshape(self.shape).astype(np.float32)
        for _ in range(2):  # a patch shows its surroundings, and so do those beside it
            around = np.asarray(cv2.blur(around, (PATCH, PATCH)), np.float32)
        usual = max(1.0, self.field.targets.size / np.count_nonzero(self.scene.usable))
        excess = np.clip(around / np.float32(usual) - 1, 0, MOST_EXCESS).ravel()
        self.scene.overuse[:] = excess * np.float32(3 * PATCH * PATCH * self._repeat**2)

    def _shift(self) -> None:
        """Calm patches are shown in the mean colour of the present picture, within bounds.

        Patches of a sky differ a little from each other, and where they meet it would be seen.
        After the bias of Darabi et al. 2012, "Image melding", which all patches have there.
        """
        means = _means(self.scene.picture.reshape(*self.shape, 3)).reshape(-1, 3)
        change = means[self.field.targets] - means[self.field.sources]
        bound = self._bounds[self.field.sources][:, None]
        self.field.shifts[:] = np.clip(change, -bound, bound).ravel()

    def _vote(self) -> None:
        self._shift()
        work = partial(
            self._kernels.vote,
            self.scene,
            self.field,
            self._holes,
            spread=self._settings.spread,
            misfit=self._misfit,
        )
        self.in_strips(self._holes.size, work)


def _bounds_of_shifts(level: Level, settings: SynthesisSettings) -> Floats:
    """(n): by how much the colours of a patch may be shifted: not at all where it has texture."""
    power = np.maximum(_means(np.square(level.rgb)) - np.square(_means(level.rgb)), 0).mean(2)
    usual = max(contrast(level), 1e-6)
    calm = 1 / (1 + np.square(power / (settings.calm * usual) ** 2))
    return np.asarray(settings.shade * usual * calm, np.float32).ravel()


def _means(rgb: Floats) -> Floats:
    """(h, w, 3): the mean colour of the patch around each pixel."""
    return np.asarray(cv2.blur(rgb, (PATCH, PATCH)), np.float32)


def _lattice(side: int, spacing: int) -> Bools:
    """(side) True where patches are centred: the first and the last that fit, some between."""
    places = np.arange(side)
    chosen = ((places - REACH) % spacing == 0) | (places == side - 1 - REACH)
    return np.asarray(chosen, np.bool_)
