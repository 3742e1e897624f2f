"""The command `harmonize` for one photo: plan, open the model, do, tell."""

import time
from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_one import FillRequest
from inpaintcli.batch.fill_settings import empty_note, read_pair
from inpaintcli.batch.jobs import STDOUT, LocalJob
from inpaintcli.batch.mask_lookup import ALPHA
from inpaintcli.batch.messages import report_dry_run, report_model, report_outcome
from inpaintcli.batch.outcome import ModelUsed, Outcome, failed_outcome
from inpaintcli.batch.plan import plan_photo
from inpaintcli.errors import ExitCode, InpaintError, ModelError, UsageError
from inpaintcli.imaging.images import picture_bytes, write_bytes
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.models.cards import cards
from inpaintcli.objects.harmonize import harmonize


def harmonize_photo(run: FillRequest, photo: Path, mask: str, output: Path | None) -> ExitCode:
    """Fit the object under the mask to the photo around it.

    Raises:
        InpaintError, EngineError: whatever is wrong; told as a result line first.
    """
    if output == STDOUT and run.console.json:
        raise UsageError("-o - and --json both want standard output.", hint="Drop one of them.")
    if mask == ALPHA:
        raise UsageError("A transparent object cannot be harmonized.", hint="--mask takes a file.")
    target = output or photo.with_name(f"{photo.stem}.harmonized{photo.suffix}")
    job = LocalJob(photo, Path(mask), target)
    try:
        job = _planned(photo, mask, target, overwrite=run.settings.overwrite)
        if run.dry_run:
            report_dry_run(run.console, job, verb="harmonize")
            return ExitCode.OK
        if run.model is None:
            raise _no_default()
        with run.open_model() as model:
            report_model(run.console, model)
            _harmonize_file(run, job, model)
    except (InpaintError, EngineError) as error:
        run.console.record(failed_outcome(job, None, error).to_json())
        raise
    return ExitCode.OK


def _planned(photo: Path, mask: str, target: Path, *, overwrite: bool) -> LocalJob:
    job = plan_photo(photo, mask, target, overwrite=overwrite)
    if not isinstance(job, LocalJob):
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


def _harmonize_file(run: FillRequest, job: LocalJob, model: Model) -> None:
    started = time.perf_counter()
    picture, foreground = read_pair(job, run.settings)
    note = "" if foreground.any() else empty_note(job, run.settings)
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
    outcome = Outcome(
        status="filled",
        input=job.photo,
        mask=job.mask,
        output=job.output,
        ran=ModelUsed.of(model),
        seconds=time.perf_counter() - started,
        note=note,
    )
    report_outcome(run.console, outcome)
