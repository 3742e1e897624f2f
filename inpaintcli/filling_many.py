"""The command `fill` for many photos: plan, see what is left to do, do it, note it, tell it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from inpaintcli import batch, workers
from inpaintcli.batch import Outcome
from inpaintcli.errors import ExitCode, OutputError, UsageError
from inpaintcli.filling import Run
from inpaintcli.folders import chooser
from inpaintcli.journal import NAME, Journal
from inpaintcli.lists import is_list, plan_list
from inpaintcli.models import find_card
from inpaintcli.pairs import STDOUT, Job, Plan, plan_folder
from inpaintcli.records import Records
from inpaintcli.report import Report
from inpaintcli.resume import JournalLedger, Making, bytes_needed, remaining
from inpaintcli.telling import (
    Tally,
    tell_dry,
    tell_loose_ends,
    tell_model,
    tell_outcome,
    tell_space,
    tell_summary,
)


@dataclass(frozen=True, kw_only=True)
class Many:
    """Which photos, and how to go about them.

    `source` is a folder or a list of pairs. `include` and `exclude` are globs, as for
    `folders.chooser`; `workers` None leaves their number to the machine.
    """

    source: Path
    mask: str | None
    output: Path | None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    retry_failed: bool = False
    fail_fast: bool = False
    report: Path | None = None
    workers: int | None = None


def is_many(source: Path) -> bool:
    """Whether the argument of `fill` stands for many photos."""
    return source.is_dir() or is_list(source)


def fill_many(run: Run, many: Many) -> ExitCode:
    """Fill all photos of a folder or list; what is missing or collides is told first.

    Raises:
        InpaintError, EngineError: the run cannot begin.
    """
    if many.output is None or many.output == STDOUT:
        raise UsageError("Many photos need an output folder.", hint="Pass -o FOLDER.")
    if run.attention_map is not None:
        raise UsageError("--attention-map is for one photo.", hint="Fill the photos one by one.")
    course = _Course(run, many, many.output)
    plan = course.planned()
    if run.dry_run or not plan.jobs:
        records = Records(many.output / NAME)
        return course.tell(course.left_of(plan, records), work=course.dry)
    batch.make_folder(many.output)
    with Journal(many.output) as journal:
        left = course.left_of(plan, journal.records())
        return course.tell(left, work=lambda jobs: course.work(jobs, journal))


class _Course:
    """One run: what is asked for, and what has come of it so far."""

    def __init__(self, run: Run, many: Many, output: Path) -> None:
        self._run, self._many, self._output = run, many, output
        self._console = run.console
        self._started = time.perf_counter()
        self._tally = Tally()
        self._report: Report | None = None
        self._making = Making(
            model=find_card(run.model).sha256,
            # As asked for: where one machine has bf16 and another has not, neither begins again.
            options={**run.settings.of_pixels(), "precision": run.precision},
        )

    def planned(self) -> Plan:
        """All pairs, also those whose output exists."""
        many = self._many
        return (plan_list if is_list(many.source) else plan_folder)(
            many.source,
            many.mask,
            self._output,
            overwrite=True,
            wanted=chooser(many.include, many.exclude),
        )

    def left_of(self, plan: Plan, records: Records) -> Plan:
        """The plan without what earlier runs have done."""
        return remaining(
            plan,
            records,
            self._output,
            self._making,
            overwrite=self._run.settings.overwrite,
            retry_failed=self._many.retry_failed,
        )

    def tell(self, plan: Plan, work: Callable[[tuple[Job, ...]], None]) -> ExitCode:
        """Tell the plan, do the work, tell the sums."""
        tell_loose_ends(self._console, plan)
        with self._reporting(len(plan.jobs) + len(plan.skips)):
            for skip in plan.skips:
                self._take(batch.skipped(skip), brief=skip.done)
            if plan.jobs:
                work(plan.jobs)
            if not plan.jobs and not plan.skips:
                self._console.say(f"{self._many.source}: no photo to fill.")
        left = len(plan.jobs) + len(plan.skips) - self._tally.counts.total()
        seconds = time.perf_counter() - self._started
        tell_summary(self._console, self._tally, seconds, left=left)
        return self._tally.exit_code()

    def dry(self, jobs: tuple[Job, ...]) -> None:
        """Tell what would be done."""
        for job in jobs:
            tell_dry(self._console, job)
            self._tally.counts["skipped"] += 1

    def work(self, jobs: tuple[Job, ...], journal: Journal) -> None:
        """Do the jobs; each outcome is noted, then told."""
        tell_space(self._console, bytes_needed(jobs), _free(self._output), self._output)
        ledger = JournalLedger(journal, self._making)
        number = self._many.workers or workers.default_workers(len(jobs))
        with ExitStack() as stack, self._console.bar(len(jobs)) as bar:
            models = workers.open_models(stack, self._run.open_model, number)
            tell_model(self._console, models[0])
            outcomes = workers.fill_files(
                jobs,
                models,
                self._run.settings,
                notes=self._console.say,
                ledger=ledger,
                stop=self._is_to_stop,
            )
            # Closed before the models are, also where an interrupt comes between two outcomes.
            for outcome in stack.enter_context(closing(outcomes)):
                self._note(ledger, outcome)
                self._take(outcome, brief=True)
                bar.advance()

    def _is_to_stop(self) -> bool:
        return self._many.fail_fast and self._tally.counts["failed"] > 0

    def _note(self, ledger: JournalLedger, outcome: Outcome) -> None:
        try:
            ledger.settle(outcome)
        except OutputError as error:
            # The output is whole, and was announced: the next run finds it and notes it.
            self._console.say(f"{outcome.input}: not noted. {error}")

    def _take(self, outcome: Outcome, *, brief: bool) -> None:
        self._tally.add(outcome)
        tell_outcome(self._console, outcome, brief=brief)
        if self._report is not None:
            self._report.add(outcome)

    @contextmanager
    def _reporting(self, photos: int) -> Iterator[None]:
        """Keep the report, where one is asked for; it is written when all is done."""
        path = self._many.report
        if path is None or self._run.dry_run:
            yield
            return
        with Report(path, photos, overwrite=self._run.settings.overwrite) as self._report:
            yield
            seconds = time.perf_counter() - self._started
            self._report.write(title=str(self._many.source), summary=self._tally.table(seconds))


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
