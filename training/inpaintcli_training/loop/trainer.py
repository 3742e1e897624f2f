"""One training step: generator, critic, their optimizers, the EMA; and the state to resume from."""

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
    composite_outputs,
    first_output,
    generator_inputs,
)
from inpaintcli_training.layers.blocks import composite
from inpaintcli_training.loop.ema import initial_ema, update_ema
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
    """Generator, objective, optimizers and EMA of one run; `step` does one step."""

    def __init__(self, recipe: Recipe, features: Path | None, *, device: str = "cpu") -> None:
        """Initialise everything from the recipe's seed.

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
        # Torch 2.13 computes a wrong gradient of an instance norm over a single picture in
        # channels_last (on the CPU), so parts of one crop use the plain layout.
        last = recipe.channels_last and recipe.part(group.size) > 1
        self._layout = torch.channels_last if last else torch.contiguous_format
        torch.manual_seed(recipe.seed)
        generator: Any = self._placed(build_generator(recipe))
        self.generator: BaseGenerator = generator
        _check_crop(recipe, self.generator)
        objective: Any = self._placed(build_objective(recipe, features))
        self.objective: BaseObjective = objective
        if group.rank:  # weights are the same in all processes, later random numbers are not
            torch.manual_seed(recipe.seed + 7919 * group.rank)
        self.ema = initial_ema(self.generator)
        self.generator_optimizer = NetworkOptimizer(self.generator, recipe, self.device)
        self.critic: nn.Module | None = self.objective.critic
        self.critic_optimizer = (
            NetworkOptimizer(self.critic, recipe, self.device) if self.critic else None
        )
        self._all_stages = self._compiled() if recipe.compile else self.generator.stages

    def step(self, *batches: Batch) -> dict[str, float]:
        """One step of the generator, `critic_steps` of the critic before it; the losses by name.

        Args:
            batches: this process's parts of the batches, in order: `accumulate` for each step of
                the critic; the generator learns from the last batch.

        Raises:
            DivergedError: a loss or a gradient is NaN or infinite; the network that it belongs to
                keeps its weights of before the step.
        """
        self.generator.begin(self.images)
        self.objective.begin(self.images)
        rate = learning_rate(self.recipe, self.images) * self.objective.rate_scale
        parts = self.recipe.accumulate
        moved = [batch.to(self.device, self._layout) for batch in batches]
        for start in range(0, len(moved) - parts, parts):
            self._train_critic([(b, None) for b in moved[start : start + parts]], rate)
        # A batch in one piece passes the generator once, for both networks; the graphs of several
        # pieces would need the memory that the pieces are to save.
        last = [(b, self._stages(b) if parts == 1 else None) for b in moved[-parts:]]
        losses = self._train_critic(last, rate) | self._train_generator(last, rate)
        update_ema(
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
            self.generator_optimizer.add(terms)
        return self.generator_optimizer.step(rate, self.images)

    def _train_critic(
        self, parts: list[tuple[Batch, Stages | None]], rate: float
    ) -> dict[str, float]:
        if self.critic_optimizer is None:
            return {}
        for batch, stages in parts:
            with torch.no_grad():
                found = stages or self._stages(batch)
            with self._autocast():
                detached = {name: stage.detach() for name, stage in found.items()}
                terms = self.objective.critic_loss(batch, detached)
            self.critic_optimizer.add(terms)
        return self.critic_optimizer.step(rate, self.images)

    def _stages(self, batch: Batch) -> Stages:
        with self._autocast():
            stages = self._all_stages(batch)
        return {name: stage.float() for name, stage in stages.items()}

    def _placed(self, module: nn.Module) -> nn.Module:
        module.to(self.device)
        return module.to(memory_format=self._layout)  # type: ignore[call-overload, no-any-return]

    def _compiled(self) -> Any:
        """The generator's stages compiled, and the pretrained networks.

        Not the critic: torch compiles nothing that is differentiated twice.
        """
        for module in self.objective.modules():
            if isinstance(module, FeatureNetwork):
                module.compile()
        return torch.compile(self.generator.stages)

    def _autocast(self) -> torch.autocast:
        low = _AUTOCAST.get(self.recipe.precision)
        return torch.autocast(self.device.type, low or torch.bfloat16, enabled=low is not None)

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs to resume exactly; all processes must call it."""
        critic = None
        if self.critic and self.critic_optimizer:
            critic = {"weights": self.critic.state_dict(), **self.critic_optimizer.state_dict()}
        return {
            "images": self.images,
            "generator": self.generator.state_dict(),
            "ema": self.ema,
            **self.generator_optimizer.state_dict(),
            "critic": critic,
            "rng": distributed.gather(_random_state()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a saved state.

        A critic that the saved run did not have starts fresh, so that one can join later. The
        optimizers' settings are those of the recipe, also where it was changed.

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
        self.generator_optimizer.load_state_dict(state)
        if self.critic_optimizer and state["critic"]:
            self.critic_optimizer.load_state_dict(state["critic"])
        _restore_random_state(state["rng"])

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin a new schedule with the generator's weights of an earlier run (its EMA).

        Raises:
            UsageError: they are of another network.
        """
        try:
            self.generator.load_state_dict(weights)
        except RuntimeError as error:
            raise UsageError(f"The weights to start from do not fit: {error}.") from error
        self.ema = initial_ema(self.generator)

    @torch.no_grad()
    def fill(self, batch: Batch) -> Tensor:
        """The batch filled with the EMA weights, for sample pictures and validation.

        Pasted objects are harmonized if the generator can.
        """
        batch = batch.to(self.device)
        generator = self.generator
        generator.begin(self.images)
        generator.eval()
        outputs = functional_call(
            generator, self.ema, generator_inputs(batch, objects=generator.objects)
        )
        generator.train()
        if generator.objects:
            return composite_outputs(batch, dict(zip(generator.outputs, outputs, strict=True)))
        return composite(batch.photo, batch.mask, first_output(outputs))


def _device(name: str, recipe: Recipe) -> torch.device:
    """The device, configured for the recipe's precision."""
    if not name.startswith("cuda"):
        return torch.device(name)
    if not torch.cuda.is_available():
        raise UsageError(f"There is no '{name}' here to train on.", hint="--device cpu is.")
    set_arithmetic(recipe)
    torch.backends.cudnn.benchmark = True  # crops have one size: the fastest kernels are found once
    return torch.device(name)


def set_arithmetic(recipe: Recipe) -> None:
    """Set how a GPU multiplies fp32 numbers, which torch sets for a process, not for a network."""
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
    """The states of this process's random number generators."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _restore_random_state(saved: Any) -> None:
    """Restore this process's own; a process that the saved run did not have keeps its seed."""
    states = [{"cpu": saved}] if isinstance(saved, Tensor) else saved  # the format of old runs
    rank = distributed.group().rank
    if rank >= len(states):
        return
    torch.set_rng_state(states[rank]["cpu"])
    if "cuda" in states[rank] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states[rank]["cuda"])
