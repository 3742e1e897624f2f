"""The command `fill` for many photos: plan, see what is left to do, do it, note it, tell it."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from inpaintcli import batch, workers
from inpaintcli.batch import Outcome
from inpaintcli.errands import STDOUT, Errand, Plan
from inpaintcli.errors import ExitCode, OutputError, UsageError
from inpaintcli.filling import Run
from inpaintcli.folders import Chooser
from inpaintcli.journal import Journal, journal_of
from inpaintcli.lists import is_list, plan_list
from inpaintcli.pairs import plan_folder
from inpaintcli.places import Place, free_bytes, reachable
from inpaintcli.records import Records
from inpaintcli.report import Report
from inpaintcli.resume import JournalLedger, bytes_needed, remaining
from inpaintcli.stopping import Stop, stop_signals
from inpaintcli.telling import (
    Tally,
    tell_dry,
    tell_loose_ends,
    tell_model,
    tell_outcome,
    tell_space,
    tell_summary,
)

Outcomes = Generator[Outcome, None, None]


@dataclass(frozen=True, kw_only=True)
class Many:
    """Which photos, and how to go about them.

    `source` is a folder or a list of pairs. `include` and `exclude` are globs, as for
    `folders.Chooser`; `workers` None leaves their number to the machine; `ray` is the address of
    a cluster, or "local"; `journal` a folder for the journal, where the outputs are in a store.
    """

    source: Place
    mask: str | None
    output: Place | None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    retry_failed: bool = False
    fail_fast: bool = False
    report: Path | None = None
    workers: int | None = None
    ray: str | None = None
    journal: Path | None = None


def is_many(source: Place) -> bool:
    """Whether the argument of `fill` stands for many photos."""
    with reachable():
        return is_list(source) or source.is_dir()


def fill_many(run: Run, many: Many) -> ExitCode:
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
    course, path = _Course(run, many, many.output), journal_of(many.output, many.journal)
    with reachable():
        plan = course.planned()
    if run.dry_run or not plan.jobs:
        return course.tell(course.left_of(plan, Records(path)), work=course.dry)
    batch.make_folder(path.parent)
    with Journal(many.output, path) as journal:
        run.console.detail(f"journal {path}")
        left = course.left_of(plan, journal.records())
        return course.tell(left, work=lambda jobs: course.work(jobs, journal))


class _Course:
    """One run: what is asked for, and what has come of it so far."""

    def __init__(self, run: Run, many: Many, output: Place) -> None:
        self._run, self._many, self._output = run, many, output
        self._console = run.console
        self._started = time.perf_counter()
        self._tally = Tally()
        self._report: Report | None = None
        self._making = run.making()
        self._stop = Stop()

    def planned(self) -> Plan:
        """All pairs, also those whose output exists."""
        many = self._many
        return (plan_list if is_list(many.source) else plan_folder)(
            many.source,
            many.mask,
            self._output,
            overwrite=True,
            wanted=Chooser(many.include, many.exclude),
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

    def tell(self, plan: Plan, work: Callable[[tuple[Errand, ...]], None]) -> ExitCode:
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
            # Before the report, which may fail.
            tell_summary(self._console, self._tally, seconds, left=left)
        return ExitCode.INTERRUPTED if self._stop else self._tally.exit_code()

    def dry(self, jobs: tuple[Errand, ...]) -> None:
        """Tell what would be done."""
        for job in jobs:
            self._tally.add(tell_dry(self._console, job))

    def work(self, jobs: tuple[Errand, ...], journal: Journal) -> None:
        """Do the jobs; each outcome is noted, then told."""
        tell_space(self._console, bytes_needed(jobs), free_bytes(self._output), self._output)
        ledger = JournalLedger(journal, self._making)
        fill_files = self._by_workers if self._many.ray is None else self._by_cluster
        with ExitStack() as stack, self._console.bar(len(jobs)) as bar:
            outcomes = fill_files(stack, jobs, ledger)
            # Closed before the models are, also where a fault comes between two outcomes.
            for outcome in stack.enter_context(closing(outcomes)):
                self._note(ledger, outcome)
                self._take(outcome, brief=True)
                bar.advance()

    def _by_workers(
        self, stack: ExitStack, jobs: Sequence[Errand], ledger: JournalLedger
    ) -> Outcomes:
        number = self._many.workers or workers.default_workers(len(jobs))
        # Until they are open, which may take minutes on a GPU, a signal ends the run at once.
        models = workers.open_models(stack, self._run.open_model, number)
        tell_model(self._console, models[0])
        self._stop = stack.enter_context(stop_signals(self._console.say))
        return workers.fill_files(
            jobs,
            models,
            self._run.settings,
            notes=self._console.say,
            ledger=ledger,
            stop=self._is_to_stop,
        )

    def _by_cluster(
        self, stack: ExitStack, jobs: Sequence[Errand], ledger: JournalLedger
    ) -> Outcomes:
        from inpaintcli import cluster, crew
        from inpaintcli.actor import Order

        run, many = self._run, self._many
        if run.device.startswith("cuda:"):
            raise UsageError("A cluster chooses the GPUs itself.", hint="Pass --device cuda.")
        order = Order(
            model=run.model,
            engine=run.engine,
            device=run.device,
            precision=run.precision,
            settings=run.settings,
            making=ledger.making,
            witness=journal_of(self._output) if isinstance(self._output, Path) else None,
        )
        # Before Ray is asked anything: a handler that raises is a fault of Ray's.
        self._stop = stack.enter_context(stop_signals(self._console.say))
        pool = stack.enter_context(cluster.connected(str(many.ray), many.workers, len(jobs)))
        return crew.fill_files(
            jobs, pool, order, console=self._console, ledger=ledger, stop=self._is_to_stop
        )

    def _is_to_stop(self) -> bool:
        return bool(self._stop) or (self._many.fail_fast and self._tally.counts["failed"] > 0)

    def _note(self, ledger: JournalLedger, outcome: Outcome) -> None:
        try:
            ledger.settle(outcome)
        except OutputError as error:
            # The output is whole, and was announced: the next run finds it and notes it. A
            # failure that was not noted is tried again.
            if outcome.status == "filled":
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
