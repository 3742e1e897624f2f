"""The command `fill` for many photos: plan, see what is left to do, do it, note it, tell it."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from inpaintcli.batch import thread_pool
from inpaintcli.batch.contact_sheet import ContactSheet
from inpaintcli.batch.fill_one import FillRequest
from inpaintcli.batch.jobs import STDOUT, BatchPlan, Job
from inpaintcli.batch.journal import Journal, journal_of
from inpaintcli.batch.lists import is_list, plan_list
from inpaintcli.batch.messages import (
    OutcomeCounts,
    report_dry_run,
    report_loose_ends,
    report_model,
    report_outcome,
    report_space,
    report_summary,
)
from inpaintcli.batch.outcome import Outcome, skipped_outcome
from inpaintcli.batch.plan import plan_folder
from inpaintcli.batch.records import JournalEntries
from inpaintcli.batch.resume import JournalRecorder, bytes_needed, remaining
from inpaintcli.errors import ExitCode, OutputError, UsageError
from inpaintcli.signals import Stop, stop_signals
from inpaintcli.storage.folders import GlobFilter, make_folder
from inpaintcli.storage.locations import Location, free_bytes, storage_errors_reported

Outcomes = Generator[Outcome, None, None]


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Which photos, and how to go about them.

    `source` is a folder or a list of pairs. `include` and `exclude` are globs, as for
    `folders.GlobFilter`; `workers` None leaves their number to the machine; `schedule` None takes
    the threads of this machine; `journal` a folder for the journal, where the outputs are in a store.
    """

    source: Location
    mask: str | None
    output: Location | None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    retry_failed: bool = False
    fail_fast: bool = False
    report: Path | None = None
    workers: int | None = None
    schedule: "Scheduler | None" = None
    journal: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a scheduler is given.

    `stack` keeps open what it opens until all is done. `take_signals` is called once, when from
    then on a signal lets the photos at work finish; `is_to_stop` is asked before each new job.
    """

    stack: ExitStack
    request: FillRequest
    jobs: Sequence[Job]
    output: Location
    recorder: JournalRecorder
    workers: int | None
    take_signals: Callable[[], None]
    is_to_stop: Callable[[], bool]


Scheduler = Callable[[Work], Outcomes]
"""Does the jobs of some work, several at a time, and yields their outcomes as they come."""


def on_threads(work: Work) -> Outcomes:
    """The scheduler of this machine: one open model a thread."""
    request = work.request
    number = work.workers or thread_pool.default_workers(len(work.jobs))
    # Until they are open, which may take minutes on a GPU, a signal ends the run at once.
    models = thread_pool.open_models(work.stack, request.open_model, number)
    report_model(request.console, models[0])
    work.take_signals()
    return thread_pool.fill_files(
        work.jobs,
        models,
        request.settings,
        notes=request.console.say,
        recorder=work.recorder,
        stop=work.is_to_stop,
    )


def is_many(source: Location) -> bool:
    """Whether the argument of `fill` stands for many photos."""
    with storage_errors_reported():
        return is_list(source) or source.is_dir()


def fill_many(run: FillRequest, many: BatchOptions) -> ExitCode:
    """Fill all photos of a folder or list; what is missing or collides is told first.

    Raises:
        InpaintError, EngineError: the run cannot begin.
    """
    if many.output is None or many.output == STDOUT:
        raise UsageError("Many photos need an output folder.", hint="Pass -o FOLDER.")
    if run.attention_map is not None:
        raise UsageError("--attention-map is for one photo.", hint="Fill the photos one by one.")
    if many.journal is not None and isinstance(many.output, Path):
        raise UsageError("--journal is for outputs in a store.", hint="Drop it.")
    course, path = _BatchRun(run, many, many.output), journal_of(many.output, many.journal)
    with storage_errors_reported():
        plan = course.planned()
    if run.dry_run or not plan.jobs:
        return course.tell(course.left_of(plan, JournalEntries(path)), work=course.dry)
    make_folder(path.parent)
    with Journal(many.output, path) as journal:
        run.console.detail(f"journal {path}")
        left = course.left_of(plan, journal.records())
        return course.tell(left, work=lambda jobs: course.work(jobs, journal))


class _BatchRun:
    """One run: what is asked for, and what has come of it so far."""

    def __init__(self, request: FillRequest, many: BatchOptions, output: Location) -> None:
        self._request, self._many, self._output = request, many, output
        self._console = request.console
        self._started = time.perf_counter()
        self._tally = OutcomeCounts()
        self._report: ContactSheet | None = None
        self._run_fingerprint = request.fingerprint()
        self._stop = Stop()

    def planned(self) -> BatchPlan:
        """All pairs, also those whose output exists."""
        many = self._many
        return (plan_list if is_list(many.source) else plan_folder)(
            many.source,
            many.mask,
            self._output,
            overwrite=True,
            wanted=GlobFilter(many.include, many.exclude),
        )

    def left_of(self, plan: BatchPlan, records: JournalEntries) -> BatchPlan:
        """The plan without what earlier runs have done."""
        return remaining(
            plan,
            records,
            self._output,
            self._run_fingerprint,
            overwrite=self._request.settings.overwrite,
            retry_failed=self._many.retry_failed,
        )

    def tell(self, plan: BatchPlan, work: Callable[[tuple[Job, ...]], None]) -> ExitCode:
        """Tell the plan, do the work, tell the sums."""
        report_loose_ends(self._console, plan)
        with self._reporting(len(plan.jobs) + len(plan.skips)):
            for skip in plan.skips:
                self._take(skipped_outcome(skip), brief=skip.done)
            if plan.jobs:
                work(plan.jobs)
            if not plan.jobs and not plan.skips:
                self._console.say(f"{self._many.source}: no photo to fill.")
            left = len(plan.jobs) + len(plan.skips) - self._tally.counts.total()
            seconds = time.perf_counter() - self._started
            # Before the report, which may fail.
            report_summary(self._console, self._tally, seconds, left=left)
        return ExitCode.INTERRUPTED if self._stop else self._tally.exit_code()

    def dry(self, jobs: tuple[Job, ...]) -> None:
        """Tell what would be done."""
        for job in jobs:
            self._tally.add(report_dry_run(self._console, job))

    def work(self, jobs: tuple[Job, ...], journal: Journal) -> None:
        """Do the jobs; each outcome is noted, then told."""
        report_space(self._console, bytes_needed(jobs), free_bytes(self._output), self._output)
        recorder = JournalRecorder(journal, self._run_fingerprint)
        schedule = self._many.schedule or on_threads
        with ExitStack() as stack, self._console.bar(len(jobs)) as bar:
            outcomes = schedule(
                Work(
                    stack=stack,
                    request=self._request,
                    jobs=jobs,
                    output=self._output,
                    recorder=recorder,
                    workers=self._many.workers,
                    take_signals=lambda: self._take_signals(stack),
                    is_to_stop=self._is_to_stop,
                )
            )
            # Closed before the models are, also where a fault comes between two outcomes.
            for outcome in stack.enter_context(closing(outcomes)):
                self._note(recorder, outcome)
                self._take(outcome, brief=True)
                bar.advance()

    def _take_signals(self, stack: ExitStack) -> None:
        self._stop = stack.enter_context(stop_signals(self._console.say))

    def _is_to_stop(self) -> bool:
        return bool(self._stop) or (self._many.fail_fast and self._tally.counts["failed"] > 0)

    def _note(self, recorder: JournalRecorder, outcome: Outcome) -> None:
        try:
            recorder.settle(outcome)
        except OutputError as error:
            # The output is whole, and was announced: the next run finds it and notes it. A
            # failure that was not noted is tried again.
            if outcome.status == "filled":
                self._console.say(f"{outcome.input}: not noted. {error}")

    def _take(self, outcome: Outcome, *, brief: bool) -> None:
        self._tally.add(outcome)
        report_outcome(self._console, outcome, brief=brief)
        if self._report is not None:
            self._report.add(outcome)

    @contextmanager
    def _reporting(self, photos: int) -> Iterator[None]:
        """Keep the report, where one is asked for; it is written when all is done."""
        path = self._many.report
        if path is None or self._request.dry_run:
            yield
            return
        with ContactSheet(path, photos, overwrite=self._request.settings.overwrite) as self._report:
            yield
            seconds = time.perf_counter() - self._started
            self._report.write(title=str(self._many.source), summary=self._tally.table(seconds))
