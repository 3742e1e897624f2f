"""What a watch tells of files besides the outcomes of its tasks, as outcomes too."""

from collections.abc import Mapping
from pathlib import Path

from inpaintcli.batch.jobs import THERE, LocalJob
from inpaintcli.batch.outcome import Outcome
from inpaintcli.batch.resume import DONE
from inpaintcli.errors import InpaintError, MaskMismatchError, UnreadableError

NO_PHOTO = "a mask without a photo; it is used when one comes"
NO_MASK = "no mask has come; it is filled when one comes"
CHANGED_BOTH = "it has changed, and so has its output since it was written"


class Notices:
    """Collects what is to be told until it is taken."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._closed: set[Path] = set()

    def take(self) -> list[Outcome]:
        """What has come together since the last time."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def closed(self, folders: Mapping[Path, str]) -> None:
        """Folders that cannot be listed, by reason; each is told once until it can."""
        for folder in sorted(folders.keys() - self._closed):
            self._failed(folder, UnreadableError(f"{folder} cannot be listed: {folders[folder]}."))
        self._closed = set(folders)

    def ambiguous(self, photo: Path, error: MaskMismatchError) -> None:
        """A photo has more than one mask."""
        self._failed(photo, error)

    def alone(self, path: Path, *, is_mask: bool) -> None:
        """A file has waited long for its partner."""
        note = NO_PHOTO if is_mask else NO_MASK
        self._add(Outcome(status="skipped", input=path, mask=None, output=None, note=note))

    def done(self, job: LocalJob) -> None:
        """An earlier run has done it."""
        self._skipped(job, DONE)

    def not_ours(self, job: LocalJob, *, was_ours: bool) -> None:
        """Its output is somebody else's, or was changed by somebody, and is not replaced."""
        self._skipped(job, CHANGED_BOTH if was_ours else THERE)

    def _skipped(self, job: LocalJob, note: str) -> None:
        photo, mask, output = job.photo, job.mask, job.output
        self._add(Outcome(status="skipped", input=photo, mask=mask, output=output, note=note))

    def _failed(self, path: Path, error: InpaintError) -> None:
        self._add(Outcome(status="failed", input=path, mask=None, output=None, error=error))

    def _add(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
