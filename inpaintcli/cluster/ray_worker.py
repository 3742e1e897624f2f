"""A worker of a cluster: what it is told, what it answers. Runs in a process of Ray's.

Only paths, URLs and Outcomes travel; pictures stay with the worker. It makes a draft, keeps it, and
lets it appear when it is told to: the run that sent it has then noted it in the journal.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from inpaintcli_engines.base import EngineError, EngineInfo, EngineUnavailableError

from inpaintcli import __version__
from inpaintcli.batch.fill_settings import FillSettings
from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.batch.job_runner import Draft, JobRunner
from inpaintcli.batch.jobs import Job
from inpaintcli.batch.outcome import ModelUsed, Outcome, failed_outcome
from inpaintcli.batch.thread_pool import lender
from inpaintcli.errors import InpaintError
from inpaintcli.imaging.images import ignore_note
from inpaintcli.inpaint.pipeline import Model, open_model
from inpaintcli.models.cards import find_card

SHARED = "Local paths need a file system that all machines share; or name URLs."


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What all workers of a run are told.

    `witness` is a file of the output folder, which a machine that shares it sees; None where the
    outputs are in a store.
    """

    model: str | None
    engine: str
    device: str
    precision: str
    settings: FillSettings
    fingerprint: RunFingerprint
    witness: Path | None
    version: str = __version__


@dataclass(frozen=True)
class WorkerInfo:
    """A worker that is ready: where it is, and what it works with."""

    host: str
    pid: int
    model: str
    info: EngineInfo
    why: str
    fallback: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RemoteDraft:
    """What will have happened once the worker lets the output appear; `is_kept`: it can."""

    outcome: Outcome
    notes: tuple[str, ...]
    is_kept: bool


@dataclass
class _Notebook:
    """A reporter that keeps the notes of an engine."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, task: str, share: float) -> None:
        """There is nobody to show it to."""


class Worker:
    """One engine. Its methods may be called from several threads once `open` has answered."""

    def __init__(self, order: WorkerSettings, threads: int) -> None:
        self._order, self._threads = order, threads
        self._host = socket.gethostname()
        self._filler: JobRunner | None = None
        self._drafts: dict[int, Draft] = {}

    def open(self) -> WorkerInfo | InpaintError | EngineError:
        """Load the model; what prevents it is told with the name of this machine."""
        try:
            return self._opened()
        except (InpaintError, EngineError) as error:
            return type(error)(f"{self._host}: {error.message}", hint=error.hint)

    def _opened(self) -> WorkerInfo:
        order, notebook = self._order, _Notebook()
        _check(order)
        model = open_model(
            order.model,
            engine=order.engine,
            device=order.device,
            precision=order.precision,
            threads=self._threads,
            report=notebook,
        )
        ran = ModelUsed.of(model)
        self._filler = JobRunner(lender([model]), ran, order.settings, ignore_note, order.fingerprint)
        return self._hello(model, tuple(notebook.notes))

    def _hello(self, model: Model, notes: tuple[str, ...]) -> WorkerInfo:
        name, info = model.card.name, model.engine.info
        return WorkerInfo(self._host, os.getpid(), name, info, model.why, model.fallback, notes)

    def draft(self, number: int, job: Job) -> RemoteDraft:
        """Do all but the last step, and keep it under that number."""
        if self._filler is None:
            raise RuntimeError("draft before open")
        unseen = _unseen(job, self._host)
        if unseen is not None:
            return RemoteDraft(failed_outcome(job, None, unseen), (), is_kept=False)
        notes: list[str] = []
        draft = _with_notes(self._filler, notes.append).draft(job)
        if draft.data is not None:
            self._drafts[number] = draft
        return RemoteDraft(draft.outcome, tuple(notes), is_kept=draft.data is not None)

    def drop(self, number: int) -> None:
        """Forget a draft that is not to appear."""
        self._drafts.pop(number, None)

    def publish(self, number: int, temporary: str) -> Outcome:
        """Let the output of that draft appear; `temporary`: a name beside it."""
        if self._filler is None:
            raise RuntimeError("publish before open")
        return self._filler.publish(self._drafts.pop(number), temporary)


def _with_notes(filler: JobRunner, notes: Callable[[str], None]) -> JobRunner:
    return replace(filler, notes=notes)


def _check(order: WorkerSettings) -> None:
    """Refuse a machine that would make other outputs, or put them where nobody sees them."""
    if order.version != __version__:
        raise EngineUnavailableError(
            f"inpaintcli {__version__} is installed, but the run is of {order.version}.",
            hint=f"pip install inpaintcli=={order.version}",
        )
    if find_card(order.model).sha256 != order.fingerprint.model:
        raise EngineUnavailableError("The model is another one here.", hint="Install the same.")
    if order.witness is not None and not order.witness.exists():
        folder = order.witness.parent
        raise EngineUnavailableError(f"{folder} is not the output folder here.", hint=SHARED)


def _unseen(job: Job, host: str) -> EngineError | None:
    """The error of a photo or mask that is not visible on this machine."""
    for place in (job.photo, job.mask):
        if isinstance(place, Path) and not place.exists():
            return EngineUnavailableError(f"{place} is not visible on {host}.", hint=SHARED)
    return None
