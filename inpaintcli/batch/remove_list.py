"""The command `remove` for a list: rows with photos, and a box, point or polygon of an object.

Rows of one photo and one output are one job with several objects; so are several boxes or points in
one cell, with spaces between them. A row that names no object has those of the command line.
"""

import time
from contextlib import ExitStack
from pathlib import Path, PurePath

from inpaintcli.batch.fill_many import begin_errors_recorded
from inpaintcli.batch.job_runner import as_expected
from inpaintcli.batch.jobs import STDOUT, LocalJob, Skip
from inpaintcli.batch.list_rows import Row, rows_of
from inpaintcli.batch.messages import (
    OutcomeCounts,
    report_model,
    report_outcome,
    report_summary,
)
from inpaintcli.batch.outcome import Outcome, failed_outcome, skipped_outcome
from inpaintcli.batch.outputs import check_output_folder, refuse_to_write_inputs, split_by_output
from inpaintcli.batch.remove_one import (
    RemovalJob,
    Remover,
    RemoveRequest,
    plan_removal,
    report_dry_removal,
)
from inpaintcli.errors import ExitCode, InpaintError, OutputError, UsageError
from inpaintcli.objects.segment.targets import Targets
from inpaintcli.signals import Stop, stop_signals
from inpaintcli.storage.folders import make_folder

COLUMNS = ("photo", "box", "point", "polygon", "output")
SUFFIXES = (".csv", ".jsonl")


def is_removal_list(path: Path) -> bool:
    """Whether the argument of `remove` is a list rather than a photo."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def remove_from_list(
    request: RemoveRequest, source: Path, targets: Targets, output: Path | None
) -> ExitCode:
    """Remove objects from all photos of a list.

    Args:
        request: how.
        source: the list; its photos are relative to its folder.
        targets: objects of photos whose rows name none.
        output: the folder of the outputs; created when needed.

    Raises:
        InpaintError, EngineError: the run cannot begin.
    """
    with begin_errors_recorded(request.console, LocalJob(source, None, output or STDOUT)):
        if output is None or output == STDOUT:
            raise UsageError("Many photos need an output folder.", hint="Pass -o FOLDER.")
        check_output_folder(output)
        run = _Run(request)
        jobs, skips = _planned(source, targets, output, overwrite=request.overwrite)
        return run.run(jobs, skips)


class _Run:
    """One run: what it is asked for, and the outcomes so far."""

    def __init__(self, request: RemoveRequest) -> None:
        self._request, self._console = request, request.console
        self._counts, self._started = OutcomeCounts(), time.perf_counter()
        self._stop = Stop()

    def run(self, jobs: list[RemovalJob], skips: list[Skip]) -> ExitCode:
        """Report what is skipped, do the jobs, report the totals."""
        for skip in skips:
            self._take(skipped_outcome(skip))
        if self._request.dry_run:
            for job in jobs:
                self._counts.add(report_dry_removal(self._console, job))
        elif jobs:
            self._remove(jobs)
        left = len(jobs) + len(skips) - self._counts.by_status.total()
        report_summary(self._console, self._counts, time.perf_counter() - self._started, left=left)
        return ExitCode.INTERRUPTED if self._stop else self._counts.exit_code()

    def _remove(self, jobs: list[RemovalJob]) -> None:
        with ExitStack() as stack, self._console.bar(len(jobs)) as bar:
            segmenter = stack.enter_context(self._request.open_segmenter())
            model = stack.enter_context(self._request.open_model())
            report_model(self._console, model)
            self._stop = stack.enter_context(stop_signals(self._console.say))
            for job in jobs:
                if self._stop:
                    return
                self._take(_outcome(job, self._request.remover(segmenter, model)), brief=True)
                bar.advance()

    def _take(self, outcome: Outcome, *, brief: bool = False) -> None:
        self._counts.add(outcome)
        report_outcome(self._console, outcome, brief=brief)


def _outcome(job: RemovalJob, remover: Remover) -> Outcome:
    """What happens to one photo; errors become the outcome."""
    started = time.perf_counter()
    try:
        make_folder(job.output.parent)
        return remover.run(plan_removal(job, overwrite=remover.overwrite))
    except Exception as error:  # noqa: BLE001 - one bad photo never stops the rest
        seconds = time.perf_counter() - started
        return failed_outcome(job, remover.model, as_expected(error), seconds)


def _planned(
    source: Path, targets: Targets, output: Path, *, overwrite: bool
) -> tuple[list[RemovalJob], list[Skip]]:
    """The jobs of all rows, and the photos that are left alone."""
    found: dict[tuple[Path, Path], Targets] = {}
    skips: list[Skip] = []
    for row in rows_of(source, COLUMNS):
        photo = source.parent / row["photo"]
        try:
            key = photo, output / _relative_output(row)
            found[key] = found.get(key, Targets()) + _targets_of(row)
        except InpaintError as error:
            skips.append(Skip(photo, None, None, error.message, error))
    jobs = [
        RemovalJob(photo, None, target, targets=named or targets)
        for (photo, target), named in found.items()
    ]
    refuse_to_write_inputs(jobs)
    kept, more = split_by_output(jobs, overwrite=overwrite)
    return [job for job in kept if isinstance(job, RemovalJob)], [*skips, *more]


def _targets_of(row: Row) -> Targets:
    """The objects that a row names; perhaps none."""
    return Targets.parse(
        row["box"].split(), row["point"].split(), [row["polygon"]] if row["polygon"] else []
    )


def _relative_output(row: Row) -> PurePath:
    """The output's path in the output folder: the photo's own, or its name if it is outside."""
    photo, named = PurePath(row["photo"]), PurePath(row["output"])
    if not row["output"]:
        return PurePath(photo.name) if _is_outside(photo) else photo
    if _is_outside(named):
        raise OutputError(
            f"{named} is outside the output folder.", hint="Name outputs relative to it."
        )
    return named


def _is_outside(path: PurePath) -> bool:
    return path.is_absolute() or ".." in path.parts
