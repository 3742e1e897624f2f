"""The one training loop: steps, EMA, schedule, checkpoints that resume exactly.

A run folder holds `recipe.json`, `state.pt` (everything needed to go on), `ema.safetensors` (the
weights to export) and TensorBoard's events under `logs/`.
"""

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from inpaintcli.errors import InpaintError, OutputError, UnreadableError
from training.catalog import build_generator, build_objective
from training.data import Batch, Crops
from training.layers import composite
from training.recipe import Recipe, to_json

_log = logging.getLogger(__name__)
STATE = "state.pt"
EMA = "ema.safetensors"
RECIPE = "recipe.json"


class DivergedError(InpaintError):
    """A loss is no longer a number."""


def learning_rate(recipe: Recipe, images: int) -> float:
    """Linear warm-up, a plateau, then a half cosine to zero over the last `decay_images`."""
    warm = min(1.0, (images + recipe.batch) / max(1, recipe.warmup_images))
    left = recipe.images - images
    if recipe.decay_images <= 0 or left >= recipe.decay_images:
        return recipe.lr * warm
    done = 1 - max(0, left) / recipe.decay_images
    return recipe.lr * warm * 0.5 * (1 + math.cos(math.pi * done))


class Trainer:
    """Generator, objective, optimisers and averages of one run; `step` does one step."""

    def __init__(self, recipe: Recipe, features: Path | None) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.images = 0
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.generator = build_generator(recipe).to(memory_format=layout)
        self.objective = build_objective(recipe, features).to(memory_format=layout)
        self.ema = {k: v.clone() for k, v in self.generator.state_dict().items()}
        self.optimizer = _optimizer(self.generator, recipe)
        self.critic: nn.Module | None = self.objective.critic
        self.critic_optimizer = _optimizer(self.critic, recipe) if self.critic else None

    def step(self, batch: Batch) -> dict[str, float]:
        """One step of the critic, where there is one, and of the generator; the losses by name.

        Raises:
            DivergedError: a loss is NaN or infinite; the weights are then as before the step.
        """
        rate = learning_rate(self.recipe, self.images)
        with self._autocast():
            predicted = self.generator(batch.photo, batch.mask)
        predicted = predicted.float()
        losses: dict[str, float] = {}
        if self.critic and self.critic_optimizer:
            with self._autocast():
                terms = self.objective.critic_loss(batch, predicted.detach())
            losses |= self._descend(terms, self.critic, self.critic_optimizer, rate)
        with self._autocast():
            terms = self.objective.generator_loss(batch, predicted)
        losses |= self._descend(terms, self.generator, self.optimizer, rate)
        self._average()
        self.images += len(batch.photo)
        return losses

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bf16")

    def _descend(
        self,
        terms: dict[str, Tensor],
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        rate: float,
    ) -> dict[str, float]:
        losses = {name: float(term.detach()) for name, term in terms.items()}
        for name, value in losses.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"The loss '{name}' became {value} after {self.images} images.",
                    hint="Resume from the last checkpoint with a lower rate: --resume --set lr=...",
                )
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        if self.recipe.gradient_norm > 0:
            nn.utils.clip_grad_norm_(module.parameters(), self.recipe.gradient_norm)
        optimizer.step()
        return losses

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential moving average of the generator's weights; short at first, then `ema_decay`."""
        steps = self.images // self.recipe.batch
        decay = min(self.recipe.ema_decay, (1 + steps) / (10 + steps))
        for name, value in self.generator.state_dict().items():
            self.ema[name].lerp_(value, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on as if never stopped."""
        critic = None
        if self.critic and self.critic_optimizer:
            critic = {"weights": self.critic.state_dict(), "optimizer": self.critic_optimizer.state_dict()}
        return {
            "images": self.images,
            "generator": self.generator.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "critic": critic,
            "rng": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.images = state["images"]
        self.generator.load_state_dict(state["generator"])
        self.ema = state["ema"]
        self.optimizer.load_state_dict(state["optimizer"])
        if self.critic and self.critic_optimizer:
            self.critic.load_state_dict(state["critic"]["weights"])
            self.critic_optimizer.load_state_dict(state["critic"]["optimizer"])
        torch.set_rng_state(state["rng"])

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin a fresh schedule from given generator weights (an earlier run's averages)."""
        self.generator.load_state_dict(weights)
        self.ema = {k: v.clone() for k, v in self.generator.state_dict().items()}

    @torch.no_grad()
    def fill(self, batch: Batch) -> Tensor:
        """The batch filled with the averaged weights, for looking at."""
        live = {k: v.clone() for k, v in self.generator.state_dict().items()}
        self.generator.load_state_dict(self.ema)
        predicted = self.generator(batch.photo, batch.mask)
        self.generator.load_state_dict(live)
        return composite(batch.photo, batch.mask, predicted)


def _optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        module.parameters(), recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay
    )


def train(
    trainer: Trainer,
    crops: Crops,
    folder: Path,
    *,
    report: Callable[[int, dict[str, float], float], None],
    log_every: int = 50,
    sample_every: int = 1000,
    save_every: int = 500,
) -> None:
    """Run the recipe to its end, or to SIGINT or SIGTERM; either way the state is saved.

    Args:
        trainer: fresh or restored.
        crops: where the batches come from; the first is number `trainer.images`.
        folder: the run folder.
        report: called with images seen, mean losses and images per second.
        log_every, sample_every, save_every: in steps.
    """
    recipe = trainer.recipe
    folder.mkdir(parents=True, exist_ok=True)
    _write_text(folder / RECIPE, to_json(recipe))
    shown = crops.batch(0)
    sums: dict[str, float] = {}
    begun = time.monotonic()
    step = trainer.images // recipe.batch
    with SummaryWriter(str(folder / "logs"), purge_step=trainer.images) as writer, _stop() as stopped:
        for batch in crops.batches(trainer.images):
            if trainer.images >= recipe.images or stopped():
                break
            for name, value in trainer.step(batch).items():
                sums[name] = sums.get(name, 0.0) + value / log_every
            step += 1
            if step % log_every == 0:
                speed = log_every * recipe.batch / (time.monotonic() - begun)
                _log_scalars(writer, trainer, sums, speed)
                report(trainer.images, sums, speed)
                sums, begun = {}, time.monotonic()
            if step % sample_every == 0:
                _log_samples(writer, trainer, shown)
            if step % save_every == 0:
                save(trainer, folder)
    save(trainer, folder)


def save(trainer: Trainer, folder: Path) -> None:
    """Write the state and the averaged weights, each under its name only when whole.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        part = folder / (STATE + ".part")
        torch.save(trainer.state(), part)
        part.replace(folder / STATE)
        part = folder / (EMA + ".part")
        weights = {k: v.contiguous() for k, v in trainer.ema.items()}
        save_file(weights, part, {"recipe": trainer.recipe.name, "images": str(trainer.images)})
        part.replace(folder / EMA)
    except OSError as error:
        raise OutputError(f"The run cannot be saved in {folder}: {error}.") from error


def load_state(folder: Path) -> dict[str, Any]:
    """The saved state of a run.

    Raises:
        UnreadableError: the folder holds none.
    """
    path = folder / STATE
    if not path.is_file():
        raise UnreadableError(f"{folder} holds no run to resume.", hint=f"{path.name} is missing.")
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def _log_scalars(
    writer: SummaryWriter, trainer: Trainer, losses: dict[str, float], speed: float
) -> None:
    for name, value in losses.items():
        writer.add_scalar(f"loss/{name}", value, trainer.images)
    writer.add_scalar("progress/rate", learning_rate(trainer.recipe, trainer.images), trainer.images)
    writer.add_scalar("progress/images_per_second", speed, trainer.images)


def _log_samples(writer: SummaryWriter, trainer: Trainer, batch: Batch, most: int = 8) -> None:
    """A picture of rows: with the hole, filled, the photo."""
    shown = Batch(batch.photo[:most], batch.mask[:most], batch.index)
    rows = [shown.photo * (1 - shown.mask), trainer.fill(shown), shown.photo]
    grid = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    writer.add_image("samples", ((grid + 1) * 127.5).round().clamp(0, 255).byte(), trainer.images)


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


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
