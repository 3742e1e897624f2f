"""The inputs of a model when photos are filled, and PSNR of two engines; for other benchmarks."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from inpaintcli_engines.base import Arrays, Engine
from numpy.typing import NDArray

from inpaintcli.batch.fill_steps import read_pair
from inpaintcli.batch.plan import plan_folder
from inpaintcli.inpaint.pipeline import Model, fill, open_model
from inpaintcli.masks.source import BESIDE
from inpaintcli.models.cards import Card
from inpaintcli.options import MaskOptions


class Recorder(Engine):
    """Passes everything on and records its inputs."""

    def __init__(self, engine: Engine) -> None:
        self.info, self.inputs, self.outputs = engine.info, engine.inputs, engine.outputs
        self.inputs_seen: list[Arrays] = []
        self._engine = engine

    def _run(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        self.inputs_seen.append({name: array.copy() for name, array in arrays.items()})
        return self._engine.run(arrays)


def recorded(folder: Path, card: Card, limit: int) -> list[list[Arrays]]:
    """For each photo the model's inputs when it is filled; masks lie beside it (NAME.mask.EXT)."""
    found = []
    name = str(card.path)
    with tempfile.TemporaryDirectory() as out, open_model(name, precision="fp32") as model:
        for job in plan_folder(folder, BESIDE, Path(out), overwrite=False).jobs[:limit]:
            picture, mask = read_pair(job.photo, job.mask, MaskOptions())
            recorder = Recorder(model.engine)
            fill(picture, mask, Model(card, recorder, ""), detail="network")
            found.append(recorder.inputs_seen)
    return found


def squares(ours: NDArray[Any], theirs: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    """The squared differences in the hole; pictures (n, 3, h, w), mask (n, 1, h, w), 1 there."""
    hole = np.broadcast_to(mask > 0, theirs.shape)
    return np.square(ours[hole] - theirs[hole])


def decibels(squared: list[NDArray[Any]]) -> float:
    """The peak signal-to-noise ratio of a range of 2, from all results of `squares`."""
    return float(-10 * np.log10(max(np.mean(np.concatenate(squared)), 1e-20) / 4))
