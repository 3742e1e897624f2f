"""The command `harmonize` for one photo: plan, open the model, do, tell."""

import time
from pathlib import Path

from engines.base import EngineError
from inpaintcli import batch
from inpaintcli.console import Console
from inpaintcli.errands import STDOUT, Job
from inpaintcli.errors import ExitCode, InpaintError, ModelError, UsageError
from inpaintcli.filling import Run
from inpaintcli.harmonize import harmonize
from inpaintcli.images import picture_bytes, write_bytes
from inpaintcli.matching import ALPHA
from inpaintcli.models import cards
from inpaintcli.pairs import plan_photo
from inpaintcli.pipeline import Model
from inpaintcli.telling import tell_model

STATUS = "harmonized"


def harmonize_photo(run: Run, photo: Path, mask: str, output: Path | None) -> ExitCode:
    """Fit the object under the mask to the photo around it.

    Raises:
        InpaintError, EngineError: whatever is wrong; told as a result line first.
    """
    if output == STDOUT and run.console.json:
        raise UsageError("-o - and --json both want standard output.", hint="Drop one of them.")
    if mask == ALPHA:
        raise UsageError("A transparent object cannot be harmonized.", hint="--mask takes a file.")
    target = output or photo.with_name(f"{photo.stem}.{STATUS}{photo.suffix}")
    job = Job(photo, Path(mask), target)
    try:
        job = _planned(photo, mask, target, overwrite=run.settings.overwrite)
        if run.dry_run:
            _tell_dry(run.console, job)
            return ExitCode.OK
        if run.model is None:
            raise _no_default()
        with run.open_model() as model:
            tell_model(run.console, model)
            _harmonize_file(run, job, model)
    except (InpaintError, EngineError) as error:
        run.console.record(batch.failed(job, None, error).to_json())
        raise
    return ExitCode.OK


def _planned(photo: Path, mask: str, target: Path, *, overwrite: bool) -> Job:
    job = plan_photo(photo, mask, target, overwrite=overwrite)
    if not isinstance(job, Job):
        raise UsageError(f"{mask} lies in a store; harmonize takes files.", hint="Fetch it first.")
    return job


def _no_default() -> InpaintError:
    """No model harmonizes well enough to be taken unasked; what there is instead."""
    names = [name for name, card in sorted(cards().items()) if card.harmonizes]
    if names:
        return UsageError(
            "Which model? None harmonizes well enough yet to be the default.",
            hint=f"--model {' or '.join(names)}: trained briefly, see what it does.",
        )
    return ModelError(
        "There is no model here that harmonizes.",
        hint="Train one, `inpaintcli train blockwise-small`, and pass its card as --model "
        "(docs/papers/block-wise.md).",
    )


def _harmonize_file(run: Run, job: Job, model: Model) -> None:
    started = time.perf_counter()
    picture, foreground = batch.read_pair(job, run.settings)
    if not foreground.any():
        run.console.say(f"{job.photo.name}: {batch.empty_note(job, run.settings)}")
        data = job.photo.read_bytes()
    else:
        fitted = harmonize(picture, foreground, model)
        suffix = job.photo.suffix if job.output == STDOUT else job.output.suffix
        data = picture_bytes(fitted, suffix, source=job.photo, notes=run.console.say)
    if job.output == STDOUT:
        run.console.binary(data)
        return
    write_bytes(data, job.output, overwrite=run.settings.overwrite)
    _tell(run.console, job, model, time.perf_counter() - started)


def _tell(console: Console, job: Job, model: Model, seconds: float) -> None:
    ran = batch.Ran.of(model)
    console.record(
        {
            "schema": batch.SCHEMA, "status": STATUS, "input": str(job.photo),
            "mask": str(job.mask), "output": str(job.output), "model": ran.model,
            "engine": ran.engine, "device": ran.device, "precision": ran.precision,
            "seconds": round(seconds, 3), "error": None,
        }
    )  # fmt: skip
    console.say(f"{job.photo} -> {job.output} ({seconds:.2f} s)")


def _tell_dry(console: Console, job: Job) -> None:
    console.record(
        {
            "schema": batch.SCHEMA, "status": "skipped", "input": str(job.photo),
            "mask": str(job.mask), "output": str(job.output), "note": "dry run", "error": None,
        }
    )  # fmt: skip
    if not console.json:
        console.data(f"would harmonize {job.photo} by {job.mask} into {job.output}")
