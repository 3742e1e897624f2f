"""What a run writes about itself while it goes: TensorBoard, `losses.jsonl` and its plot."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch.utils.tensorboard import SummaryWriter

from inpaintcli.errors import OutputError
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.family import given
from inpaintcli_training.loop.plots import draw, read_losses
from inpaintcli_training.loop.runs import LOSSES
from inpaintcli_training.loop.trainer import Trainer, learning_rate


class Meter:
    """Mean losses and speed since it was made."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.steps = 0
        self.begun = time.monotonic()

    def add(self, losses: dict[str, float]) -> None:
        """Count one step's losses."""
        self.steps += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def read(self) -> tuple[dict[str, float], float]:
        """Mean losses and steps per second."""
        means = {name: value / self.steps for name, value in self.sums.items()}
        return means, self.steps / max(1e-9, time.monotonic() - self.begun)


class LossLog:
    """The records of one run, kept by its first process; to be closed."""

    def __init__(self, folder: Path, images: int) -> None:
        """Open, and forget what an earlier process wrote after its last checkpoint.

        Args:
            folder: the run's.
            images: where the run goes on.

        Raises:
            OutputError: the folder cannot be written.
        """
        self.folder = folder
        try:
            _forget(folder / LOSSES, images)
            self.lines = (folder / LOSSES).open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise OutputError(f"The run cannot be written to {folder}: {error}.") from error
        self.board = SummaryWriter(str(folder / "logs"), purge_step=images)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.board.close()
        self.lines.close()
        draw(self.folder)

    def losses(self, trainer: Trainer, losses: dict[str, float], speed: float) -> None:
        """Mean losses, by name, and images per second."""
        rate = learning_rate(trainer.recipe, trainer.images)
        self._line(trainer.images, losses=losses, rate=rate, images_per_second=round(speed, 2))
        scalars = {f"loss/{name}": value for name, value in losses.items()}
        scalars |= {"progress/rate": rate, "progress/images_per_second": speed}
        for name, value in scalars.items():
            self.board.add_scalar(name, value, trainer.images)

    def validated(self, images: int, psnr: float) -> None:
        """Hole PSNR in dB on the validation photos."""
        self._line(images, hole_psnr=round(psnr, 4))
        self.board.add_scalar("validation/hole_psnr", psnr, images)

    def samples(self, trainer: Trainer, shown: Batch) -> None:
        """A picture of rows: what is shown to the generator, what it makes of it, the photo."""
        image, _ = given(shown, objects=trainer.generator.objects)
        rows = [image * (1 - shown.mask), trainer.fill(shown).cpu(), shown.photo]
        grid = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
        picture = ((grid + 1) * 127.5).round().clamp(0, 255).byte()
        self.board.add_image("samples", picture, trainer.images)

    def _line(self, images: int, **values: Any) -> None:
        self.lines.write(json.dumps({"images": images, **values}) + "\n")


def _forget(path: Path, images: int) -> None:
    """Drop the lines after so many images, and a last one that was cut short."""
    if not path.exists():
        return
    kept = [line for line in read_losses(path.parent) if line["images"] <= images]
    part = path.with_name(path.name + ".part")
    part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    part.replace(path)
