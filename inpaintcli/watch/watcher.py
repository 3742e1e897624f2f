"""The command `watch`: fill what comes into a folder, report it, archive inputs, until stopped."""

import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from inpaintcli.batch.fill_many import BatchOptions, begin_errors_recorded, fill_many
from inpaintcli.batch.job_runner import JobRunner, as_expected
from inpaintcli.batch.jobs import STDOUT, Job
from inpaintcli.batch.journal import Journal
from inpaintcli.batch.messages import OutcomeCounts, report_model, report_outcome, report_summary
from inpaintcli.batch.outcome import ModelUsed, Outcome, error_to_json, failed_outcome
from inpaintcli.batch.requests import FillRequest
from inpaintcli.batch.resume import DONE, JournalRecorder, PreviousRuns
from inpaintcli.batch.thread_pool import (
    MAX_DEFAULT_WORKERS,
    default_workers,
    model_pool,
    open_models,
)
from inpaintcli.console import complain
from inpaintcli.errors import ExitCode, OutputError, UsageError
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.source import MaskSource
from inpaintcli.signals import Stop, stop_signals
from inpaintcli.storage.folders import make_folder
from inpaintcli.watch import observer
from inpaintcli.watch.archive import Archive, verified
from inpaintcli.watch.layout import WatchLayout, watch_layout
from inpaintcli.watch.monitor import Monitor, timestamp
from inpaintcli.watch.observer import FolderObserver
from inpaintcli.watch.pair_tracker import PairTracker
from inpaintcli.watch.relocation import restore_interrupted
from inpaintcli.watch.stability import Event, FileSnapshot, StabilityTracker, Timing
from inpaintcli.watch.state import ReadyPair

WAIT_S = 1.0
"""The longest wait in a turn of the loop."""
MAX_MESSAGES = 1000
"""Handled in one turn at most, so that many events do not keep the loop from starting jobs."""

_OF_TERMINALS = {signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)}


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """What only a watch is asked for; seconds where the name ends in _s.

    mask_timeout_s: after that, a missing mask is reported. poll_s: scan at this interval; None for
    events of the system. once: fill what is there, then end. done, failed: folders to which inputs
    are moved. delete_inputs: remove them instead. log, status: files. metrics_port: for Prometheus.
    workers: photos at a time.
    """

    mask_timeout_s: float = 60.0
    poll_s: float | None = None
    once: bool = False
    done: Path | None = None
    failed: Path | None = None
    delete_inputs: bool = False
    log: Path | None = None
    status: Path | None = None
    metrics_port: int | None = None
    workers: int | None = None

    def timing(self) -> Timing:
        """The waiting times that follow from the options."""
        quiet_s = Timing.quiet_s if self.poll_s is None else max(Timing.found_s, self.poll_s)
        timing = Timing(mask_s=self.mask_timeout_s, quiet_s=quiet_s)
        if self.once:
            return replace(timing, broken_s=timing.found_s, open_s=timing.found_s, retry_s=())
        return timing


@dataclass(frozen=True)
class _Finished:
    pair: ReadyPair
    outcome: Outcome
    started: str
    queued_s: float
    written: FileSnapshot | None
    """The output after it was written; None if it was not."""


def watch_folder(
    request: FillRequest,
    options: WatchOptions,
    folder: Path,
    mask: MaskSource,
    output: Path | None,
) -> ExitCode:
    """Fill what comes into a folder until a signal asks to stop; with `once`, what is there.

    Args:
        request: how to fill.
        options: how to watch.
        folder: of the photos.
        mask: where holes come from.
        output: the output folder.

    Returns:
        OK after SIGTERM, INTERRUPTED after SIGINT and SIGHUP; with `once` as `fill` for a folder.

    Raises:
        InpaintError, EngineError: the watch cannot begin; recorded as in `fill_many`.
    """
    with begin_errors_recorded(request.console, Job(folder, None, output or STDOUT)):
        return _watch(request, options, folder, mask, output)


def _watch(
    request: FillRequest,
    options: WatchOptions,
    folder: Path,
    mask: MaskSource,
    output: Path | None,
) -> ExitCode:
    if output is None or output == STDOUT:
        raise UsageError("A watch needs an output folder.", hint="Pass -o FOLDER.")
    if options.delete_inputs and options.done is not None:
        raise UsageError("--delete-inputs and --done contradict each other.", hint="Drop one.")
    moved_to = {"--done": options.done, "--failed": options.failed}
    layout = watch_layout(folder, mask, output, moved_to, (options.status, options.log))
    if request.dry_run or _may_only_look(options, output):
        return fill_many(request, BatchOptions(source=folder, mask=mask, output=output))
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signals(request.console.say))
        return _Watch(request, options, layout, stack).run(stop)


def _may_only_look(options: WatchOptions, output: Path) -> bool:
    """Whether nothing can be written, so that all that can be done is to find everything done."""
    archives = options.done or options.failed or options.delete_inputs
    is_read_only = output.is_dir() and not os.access(output, os.W_OK)
    return options.once and is_read_only and not archives


class _Watch:
    """One run of the command: what its loop works with."""

    def __init__(
        self, request: FillRequest, options: WatchOptions, layout: WatchLayout, stack: ExitStack
    ) -> None:
        """Open all that is needed; `stack` closes it."""
        self._request, self._options, self._layout = request, options, layout
        self._messages: SimpleQueue[Event | _Finished] = SimpleQueue()
        make_folder(layout.output)
        if options.done or options.failed or options.delete_inputs:
            restore_interrupted(layout.roots)
        journal = stack.enter_context(closing(Journal(layout.output)))
        self._recorder = JournalRecorder(journal, request.fingerprint())
        self._tracker = _new_tracker(request, options, layout, self._recorder.previous_runs())
        self._archive = Archive(
            folder=layout.folder,
            done=_absolute(options.done),
            failed=_absolute(options.failed),
            delete=options.delete_inputs,
        )
        workers = options.workers or default_workers(MAX_DEFAULT_WORKERS)
        models = open_models(stack, request.open_model, workers)
        report_model(request.console, models[0])
        self._runner = self._new_runner(models)
        self._free_workers = len(models)
        self._counts = OutcomeCounts()
        self._pool = stack.enter_context(ThreadPoolExecutor(len(models)))
        self._monitor = stack.enter_context(closing(_new_monitor(options, layout)))
        if self._monitor.metrics_url is not None:
            self._say(f"Metrics are on {self._monitor.metrics_url}.")
        poll_s = WAIT_S if options.once else options.poll_s
        self._observer = FolderObserver(layout.roots, self._messages.put, poll_s=poll_s)
        stack.enter_context(closing(self._observer))
        self._observer.start()

    def _new_runner(self, models: Sequence[Model]) -> JobRunner:
        return JobRunner(
            borrow_model=model_pool(models),
            model_used=ModelUsed.of(models[0]),
            options=self._request.options,
            notify=self._say,
            run_fingerprint=self._recorder.run_fingerprint,
            recorder=self._recorder,
        )

    def run(self, stop: Stop) -> ExitCode:
        """The loop."""
        started = time.perf_counter()
        if self._options.once:
            self._tracker.scan(self._layout.roots)
        else:
            self._say(f"Watching {self._layout.folder}; Ctrl-C stops after the photo in progress.")
        while not self._is_over(stop):
            if not self._options.once:
                self._look()
            self._tracker.tick()
            if not stop:
                self._start_jobs()
            self._report_notices()
            self._show_counts()
            self._receive()
        if self._options.once:
            self._tracker.report_unpaired()
            self._report_notices()
        self._show_counts()
        report_summary(self._request.console, self._counts, time.perf_counter() - started)
        if not stop:
            return self._counts.exit_code()
        is_asked = stop.number not in _OF_TERMINALS
        return ExitCode.OK if is_asked else ExitCode.INTERRUPTED

    def _is_over(self, stop: Stop) -> bool:
        if stop:
            return not self._tracker.counts().working
        self._tracker.tick()
        return self._options.once and self._tracker.is_idle

    def _look(self) -> None:
        change = self._observer.look(self._tracker.scan)
        missing = ", ".join(str(path) for path in self._observer.missing)
        messages = {
            "gone": f"{missing} is gone; waiting for it to come back.",
            "back": "The watched folder is back.",
            "limit": "The system's limit of watched folders is reached: new subfolders are "
            f"scanned every {observer.RESCAN_S:.0f} s only. Pass --poll, or raise "
            "fs.inotify.max_user_watches.",
        }
        if change:
            complain(messages[change])
            self._monitor.event(change, {"message": messages[change]})

    def _receive(self) -> None:
        """Wait for an event or an outcome, and handle all that have come."""
        now = time.monotonic()
        until = min(self._tracker.next_due(), now + WAIT_S)
        if not self._options.once:
            until = min(until, self._observer.next_look)
        wait = max(0.0, until - now)
        with suppress(Empty):
            for _ in range(MAX_MESSAGES):
                message = self._messages.get(timeout=wait)
                wait = 0.0
                if isinstance(message, Event):
                    self._tracker.handle(message)
                else:
                    self._finish(message)

    def _start_jobs(self) -> None:
        """Give ready pairs to free workers."""
        while self._free_workers and (pair := next(self._tracker.ready_pairs(), None)) is not None:
            self._free_workers -= 1
            self._pool.submit(self._fill, pair)

    def _fill(self, pair: ReadyPair) -> None:
        """Fill one photo and verify its output; runs in a thread of the pool."""
        started, written = timestamp(), None
        queued_s = round(time.monotonic() - pair.ready_at, 3)
        try:
            outcome = self._filled_before(pair) or self._filled_now(pair)
            written = FileSnapshot.of(pair.job.output) if outcome.status == "filled" else None
            if self._archive.needs_verification(outcome):
                outcome = verified(outcome, pair.job, self._request.options)
        except Exception as error:  # noqa: BLE001 - the loop waits for an outcome of every pair
            outcome = failed_outcome(pair.job, None, as_expected(error))
        self._messages.put(_Finished(pair, outcome, started, queued_s, written))

    def _filled_now(self, pair: ReadyPair) -> Outcome:
        outcome = replace(self._runner, overwrite=pair.replaces).run(pair.job)
        self._record(outcome)
        return outcome

    def _filled_before(self, pair: ReadyPair) -> Outcome | None:
        """The outcome of an earlier run; None where there is none, or it cannot be verified."""
        if not pair.is_filled:
            return None
        job = pair.job
        try:
            made_from = self._recorder.run_fingerprint.of_job(
                job.photo, job.mask, parts=job.parts.key()
            )
        except OSError:
            return None
        outcome = Outcome(
            status="filled",
            input=job.photo,
            mask=job.mask,
            output=job.output,
            fingerprint=made_from,
            note=DONE,
        )
        found = verified(outcome, job, self._request.options)
        return outcome if found.status == "filled" else None

    def _record(self, outcome: Outcome) -> None:
        try:
            self._recorder.record(outcome)
        except OutputError as error:
            if outcome.status == "filled":  # a failure is reported anyway
                complain(f"{outcome.input}: not recorded. {error}")

    def _finish(self, finished: _Finished) -> None:
        """Report an outcome and archive the inputs, unless the pair is tried again."""
        self._free_workers += 1
        pair, outcome = finished.pair, finished.outcome
        wait = self._tracker.finish(pair, outcome, finished.written)
        if wait is not None:
            self._report_postponed(outcome, wait)
            return
        self._report(outcome, {"started": finished.started, "queued_s": finished.queued_s})
        try:
            self._archive_inputs(pair, outcome)
        except OutputError as error:
            complain(str(error))
            self._monitor.event("kept", {"input": str(outcome.input), "message": str(error)})

    def _report(self, outcome: Outcome, times: dict[str, Any]) -> None:
        if outcome.status == "filled" and outcome.note == DONE:
            outcome = replace(outcome, status="skipped")
        self._counts.add(outcome)
        report_outcome(self._request.console, outcome, brief=outcome.note == DONE)
        self._monitor.outcome(outcome, **times)

    def _report_postponed(self, outcome: Outcome, wait: float) -> None:
        error = outcome.error
        if error is None or error.code != ExitCode.OUTPUT:
            return  # the file may be incomplete, which need not concern anyone
        self._say(f"{outcome.input}: {error} It is tried again in {wait:.0f} s.")
        details = {"input": str(outcome.input), "again_in_s": wait}
        self._monitor.event("retry", {**details, "error": error_to_json(error)})

    def _archive_inputs(self, pair: ReadyPair, outcome: Outcome) -> None:
        """Move or remove the inputs, if that is asked for and they have not changed since."""
        photo, mask = pair.job.photo, pair.job.mask
        own_mask = mask if self._layout.needs_masks else None
        snapshots = (FileSnapshot.of(photo), FileSnapshot.of(own_mask) if own_mask else None)
        if snapshots != pair.snapshots:
            return
        try:
            is_shared = own_mask is not None and self._tracker.is_shared(own_mask, photo)
            self._archive.archive_inputs(outcome, None if is_shared else own_mask)
        finally:
            for path in (photo, own_mask):
                if path is not None and FileSnapshot.of(path) is None:
                    self._tracker.input_removed(path)

    def _report_notices(self) -> None:
        for outcome in self._tracker.take_notices():
            self._counts.add(outcome)
            report_outcome(self._request.console, outcome, brief=outcome.note == DONE)
            self._monitor.outcome(outcome)

    def _show_counts(self) -> None:
        self._monitor.show(self._tracker.counts(), present=not self._observer.missing)

    def _say(self, text: str) -> None:
        self._request.console.say(text)


def _new_tracker(
    request: FillRequest, options: WatchOptions, layout: WatchLayout, previous_runs: PreviousRuns
) -> PairTracker:
    timing = options.timing()
    by_events = options.poll_s is None and not options.once
    stability_tracker = StabilityTracker(
        file_filter=layout, timing=timing, reports_closing=by_events and observer.REPORTS_CLOSING
    )
    overwrite = request.overwrite
    return PairTracker(
        layout,
        stability_tracker,
        timing=timing,
        overwrite=overwrite,
        previous_runs=None if overwrite else previous_runs,
        keeps_inputs=options.done is None and not options.delete_inputs,
    )


def _new_monitor(options: WatchOptions, layout: WatchLayout) -> Monitor:
    return Monitor(
        log=options.log,
        status=options.status,
        metrics_port=options.metrics_port,
        folder=str(layout.folder),
        output=str(layout.output),
    )


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()
