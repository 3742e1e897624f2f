"""One thread that does the fills, one after the other; the model stays open in between."""

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace

from inpaintcli_engines.base import EngineError

from inpaintcli.batch.fill_steps import fill_picture, open_chosen_model
from inpaintcli.batch.job_runner import as_expected
from inpaintcli.errors import InpaintError
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.objects.harmonize import harmonize
from inpaintcli.options import FillOptions, ModelChoice
from inpaintcli.ui.edits import HARMONIZE, Edit
from inpaintcli.ui.open_photo import OpenPhoto, Work
from inpaintcli.ui.problems import CancelledError, to_json


@dataclass
class Progress:
    """The fill that is being done: written by the queue's thread, read by others."""

    photo: OpenPhoto
    work: Work
    share: float = 0.0
    text: str = "Loading the model"
    notes: list[str] = field(default_factory=list)


class FillQueue:
    """Does the work of photos that are handed to `submit`; `close` ends it."""

    def __init__(self, choice: ModelChoice) -> None:
        """Start the thread.

        Args:
            choice: the default model, and what runs models.
        """
        self._choice = choice
        self._waiting: deque[OpenPhoto] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._open: tuple[str | None, Model] | None = None
        self.progress: Progress | None = None
        self._thread = threading.Thread(target=self._run, name="fills", daemon=True)
        self._thread.start()

    def submit(self, photo: OpenPhoto) -> None:
        """Do what is to be done for a photo, after those that were submitted before."""
        with self._changed:
            if photo not in self._waiting:
                self._waiting.append(photo)
            self._changed.notify_all()

    def is_busy_with(self, photo: OpenPhoto) -> bool:
        """Whether a photo is being worked on, or waits."""
        progress = self.progress
        return photo in self._waiting or (progress is not None and progress.photo is photo)

    def close(self, wait_s: float = 30.0) -> None:
        """End the fill in progress, which another server does again, and the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while (photo := self._next()) is not None:
            while not self._stopping and (work := photo.next_work()) is not None:
                self._do(photo, work)
            self.progress = None
        self._close_model()

    def _next(self) -> OpenPhoto | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            return None if self._stopping else self._waiting.popleft()

    def _do(self, photo: OpenPhoto, work: Work) -> None:
        progress = self.progress = Progress(photo, work)
        try:
            self._fill(progress)
        except CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - one bad photo never stops the rest
            expected = as_expected(error)
            # Where not even that can be stored, the fill must not be tried for ever.
            with suppress(InpaintError):
                photo.fail(work, to_json(expected))
            if isinstance(expected, EngineError):
                self._close_model()

    def _fill(self, progress: Progress) -> None:
        photo, work = progress.photo, progress.work

        def report(share: float) -> None:
            if self._stopping or not photo.is_wanted(work):
                raise CancelledError
            progress.share = share

        before, mask = photo.picture_before(work.edit.id), photo.store.read_mask(work.edit.id)
        if work.edit.kind == HARMONIZE:
            progress.text = "Harmonizing"
            amount = work.edit.values["amount"] / 100
            photo.finish(work, before, harmonize(before, mask, amount=amount).picture)
            return
        model = self._model(work.edit.values["model"], progress)
        progress.text = "Filling"
        filled = fill_picture(
            before,
            mask,
            model,
            fill_options(work.edit, work.seed),
            mask_is_alpha=False,
            notify=progress.notes.append,
            progress=report,
        )
        photo.finish(work, before, filled.picture)

    def _model(self, name: str | None, progress: Progress) -> Model:
        """The model of a fill, None for the default one; the last one used stays open."""
        wanted = name or self._choice.model
        if self._open is None or self._open[0] != wanted:
            self._close_model()
            choice = replace(self._choice, model=wanted)
            self._open = wanted, open_chosen_model(choice, report=_Report(progress))
        return self._open[1]

    def _close_model(self) -> None:
        if self._open is not None:
            with suppress(Exception):
                self._open[1].close()
        self._open = None


class _Report:
    """Shows what an engine reports while it loads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def note(self, text: str) -> None:
        """A sentence for the user."""
        self._progress.text = text

    def progress(self, task: str, share: float) -> None:
        """What is being done, and how much of it is done."""
        self._progress.text = task
        self._progress.share = 0.0 if share >= 1 else share


def fill_options(edit: Edit, seed: int) -> FillOptions:
    """The options of `inpaintcli fill` that do what a fill of the page does."""
    return FillOptions(detail=edit.values["detail"], grow=edit.values["grow"], seed=seed)
