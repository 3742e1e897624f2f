"""The value: a training run, written down before it starts."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from inpaintcli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class HoleMix:
    """How often each kind of hole is drawn; weights need not sum to 1.

    The kinds are those of `training.masks.KINDS`.
    """

    rectangle: float = 0.3
    brush: float = 0.4
    blob: float = 0.15
    thin: float = 0.15


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training run is. Frozen; make variants with `dataclasses.replace`.

    Sizes are in pixels, progress is counted in images (crops seen), rates are per step.
    """

    name: str
    family: str  # module of training.generators
    source: str  # paper, or what the network stands on
    generator: Any  # the family's Config
    objective: Any  # the family's ObjectiveConfig
    crop: int = 256
    short_side: tuple[int, int] = (256, 320)  # photos are scaled to a random short side in here
    holes: HoleMix = field(default_factory=HoleMix)
    hole_ratio: tuple[float, float] = (0.02, 0.5)  # share of the crop that may be hole
    batch: int = 16
    images: int = 1_000_000
    warmup_images: int = 2_000
    decay_images: int = 0  # the last so many images anneal the rate to zero by a half cosine
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.9)
    weight_decay: float = 0.0
    gradient_norm: float = 0.0  # 0: not clipped
    ema_decay: float = 0.998
    precision: str = "bf16"  # of the forward pass: fp32 or bf16 autocast
    channels_last: bool = True
    seed: int = 0


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON, the form in which a run folder keeps it."""
    return json.dumps(dataclasses.asdict(recipe), indent=2)


def with_settings(recipe: Recipe, settings: dict[str, str]) -> Recipe:
    """A copy with fields replaced from text, as `--set lr=1e-4` or `--set objective.vgg=0` gives them.

    Raises:
        UsageError: a name that the recipe does not have, or a value of the wrong type.
    """
    for name, text in settings.items():
        recipe = _replaced(recipe, name.split("."), text, name)
    return recipe


def _replaced(value: Any, path: list[str], text: str, name: str) -> Any:
    head, *rest = path
    fields = {f.name for f in dataclasses.fields(value)}
    if head not in fields:
        raise UsageError(
            f"The recipe has no setting '{name}'.",
            hint=f"Settings here: {', '.join(sorted(fields))}.",
        )
    old = getattr(value, head)
    new = _replaced(old, rest, text, name) if rest else _parsed(old, text, name)
    return dataclasses.replace(value, **{head: new})


def _parsed(old: Any, text: str, name: str) -> Any:
    try:
        new = text if isinstance(old, str) else json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"'{text}' is not a value for '{name}': {error}.") from error
    if isinstance(old, tuple):
        new = tuple(new) if isinstance(new, list) else new
    elif isinstance(old, float) and isinstance(new, int) and not isinstance(new, bool):
        new = float(new)
    if type(new) is not type(old):
        raise UsageError(
            f"'{name}' takes {type(old).__name__}, not '{text}'.", hint=f"It is {old!r} now."
        )
    return new


def restored(recipe: Recipe, text: str) -> Recipe:
    """The recipe with every field as the JSON of a run folder says, typed as in `recipe`.

    Raises:
        UsageError: the JSON is of another recipe.
    """
    return _restored(recipe, json.loads(text), recipe.name)


def _restored(value: Any, saved: dict[str, Any], name: str) -> Any:
    changes = {}
    for f in dataclasses.fields(value):
        old = getattr(value, f.name)
        if f.name not in saved:
            raise UsageError(f"The saved recipe of '{name}' lacks '{f.name}'; it is of another version.")
        new = saved[f.name]
        if dataclasses.is_dataclass(old):
            new = _restored(old, new, name)
        elif isinstance(old, tuple):
            new = tuple(new)
        changes[f.name] = new
    return dataclasses.replace(value, **changes)
