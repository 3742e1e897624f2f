"""Score photo by photo: read it, blank its hole, fill it by every method, compare."""

import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from inpaintcli_engines.base import EngineError
from numpy.typing import NDArray

from inpaintcli.batch.fill_steps import read_pair
from inpaintcli.errors import FaultError, InpaintError, MaskMismatchError, UnreadableError
from inpaintcli.evaluation import masks
from inpaintcli.evaluation.methods import Method
from inpaintcli.evaluation.metrics import Metric, scores
from inpaintcli.imaging.images import read_picture
from inpaintcli.imaging.picture import Mask, Picture, Samples
from inpaintcli.masks.source import NO_PARTS, MaskParts
from inpaintcli.options import MaskOptions

Rgb8 = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One photo and one hole.

    The hole is that of a `mask` file and of `parts`; without both it is drawn, of that `kind` and
    with that `seed`. Else `kind` is the group under which it is scored; None groups it by its hole
    ratio.
    """

    name: str
    photo: Path
    mask: Path | None = None
    parts: MaskParts = NO_PARTS
    kind: str | None = None
    seed: int = 1

    @property
    def is_drawn(self) -> bool:
        """Whether the hole is drawn."""
        return self.mask is None and not self.parts


@dataclass(frozen=True, eq=False)
class Fill:
    """The fill of one case by one method. `scores` by metric; feature scores only with a scorer."""

    method: str
    pixels: Samples
    seconds: float
    scores: dict[str, float]


@dataclass(frozen=True, eq=False)
class Scored:
    """A case that was filled and scored by every method; `photo` is the original."""

    case: Case
    group: str
    photo: Picture
    hole: Mask
    mask_sha256: str
    fills: tuple[Fill, ...]


@dataclass(frozen=True)
class Failed:
    """A case that could not be scored, and why."""

    case: Case
    error: InpaintError | EngineError


class FeatureScorer(Protocol):
    """Computes scores from deep features; needs torch (`inpaintcli_training.scores.scorer`).

    metrics: those of single fills and those pooled over many. networks: what was used. left_out:
    what is not computed, and why.
    """

    metrics: tuple[Metric, ...]
    networks: tuple[str, ...]
    left_out: tuple[str, ...]

    def score(
        self, group: str, photo: Rgb8, hole: Mask, fills: Mapping[str, Rgb8]
    ) -> dict[str, dict[str, float]]:
        """The scores of each method's fill by metric; keeps what `pooled` needs."""

    def pooled(self, method: str, groups: Sequence[str]) -> dict[str, float]:
        """The scores of a method over all its fills in these groups."""

    def remarks(self) -> tuple[str, ...]:
        """What a reader of the numbers must know, once all fills are scored."""


def evaluate(
    cases: Sequence[Case],
    methods: Sequence[Method],
    mask_options: MaskOptions,
    feature_scorer: FeatureScorer | None = None,
) -> Iterator[Scored | Failed]:
    """Score every case by every method; one bad file never stops the rest."""
    for case in cases:
        try:
            yield _scored(case, methods, mask_options, feature_scorer)
        except (InpaintError, EngineError) as error:
            yield Failed(case, error)
        except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
            reason = FaultError(f"A fault of the program: {type(error).__name__}: {error}")
            yield Failed(case, reason)


def _scored(
    case: Case,
    methods: Sequence[Method],
    mask_options: MaskOptions,
    feature_scorer: FeatureScorer | None,
) -> Scored:
    photo, hole = _read(case, mask_options)
    group = case.kind or masks.ratio_bin(hole)
    visible = None if photo.alpha is None else photo.alpha > 0
    if not (hole if visible is None else hole & visible).any():
        raise MaskMismatchError(f"{case.name}: its hole hides no visible pixel.")
    blanked = _blanked(photo, hole)
    fills = [_filled(method, photo, blanked, hole, visible) for method in methods]
    if feature_scorer is not None:
        pictures = {fill.method: rgb8(fill.pixels) for fill in fills}
        judged = feature_scorer.score(group, rgb8(photo.pixels), hole, pictures)
        for fill in fills:
            fill.scores.update(judged[fill.method])
    return Scored(case, group, photo, hole, masks.digest(hole), tuple(fills))


def _read(case: Case, mask_options: MaskOptions) -> tuple[Picture, Mask]:
    """The photo of a case, and its mask, read from a file or drawn."""
    if not case.is_drawn:
        return read_pair(case.photo, case.mask, mask_options, case.parts)
    photo, kind = read_picture(case.photo), case.kind or masks.CENTRE
    size = photo.height, photo.width
    return photo, masks.draw_mask(kind, *size, seed=case.seed, name=case.name)


def _blanked(photo: Picture, hole: Mask) -> Picture:
    """The photo with mid-grey in the hole, so that no method sees what is hidden."""
    pixels = photo.pixels.copy()
    pixels[hole] = np.iinfo(pixels.dtype).max // 2
    return photo.with_pixels(pixels)


def _filled(
    method: Method, photo: Picture, blanked: Picture, hole: Mask, visible: Mask | None
) -> Fill:
    """A method's fill, with the known pixels of the photo, and its scores except feature scores."""
    started = time.perf_counter()
    made = method.fill(blanked, hole)
    seconds = time.perf_counter() - started
    pixels = np.where(hole[..., None], made, photo.pixels)
    return Fill(method.name, pixels, seconds, scores(pixels, photo.pixels, hole, visible))


def rgb8(pixels: Samples) -> Rgb8:
    """Pixels (h, w, 1 or 3) of either depth as uint8 RGB (h, w, 3)."""
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), np.uint8)


def read_kinds(path: Path) -> dict[str, str]:
    """Groups by photo name from a CSV file with the columns `file` and `kind`.

    Raises:
        UnreadableError: it cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return {row["file"]: row["kind"] for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"{path} cannot be read: {error}.") from error
    except KeyError as error:
        raise UnreadableError(
            f"{path} has no column {error}.", hint="Its first line must name file and kind."
        ) from error
