"""Gives a smooth fill the texture of the photo around the hole: multi-scale patch synthesis.

A network that was trained briefly knows which colour goes where, but blurs. The known part of the
photo has the texture. From coarse to fine, each patch that overlaps the hole looks for the known
patch most like it, then each pixel of the hole becomes the mean of what the patches over it show
(Wexler, Shechtman, Irani 2007, "Space-time completion of video"); the search is PatchMatch (Barnes
et al. 2009); texture features keep flat patches from winning everywhere (Newson et al. 2014, "Video
inpainting of complex scenes"). What is ours: the start is a network's fill instead of noise, and
its low-passed colours, and its edges where it has some, stay a soft guide on every level, the
firmer the finer. Patches begin on the level where the hole is 42 to 85 pixels thick, or one level
coarser where a pattern of the photo then fits far better (`_Descent`). Of patches that fit alike
the nearer one is taken, and none too often (Kaspar et al. 2015, "Self tuning texture
optimization"). On the finest level patches stand two pixels apart: a quarter of the work, and
sharper, as fewer are averaged. `benchmarks/texture.py` measures it.

Pure functions over arrays; the same seed gives the same pixels for any number of threads. Cost
follows the hole, but for a little preparation of the whole crop; peak memory is about 200 bytes for
each pixel of the crop. Masks are bool, True in the hole. Importing this module does not import
Numba; `synthesize` does (0.25 s), and compiles its kernels once on a machine.
"""

import importlib.util
import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaintcli.cues import Cues, contrast, features
from inpaintcli.pyramid import PATCH, REACH, Bools, Floats, Level, pyramid, source_patches

if TYPE_CHECKING:
    from inpaintcli.patchmatch import Field, Scene

LEAST_SOURCES = 2000
"""With fewer patches to choose from, repetition shows more than blur does."""
MOST_EXCESS = 4.0
"""More uses of a source than so many times the usual number, less one, count as so many."""
STRIPS = 8
"""Parts that a level's work is cut into; fixed, so that the result is the same on any machine."""


class TooFewPatchesError(ValueError):
    """The known part of the picture has too few whole patches to take texture from."""

    def __init__(self, sources: int) -> None:
        super().__init__(
            f"The photo around the hole has {sources} whole patches of {PATCH}x{PATCH} pixels "
            f"to take texture from; {LEAST_SOURCES} are needed."
        )
        self.sources = sources


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How texture is synthesized. The defaults are measured: docs/log.md has the figures."""

    thickness: float = 30  # of the hole at the coarsest level, about; twice that on the next
    pattern: float = 0.75  # what patches begun coarsest may cost at most, of those led by the start
    rounds: tuple[int, ...] = (10, 6, 4)  # of matching and voting, coarsest level first; last stays
    lone_rounds: int = 3  # ... in a hole so thin that there is one level only
    sweeps: int = 2  # of PatchMatch in a round
    spacing: int = 2  # of the patches over the hole, on the finest level of several; 1 to REACH
    low_pass: tuple[float, ...] = (4.0, 2.5, 1.5)  # sigmas of the blur before the first matches
    cues: Cues = field(default_factory=Cues)
    repeat: float = 0.18  # what is shown twice as often as usual: colours off by so many contrasts
    repeat_step: int = 4  # ... on levels whose pixels stand for so many of the photo's, or more
    fall: float = 1.3  # by which a patch's vote loses weight with each pixel from the rim
    spread: float = 0.5  # of the weights of a vote, see patchmatch.vote
    radius: int = 16  # of the random search, but where a coarse level is begun with
    least_sources: int = 300  # a level with fewer is not gone down to

    def __post_init__(self) -> None:
        if not 1 <= self.spacing <= REACH:  # a step further would leave the picture
            raise ValueError(f"patches {self.spacing} apart: 1 to {REACH} is possible")


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
    from inpaintcli import patchmatch

    return patchmatch.is_compiled()


def prepare() -> None:
    """Compile the kernels now, or load them, rather than in the first `synthesize`."""
    from inpaintcli import patchmatch

    patchmatch.prepare()


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
    settings: Settings | None = None,
) -> Texture:
    """Fill a hole with texture from the known part of the picture.

    The result has only colours between those of known pixels: patches are averaged, not painted.

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
    settings = settings or Settings()
    source = ~hole if source is None else source & ~hole
    sources = int(np.count_nonzero(source_patches(source)))
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
            canvas = _Descent(levels, settings, seed, pool).solved()
        answer = canvas.picture(pixels.shape[2])
        np.copyto(picture, answer, where=hole[..., None])
        misfit[hole] = canvas.misfit()
    return Texture(picture, misfit, sources)


def _check(pixels: NDArray[Any], start: NDArray[Any], hole: Bools, source: Bools | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] not in {1, 3}:
        raise ValueError(f"pixels are {pixels.shape}, not (h, w, 1 or 3)")
    if start.shape != pixels.shape:
        raise ValueError(f"the start is {start.shape} but the pixels are {pixels.shape}")
    for name, mask in (("hole", hole), ("source", source)):
        if mask is not None and (mask.shape != pixels.shape[:2] or mask.dtype != np.bool_):
            raise ValueError(f"{name} is {mask.dtype} {mask.shape}, not bool {pixels.shape[:2]}")


@dataclass(frozen=True)
class _Descent:
    """From coarse to fine; each level takes its first matches from the one before.

    Levels are counted from the coarsest.
    """

    levels: list[Level]
    settings: Settings
    seed: int
    pool: ThreadPoolExecutor

    def solved(self) -> "_Canvas":
        """The finest level.

        There are two ways to begin. On the coarsest level patches see so much of the photo that a
        pattern finds its step, but they see past the start; on the next finer one they follow it.
        That is the better way, unless the patches of the other fit far better.
        """
        canvas = self._begun(0)
        for number in range(1, len(self.levels)):
            canvas = self._gone_on(canvas, number)
            if number == 1:
                led = self._begun(1)
                if canvas.cost() > self.settings.pattern * led.cost():
                    canvas = led
        return canvas

    def _begun(self, number: int) -> "_Canvas":
        """The finest level, which costs most, is looked through once and refined less."""
        canvas = self._canvas(number)
        canvas.begin()
        if not self._is_finest(number):
            canvas.refine(self.settings.rounds[0], everywhere=True)
        else:
            canvas.refine(self._rounds(number) if number else self.settings.lone_rounds)
        return canvas

    def _gone_on(self, coarser: "_Canvas", number: int) -> "_Canvas":
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

    def _canvas(self, number: int) -> "_Canvas":
        from inpaintcli import patchmatch

        spacing = self.settings.spacing if number and self._is_finest(number) else 1
        numbers = np.random.default_rng((self.seed, number))
        level = self.levels[-1 - number]
        return _Canvas(level, self.settings, numbers, self.pool, patchmatch, spacing)


class _Canvas:
    """The working state of one level: the present picture, and what every patch shows."""

    def __init__(
        self,
        level: Level,
        settings: Settings,
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

    def picture(self, channels: int) -> Floats:
        """(h, w, channels), grey being one of three equal channels."""
        return self.scene.picture.reshape(*self.shape, 3)[..., :channels]

    def misfit(self) -> Floats:
        """Of each pixel of the hole, in raster order; see Texture."""
        return np.sqrt(self._misfit / (3 * PATCH * PATCH), dtype=np.float32)

    def cost(self) -> float:
        """How badly patches fit, the mean over the hole: a sum of squares, all cues included."""
        return float(self._misfit.mean())

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
        field: Field = self._kernels.Field(targets, sources, costs, trust.astype(np.float32))
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
            self._in_strips(self.field.targets.size, work)
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

    def _vote(self) -> None:
        work = partial(
            self._kernels.vote,
            self.scene,
            self.field,
            self._holes,
            spread=self._settings.spread,
            misfit=self._misfit,
        )
        self._in_strips(self._holes.size, work)

    def _in_strips(self, size: int, work: Callable[[tuple[int, int]], None]) -> None:
        """Cut `size` things into strips and work on them in threads."""
        count = min(STRIPS, 1 + size // 512)
        cuts = [size * n // count for n in range(count + 1)]
        for _ in self._pool.map(work, itertools.pairwise(cuts)):
            pass


def _lattice(side: int, spacing: int) -> Bools:
    """(side) True where patches are centred: the first and the last that fit, some between."""
    places = np.arange(side)
    chosen = ((places - REACH) % spacing == 0) | (places == side - 1 - REACH)
    return np.asarray(chosen, np.bool_)
