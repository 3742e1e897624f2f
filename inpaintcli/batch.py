"""What is asked for and what came of it: Settings and Outcomes; photos read with their masks."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from engines.base import EngineError
from inpaintcli.attention import AttentionMap
from inpaintcli.detail import Decision, Detail
from inpaintcli.errands import Errand, Job, Skip
from inpaintcli.errors import ExitCode, InpaintError, OutputError
from inpaintcli.images import read_picture
from inpaintcli.keys import Key, Making
from inpaintcli.masks import fit_mask, lightest, mask_from_alpha, read_mask
from inpaintcli.picture import Mask, Picture
from inpaintcli.pipeline import Filled, Model, fill
from inpaintcli.places import Place

SCHEMA = 1
EMPTY = "the mask is empty: nothing to do, the photo was copied"
DIM = "the mask's lightest value is {} of 255, the hole begins above {} (--mask-threshold): "
Notes = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is the same for all photos of a run. Lengths in pixels of the photo."""

    invert_mask: bool = False
    mask_threshold: int = 127
    grow: int = 0
    feather: int = 0
    resize_mask: bool = False
    detail: Detail = "auto"
    overwrite: bool = False

    def of_pixels(self) -> dict[str, Any]:
        """Those on which the pixels of an output depend, as JSON holds them."""
        return {name: value for name, value in asdict(self).items() if name != "overwrite"}


@dataclass(frozen=True)
class Ran:
    """Names of what does the work; plain, so that an Outcome may come from another process."""

    model: str
    engine: str
    device: str
    precision: str

    @classmethod
    def of(cls, model: Model) -> Self:
        """The names of a model and its engine."""
        info = model.engine.info
        return cls(model.card.name, info.name, info.device, info.precision)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened to one file.

    `key` and `sha256` (of the output) are known where a ledger asked for them.
    """

    status: Literal["filled", "skipped", "failed"]
    input: Place
    mask: Place | None
    output: Place | None
    ran: Ran | None = None
    seconds: float = 0.0
    tiles: int = 0
    decisions: tuple[Decision, ...] = ()
    grain: float = 0.0
    note: str = ""
    error: InpaintError | EngineError | None = None
    key: Key | None = None
    sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The result line of the command line's contract."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "input": str(self.input),
            "mask": _text(self.mask),
            "output": _text(self.output),
            "model": self.ran.model if self.ran else None,
            "engine": self.ran.engine if self.ran else None,
            "device": self.ran.device if self.ran else None,
            "precision": self.ran.precision if self.ran else None,
            "seconds": round(self.seconds, 3),
            "tiles": self.tiles,
            "detail": [decision.to_json() for decision in self.decisions],
            "grain": round(self.grain, 2),
            "note": self.note or None,
            "error": error_json(self.error) if self.error else None,
        }


class Ledger(Protocol):
    """Who keeps book of the photos of a run. Called from the threads that do the work."""

    making: Making

    def announce(self, outcome: Outcome) -> str:
        """That output is about to appear; returns the name, beside it, to write it under first.

        Raises:
            OutputError: it cannot be noted, so it must not appear.
        """


def error_json(error: InpaintError | EngineError) -> dict[str, Any]:
    """An error as the result line tells it."""
    return {"code": int(error.code), "message": error.message, "hint": error.hint or None}


def skipped(skip: Skip) -> Outcome:
    """The outcome of a photo that the plan left alone."""
    return Outcome(
        status="failed" if skip.error else "skipped",
        input=skip.photo,
        mask=skip.mask,
        output=skip.output,
        note="" if skip.error and skip.reason == skip.error.message else skip.reason,
        error=skip.error,
    )


def read_pair(job: Job, settings: Settings) -> tuple[Picture, Mask]:
    """The photo and its mask, of one size, True in the hole.

    Raises:
        UnreadableError: one of them cannot be read.
        MisfitError: they do not fit each other.
    """
    picture = read_picture(job.photo)
    if job.mask is None:
        return picture, mask_from_alpha(
            picture,
            threshold=settings.mask_threshold,
            invert=settings.invert_mask,
            name=job.photo.name,
        )
    mask = read_mask(job.mask, threshold=settings.mask_threshold, invert=settings.invert_mask)
    return picture, fit_mask(
        mask,
        picture,
        resize=settings.resize_mask,
        mask_name=job.mask.name,
        picture_name=job.photo.name,
    )


def empty_note(job: Job, settings: Settings) -> str:
    """What to say of a mask without a hole; some are drawn in values far from white.

    Raises:
        UnreadableError: the mask cannot be read any more.
    """
    if job.mask is None or settings.invert_mask:
        return EMPTY
    value = lightest(job.mask)
    if not value:
        return EMPTY
    return DIM.format(value, settings.mask_threshold) + EMPTY.partition(": ")[2]


def fill_picture(
    job: Errand,
    picture: Picture,
    mask: Mask,
    model: Model,
    settings: Settings,
    notes: Notes,
    attention: AttentionMap | None = None,
) -> Filled:
    """`fill` with the settings of a run; holes that are the transparent pixels become opaque."""
    return fill(
        picture,
        mask,
        model,
        grow_by=settings.grow,
        feather=settings.feather,
        reveal=job.mask is None,
        detail=settings.detail,
        attention=attention,
        notes=notes,
    )


def make_folder(folder: Path) -> None:
    """The folder, made with all above it where it is missing.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def failed(
    job: Errand, model: Model | None, error: InpaintError | EngineError, seconds: float = 0.0
) -> Outcome:
    """The outcome of a job that an error ended."""
    return Outcome(
        status="failed",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        ran=Ran.of(model) if model else None,
        seconds=seconds,
        error=error,
    )


def exit_code(outcomes: dict[str, int]) -> ExitCode:
    """What a run of many photos returns, from its counts by status."""
    return ExitCode.SOME_FAILED if outcomes.get("failed") else ExitCode.OK


def _text(path: Place | None) -> str | None:
    return None if path is None else str(path)
