"""The command `fill` for many photos: plan, find what is left to do, fill, record, report."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inpaintcli_engines.base import EngineError

from inpaintcli.batch import thread_pool
from inpaintcli.batch.contact_sheet import ContactSheet
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.jobs import STDOUT, BatchPlan, Job
from inpaintcli.batch.journal import Journal, journal_path
from inpaintcli.batch.journal_entries import JournalIndex
from inpaintcli.batch.messages import (
    OutcomeCounts,
    report_dry_run,
    report_model,
    report_outcome,
    report_space,
    report_summary,
    report_unmatched,
)
from inpaintcli.batch.outcome import ModelUsed, Outcome, failed_outcome, skipped_outcome
from inpaintcli.batch.pair_list import is_list, plan_list
from inpaintcli.batch.plan import plan_folder
from inpaintcli.batch.requests import FillRequest
from inpaintcli.batch.resume import JournalRecorder, bytes_needed, remaining
from inpaintcli.console import Console, ReaderGoneError
from inpaintcli.errors import ExitCode, InpaintError, OutputError, UsageError
from inpaintcli.masks.source import MaskSource
from inpaintcli.signals import Stop, stop_signals
from inpaintcli.storage.folders import GlobFilter, make_folder
from inpaintcli.storage.locations import Location, free_bytes, storage_errors_reported

Outcomes = Generator[Outcome, None, None]


class ReportError(OutputError):
    """The contact sheet cannot be written; all photos are done and the totals are reported."""


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """What only a run of many photos is asked for.

    source: a folder or a list of pairs. mask: where holes come from. output: a folder. include,
    exclude: globs, as in `folders.GlobFilter`. retry_failed: also try again photos whose files are
    at fault. fail_fast: begin no other photo once one has failed. report: where to write a contact
    sheet. workers: photos at a time, None for a number that suits the machine. scheduler: what runs
    the jobs, None for the threads of this machine. journal: a folder for the journal of outputs in
    a store, None for the user's own.
    """

    source: Location
    mask: MaskSource
    output: Location | None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    retry_failed: bool = False
    fail_fast: bool = False
    report: Path | None = None
    workers: int | None = None
    scheduler: "Scheduler | None" = None
    journal: Path | None = None


@dataclass(frozen=True, kw_only=True)
class BatchWork:
    """What a scheduler is given.

    stack: closes, after the last outcome, what the scheduler opens. handle_signals: to be called
    once, when everything is open; from then on a signal lets the photos in progress finish.
    is_to_stop: to be asked before each new job.
    """

    stack: ExitStack
    request: FillRequest
    jobs: Sequence[Job]
    output: Location
    recorder: JournalRecorder
    workers: int | None
    handle_signals: Callable[[], None]
    is_to_stop: Callable[[], bool]


Scheduler = Callable[[BatchWork], Outcomes]
"""Runs the jobs, several at a time, and yields each outcome when it is ready."""


def on_threads(work: BatchWork) -> Outcomes:
    """The scheduler for this machine: a pool of threads, one open model for each worker."""
    request = work.request
    workers = work.workers or thread_pool.default_workers(len(work.jobs))
    # While they are opened, which may take minutes on a GPU, a signal ends the run at once.
    models = thread_pool.open_models(work.stack, request.open_model, workers)
    report_model(request.console, models[0])
    work.handle_signals()
    runner = JobRunner(
        borrow_model=thread_pool.model_pool(models),
        model_used=ModelUsed.of(models[0]),
        options=request.options,
        notify=request.console.say,
        overwrite=request.overwrite,
        run_fingerprint=work.recorder.run_fingerprint,
        recorder=work.recorder,
    )
    return thread_pool.run_jobs(work.jobs, runner, len(models), work.is_to_stop)


def is_many(source: Location) -> bool:
    """Whether the argument of `fill` stands for many photos: a folder or a list."""
    with storage_errors_reported():
        return is_list(source) or source.is_dir()


def fill_many(request: FillRequest, options: BatchOptions) -> ExitCode:
    """Fill all photos of a folder or list; pairs that are missing or collide are reported first.

    Raises:
        InpaintError, EngineError: the run cannot begin; with `--json` there is an object that says
            why, with the folder or list as input.
    """
    with begin_errors_recorded(
        request.console, Job(options.source, None, options.output or STDOUT)
    ):
        return _fill_many(request, options)


@contextmanager
def begin_errors_recorded(console: Console, job: Job) -> Iterator[None]:
    """Records an error that ends the block as the outcome of the job, and lets it pass."""
    try:
        yield
    except (ReaderGoneError, ReportError):
        raise
    except (InpaintError, EngineError) as error:
        with suppress(InpaintError):  # standard output may be what is wrong
            console.record(failed_outcome(job, None, error).to_json())
        raise


def _fill_many(request: FillRequest, options: BatchOptions) -> ExitCode:
    output = options.output
    if output is None or output == STDOUT:
        raise UsageError("Many photos need an output folder.", hint="Pass -o FOLDER.")
    if request.attention_map is not None:
        raise UsageError("--attention-map is for one photo.", hint="Fill the photos one by one.")
    if options.journal is not None and isinstance(output, Path):
        raise UsageError("--journal is for outputs in a store.", hint="Drop it.")
    run, path = _BatchRun(request, options, output), journal_path(output, options.journal)
    with storage_errors_reported():
        plan = run.plan()
    index = JournalIndex(path)
    left = run.remaining_of(plan, index)
    is_done = not left.jobs and next(index.unfinished(), None) is None
    if request.dry_run or is_done:
        return run.run(left, work=run.dry_run)  # also where the folder cannot be written
    make_folder(path.parent)
    with closing(Journal(output, path)) as journal:
        request.console.detail(f"journal {path}")
        left = run.remaining_of(plan, journal.index())
        return run.run(left, work=lambda jobs: run.fill(jobs, journal))


class _BatchRun:
    """One run: what it is asked for, and the outcomes so far."""

    def __init__(self, request: FillRequest, options: BatchOptions, output: Location) -> None:
        self._request, self._options, self._output = request, options, output
        self._console = request.console
        self._started = time.perf_counter()
        self._counts = OutcomeCounts()
        self._contact_sheet: ContactSheet | None = None
        self._fingerprint = request.fingerprint()
        self._stop = Stop()

    def plan(self) -> BatchPlan:
        """All pairs, also those whose output exists."""
        options = self._options
        return (plan_list if is_list(options.source) else plan_folder)(
            options.source,
            options.mask,
            self._output,
            overwrite=True,
            selected=GlobFilter(options.include, options.exclude),
        )

    def remaining_of(self, plan: BatchPlan, index: JournalIndex) -> BatchPlan:
        """The plan without what earlier runs have done."""
        return remaining(
            plan,
            index,
            self._output,
            self._fingerprint,
            overwrite=self._request.overwrite,
            retry_failed=self._options.retry_failed,
        )

    def run(self, plan: BatchPlan, work: Callable[[tuple[Job, ...]], None]) -> ExitCode:
        """Report the plan, do the work, report the totals."""
        report_unmatched(self._console, plan)
        photos = len(plan.jobs) + len(plan.skips)
        with self._contact_sheet_written(photos):
            for skip in plan.skips:
                self._take(skipped_outcome(skip), brief=skip.up_to_date)
            if plan.jobs:
                work(plan.jobs)
            if not photos:
                self._console.say(f"{self._options.source}: no photo to fill.")
            left = photos - self._counts.by_status.total()
            seconds = time.perf_counter() - self._started
            # Before the contact sheet is written, which may fail.
            report_summary(self._console, self._counts, seconds, left=left)
        return ExitCode.INTERRUPTED if self._stop else self._counts.exit_code()

    def dry_run(self, jobs: tuple[Job, ...]) -> None:
        """Report what would be done."""
        for job in jobs:
            self._counts.add(report_dry_run(self._console, job))

    def fill(self, jobs: tuple[Job, ...], journal: Journal) -> None:
        """Run the jobs; each outcome is recorded, then reported."""
        report_space(self._console, bytes_needed(jobs), free_bytes(self._output), self._output)
        recorder = JournalRecorder(journal, self._fingerprint)
        schedule = self._options.scheduler or on_threads
        with ExitStack() as stack, self._console.bar(len(jobs)) as bar:
            outcomes = schedule(
                BatchWork(
                    stack=stack,
                    request=self._request,
                    jobs=jobs,
                    output=self._output,
                    recorder=recorder,
                    workers=self._options.workers,
                    handle_signals=lambda: self._handle_signals(stack),
                    is_to_stop=self._is_to_stop,
                )
            )
            # Closed before the models are, also after an error between two outcomes.
            for outcome in stack.enter_context(closing(outcomes)):
                self._record(recorder, outcome)
                self._take(outcome, brief=True)
                bar.advance()

    def _handle_signals(self, stack: ExitStack) -> None:
        self._stop = stack.enter_context(stop_signals(self._console.say))

    def _is_to_stop(self) -> bool:
        has_failed = self._counts.by_status["failed"] > 0
        return bool(self._stop) or (self._options.fail_fast and has_failed)

    def _record(self, recorder: JournalRecorder, outcome: Outcome) -> None:
        try:
            recorder.record(outcome)
        except OutputError as error:
            # The output is whole, and was announced: the next run finds it and records it. A
            # failure that is not recorded is tried again.
            if outcome.status == "filled":
                self._console.say(f"{outcome.input}: not recorded. {error}")

    def _take(self, outcome: Outcome, *, brief: bool) -> None:
        self._counts.add(outcome)
        report_outcome(self._console, outcome, brief=brief)
        if self._contact_sheet is not None:
            self._contact_sheet.add(outcome)

    @contextmanager
    def _contact_sheet_written(self, photos: int) -> Iterator[None]:
        """Collect outcomes for a contact sheet, if one is asked for, and write it in the end."""
        path = self._options.report
        if path is None or self._request.dry_run:
            yield
            return
        sheet = ContactSheet(path, photos, overwrite=self._request.overwrite)
        with closing(sheet) as self._contact_sheet:
            yield
            seconds = time.perf_counter() - self._started
            try:
                sheet.write(title=str(self._options.source), summary=self._counts.table(seconds))
            except OutputError as error:
                raise ReportError(error.message, hint=error.hint) from error
