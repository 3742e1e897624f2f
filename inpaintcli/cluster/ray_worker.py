"""A worker of a Ray cluster: a model in a process of Ray's, which prepares and publishes outputs.

Only paths, URLs and outcomes are sent; pictures stay in the worker. It prepares a draft and keeps
it, and publishes it when it is called again: by then the run has announced it in the journal.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from inpaintcli_engines.base import EngineError, EngineInfo, EngineUnavailableError

from inpaintcli import __version__
from inpaintcli.batch.fill_steps import open_chosen_model
from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.job_runner import Draft, JobRunner
from inpaintcli.batch.jobs import Job
from inpaintcli.batch.outcome import ModelUsed, Outcome, failed_outcome
from inpaintcli.batch.thread_pool import model_pool
from inpaintcli.errors import InpaintError
from inpaintcli.imaging.images import ignore_note
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.models.cards import find_card
from inpaintcli.options import FillOptions, ModelChoice

SHARED_HINT = "Local paths need a file system that all machines share; or name URLs."


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What all workers of a run are given.

    `shared_file` is a file of the output folder, which exists on a machine that shares the folder;
    None where the outputs are in a store.
    """

    model: ModelChoice
    options: FillOptions
    overwrite: bool
    fingerprint: RunFingerprint
    shared_file: Path | None
    version: str = __version__


@dataclass(frozen=True)
class WorkerInfo:
    """A worker that is ready: where it runs, and its model and engine.

    `why` and `fallback` as in `pipeline.Model`; `notes` are sentences for the user.
    """

    host: str
    pid: int
    model: str
    info: EngineInfo
    why: str
    fallback: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RemoteDraft:
    """The outcome once a draft is published; `is_kept`: the worker has it, it did not fail."""

    outcome: Outcome
    notes: tuple[str, ...]
    is_kept: bool


@dataclass
class _NoteCollector:
    """Collects what an engine reports while it loads."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, task: str, share: float) -> None:
        """Not shown: a worker has no terminal."""


class RayWorker:
    """One model. Its methods may be called from several threads once `open` has returned."""

    def __init__(self, settings: WorkerSettings, threads: int) -> None:
        self._settings, self._threads = settings, threads
        self._host = socket.gethostname()
        self._runner: JobRunner | None = None
        self._drafts: dict[int, Draft] = {}

    def open(self) -> WorkerInfo | InpaintError | EngineError:
        """Open the model; an error is returned, with this machine's name in its message."""
        try:
            return self._open()
        except (InpaintError, EngineError) as error:
            return type(error)(f"{self._host}: {error.message}", hint=error.hint)

    def _open(self) -> WorkerInfo:
        settings, collector = self._settings, _NoteCollector()
        _check(settings)
        model = open_chosen_model(settings.model, threads=self._threads, report=collector)
        self._runner = JobRunner(
            borrow_model=model_pool([model]),
            model_used=ModelUsed.of(model),
            options=settings.options,
            notify=ignore_note,
            overwrite=settings.overwrite,
            run_fingerprint=settings.fingerprint,
        )
        return self._info(model, tuple(collector.notes))

    def _info(self, model: Model, notes: tuple[str, ...]) -> WorkerInfo:
        name, info = model.card.name, model.engine.info
        return WorkerInfo(self._host, os.getpid(), name, info, model.why, model.fallback, notes)

    def prepare(self, number: int, job: Job) -> RemoteDraft:
        """Do everything except publishing, and keep the draft under that number."""
        if self._runner is None:
            raise RuntimeError("prepare before open")
        error = _invisible_input(job, self._host)
        if error is not None:
            return RemoteDraft(failed_outcome(job, None, error), (), is_kept=False)
        notes: list[str] = []
        draft = _with_notify(self._runner, notes.append).prepare(job)
        if draft.data is not None:
            self._drafts[number] = draft
        return RemoteDraft(draft.outcome, tuple(notes), is_kept=draft.data is not None)

    def discard(self, number: int) -> None:
        """Forget a draft that is not to be published."""
        self._drafts.pop(number, None)

    def publish(self, number: int, temporary: str) -> Outcome:
        """Publish the draft of that number; `temporary` as in `JobRunner.publish`."""
        if self._runner is None:
            raise RuntimeError("publish before open")
        return self._runner.publish(self._drafts.pop(number), temporary)


def _with_notify(runner: JobRunner, notify: Callable[[str], None]) -> JobRunner:
    return replace(runner, notify=notify)


def _check(settings: WorkerSettings) -> None:
    """Refuse a machine that would make other outputs, or does not share the output folder.

    Raises:
        EngineUnavailableError: the machine cannot take part in the run.
        ModelError: the model is not installed here.
    """
    if settings.version != __version__:
        raise EngineUnavailableError(
            f"inpaintcli {__version__} is installed, but the run is of {settings.version}.",
            hint=f"pip install inpaintcli=={settings.version}",
        )
    if find_card(settings.model.model).fingerprint != settings.fingerprint.model:
        raise EngineUnavailableError("The model is another one here.", hint="Install the same.")
    if settings.shared_file is not None and not settings.shared_file.exists():
        folder = settings.shared_file.parent
        raise EngineUnavailableError(f"{folder} is not the output folder here.", hint=SHARED_HINT)


def _invisible_input(job: Job, host: str) -> EngineError | None:
    """The error of a photo or mask that does not exist on this machine."""
    for location in (job.photo, job.mask):
        if isinstance(location, Path) and not location.exists():
            return EngineUnavailableError(f"{location} is not visible on {host}.", hint=SHARED_HINT)
    return None
