"""The training loop: steps until the end or a signal, with reports, checkpoints and validation."""

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from inpaintcli_training import distributed
from inpaintcli_training.data.crops import Batch, Crops
from inpaintcli_training.loop.loss_log import LossAverager, LossLog
from inpaintcli_training.loop.optimizer_step import DivergedError
from inpaintcli_training.loop.run_folder import (
    RunInfo,
    best_psnr,
    load_checkpoint,
    write_best,
    write_checkpoint,
    write_run_info,
)
from inpaintcli_training.loop.trainer import Trainer, learning_rate
from inpaintcli_training.loop.validation import Validation

__all__ = [
    "DivergedError",
    "Intervals",
    "Trainer",
    "learning_rate",
    "load_checkpoint",
    "save_checkpoint",
    "train",
]

Report = Callable[[int, dict[str, float], float], None]
_SAMPLES = 8  # crops in TensorBoard's sample pictures


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Steps between two reports, samples or checkpoints.

    After so many `minutes` a run is reported and saved in any case: one step of a large network may
    take a minute on a CPU.
    """

    log: int = 50
    samples: int = 1000
    save: int = 500
    minutes: float = 10.0


def train(
    trainer: Trainer,
    crops: Crops,
    folder: Path,
    *,
    report: Report,
    intervals: Intervals = Intervals(),
    validation: Validation | None = None,
    workers: int = 0,
) -> None:
    """Train to the end of the recipe, or to SIGINT or SIGTERM; either way the state is saved.

    All processes call this; the first of them reports and writes.

    Args:
        trainer: new or restored.
        crops: the source of the batches; the first one begins with crop `trainer.images`.
        folder: the run folder.
        report: called with images seen, mean losses and images per second.
        intervals: when to report, draw samples and save.
        validation: photos that `best.safetensors` is chosen by.
        workers: processes that prepare crops, see `inpaintcli_training.data.loader`.

    Raises:
        DivergedError: see `Trainer.step`; the last checkpoint stays as it is.
        OutputError: the folder cannot be written.
    """
    recipe, group = trainer.recipe, distributed.group()
    _write_run_info(trainer, crops, folder)
    first = trainer.images * recipe.critic_steps
    with (
        _open_log(folder, trainer.images) as log,
        closing(
            crops.batches(first, group=group, workers=workers, device=trainer.device)
        ) as batches,
        _signals_caught() as signalled,
    ):
        run = _TrainingRun(
            trainer, folder, log, report, intervals, validation, crops.batch(0, _SAMPLES)
        )
        while trainer.images < recipe.images:
            stop, overdue = distributed.any_process([signalled(), run.overdue], trainer.device)
            if stop:
                break
            if overdue:
                run.report_losses()
                run.save()
            run.step(batches)
        run.report_losses()
        # Still inside, so that a second signal cannot interrupt the last checkpoint.
        run.save()
        _write_run_info(trainer, crops, folder)


@contextmanager
def _open_log(folder: Path, images: int) -> Iterator[LossLog | None]:
    """The log, in the first process alone."""
    if distributed.group().first:
        with closing(LossLog(folder, images)) as log:
            yield log
    else:
        yield None


@dataclass
class _TrainingRun:
    """A run in progress: `step` does one step and whatever is due after it."""

    trainer: Trainer
    folder: Path
    log: LossLog | None
    report: Report
    intervals: Intervals
    validation: Validation | None
    samples: Batch
    losses: LossAverager = field(default_factory=LossAverager)
    saved: float = field(default_factory=time.monotonic)

    @property
    def overdue(self) -> bool:
        """Whether the last checkpoint is older than `intervals.minutes`."""
        return time.monotonic() - self.saved >= 60 * self.intervals.minutes

    def step(self, batches: Iterator[Batch]) -> None:
        trainer, recipe = self.trainer, self.trainer.recipe
        parts = itertools.islice(batches, recipe.critic_steps * recipe.accumulate)
        self.losses.add(trainer.step(*parts))
        step = trainer.images // recipe.batch
        if step % self.intervals.log == 0:
            self.report_losses()
        if step % self.intervals.samples == 0 and self.log:
            self.log.add_samples(trainer, self.samples)
        before = (trainer.images - recipe.batch) // recipe.validate_every
        if self.validation and trainer.images // recipe.validate_every > before:
            self._validate(self.validation)
        if step % self.intervals.save == 0:
            self.save()

    def save(self) -> None:
        """Write a checkpoint; all processes must call this."""
        save_checkpoint(self.trainer, self.folder)
        self.saved = time.monotonic()

    def report_losses(self) -> None:
        """Report the mean losses of the steps since the last report, if any."""
        if self.losses.steps and self.log:
            losses, speed = self.losses.read()
            speed *= self.trainer.recipe.batch
            self.log.add_losses(self.trainer, losses, speed)
            self.report(self.trainer.images, losses, speed)
        self.losses = LossAverager()

    def _validate(self, validation: Validation) -> None:
        psnr = validation.hole_psnr(self.trainer)
        if self.log is None:
            return
        self.log.add_validation(self.trainer.images, psnr)
        if psnr > best_psnr(self.folder):
            write_best(self.folder, self.trainer.ema, self.trainer.images, psnr)


def save_checkpoint(trainer: Trainer, folder: Path) -> None:
    """Write a checkpoint; all processes must call this.

    Raises:
        OutputError: the folder cannot be written.
    """
    state = trainer.state_dict()
    if distributed.group().first:
        write_checkpoint(folder, state, trainer.ema)


def _write_run_info(trainer: Trainer, crops: Crops, folder: Path) -> None:
    """Write what the run is trained on; all processes must call this."""
    photos = crops.photos
    sources = [source.resolve() for source in photos.sources]
    for unreadable in distributed.gather(photos.unreadable):
        photos.leave_out(unreadable)
    info = RunInfo(
        data=tuple(source.name for source in sources),
        sources=tuple(map(str, sources)),
        photos=len(photos),
        unreadable=len(photos.unreadable),
        features=trainer.objective.notes,
    )
    if distributed.group().first:
        write_run_info(folder, trainer.recipe, info)


@contextmanager
def _signals_caught() -> Iterator[Callable[[], bool]]:
    """Catch SIGINT and SIGTERM; yields a function that says whether one has arrived."""
    arrived = False

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal arrived
        arrived = True

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: arrived
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
