"""The one training loop: steps, EMA, schedule, checkpoints that resume exactly."""

import itertools
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.tensorboard import SummaryWriter

from inpaintcli.errors import InpaintError, UsageError
from training.catalog import build_generator, build_objective
from training.data import Batch, Crops
from training.family import BaseObjective, Filler, Stages, first_output
from training.layers import composite
from training.recipe import Recipe
from training.runs import Record, load_state, write_plan, write_state

__all__ = ["DivergedError", "Trainer", "learning_rate", "load_state", "save", "train"]


class DivergedError(InpaintError):
    """A loss, or a gradient, is no longer a number."""


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

    def __init__(self, recipe: Recipe, features: Path | None, *, device: str = "cpu") -> None:
        """Build everything fresh from the recipe's seed.

        Args:
            recipe: what to train, and how.
            features: folder of the pretrained networks that the objective needs.
            device: as torch names it, `cpu` or `cuda:0`.

        Raises:
            UsageError: the recipe's crop does not fit its generator, or there is no such device.
        """
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.images = 0
        self.device = _device(device)
        generator: Any = self._placed(build_generator(recipe))
        self.generator: Filler = generator
        _check_crop(recipe, self.generator)
        objective: Any = self._placed(build_objective(recipe, features))
        self.objective: BaseObjective = objective
        self.ema = {k: v.clone() for k, v in self.generator.state_dict().items()}
        self.optimizer = _optimizer(self.generator, recipe)
        self.critic: nn.Module | None = self.objective.critic
        self.critic_optimizer = _optimizer(self.critic, recipe) if self.critic else None

    def step(self, *batches: Batch) -> dict[str, float]:
        """One step of the generator, `critic_steps` of the critic before it; the losses by name.

        Args:
            batches: one for each step of the critic; the generator learns from the last.

        Raises:
            DivergedError: a loss or a gradient is NaN or infinite; the network whose it is keeps
                the weights it had before the step.
        """
        self.generator.begin(self.images)
        self.objective.begin(self.images)
        rate = learning_rate(self.recipe, self.images) * self.objective.rate_scale
        losses: dict[str, float] = {}
        *others, last = (batch.to(self.device) for batch in batches)
        for batch in others:
            with torch.no_grad():
                stages = self._stages(batch)
            self._train_critic(batch, stages, rate)
        stages = self._stages(last)
        losses |= self._train_critic(last, {k: v.detach() for k, v in stages.items()}, rate)
        with self._autocast():
            terms = self.objective.generator_loss(last, stages)
        losses |= self._descend(terms, self.generator, self.optimizer, rate)
        self._average()
        self.images += len(last.photo)
        return losses

    def _stages(self, batch: Batch) -> Stages:
        with self._autocast():
            stages = self.generator.stages(batch)
        return {name: stage.float() for name, stage in stages.items()}

    def _train_critic(self, batch: Batch, stages: Stages, rate: float) -> dict[str, float]:
        if self.critic is None or self.critic_optimizer is None:
            return {}
        with self._autocast():
            terms = self.objective.critic_loss(batch, stages)
        return self._descend(terms, self.critic, self.critic_optimizer, rate)

    def _placed(self, module: nn.Module) -> nn.Module:
        layout = torch.channels_last if self.recipe.channels_last else torch.contiguous_format
        module.to(self.device)
        return module.to(memory_format=layout)  # type: ignore[call-overload, no-any-return]

    def _autocast(self) -> torch.autocast:
        enabled = self.recipe.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _descend(
        self,
        terms: dict[str, Tensor],
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        rate: float,
    ) -> dict[str, float]:
        losses = {name: float(term.detach()) for name, term in terms.items()}
        for name, value in losses.items():
            self._check(f"The loss '{name}'", value)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        # With an infinite limit this only measures: the gradient is multiplied by exactly 1.
        limit = self.recipe.gradient_norm or math.inf
        norm = nn.utils.clip_grad_norm_(module.parameters(), limit)
        self._check(f"The gradient of {', '.join(losses)}", float(norm))
        optimizer.step()
        return losses

    def _check(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise DivergedError(
                f"{what} became {value} after {self.images} images.",
                hint="Resume from the last checkpoint with a lower rate: --resume --set lr=...",
            )

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential moving average of the weights; short at first, then `ema_decay`."""
        steps = self.images // self.recipe.batch
        decay = min(self.recipe.ema_decay, (1 + steps) / (10 + steps))
        for name, value in self.generator.state_dict().items():
            self.ema[name].lerp_(value, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on as if never stopped."""
        critic = None
        if self.critic and self.critic_optimizer:
            critic = {
                "weights": self.critic.state_dict(),
                "optimizer": self.critic_optimizer.state_dict(),
            }
        return {
            "images": self.images,
            "generator": self.generator.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "critic": critic,
            "rng": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a saved state.

        A critic that the saved run did not have starts fresh, so a run can end with one; what the
        optimisers do from here on is the recipe's to say, also where it was changed.

        Raises:
            UsageError: the state is of another network.
        """
        try:
            self.generator.load_state_dict(state["generator"])
            if self.critic and state["critic"]:
                self.critic.load_state_dict(state["critic"]["weights"])
        except RuntimeError as error:
            hint = "Settings of the generator and the critic stay as they are in a resumed run."
            raise UsageError(f"The saved weights do not fit: {error}.", hint=hint) from error
        self.images = state["images"]
        self.ema = {name: tensor.to(self.device) for name, tensor in state["ema"].items()}
        _restore_optimizer(self.optimizer, state["optimizer"], self.recipe)
        if self.critic_optimizer and state["critic"]:
            _restore_optimizer(self.critic_optimizer, state["critic"]["optimizer"], self.recipe)
        torch.set_rng_state(state["rng"])

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin a fresh schedule from given generator weights (an earlier run's averages).

        Raises:
            UsageError: they are of another network.
        """
        try:
            self.generator.load_state_dict(weights)
        except RuntimeError as error:
            raise UsageError(f"The weights to start from do not fit: {error}.") from error
        self.ema = {k: v.clone() for k, v in self.generator.state_dict().items()}

    @torch.no_grad()
    def fill(self, batch: Batch) -> Tensor:
        """The batch filled with the averaged weights, for looking at."""
        photo, mask = batch.photo.to(self.device), batch.mask.to(self.device)
        outputs = functional_call(self.generator, self.ema, (photo, mask))
        return composite(photo, mask, first_output(outputs))


def _device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"There is no '{name}' here to train on.", hint="--device cpu is.")
    return torch.device(name)


def _check_crop(recipe: Recipe, generator: Any) -> None:
    multiple = generator.size_multiple
    if recipe.crop % multiple:
        raise UsageError(
            f"crop is {recipe.crop}, but '{recipe.family}' takes multiples of {multiple}.",
            hint=f"For example --set crop={max(1, recipe.crop // multiple) * multiple}.",
        )


def _optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        module.parameters(), recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay
    )


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, state: dict[str, Any], recipe: Recipe
) -> None:
    """Load the moments, but not the settings that a state carries along."""
    optimizer.load_state_dict(state)
    for group in optimizer.param_groups:
        group.update(betas=recipe.betas, weight_decay=recipe.weight_decay)


class _Meter:
    """Mean losses and speed since it was made."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.steps = 0
        self.begun = time.monotonic()

    def add(self, losses: dict[str, float]) -> None:
        self.steps += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def read(self) -> tuple[dict[str, float], float]:
        """Mean losses and steps per second."""
        means = {name: value / self.steps for name, value in self.sums.items()}
        return means, self.steps / max(1e-9, time.monotonic() - self.begun)


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
        log_every: steps between two reports.
        sample_every: steps between two pictures in TensorBoard.
        save_every: steps between two checkpoints.

    Raises:
        DivergedError: see `Trainer.step`; the last checkpoint stays as it is.
        OutputError: the folder cannot be written.
    """
    recipe = trainer.recipe
    write_plan(folder, recipe, _record(trainer, crops))
    shown = crops.batch(0)
    step = trainer.images // recipe.batch
    meter = _Meter()
    with (
        SummaryWriter(str(folder / "logs"), purge_step=trainer.images) as writer,
        closing(crops.batches(trainer.images * recipe.critic_steps)) as batches,
        _stop() as stopped,
    ):
        while trainer.images < recipe.images and not stopped():
            meter.add(trainer.step(*itertools.islice(batches, recipe.critic_steps)))
            step += 1
            if step % log_every == 0:
                losses, speed = meter.read()
                _log_scalars(writer, trainer, losses, speed * recipe.batch)
                report(trainer.images, losses, speed * recipe.batch)
                meter = _Meter()
            if step % sample_every == 0:
                _log_samples(writer, trainer, shown)
            if step % save_every == 0:
                save(trainer, folder)
        # Inside, so that a second signal cannot cut the last checkpoint short.
        save(trainer, folder)
        write_plan(folder, recipe, _record(trainer, crops))


def save(trainer: Trainer, folder: Path) -> None:
    """Write a checkpoint.

    Raises:
        OutputError: the folder cannot be written.
    """
    write_state(folder, trainer.state(), trainer.ema)


def _record(trainer: Trainer, crops: Crops) -> Record:
    photos = crops.photos
    return Record(
        data=tuple(source.resolve().name for source in photos.sources),
        photos=len(photos),
        unreadable=len(photos.unreadable),
        features=trainer.objective.notes,
    )


def _log_scalars(
    writer: SummaryWriter, trainer: Trainer, losses: dict[str, float], speed: float
) -> None:
    images = trainer.images
    scalars = {f"loss/{name}": value for name, value in losses.items()}
    scalars["progress/rate"] = learning_rate(trainer.recipe, images)
    scalars["progress/images_per_second"] = speed
    for name, value in scalars.items():
        writer.add_scalar(name, value, images)


def _log_samples(writer: SummaryWriter, trainer: Trainer, batch: Batch, most: int = 8) -> None:
    """A picture of rows: with the hole, filled, the photo."""
    shown = Batch(batch.photo[:most], batch.mask[:most], batch.index)
    rows = [shown.photo * (1 - shown.mask), trainer.fill(shown).cpu(), shown.photo]
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
