"""The command `fill` for one photo: plan, open the model, do, tell."""

from dataclasses import dataclass
from pathlib import Path

from engines.base import EngineError
from inpaintcli import batch, filler
from inpaintcli.attention import AttentionMap, check_outputs
from inpaintcli.batch import Settings
from inpaintcli.console import Console, ConsoleReport
from inpaintcli.errands import STDOUT, Errand, Job, errand
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.images import check_writable, picture_bytes, write_picture
from inpaintcli.keys import Making
from inpaintcli.matching import ALPHA
from inpaintcli.models import find_card
from inpaintcli.outputs import check_output
from inpaintcli.pairs import beside, plan_photo
from inpaintcli.pipeline import Model, open_model
from inpaintcli.places import Place, is_one_place, place, reachable
from inpaintcli.telling import tell_dry, tell_model, tell_outcome


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of the command: what is asked for, and how to tell."""

    settings: Settings
    console: Console
    model: str | None
    engine: str
    device: str
    precision: str
    dry_run: bool
    attention_map: Path | None = None

    def making(self) -> Making:
        """What all outputs are made with."""
        # Precision as asked for: where one machine has bf16 and another has not, neither begins
        # again.
        options = {**self.settings.of_pixels(), "precision": self.precision}
        return Making(model=find_card(self.model).sha256, options=options)

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


def fill_photo(run: Run, photo: Place, mask: str | None, output: Place | None) -> ExitCode:
    """Fill one photo.

    Raises:
        InpaintError, EngineError: whatever is wrong; told as a result line first.
    """
    console = run.console
    if output == STDOUT and console.json:
        raise UsageError("-o - and --json both want standard output.", hint="Drop one of them.")
    job = errand(photo, place(mask) if mask and mask != ALPHA else None, output or beside(photo))
    try:
        with reachable():
            job = plan_photo(photo, mask, output, overwrite=run.settings.overwrite)
        _check_map(run, job)
        if run.dry_run:
            tell_dry(console, job)
            return ExitCode.OK
        with run.open_model() as model:
            tell_model(console, model)
            attention = _map_of(run, model)
            if job.output == STDOUT:
                with filler.at_hand(job) as local:
                    _to_stdout(local, model, run, attention)
            else:
                outcome = filler.fill_file(job, model, run.settings, console.say, attention)
                tell_outcome(console, outcome)
        _write_map(run, job, attention)
    except (InpaintError, EngineError) as error:
        console.record(batch.failed(job, None, error).to_json())
        raise
    return ExitCode.OK


def _check_map(run: Run, job: Errand) -> None:
    """Refuse early a map that could not be written after the work is done."""
    path = run.attention_map
    if path is None:
        return
    if job.output != STDOUT and is_one_place(path, job.output):
        raise UsageError(f"{path} cannot be both the output and its attention map.")
    check_output(job.photo, job.mask, path)
    check_writable(path, source=_file(job.photo), overwrite=run.settings.overwrite)


def _map_of(run: Run, model: Model) -> AttentionMap | None:
    """What takes the map, where one is wanted."""
    if run.attention_map is None:
        return None
    check_outputs(model.card.name, model.engine.outputs)
    return AttentionMap()


def _write_map(run: Run, job: Errand, attention: AttentionMap | None) -> None:
    path = run.attention_map
    if attention is None or path is None:
        return
    if not attention.way.size:
        run.console.say(f"{job.photo.name}: no hole, so no attention map")
        return
    picture, overwrite = attention.picture(), run.settings.overwrite
    write_picture(picture, path, source=_file(job.photo), overwrite=overwrite)
    run.console.detail(f"attention map -> {path}")


def _file(photo: Place) -> Path | None:
    """The photo, where it is a file of this machine."""
    return photo if isinstance(photo, Path) else None


def _to_stdout(job: Job, model: Model, run: Run, attention: AttentionMap | None) -> None:
    picture, mask = batch.read_pair(job, run.settings)
    if mask.any():
        notes = run.console.say
        filled = batch.fill_picture(job, picture, mask, model, run.settings, notes, attention)
        picture = filled.picture
        data = picture_bytes(picture, job.photo.suffix, source=job.photo, notes=notes)
    else:
        run.console.say(f"{job.photo.name}: {batch.empty_note(job, run.settings)}")
        data = job.photo.read_bytes()
    run.console.binary(data)
