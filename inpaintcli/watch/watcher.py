"""The command `watch`: look, do what is ready, tell, put the inputs away, until stopped."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from inpaintcli.batch.fill_many import BatchOptions, fill_many
from inpaintcli.batch.fill_one import FillRequest
from inpaintcli.batch.job_runner import JobRunner
from inpaintcli.batch.jobs import STDOUT
from inpaintcli.batch.journal import Journal
from inpaintcli.batch.messages import OutcomeCounts, report_model, report_outcome, report_summary
from inpaintcli.batch.outcome import ModelUsed, Outcome, error_json
from inpaintcli.batch.resume import DONE, JournalRecorder, Past
from inpaintcli.batch.thread_pool import MOST_WORKERS, default_workers, open_models
from inpaintcli.console import complain
from inpaintcli.errors import ExitCode, OutputError, UsageError
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.signals import Stop, stop_signals
from inpaintcli.storage.folders import make_folder
from inpaintcli.watch import observer
from inpaintcli.watch.archive import Archive, proven
from inpaintcli.watch.jobs import ReadyJob
from inpaintcli.watch.layout import Layout, lay_out
from inpaintcli.watch.monitor import Monitor, timestamp
from inpaintcli.watch.observer import FolderObserver
from inpaintcli.watch.pairs import PairTracker
from inpaintcli.watch.stability import Event, StabilityTracker, Stamp, Timing

TURN_S = 1.0
"""The loop turns at least so often."""
MESSAGES = 1000
"""Taken in one turn at most, so that a flood of events does not keep the loop from its work."""


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """What only a watch has. Seconds where the name ends in _s."""

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
        """The waits that follow from the options."""
        quiet_s = Timing.quiet_s if self.poll_s is None else max(Timing.found_s, self.poll_s)
        timing = Timing(mask_s=self.mask_timeout_s, quiet_s=quiet_s)
        if self.once:
            return replace(timing, broken_s=timing.found_s, open_s=timing.found_s, retry_s=())
        return timing


@dataclass(frozen=True)
class _Finished:
    task: ReadyJob
    outcome: Outcome
    started: str
    queued_s: float
    written: Stamp | None
    """The output as we left it."""


def watch_folder(
    run: FillRequest, options: WatchOptions, folder: Path, mask: str | None, output: Path | None
) -> ExitCode:
    """Fill what comes into a folder until a signal asks to stop, or once what is there.

    Returns:
        OK after SIGTERM, INTERRUPTED after SIGINT; with `once` as for a folder.

    Raises:
        InpaintError, EngineError: the watch cannot begin.
    """
    if output is None or output == STDOUT:
        raise UsageError("A watch needs an output folder.", hint="Pass -o FOLDER.")
    if options.delete_inputs and options.done is not None:
        raise UsageError("--delete-inputs and --done contradict each other.", hint="Drop one.")
    layout = lay_out(folder, mask, output, {"--done": options.done, "--failed": options.failed})
    if run.dry_run:
        return fill_many(run, BatchOptions(source=folder, mask=mask, output=output))
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signals(run.console.say))
        return _Session(run, options, layout, stack).watch(stop)


class _Session:
    """One run of the command: everything that its loop holds."""

    def __init__(
        self, run: FillRequest, options: WatchOptions, layout: Layout, stack: ExitStack
    ) -> None:
        """Open all that is needed; `stack` closes it."""
        self._run, self._options, self._layout = run, options, layout
        self._messages: SimpleQueue[Event | _Finished] = SimpleQueue()
        make_folder(layout.output)
        journal = stack.enter_context(Journal(layout.output))
        self._recorder = JournalRecorder(journal, run.fingerprint())
        self._watch = _new_watch(run, options, layout, self._recorder.past())
        self._archive = Archive(
            folder=layout.folder,
            done=_absolute(options.done),
            failed=_absolute(options.failed),
            delete=options.delete_inputs,
        )
        workers = options.workers or default_workers(MOST_WORKERS)
        models = open_models(stack, run.open_model, workers)
        report_model(run.console, models[0])
        self._models: SimpleQueue[Model] = SimpleQueue()
        for model in models:
            self._models.put(model)
        self._free = len(models)
        self._tally = OutcomeCounts()
        self._pool = stack.enter_context(ThreadPoolExecutor(len(models)))
        self._monitor = stack.enter_context(_new_monitor(options, layout))
        if self._monitor.metrics_url is not None:
            self._say(f"Metrics are on {self._monitor.metrics_url}.")
        poll_s = TURN_S if options.once else options.poll_s
        self._lookout = FolderObserver(layout.roots, self._messages.put, poll_s=poll_s)
        stack.enter_context(self._lookout)

    def watch(self, stop: Stop) -> ExitCode:
        """The loop."""
        started = time.perf_counter()
        if self._options.once:
            self._watch.scan(self._layout.roots)
        else:
            self._say(f"Watching {self._layout.folder}; Ctrl-C stops after the photo at work.")
        while not self._is_over(stop):
            if not self._options.once:
                self._look()
            self._watch.tick()
            if not stop:
                self._start()
            self._report()
            self._show()
            self._receive()
        if self._options.once:
            self._watch.report_waiting()
            self._report()
        self._show()
        report_summary(self._run.console, self._tally, time.perf_counter() - started)
        if not stop:
            return self._tally.exit_code()
        return ExitCode.INTERRUPTED if stop.number == signal.SIGINT else ExitCode.OK

    def _is_over(self, stop: Stop) -> bool:
        if stop:
            return not self._watch.counts().working
        self._watch.tick()
        return self._options.once and self._watch.is_idle

    def _look(self) -> None:
        change = self._lookout.look(self._watch.scan)
        missing = ", ".join(str(path) for path in self._lookout.missing)
        told = {
            "gone": f"{missing} is gone; waiting for it to come back.",
            "back": "The watched folder is back.",
            "limit": "The system's limit of watched folders is reached: new subfolders are "
            f"looked at every {observer.RESCAN_S:.0f} s only. Pass --poll, or raise "
            "fs.inotify.max_user_watches.",
        }
        if change:
            complain(told[change])
            self._monitor.event(change, {"message": told[change]})

    def _receive(self) -> None:
        """Wait for something to happen, and take note of all that has."""
        now = time.monotonic()
        until = min(self._watch.next_due(), now + TURN_S)
        if not self._options.once:
            until = min(until, self._lookout.next_look)
        wait = max(0.0, until - now)
        with suppress(Empty):
            for _ in range(MESSAGES):
                message = self._messages.get(timeout=wait)
                wait = 0.0
                if isinstance(message, Event):
                    self._watch.see(message)
                else:
                    self._finish(message)

    def _start(self) -> None:
        """Give free workers what is ready."""
        while self._free and (task := next(self._watch.tasks(), None)) is not None:
            self._free -= 1
            self._pool.submit(self._do, task)

    def _do(self, task: ReadyJob) -> None:
        """Fill one photo and prove its output; in a thread of the pool."""
        model, started = self._models.get(), timestamp()
        queued_s = round(time.monotonic() - task.ready_at, 3)
        settings = replace(self._run.settings, overwrite=task.replaces)
        lent = nullcontext(model)
        fingerprint, recorder = self._recorder.fingerprint, self._recorder
        filler = JobRunner(
            lambda: lent, ModelUsed.of(model), settings, self._say, fingerprint, recorder
        )
        outcome = filler.settle(task.job)
        self._models.put(model)
        self._note(outcome)
        written = Stamp.of(task.job.output) if outcome.status == "filled" else None
        if self._archive.wants_proof(outcome):
            outcome = proven(outcome, task.job, settings)
        self._messages.put(_Finished(task, outcome, started, queued_s, written))

    def _note(self, outcome: Outcome) -> None:
        try:
            self._recorder.settle(outcome)
        except OutputError as error:
            if outcome.status == "filled":  # a failure is told anyway
                complain(f"{outcome.input}: not noted. {error}")

    def _finish(self, finished: _Finished) -> None:
        """Take the outcome of a task: tell it and put the inputs away, unless it is tried again."""
        self._free += 1
        task, outcome = finished.task, finished.outcome
        wait = self._watch.finish(task, outcome, finished.written)
        if wait is not None:
            self._held_back(outcome, wait)
            return
        self._tally.add(outcome)
        report_outcome(self._run.console, outcome)
        times = {"started": finished.started, "queued_s": finished.queued_s}
        self._monitor.outcome(outcome, **times)
        try:
            self._put_away(task, outcome)
        except OutputError as error:
            complain(str(error))
            self._monitor.event("kept", {"input": str(outcome.input), "message": str(error)})

    def _held_back(self, outcome: Outcome, wait: float) -> None:
        error = outcome.error
        if error is None or error.code != ExitCode.OUTPUT:
            return  # perhaps not whole yet: nothing to worry anybody with
        self._say(f"{outcome.input}: {error} It is tried again in {wait:.0f} s.")
        details = {"input": str(outcome.input), "again_in_s": wait}
        self._monitor.event("retry", {**details, "error": error_json(error)})

    def _put_away(self, task: ReadyJob, outcome: Outcome) -> None:
        """Move or remove the inputs, where that is asked for and they are what was filled."""
        photo, mask = task.job.photo, task.job.mask
        own_mask = mask if self._layout.needs_masks else None
        stamps = (Stamp.of(photo), Stamp.of(own_mask) if own_mask else None)
        if stamps != task.stamps:
            return
        try:
            is_shared = own_mask is not None and self._watch.is_shared(own_mask, photo)
            self._archive.put_away(outcome, None if is_shared else own_mask)
        finally:
            for path in (photo, own_mask):
                if path is not None and Stamp.of(path) is None:
                    self._watch.left(path)

    def _report(self) -> None:
        for outcome in self._watch.reports():
            self._tally.add(outcome)
            report_outcome(self._run.console, outcome, brief=outcome.note == DONE)
            self._monitor.outcome(outcome)

    def _show(self) -> None:
        self._monitor.show(self._watch.counts(), present=not self._lookout.missing)

    def _say(self, text: str) -> None:
        self._run.console.say(text)


def _new_watch(run: FillRequest, options: WatchOptions, layout: Layout, past: Past) -> PairTracker:
    timing = options.timing()
    by_events = options.poll_s is None and not options.once
    arrivals = StabilityTracker(
        places=layout, timing=timing, tells_closing=by_events and observer.TELLS_CLOSING
    )
    overwrite = run.settings.overwrite
    return PairTracker(
        layout,
        arrivals,
        timing=timing,
        overwrite=overwrite,
        past=None if overwrite else past,
        keeps_inputs=options.done is None and not options.delete_inputs,
    )


def _new_monitor(options: WatchOptions, layout: Layout) -> Monitor:
    return Monitor(
        log=options.log,
        status=options.status,
        metrics_port=options.metrics_port,
        folder=str(layout.folder),
        output=str(layout.output),
    )


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()
