"""The one training loop: steps until the end or a signal, and what is written on the way."""

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
from inpaintcli_training.loop.loss_log import LossLog, Meter
from inpaintcli_training.loop.optimizer_step import DivergedError
from inpaintcli_training.loop.runs import (
    Record,
    best_psnr,
    load_state,
    write_best,
    write_plan,
    write_state,
)
from inpaintcli_training.loop.trainer import Trainer, learning_rate
from inpaintcli_training.loop.validation import Validation

__all__ = ["DivergedError", "Every", "Trainer", "learning_rate", "load_state", "save", "train"]

Report = Callable[[int, dict[str, float], float], None]
_SHOWN = 8  # crops in TensorBoard's sample pictures


@dataclass(frozen=True, kw_only=True)
class Every:
    """Steps between two of each, and the minutes after which a run is saved and told of anyway."""

    log: int = 50
    samples: int = 1000
    save: int = 500
    minutes: float = 10.0  # a step of a large network may take one on a CPU


def train(
    trainer: Trainer,
    crops: Crops,
    folder: Path,
    *,
    report: Report,
    every: Every = Every(),
    validation: Validation | None = None,
    workers: int = 0,
) -> None:
    """Run the recipe to its end, or to SIGINT or SIGTERM; either way the state is saved.

    All processes call this; the first of them reports and writes.

    Args:
        trainer: fresh or restored.
        crops: where the batches come from; the first is number `trainer.images`.
        folder: the run folder.
        report: called with images seen, mean losses and images per second.
        every: when to report, draw and save.
        validation: what `best.safetensors` is chosen by.
        workers: processes that cut crops, see `inpaintcli_training.data.loader`.

    Raises:
        DivergedError: see `Trainer.step`; the last checkpoint stays as it is.
        OutputError: the folder cannot be written.
    """
    recipe, group = trainer.recipe, distributed.group()
    record = _record(trainer, crops)
    if group.first:
        write_plan(folder, recipe, record)
    first = trainer.images * recipe.critic_steps
    with (
        _journal(folder, trainer.images) as journal,
        closing(
            crops.batches(first, group=group, workers=workers, device=trainer.device)
        ) as batches,
        _stop() as stopped,
    ):
        run = _TrainingRun(
            trainer, folder, journal, report, every, validation, crops.batch(0, _SHOWN)
        )
        while trainer.images < recipe.images:
            stop, overdue = distributed.agreed([stopped(), run.overdue], trainer.device)
            if stop:
                break
            if overdue:
                run.tell()
                run.save()
            run.step(batches)
        run.tell()
        # Inside, so that a second signal cannot cut the last checkpoint short.
        run.save()
        record = _record(trainer, crops)
        if group.first:
            write_plan(folder, recipe, record)


@contextmanager
def _journal(folder: Path, images: int) -> Iterator[LossLog | None]:
    """The first process keeps the journal."""
    if distributed.group().first:
        with LossLog(folder, images) as journal:
            yield journal
    else:
        yield None


@dataclass
class _TrainingRun:
    """A run under way: one step, and whatever is due after it."""

    trainer: Trainer
    folder: Path
    journal: LossLog | None
    report: Report
    every: Every
    validation: Validation | None
    shown: Batch
    meter: Meter = field(default_factory=Meter)
    saved: float = field(default_factory=time.monotonic)

    @property
    def overdue(self) -> bool:
        """Whether the last checkpoint is too long ago, whatever the number of steps."""
        return time.monotonic() - self.saved >= 60 * self.every.minutes

    def step(self, batches: Iterator[Batch]) -> None:
        trainer, recipe = self.trainer, self.trainer.recipe
        parts = itertools.islice(batches, recipe.critic_steps * recipe.accumulate)
        self.meter.add(trainer.step(*parts))
        step = trainer.images // recipe.batch
        if step % self.every.log == 0:
            self.tell()
        if step % self.every.samples == 0 and self.journal:
            self.journal.samples(trainer, self.shown)
        before = (trainer.images - recipe.batch) // recipe.validate_every
        if self.validation and trainer.images // recipe.validate_every > before:
            self._validate(self.validation)
        if step % self.every.save == 0:
            self.save()

    def save(self) -> None:
        """Write a checkpoint; all processes take part."""
        save(self.trainer, self.folder)
        self.saved = time.monotonic()

    def tell(self) -> None:
        """Report the steps since the last time, if any."""
        if self.meter.steps and self.journal:
            losses, speed = self.meter.read()
            speed *= self.trainer.recipe.batch
            self.journal.losses(self.trainer, losses, speed)
            self.report(self.trainer.images, losses, speed)
        self.meter = Meter()

    def _validate(self, validation: Validation) -> None:
        psnr = validation.hole_psnr(self.trainer)
        if self.journal is None:
            return
        self.journal.validated(self.trainer.images, psnr)
        if psnr > best_psnr(self.folder):
            write_best(self.folder, self.trainer.ema, self.trainer.images, psnr)


def save(trainer: Trainer, folder: Path) -> None:
    """Write a checkpoint; all processes take part.

    Raises:
        OutputError: the folder cannot be written.
    """
    state = trainer.state()
    if distributed.group().first:
        write_state(folder, state, trainer.ema)


def _record(trainer: Trainer, crops: Crops) -> Record:
    """What the run is trained on; all processes take part."""
    photos = crops.photos
    sources = [source.resolve() for source in photos.sources]
    for unreadable in distributed.gathered(photos.unreadable):
        photos.leave_out(unreadable)
    return Record(
        data=tuple(source.name for source in sources),
        sources=tuple(map(str, sources)),
        photos=len(photos),
        unreadable=len(photos.unreadable),
        features=trainer.objective.notes,
    )


@contextmanager
def _stop() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question that the loop asks between two steps."""
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
