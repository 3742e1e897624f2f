"""Do what was planned, photo by photo; one bad file never stops the rest."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from engines.base import EngineError, cores
from inpaintcli.attention import AttentionMap
from inpaintcli.detail import Decision, Detail
from inpaintcli.errors import ExitCode, FaultError, InpaintError, OutputError
from inpaintcli.fill import Filled, Model, fill
from inpaintcli.images import check_writable, read_picture, write_bytes, write_picture
from inpaintcli.masks import fit_mask, mask_from_alpha, read_mask
from inpaintcli.pairs import Job, Skip
from inpaintcli.picture import Mask, Picture

SCHEMA = 1
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


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened to one file."""

    status: Literal["filled", "skipped", "failed"]
    input: Path
    mask: Path | None
    output: Path | None
    model: Model | None = None
    seconds: float = 0.0
    tiles: int = 0
    decisions: tuple[Decision, ...] = ()
    note: str = ""
    error: InpaintError | EngineError | None = None

    def to_json(self) -> dict[str, Any]:
        """The result line of the command line's contract."""
        info = self.model.engine.info if self.model else None
        return {
            "schema": SCHEMA,
            "status": self.status,
            "input": str(self.input),
            "mask": _text(self.mask),
            "output": _text(self.output),
            "model": self.model.card.name if self.model else None,
            "engine": info.name if info else None,
            "device": info.device if info else None,
            "precision": info.precision if info else None,
            "seconds": round(self.seconds, 3),
            "tiles": self.tiles,
            "detail": [decision.to_json() for decision in self.decisions],
            "note": self.note or None,
            "error": error_json(self.error) if self.error else None,
        }


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
        note="" if skip.error else skip.reason,
        error=skip.error,
    )


def fill_file(
    job: Job,
    model: Model,
    settings: Settings,
    notes: Notes,
    attention: AttentionMap | None = None,
) -> Outcome:
    """Read, fill and write one photo; `attention` takes where the model looked.

    Raises:
        InpaintError, EngineError: whatever is wrong with the files, the output or the engine.
    """
    started = time.perf_counter()
    check_writable(job.output, source=job.photo, overwrite=settings.overwrite)
    picture, mask = read_pair(job, settings)
    note, tiles = "", 0
    decisions: tuple[Decision, ...] = ()
    if mask.any():
        filled = fill_picture(job, picture, mask, model, settings, notes, attention)
        tiles, decisions = filled.tiles, filled.decisions
        write_picture(
            filled.picture, job.output, source=job.photo, overwrite=settings.overwrite, notes=notes
        )
    else:
        note = "the mask is empty: nothing to do, the photo was copied"
        _copy(job, picture, settings, notes)
    return Outcome(
        status="filled",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        model=model,
        seconds=time.perf_counter() - started,
        tiles=tiles,
        decisions=decisions,
        note=note,
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


def fill_picture(
    job: Job,
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


def _copy(job: Job, picture: Picture, settings: Settings, notes: Notes) -> None:
    """Nothing to fill: the same bytes where the format stays, else the same pixels."""
    if job.output.suffix.lower() == job.photo.suffix.lower():
        write_bytes(job.photo.read_bytes(), job.output, overwrite=settings.overwrite)
    else:
        write_picture(
            picture, job.output, source=job.photo, overwrite=settings.overwrite, notes=notes
        )


def open_models(stack: ExitStack, open_one: Callable[[int], Model], workers: int) -> list[Model]:
    """One model a worker, so that an engine that cannot be had stops the run before it begins.

    Args:
        stack: closes them in the end.
        open_one: opens a model that uses the given number of threads.
        workers: how many.
    """
    threads = max(1, cores() // workers)  # all together do not exceed the cores
    return [stack.enter_context(open_one(threads)) for _ in range(workers)]


def fill_files(
    jobs: tuple[Job, ...], models: list[Model], settings: Settings, *, notes: Notes
) -> Iterator[Outcome]:
    """Do many jobs, as many at a time as there are models; outcomes come as they are ready.

    Stopping the iteration lets the photos at work finish and starts no other.
    """
    free: SimpleQueue[Model] = SimpleQueue()
    for model in models:
        free.put(model)

    def work(job: Job) -> Outcome:
        model = free.get()
        try:
            return _settled(job, model, settings, notes)
        finally:
            free.put(model)

    with ThreadPoolExecutor(len(models)) as pool:
        try:
            for future in as_completed([pool.submit(work, job) for job in jobs]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _settled(job: Job, model: Model, settings: Settings, notes: Notes) -> Outcome:
    """The outcome of a job, whatever happens in it."""
    started = time.perf_counter()
    try:
        make_folder(job.output.parent)
        return fill_file(job, model, settings, notes)
    except (InpaintError, EngineError) as error:
        reason: InpaintError | EngineError = error
    except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
        reason = FaultError(f"A fault of the program: {type(error).__name__}: {error}")
    return failed(job, model, reason, time.perf_counter() - started)


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
    job: Job, model: Model | None, error: InpaintError | EngineError, seconds: float = 0.0
) -> Outcome:
    """The outcome of a job that an error ended."""
    return Outcome(
        status="failed",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        model=model,
        seconds=seconds,
        error=error,
    )


def exit_code(outcomes: dict[str, int]) -> ExitCode:
    """What a run of many photos returns, from its counts by status."""
    return ExitCode.SOME_FAILED if outcomes.get("failed") else ExitCode.OK


def default_workers(jobs: int) -> int:
    """Photos at a time when nobody says: one a core, at most four, no more than there are."""
    return max(1, min(cores(), 4, jobs))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
