"""What a watch reports of files that it does not fill, as outcomes too."""

from collections.abc import Mapping
from pathlib import Path

from inpaintcli.batch.jobs import OUTPUT_EXISTS, LocalJob
from inpaintcli.batch.outcome import Outcome
from inpaintcli.batch.resume import DONE
from inpaintcli.errors import InpaintError, MaskMismatchError, UnreadableError, UsageError

NO_PHOTO = "a mask without a photo; it is used when one comes"
NO_MASK = "no mask has come; it is filled when one comes"
CHANGED_BOTH = "it has changed, and so has its output since it was written"


class Notices:
    """Collects outcomes to be reported until they are taken."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._reported_folders: set[Path] = set()

    def take(self) -> list[Outcome]:
        """The outcomes since the last call."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def unlistable(self, folders: Mapping[Path, str]) -> None:
        """Folders that cannot be listed, with the reasons; each is reported once until it can."""
        for folder in sorted(folders.keys() - self._reported_folders):
            self._failed(folder, UnreadableError(f"{folder} cannot be listed: {folders[folder]}."))
        self._reported_folders = set(folders)

    def several_masks(self, photo: Path, error: MaskMismatchError) -> None:
        """A photo has more than one mask."""
        self._failed(photo, error)

    def without_shapes(self, photo: Path, error: InpaintError) -> None:
        """An annotation file does not have a photo, or has it with a wrong shape."""
        if isinstance(error, UsageError):
            note = f"it has no mask: {error.message}"
            self._add(Outcome(status="skipped", input=photo, mask=None, output=None, note=note))
        else:
            self._failed(photo, error)

    def unpaired(self, path: Path, *, is_mask: bool) -> None:
        """A photo has no mask, or a mask no photo, for a long time."""
        note = NO_PHOTO if is_mask else NO_MASK
        self._add(Outcome(status="skipped", input=path, mask=None, output=None, note=note))

    def done(self, job: LocalJob) -> None:
        """An earlier run has filled it."""
        self._skipped(job, DONE)

    def output_not_ours(self, job: LocalJob, *, was_written_here: bool) -> None:
        """Its output was written or changed by someone else, and is not replaced."""
        self._skipped(job, CHANGED_BOTH if was_written_here else OUTPUT_EXISTS)

    def _skipped(self, job: LocalJob, note: str) -> None:
        photo, mask, output = job.photo, job.mask, job.output
        self._add(Outcome(status="skipped", input=photo, mask=mask, output=output, note=note))

    def _failed(self, path: Path, error: InpaintError) -> None:
        self._add(Outcome(status="failed", input=path, mask=None, output=None, error=error))

    def _add(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
