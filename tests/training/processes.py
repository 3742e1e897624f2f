"""What the tests run in one process and, by torchrun, in two: `processes.py FOLDER` as a script.

FOLDER holds `photos/`, `features/` and, for validation, `pairs/`; the first process writes
`results.json`.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from inpaintcli_training import distributed
from inpaintcli_training.data.crops import Crops, Photos
from inpaintcli_training.generators import blockwise, contextual, dmfn, membrane, regionwise
from inpaintcli_training.layers.blocks import BatchNorm
from inpaintcli_training.loop.run_folder import load_run_info
from inpaintcli_training.loop.train import (
    DivergedError,
    Intervals,
    Trainer,
    load_checkpoint,
    save_checkpoint,
    train,
)
from inpaintcli_training.loop.validation import read_validation
from inpaintcli_training.recipe import Recipe
from torch import nn

_SMALL = {"crop": 32, "short_side": (32, 48), "batch": 4, "images": 24, "precision": "fp32"}
MEMBRANE = replace(
    membrane.RECIPES[1],
    generator=membrane.Config(
        channels=(4, 4, 4, 4), blocks=(1, 1, 1), trunk_dilations=(1, 2), sizes=2
    ),
    objective=membrane.ObjectiveConfig(squeezenet=0.1, vgg=0.25),
    gradient_norm=1.0,
    **_SMALL,
)
HOLE = replace(MEMBRANE, objective=membrane.ObjectiveConfig(squeezenet=0))
DMFN = replace(
    dmfn.RECIPES[0],
    generator=dmfn.Config(width=4, blocks=1),
    objective=dmfn.ObjectiveConfig(critic_width=2),
    lr=1e-5,  # at its own rate, a last digit that differs grows beyond any tolerance
    **_SMALL,
)
CONTEXTUAL = replace(
    contextual.RECIPES[0],
    generator=contextual.Config(width=4),
    objective=contextual.ObjectiveConfig(critic_width=2),
    critic_steps=2,
    **_SMALL,
)
REGIONWISE = replace(regionwise.RECIPES[0], generator=regionwise.Config(width=4), **_SMALL)
# The first added block fades in from crop 4 to 16.
BLOCKWISE = replace(
    blockwise.RECIPES[0],
    generator=blockwise.Config(
        width=4, head_blocks=1, added_blocks=2, head_images=4, block_images=12, fade=1.0
    ),
    objective=blockwise.ObjectiveConfig(
        critic_width=2, critic_layers=1, critic_scales=2, patches=(0.75, 1.0)
    ),
    lr=1e-5,  # a gradient that is 0 but for its last digit has Adam's first step go either way
    **_SMALL,
)
RECIPES = {
    "membrane": MEMBRANE,
    "membrane in parts": replace(MEMBRANE, accumulate=2),
    "membrane fp16": replace(HOLE, precision="fp16"),
    "dmfn": DMFN,
    "dmfn in parts": replace(DMFN, accumulate=2, critic_steps=2),
    "contextual": CONTEXTUAL,
    "regionwise": REGIONWISE,
    "blockwise": BLOCKWISE,
}
Losses = list[dict[str, float]]


def steps(trainer: Trainer, crops: Crops, count: int) -> Losses:
    recipe = trainer.recipe
    first = trainer.images * recipe.critic_steps
    batches = crops.batches(first, group=distributed.group())
    size = recipe.critic_steps * recipe.accumulate
    found = [trainer.step(*islice(batches, size)) for _ in range(count)]
    batches.close()
    return found


def fresh(folder: Path, recipe: Recipe) -> tuple[Trainer, Crops]:
    return Trainer(recipe, folder / "features"), Crops(Photos([folder / "photos"]), recipe)


def losses(folder: Path, name: str) -> Losses:
    return steps(*fresh(folder, RECIPES[name]), 3)


def resumed(folder: Path) -> Losses:
    """The same losses as `losses` gives, of a run that is interrupted after its first step."""
    run = folder / "cut"
    run.mkdir(exist_ok=True)
    begun, crops = fresh(folder, RECIPES["dmfn in parts"])
    found = steps(begun, crops, 1)
    save_checkpoint(begun, run)
    torch.distributed.barrier()
    again, crops = fresh(folder, RECIPES["dmfn in parts"])
    again.load_state_dict(load_checkpoint(run))
    return found + steps(again, crops, 2)


def diverged(folder: Path) -> list[str]:
    """What each process says when a loss is NaN in the last one."""
    trainer, crops = fresh(folder, HOLE)
    healthy, group = trainer.objective.generator_loss, distributed.group()

    def poisoned(batch, stages):
        terms = healthy(batch, stages)
        return {k: v * float("nan") for k, v in terms.items()} if group.rank == 1 else terms

    trainer.objective.generator_loss = poisoned
    try:
        steps(trainer, crops, 1)
    except DivergedError as error:
        return distributed.gather(str(error))
    return distributed.gather("went on")


def stopped(folder: Path) -> list[int]:
    """Images seen by each process when a signal reached the last one after its second step."""
    trainer, crops = fresh(folder, replace(HOLE, images=400))
    group = distributed.group()

    def begin(images: int) -> None:
        if group.rank == 1 and images == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.objective.begin = begin
    train(trainer, crops, folder / "stopped", report=lambda *_: None, intervals=Intervals(log=1))
    return distributed.gather(trainer.images)


def unreadable(folder: Path) -> int:
    """Bad photos in the record of a run, each of which only one process has met."""
    recipe = replace(HOLE, images=8)
    photos = Photos([folder / "photos", folder / "bad"])
    train(Trainer(recipe, None), Crops(photos, recipe), folder / "bad run", report=lambda *_: None)
    torch.distributed.barrier()
    return load_run_info(folder / "bad run").unreadable


def validated(folder: Path) -> float:
    trainer, _ = fresh(folder, MEMBRANE)
    return read_validation(folder / "pairs", MEMBRANE).hole_psnr(trainer)


def normalised() -> dict[str, list[float]]:
    """Of eight pictures: results, gradients, running statistics; in one process torch's own."""
    torch.manual_seed(0)
    group = distributed.group()
    norm = BatchNorm(3) if group.size > 1 else nn.BatchNorm2d(3)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), norm, nn.Conv2d(3, 1, 1))
    x = torch.randn(8, 2, 4, 4).chunk(group.size)[group.rank]
    y = network(x)
    y.square().mean().backward()
    distributed.average_gradients(network)
    return {
        "y": distributed.mean(y.detach().mean((1, 2, 3)).sum()).reshape(1).tolist(),
        "gradient": torch.cat([p.grad.flatten() for p in network.parameters()]).tolist(),
        "running": torch.cat([norm.running_mean, norm.running_var]).tolist(),
    }


def refused(folder: Path) -> str:
    try:
        fresh(folder, replace(HOLE, batch=5))
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return f"{type(error).__name__}: {error}"
    return ""


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with distributed.process_group("cpu") as device:
        assert device == "cpu"
        results = {
            "processes": distributed.group().size,
            "losses": {name: losses(folder, name) for name in RECIPES},
            "resumed": resumed(folder),
            "diverged": diverged(folder),
            "stopped": stopped(folder),
            "unreadable": unreadable(folder),
            "validated": validated(folder),
            "normalised": normalised(),
            "refused": refused(folder),
        }
        if distributed.group().first:
            (folder / "results.json").write_text(json.dumps(results))
    assert not [name for name in threads() if "gloo" in name], "the group has not ended"


def threads() -> list[str]:
    """The names of this process's threads, those of libraries too; none where Linux is not."""
    return [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
