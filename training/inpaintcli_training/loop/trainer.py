"""What is trained and how one step of it goes: generator, critic, averages, exact state."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from inpaintcli.errors import UsageError
from inpaintcli_training import distributed
from inpaintcli_training.catalog import build_generator, build_objective
from inpaintcli_training.data.crops import Batch
from inpaintcli_training.family import (
    BaseGenerator,
    BaseObjective,
    Stages,
    first_output,
    given,
    result,
)
from inpaintcli_training.layers.blocks import composite
from inpaintcli_training.loop import ema
from inpaintcli_training.loop.optimizer_step import NetworkOptimizer
from inpaintcli_training.perceptual.features import FeatureNetwork
from inpaintcli_training.recipe import Recipe

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


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
            UsageError: the recipe's crop does not fit its generator, its batch cannot be cut into
                equal parts for the processes, or there is no such device.
        """
        self.recipe = recipe
        self.images = 0
        self.device = _device(device, recipe)
        group = distributed.group()
        # The gradient of an instance norm over a single picture is wrong where it comes in
        # channels_last (torch 2.13 on the CPU): parts of one crop keep to the plain layout.
        last = recipe.channels_last and recipe.part(group.size) > 1
        self._layout = torch.channels_last if last else torch.contiguous_format
        torch.manual_seed(recipe.seed)
        generator: Any = self._placed(build_generator(recipe))
        self.generator: BaseGenerator = generator
        _check_crop(recipe, self.generator)
        objective: Any = self._placed(build_objective(recipe, features))
        self.objective: BaseObjective = objective
        if group.rank:  # weights are the same everywhere, what is drawn from here on is not
            torch.manual_seed(recipe.seed + 7919 * group.rank)
        self.ema = ema.copied(self.generator)
        self.descent = NetworkOptimizer(self.generator, recipe, self.device)
        self.critic: nn.Module | None = self.objective.critic
        self.critic_descent = (
            NetworkOptimizer(self.critic, recipe, self.device) if self.critic else None
        )
        self._all_stages = self._compiled() if recipe.compile else self.generator.stages

    def step(self, *batches: Batch) -> dict[str, float]:
        """One step of the generator, `critic_steps` of the critic before it; the losses by name.

        Args:
            batches: this process's parts of the batches, in order: `accumulate` for each step of
                the critic; the generator learns from the last batch.

        Raises:
            DivergedError: a loss or a gradient is NaN or infinite; the network whose it is keeps
                the weights it had before the step.
        """
        self.generator.begin(self.images)
        self.objective.begin(self.images)
        rate = learning_rate(self.recipe, self.images) * self.objective.rate_scale
        parts = self.recipe.accumulate
        moved = [batch.to(self.device, self._layout) for batch in batches]
        for start in range(0, len(moved) - parts, parts):
            self._train_critic([(b, None) for b in moved[start : start + parts]], rate)
        # A batch in one piece is run through the generator once, for both; the graphs of several
        # pieces would need the memory that cutting saves.
        last = [(b, self._stages(b) if parts == 1 else None) for b in moved[-parts:]]
        losses = self._train_critic(last, rate) | self._train_generator(last, rate)
        ema.follow(
            self.ema,
            self.generator,
            decay=self.recipe.ema_decay,
            steps=self.images // self.recipe.batch,
        )
        self.images += self.recipe.batch
        return losses

    def _train_generator(
        self, parts: list[tuple[Batch, Stages | None]], rate: float
    ) -> dict[str, float]:
        for batch, stages in parts:
            found = stages or self._stages(batch)
            with self._autocast():
                terms = self.objective.generator_loss(batch, found)
            self.descent.add(terms)
        return self.descent.step(rate, self.images)

    def _train_critic(
        self, parts: list[tuple[Batch, Stages | None]], rate: float
    ) -> dict[str, float]:
        if self.critic_descent is None:
            return {}
        for batch, stages in parts:
            with torch.no_grad():
                found = stages or self._stages(batch)
            with self._autocast():
                detached = {name: stage.detach() for name, stage in found.items()}
                terms = self.objective.critic_loss(batch, detached)
            self.critic_descent.add(terms)
        return self.critic_descent.step(rate, self.images)

    def _stages(self, batch: Batch) -> Stages:
        with self._autocast():
            stages = self._all_stages(batch)
        return {name: stage.float() for name, stage in stages.items()}

    def _placed(self, module: nn.Module) -> nn.Module:
        module.to(self.device)
        return module.to(memory_format=self._layout)  # type: ignore[call-overload, no-any-return]

    def _compiled(self) -> Any:
        """The generator's stages compiled, and the pretrained networks.

        A critic stays as it is: torch compiles nothing that is differentiated twice.
        """
        for module in self.objective.modules():
            if isinstance(module, FeatureNetwork):
                module.compile()
        return torch.compile(self.generator.stages)

    def _autocast(self) -> torch.autocast:
        low = _AUTOCAST.get(self.recipe.precision)
        return torch.autocast(self.device.type, low or torch.bfloat16, enabled=low is not None)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on as if never stopped; all processes take part."""
        critic = None
        if self.critic and self.critic_descent:
            critic = {"weights": self.critic.state_dict(), **self.critic_descent.state()}
        return {
            "images": self.images,
            "generator": self.generator.state_dict(),
            "ema": self.ema,
            **self.descent.state(),
            "critic": critic,
            "rng": distributed.gathered(_random_state()),
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
        self.descent.restore(state)
        if self.critic_descent and state["critic"]:
            self.critic_descent.restore(state["critic"])
        _restore_random_state(state["rng"])

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin a fresh schedule from given generator weights (an earlier run's averages).

        Raises:
            UsageError: they are of another network.
        """
        try:
            self.generator.load_state_dict(weights)
        except RuntimeError as error:
            raise UsageError(f"The weights to start from do not fit: {error}.") from error
        self.ema = ema.copied(self.generator)

    @torch.no_grad()
    def fill(self, batch: Batch) -> Tensor:
        """The batch as the averaged weights fill it, for looking at and for measuring.

        Where it has pasted objects and the generator takes them, they are harmonized.
        """
        batch = batch.to(self.device)
        generator = self.generator
        generator.begin(self.images)
        generator.eval()
        outputs = functional_call(generator, self.ema, given(batch, objects=generator.objects))
        generator.train()
        if generator.objects:
            return result(batch, dict(zip(generator.outputs, outputs, strict=True)))
        return composite(batch.photo, batch.mask, first_output(outputs))


def _device(name: str, recipe: Recipe) -> torch.device:
    """The device, set up for the recipe's arithmetic."""
    if not name.startswith("cuda"):
        return torch.device(name)
    if not torch.cuda.is_available():
        raise UsageError(f"There is no '{name}' here to train on.", hint="--device cpu is.")
    set_arithmetic(recipe)
    torch.backends.cudnn.benchmark = True  # crops have one size: the fastest kernels are found once
    return torch.device(name)


def set_arithmetic(recipe: Recipe) -> None:
    """How a GPU multiplies what is fp32; torch knows this of a process, not of a network."""
    torch.set_float32_matmul_precision("high" if recipe.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = recipe.tf32


def _check_crop(recipe: Recipe, generator: Any) -> None:
    multiple = generator.size_multiple
    if recipe.crop % multiple:
        raise UsageError(
            f"crop is {recipe.crop}, but '{recipe.family}' takes multiples of {multiple}.",
            hint=f"For example --set crop={max(1, recipe.crop // multiple) * multiple}.",
        )


def _random_state() -> dict[str, Tensor]:
    """Of this process's generators of random numbers."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _restore_random_state(saved: Any) -> None:
    """Take this process's own; a process more than the run had goes on with fresh numbers."""
    states = [{"cpu": saved}] if isinstance(saved, Tensor) else saved  # as runs were saved at first
    rank = distributed.group().rank
    if rank >= len(states):
        return
    torch.set_rng_state(states[rank]["cpu"])
    if "cuda" in states[rank] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states[rank]["cuda"])
