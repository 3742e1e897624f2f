"""The command `harmonize` for a folder of photos, one after the other."""

import time
from contextlib import ExitStack
from pathlib import Path

from inpaintcli.batch.fill_many import begin_errors_recorded
from inpaintcli.batch.harmonize_one import (
    HARMONIZED,
    HarmonizeRequest,
    foreground_source,
    local_job,
    run_harmonize,
)
from inpaintcli.batch.job_runner import as_expected
from inpaintcli.batch.jobs import STDOUT, BatchPlan, Job, LocalJob
from inpaintcli.batch.messages import (
    OutcomeCounts,
    report_dry_run,
    report_outcome,
    report_summary,
    report_unmatched,
)
from inpaintcli.batch.outcome import Outcome, failed_outcome, skipped_outcome
from inpaintcli.batch.plan import plan_folder
from inpaintcli.errors import ExitCode, UsageError
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.signals import Stop, stop_signals
from inpaintcli.storage.folders import make_folder


def harmonize_folder(
    request: HarmonizeRequest, folder: Path, mask: str, output: Path | None
) -> ExitCode:
    """Harmonize all photos of a folder that have a mask; the output mirrors the tree.

    Args:
        request: how.
        folder: of the photos.
        mask: a folder of masks, or one file for all; white on the objects.
        output: the output folder; created when needed. Existing outputs are skipped.

    Raises:
        InpaintError, EngineError: the run cannot begin.
    """
    with begin_errors_recorded(request.console, LocalJob(folder, None, output or STDOUT)):
        if output is None or output == STDOUT:
            raise UsageError("Many photos need an output folder.", hint="Pass -o FOLDER.")
        plan = plan_folder(
            folder, foreground_source(mask), output, overwrite=request.overwrite, names=HARMONIZED
        )
        report_unmatched(request.console, plan)
        return _Run(request).run(plan)


class _Run:
    """One run: what it is asked for, and the outcomes so far."""

    def __init__(self, request: HarmonizeRequest) -> None:
        self._request, self._console = request, request.console
        self._counts, self._started = OutcomeCounts(), time.perf_counter()
        self._stop = Stop()

    def run(self, plan: BatchPlan) -> ExitCode:
        """Report what is skipped, do the jobs, report the totals."""
        for skip in plan.skips:
            self._take(skipped_outcome(skip))
        if self._request.dry_run:
            for job in plan.jobs:
                self._counts.add(report_dry_run(self._console, job, verb="harmonize"))
        elif plan.jobs:
            self._harmonize(plan.jobs)
        left = len(plan.jobs) + len(plan.skips) - self._counts.by_status.total()
        report_summary(self._console, self._counts, time.perf_counter() - self._started, left=left)
        return ExitCode.INTERRUPTED if self._stop else self._counts.exit_code()

    def _harmonize(self, jobs: tuple[Job, ...]) -> None:
        with ExitStack() as stack, self._console.bar(len(jobs)) as bar:
            model = self._request.open_harmonizer(stack)
            self._stop = stack.enter_context(stop_signals(self._console.say))
            for job in jobs:
                if self._stop:
                    return
                self._take(self._outcome(job, model), brief=True)
                bar.advance()

    def _outcome(self, job: Job, model: Model | None) -> Outcome:
        started = time.perf_counter()
        try:
            local = local_job(job)
            make_folder(local.output.parent)
            outcome = run_harmonize(self._request, local, model)
            assert outcome is not None  # noqa: S101 - no job of a folder writes to standard output
        except Exception as error:  # noqa: BLE001 - one bad photo never stops the rest
            return failed_outcome(job, model, as_expected(error), time.perf_counter() - started)
        return outcome

    def _take(self, outcome: Outcome, *, brief: bool = False) -> None:
        self._counts.add(outcome)
        report_outcome(self._console, outcome, brief=brief)
