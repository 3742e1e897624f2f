"""What happened to one photo, as a value and as the result line of `--json`."""

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
    """The names of the model and of what ran it; can be sent between processes."""

    model: str
    engine: str
    device: str
    precision: str

    @classmethod
    def of(cls, model: Model) -> Self:
        """The names of an open model and its engine."""
        info = model.engine.info
        return cls(model.card.name, info.name, info.device, info.precision)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened to one photo.

    tiles: calls of the model. decisions: whose texture fills each thick part of the hole. grain:
    standard deviation of the noise added. reported: sentences that people have seen already.
    removed: a sentence on previews that are not in the output. lossless: whether all of a JPEG but
    the hole is as it was; None where photo or output is of another format. verified: whether the
    output was compared with the photo and differs in the hole alone; None where it was not, or
    could not be. fingerprint: what the output was made from; sha256: of the output. The last two
    are set where the run is recorded in a journal.
    """

    status: Literal["filled", "skipped", "failed"]
    input: Location
    mask: Location | None
    output: Location | None
    model_used: ModelUsed | None = None
    seconds: float = 0.0
    tiles: int = 0
    decisions: tuple[Decision, ...] = ()
    grain: float = 0.0
    note: str = ""
    reported: tuple[str, ...] = ()
    removed: str = ""
    lossless: bool | None = None
    verified: bool | None = None
    error: InpaintError | EngineError | None = None
    fingerprint: JobFingerprint | None = None
    sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The result line of the command line's contract."""
        used = self.model_used
        return {
            "schema": SCHEMA,
            "status": self.status,
            "input": str(self.input),
            "mask": _text(self.mask),
            "output": _text(self.output),
            "model": used.model if used else None,
            "engine": used.engine if used else None,
            "device": used.device if used else None,
            "precision": used.precision if used else None,
            "seconds": round(self.seconds, 3),
            "tiles": self.tiles,
            "detail": [decision.to_json() for decision in self.decisions],
            "grain": round(self.grain, 2),
            "lossless": self.lossless,
            "verified": self.verified,
            "note": "; ".join(part for part in self._remarks() if part) or None,
            "error": error_to_json(self.error) if self.error else None,
        }

    def _remarks(self) -> tuple[str, ...]:
        return (self.note, *self.reported, self.removed)


class ProgressRecorder(Protocol):
    """Records the progress of a run. Called from the threads that do the work."""

    run_fingerprint: RunFingerprint

    def announce(self, outcome: Outcome) -> str:
        """Record that an output is about to be published.

        Returns:
            The name, in the output's folder, under which to write it before it is renamed.

        Raises:
            OutputError: this cannot be recorded, so the output must not be published.
        """


def error_to_json(error: InpaintError | EngineError) -> dict[str, Any]:
    """An error as in the result line."""
    return {"code": int(error.code), "message": error.message, "hint": error.hint or None}


def skipped_outcome(skip: Skip) -> Outcome:
    """The outcome of a photo that the plan leaves alone."""
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
    """The outcome of a job that ended with an error."""
    return Outcome(
        status="failed",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        model_used=ModelUsed.of(model) if model else None,
        seconds=seconds,
        error=error,
    )


def exit_code_of(counts: dict[str, int]) -> ExitCode:
    """The exit code of a run of many photos, from the number of outcomes by status."""
    return ExitCode.SOME_FAILED if counts.get("failed") else ExitCode.OK


def _text(location: Location | None) -> str | None:
    return None if location is None else str(location)
