"""The command `harmonize` for one photo: plan, open the model, do, tell."""

import time
from pathlib import Path

from engines.base import EngineError
from inpaintcli import batch
from inpaintcli.errands import STDOUT, Job
from inpaintcli.errors import ExitCode, InpaintError, ModelError, UsageError
from inpaintcli.filling import Run
from inpaintcli.harmonize import harmonize
from inpaintcli.images import picture_bytes, write_bytes
from inpaintcli.matching import ALPHA
from inpaintcli.models import cards
from inpaintcli.pairs import plan_photo
from inpaintcli.pipeline import Model
from inpaintcli.telling import tell_dry, tell_model, tell_outcome


def harmonize_photo(run: Run, photo: Path, mask: str, output: Path | None) -> ExitCode:
    """Fit the object under the mask to the photo around it.

    Raises:
        InpaintError, EngineError: whatever is wrong; told as a result line first.
    """
    if output == STDOUT and run.console.json:
        raise UsageError("-o - and --json both want standard output.", hint="Drop one of them.")
    if mask == ALPHA:
        raise UsageError("A transparent object cannot be harmonized.", hint="--mask takes a file.")
    target = output or photo.with_name(f"{photo.stem}.harmonized{photo.suffix}")
    job = Job(photo, Path(mask), target)
    try:
        job = _planned(photo, mask, target, overwrite=run.settings.overwrite)
        if run.dry_run:
            tell_dry(run.console, job, verb="harmonize")
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
    note = "" if foreground.any() else batch.empty_note(job, run.settings)
    suffix = job.photo.suffix if job.output == STDOUT else job.output.suffix
    if note and suffix.lower() == job.photo.suffix.lower():
        data = job.photo.read_bytes()
    else:
        fitted = harmonize(picture, foreground, model)
        data = picture_bytes(fitted, suffix, source=job.photo, notes=run.console.say)
    if job.output == STDOUT:
        if note:
            run.console.say(f"{job.photo}: {note}")
        run.console.binary(data)
        return
    write_bytes(data, job.output, overwrite=run.settings.overwrite)
    outcome = batch.Outcome(
        status="filled",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        ran=batch.Ran.of(model),
        seconds=time.perf_counter() - started,
        note=note,
    )
    tell_outcome(run.console, outcome)
