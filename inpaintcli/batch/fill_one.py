"""The command `fill` for one photo: plan, open the model, do, tell."""

from dataclasses import dataclass
from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch import job_runner
from inpaintcli.batch.fill_settings import FillSettings, empty_note, fill_picture, read_pair
from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.jobs import STDOUT, Job, LocalJob, job_of
from inpaintcli.batch.mask_lookup import ALPHA
from inpaintcli.batch.messages import report_dry_run, report_model, report_outcome
from inpaintcli.batch.outcome import failed_outcome
from inpaintcli.batch.outputs import check_output
from inpaintcli.batch.plan import beside, plan_photo
from inpaintcli.console import Console, ConsoleReport
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.imaging.images import check_writable, picture_bytes, write_picture
from inpaintcli.inpaint.attention import AttentionMap, check_outputs
from inpaintcli.inpaint.pipeline import Model, open_model
from inpaintcli.models.cards import find_card
from inpaintcli.storage.locations import (
    Location,
    is_same_location,
    parse_location,
    storage_errors_reported,
)


@dataclass(frozen=True, kw_only=True)
class FillRequest:
    """One call of the command: what is asked for, and how to tell."""

    settings: FillSettings
    console: Console
    model: str | None
    engine: str
    device: str
    precision: str
    dry_run: bool
    attention_map: Path | None = None

    def fingerprint(self) -> RunFingerprint:
        """What all outputs are made with."""
        # Precision as asked for: where one machine has bf16 and another has not, neither begins
        # again.
        options = {**self.settings.of_pixels(), "precision": self.precision}
        return RunFingerprint(model=find_card(self.model).sha256, options=options)

    def open_model(self, threads: int | None = None) -> Model:
        """The model and engine asked for."""
        return open_model(
            self.model,
            engine=self.engine,
            device=self.device,
            precision=self.precision,
            threads=threads,
            report=ConsoleReport(self.console),
        )


def fill_photo(
    run: FillRequest, photo: Location, mask: str | None, output: Location | None
) -> ExitCode:
    """Fill one photo.

    Raises:
        InpaintError, EngineError: whatever is wrong; told as a result line first.
    """
    console = run.console
    if output == STDOUT and console.json:
        raise UsageError("-o - and --json both want standard output.", hint="Drop one of them.")
    job = job_of(
        photo, parse_location(mask) if mask and mask != ALPHA else None, output or beside(photo)
    )
    try:
        with storage_errors_reported():
            job = plan_photo(photo, mask, output, overwrite=run.settings.overwrite)
        _check_map(run, job)
        if run.dry_run:
            report_dry_run(console, job)
            return ExitCode.OK
        with run.open_model() as model:
            report_model(console, model)
            attention = _map_of(run, model)
            if job.output == STDOUT:
                with job_runner.at_hand(job) as local:
                    _to_stdout(local, model, run, attention)
            else:
                outcome = job_runner.fill_file(job, model, run.settings, console.say, attention)
                report_outcome(console, outcome)
        _write_map(run, job, attention)
    except (InpaintError, EngineError) as error:
        console.record(failed_outcome(job, None, error).to_json())
        raise
    return ExitCode.OK


def _check_map(run: FillRequest, job: Job) -> None:
    """Refuse early a map that could not be written after the work is done."""
    path = run.attention_map
    if path is None:
        return
    if job.output != STDOUT and is_same_location(path, job.output):
        raise UsageError(f"{path} cannot be both the output and its attention map.")
    check_output(job.photo, job.mask, path)
    check_writable(path, source=_file(job.photo), overwrite=run.settings.overwrite)


def _map_of(run: FillRequest, model: Model) -> AttentionMap | None:
    """What takes the map, where one is wanted."""
    if run.attention_map is None:
        return None
    check_outputs(model.card.name, model.engine.outputs)
    return AttentionMap()


def _write_map(run: FillRequest, job: Job, attention: AttentionMap | None) -> None:
    path = run.attention_map
    if attention is None or path is None:
        return
    if not attention.offsets.size:
        run.console.say(f"{job.photo.name}: no hole, so no attention map")
        return
    picture, overwrite = attention.picture(), run.settings.overwrite
    write_picture(picture, path, source=_file(job.photo), overwrite=overwrite)
    run.console.detail(f"attention map -> {path}")


def _file(photo: Location) -> Path | None:
    """The photo, where it is a file of this machine."""
    return photo if isinstance(photo, Path) else None


def _to_stdout(
    job: LocalJob, model: Model, run: FillRequest, attention: AttentionMap | None
) -> None:
    picture, mask = read_pair(job, run.settings)
    if mask.any():
        notes = run.console.say
        filled = fill_picture(job, picture, mask, model, run.settings, notes, attention)
        picture = filled.picture
        data = picture_bytes(picture, job.photo.suffix, source=job.photo, notes=notes)
    else:
        run.console.say(f"{job.photo.name}: {empty_note(job, run.settings)}")
        data = job.photo.read_bytes()
    run.console.binary(data)
