"""What is asked for and what came of it: Outcomes, and who records them."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fingerprints import JobFingerprint, RunFingerprint
from inpaintcli.batch.jobs import Job, Skip
from inpaintcli.errors import ExitCode, InpaintError
from inpaintcli.inpaint.detail import Decision
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.storage.locations import Location

SCHEMA = 1


@dataclass(frozen=True)
class ModelUsed:
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

    `key` and `sha256` (of the output) are known where a recorder asked for them.
    """

    status: Literal["filled", "skipped", "failed"]
    input: Location
    mask: Location | None
    output: Location | None
    ran: ModelUsed | None = None
    seconds: float = 0.0
    tiles: int = 0
    decisions: tuple[Decision, ...] = ()
    grain: float = 0.0
    note: str = ""
    error: InpaintError | EngineError | None = None
    key: JobFingerprint | None = None
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


class ProgressRecorder(Protocol):
    """Who keeps book of the photos of a run. Called from the threads that do the work."""

    fingerprint: RunFingerprint

    def announce(self, outcome: Outcome) -> str:
        """That output is about to appear; returns the name, beside it, to write it under first.

        Raises:
            OutputError: it cannot be noted, so it must not appear.
        """


def error_json(error: InpaintError | EngineError) -> dict[str, Any]:
    """An error as the result line tells it."""
    return {"code": int(error.code), "message": error.message, "hint": error.hint or None}


def skipped_outcome(skip: Skip) -> Outcome:
    """The outcome of a photo that the plan left alone."""
    return Outcome(
        status="failed" if skip.error else "skipped",
        input=skip.photo,
        mask=skip.mask,
        output=skip.output,
        note="" if skip.error and skip.reason == skip.error.message else skip.reason,
        error=skip.error,
    )


def failed_outcome(
    job: Job, model: Model | None, error: InpaintError | EngineError, seconds: float = 0.0
) -> Outcome:
    """The outcome of a job that an error ended."""
    return Outcome(
        status="failed",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        ran=ModelUsed.of(model) if model else None,
        seconds=seconds,
        error=error,
    )


def exit_code_of(outcomes: dict[str, int]) -> ExitCode:
    """What a run of many photos returns, from its counts by status."""
    return ExitCode.SOME_FAILED if outcomes.get("failed") else ExitCode.OK


def _text(path: Location | None) -> str | None:
    return None if path is None else str(path)
