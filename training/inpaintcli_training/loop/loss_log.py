"""The log of a run: TensorBoard, `losses.jsonl` and its plot."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from inpaintcli.errors import OutputError
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.family import generator_inputs
from inpaintcli_training.loop.loss_plot import read_losses, write_loss_plot
from inpaintcli_training.loop.run_folder import LOSSES
from inpaintcli_training.loop.trainer import Trainer, learning_rate


class LossAverager:
    """Mean losses and speed of the steps since it was created."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.steps = 0
        self.started = time.monotonic()

    def add(self, losses: dict[str, float]) -> None:
        """Count one step's losses."""
        self.steps += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def read(self) -> tuple[dict[str, float], float]:
        """Mean losses by name, and steps per second."""
        means = {name: value / self.steps for name, value in self.sums.items()}
        return means, self.steps / max(1e-9, time.monotonic() - self.started)


class LossLog:
    """The log files of one run, written by its first process. Must be closed."""

    def __init__(self, folder: Path, images: int) -> None:
        """Open the files, and drop what was logged after the checkpoint that the run resumes from.

        Args:
            folder: the run folder.
            images: seen at that checkpoint.

        Raises:
            OutputError: the folder cannot be written.
        """
        self.folder = folder
        try:
            _drop_later_lines(folder / LOSSES, images)
            self.lines = (folder / LOSSES).open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise OutputError(f"The run cannot be written to {folder}: {error}.") from error
        self.board = SummaryWriter(str(folder / "logs"), purge_step=images)

    def close(self) -> None:
        """Close the files and draw the plot."""
        self.board.close()
        self.lines.close()
        write_loss_plot(self.folder)

    def add_losses(self, trainer: Trainer, losses: dict[str, float], speed: float) -> None:
        """Log mean losses by name, the learning rate, and images per second (`speed`)."""
        rate = learning_rate(trainer.recipe, trainer.images)
        self._line(trainer.images, losses=losses, rate=rate, images_per_second=round(speed, 2))
        scalars = {f"loss/{name}": value for name, value in losses.items()}
        scalars |= {"progress/rate": rate, "progress/images_per_second": speed}
        for name, value in scalars.items():
            self.board.add_scalar(name, value, trainer.images)

    def add_validation(self, images: int, psnr: float) -> None:
        """Log the hole PSNR (dB) on the validation photos."""
        self._line(images, hole_psnr=round(psnr, 4))
        self.board.add_scalar("validation/hole_psnr", psnr, images)

    def add_samples(self, trainer: Trainer, batch: Batch) -> None:
        """Log a picture of three rows: the generator's input, its result, and the photo."""
        image, _ = generator_inputs(batch, objects=trainer.generator.objects)
        rows = [image * (1 - batch.mask), trainer.fill(batch).cpu(), batch.photo]
        grid = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
        picture = ((grid + 1) * 127.5).round().clamp(0, 255).byte()
        self.board.add_image("samples", picture, trainer.images)

    def _line(self, images: int, **values: Any) -> None:
        self.lines.write(json.dumps({"images": images, **values}) + "\n")


def _drop_later_lines(path: Path, images: int) -> None:
    """Remove the lines after so many images, and an incomplete last one."""
    if not path.exists():
        return
    earlier = [line for line in read_losses(path.parent) if line["images"] <= images]
    part = path.with_name(path.name + ".part")
    part.write_text("".join(json.dumps(line) + "\n" for line in earlier), encoding="utf-8")
    part.replace(path)
