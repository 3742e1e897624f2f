"""The command `fill`: plan, open the model, do, tell."""

import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from engines.base import EngineError
from inpaintcli import batch
from inpaintcli.attention import AttentionMap, check_outputs
from inpaintcli.batch import Outcome, Settings
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, InpaintError, UsageError
from inpaintcli.fill import Model, open_model
from inpaintcli.images import check_writable, picture_bytes, write_picture
from inpaintcli.pairs import ALPHA, STDOUT, Job, Plan, plan_folder, plan_photo


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

    def open_model(self, threads: int | None = None) -> Model:
        """The model and engine asked for."""
        return open_model(
            self.model,
            engine=self.engine,
            device=self.device,
            precision=self.precision,
            threads=threads,
        )


def fill_photo(run: Run, photo: Path, mask: str | None, output: Path | None) -> ExitCode:
    """Fill one photo.

    Raises:
        InpaintError, EngineError: whatever is wrong; told as a result line first.
    """
    console = run.console
    if output == STDOUT and console.json:
        raise UsageError("-o - and --json both want standard output.", hint="Drop one of them.")
    job = Job(photo, Path(mask) if mask and mask != ALPHA else None, output or photo)
    try:
        job = plan_photo(photo, mask, output, overwrite=run.settings.overwrite)
        _check_map(run, job)
        if run.dry_run:
            _tell_plan(run, job)
            return ExitCode.OK
        with run.open_model() as model:
            _tell_model(console, model)
            attention = _map_of(run, model)
            if job.output == STDOUT:
                _to_stdout(job, model, run, attention)
            else:
                outcome = batch.fill_file(job, model, run.settings, console.say, attention)
                _tell(console, outcome)
        _write_map(run, job, attention)
    except (InpaintError, EngineError) as error:
        console.record(batch.failed(job, None, error).to_json())
        raise
    return ExitCode.OK


def _check_map(run: Run, job: Job) -> None:
    """Refuse early a map that could not be written after the work is done."""
    path = run.attention_map
    if path is None:
        return
    if job.output != STDOUT and path.resolve() == job.output.resolve():
        raise UsageError(f"{path} cannot be both the output and its attention map.")
    check_writable(path, source=job.photo, overwrite=run.settings.overwrite)


def _map_of(run: Run, model: Model) -> AttentionMap | None:
    """What takes the map, where one is wanted."""
    if run.attention_map is None:
        return None
    check_outputs(model.card.name, model.engine.outputs)
    return AttentionMap()


def _write_map(run: Run, job: Job, attention: AttentionMap | None) -> None:
    path = run.attention_map
    if attention is None or path is None:
        return
    if not attention.way.size:
        run.console.say(f"{job.photo.name}: no hole, so no attention map")
        return
    write_picture(attention.picture(), path, source=job.photo, overwrite=run.settings.overwrite)
    run.console.detail(f"attention map -> {path}")


def _to_stdout(job: Job, model: Model, run: Run, attention: AttentionMap | None) -> None:
    picture, mask = batch.read_pair(job, run.settings)
    if mask.any():
        notes = run.console.say
        filled = batch.fill_picture(job, picture, mask, model, run.settings, notes, attention)
        picture = filled.picture
        data = picture_bytes(picture, job.photo.suffix, source=job.photo, notes=notes)
    else:
        run.console.say(f"{job.photo.name}: the mask is empty: nothing to do")
        data = job.photo.read_bytes()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def fill_folder(
    run: Run, folder: Path, mask: str | None, output: Path | None, *, workers: int | None
) -> ExitCode:
    """Fill all photos of a folder; pairs, collisions and what is missing are told first.

    Raises:
        InpaintError, EngineError: the run cannot begin.
    """
    if output is None or output == STDOUT:
        raise UsageError("Many photos need an output folder.", hint="Pass -o FOLDER.")
    if run.attention_map is not None:
        raise UsageError("--attention-map is for one photo.", hint="Fill the photos one by one.")
    started = time.perf_counter()
    plan = plan_folder(folder, mask, output, overwrite=run.settings.overwrite)
    counts: Counter[str] = Counter()
    _tell_orphans(run.console, plan)
    for skip in plan.skips:
        outcome = batch.skipped(skip)
        counts[outcome.status] += 1
        _tell(run.console, outcome)
    if run.dry_run:
        for job in plan.jobs:
            _tell_plan(run, job)
            counts["skipped"] += 1
    elif plan.jobs:
        _work(run, plan, workers or batch.default_workers(len(plan.jobs)), counts)
    if not plan.jobs and not plan.skips:
        run.console.say(f"{folder}: no photo to fill.")
    _tell_summary(run.console, counts, time.perf_counter() - started)
    return batch.exit_code(counts)


def _work(run: Run, plan: Plan, workers: int, counts: Counter[str]) -> None:
    with ExitStack() as stack, run.console.bar(len(plan.jobs)) as bar:
        models = batch.open_models(stack, run.open_model, workers)
        _tell_model(run.console, models[0])
        for outcome in batch.fill_files(plan.jobs, models, run.settings, notes=run.console.say):
            counts[outcome.status] += 1
            _tell(run.console, outcome, brief=True)
            bar.advance()


def _tell(console: Console, outcome: Outcome, *, brief: bool = False) -> None:
    console.record(outcome.to_json())
    if outcome.error is not None:
        console.say(f"{outcome.input}: {outcome.error}")
    elif outcome.status == "skipped":
        console.say(f"{outcome.input}: skipped, {outcome.note}")
    elif outcome.note:
        console.say(f"{outcome.input}: {outcome.note}")
    for decision in outcome.decisions:
        console.detail(f"  {decision.in_words()}")
    if outcome.status == "filled" and not outcome.note:
        line = f"{outcome.input} -> {outcome.output} ({outcome.seconds:.2f} s)"
        (console.detail if brief else console.say)(line)


def _tell_model(console: Console, model: Model) -> None:
    info = model.engine.info
    console.detail(
        f"model {model.card.name}, {info.name} {info.version} on {info.device}, "
        f"{info.precision}, {info.threads} threads ({model.why})"
    )


def _tell_plan(run: Run, job: Job) -> None:
    mask = "its transparent pixels" if job.mask is None else str(job.mask)
    record = Outcome(
        status="skipped", input=job.photo, mask=job.mask, output=job.output, note="dry run"
    )
    run.console.record(record.to_json())
    if not run.console.json:
        run.console.data(f"would fill {job.photo} by {mask} into {job.output}")


def _tell_orphans(console: Console, plan: Plan) -> None:
    for mask in plan.orphans:
        console.say(f"{mask}: a mask without a photo")


def _tell_summary(console: Console, counts: Counter[str], seconds: float) -> None:
    summary = {name: counts[name] for name in ("filled", "skipped", "failed")}
    console.record({"schema": batch.SCHEMA, "summary": {**summary, "seconds": round(seconds, 3)}})
    told = ", ".join(f"{number} {name}" for name, number in summary.items())
    console.say(f"{told} in {seconds:.1f} s")
