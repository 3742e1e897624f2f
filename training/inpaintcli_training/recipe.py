"""The recipe: the whole configuration of a training run."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from inpaintcli.errors import UsageError

BINS = tuple((tenth / 10, (tenth + 1) / 10) for tenth in range(6))  # shares of a crop
PRECISIONS = ("fp32", "bf16", "fp16")
_FIXED = ("name", "family", "source")  # which recipe it is


def at_least(least: float, settings: Any, *names: str) -> None:
    """Check numbers, or tuples of them, among the settings of a dataclass.

    Raises:
        UsageError: one is less.
    """
    for name in names:
        value = getattr(settings, name)
        if min(value if isinstance(value, tuple) else (value,), default=least) < least:
            shown = json.dumps(value)
            raise UsageError(f"{name} is {shown}, but must be at least {least:g}.")


@dataclass(frozen=True, kw_only=True)
class HoleMix:
    """How often each kind of hole is drawn; weights need not sum to 1.

    The kinds are those of `inpaintcli_training.data.masks.KINDS`, and `pictures`: squares of mask
    pictures (`--masks`).
    """

    rectangle: float = 0.3
    brush: float = 0.4
    blob: float = 0.15
    thin: float = 0.15
    box: float = 0.0
    centre: float = 0.0
    irregular: float = 0.0
    boxes: float = 0.0
    pictures: float = 0.0

    def __post_init__(self) -> None:
        weights = [getattr(self, f.name) for f in dataclasses.fields(self)]
        if min(weights) < 0 or sum(weights) <= 0:
            raise UsageError("The weights of the holes are not negative, and one is above 0.")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augmentation of crops besides flips; 0 switches each off."""

    rotation: float = 0.0  # degrees to either side, at most 45; what is lost at the corners is cut
    brightness: float = 0.0  # each of these scales by 1 - x to 1 + x
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.rotation <= 45:
            raise UsageError("augment.rotation is 0 to 45 degrees.")
        if not all(0 <= x < 1 for x in (self.brightness, self.contrast, self.saturation)):
            raise UsageError("brightness, contrast and saturation of augment are 0 to below 1.")


@dataclass(frozen=True, kw_only=True)
class Pasted:
    """How crops get a pasted object to harmonize (see `inpaintcli_training.data.composites`)."""

    share: float = 0.0  # of the crops; 0: none, and nothing else here matters
    background: float = 0.5  # of these, the share where the box around the object is to be filled
    share_of_crop: tuple[float, float] = (0.02, 0.3)  # how large an object may be
    annotations: str = ""  # a COCO-format JSON file; without one, objects are superpixels

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 1 and 0 <= self.background <= 1):
            raise UsageError("pasted.share and pasted.background lie between 0 and 1.")
        if not 0 < self.share_of_crop[0] < self.share_of_crop[1] < 1:
            raise UsageError("pasted.share_of_crop takes two shares, the smaller one first.")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The configuration of a training run. Frozen; make variants with `dataclasses.replace`.

    Sizes are in pixels, progress is counted in images (crops seen), rates are per step.
    """

    name: str
    family: str  # module of inpaintcli_training.generators
    source: str  # paper, or what the network stands on
    generator: Any  # the family's Config
    objective: Any  # the family's ObjectiveConfig
    crop: int = 256
    short_side: tuple[int, int] = (256, 320)  # photos are scaled to a random short side in here
    holes: HoleMix = field(default_factory=HoleMix)
    hole_ratio: tuple[float, float] = (0.02, 0.5)  # share of the crop that may be hole
    # How often irregular holes cover 0-10 %, 10-20 % ... 50-60 % of the crop.
    ratio_bins: tuple[float, float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    augment: Augmentation = field(default_factory=Augmentation)
    pasted: Pasted = field(default_factory=Pasted)
    batch: int = 16  # crops of a step, over all processes and parts
    accumulate: int = 1  # parts that a batch is cut into, one after the other, to save memory
    critic_steps: int = 1  # of the critic for each of the generator, each on crops of its own
    images: int = 1_000_000
    warmup_images: int = 2_000
    decay_images: int = 0  # the last so many images anneal the rate to zero by a half cosine
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.9)
    weight_decay: float = 0.0
    gradient_norm: float = 0.0  # 0: not clipped
    ema_decay: float = 0.998
    precision: str = "bf16"  # of the forward pass: fp32, or autocast to bf16 or (scaled) fp16
    tf32: bool = True  # on a GPU: what stays fp32 may round its factors to 10 bits
    channels_last: bool = True
    compile: bool = False  # the generator and the losses' networks, by torch.compile
    validate_every: int = 10_000  # images; with photos to validate on
    seed: int = 0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            hint = f"Precisions: {', '.join(PRECISIONS)}."
            raise UsageError(f"There is no training in '{self.precision}'.", hint=hint)
        at_least(1, self, "crop", "batch", "accumulate", "critic_steps", "validate_every")
        at_least(1, self, "short_side")
        at_least(0, self, "images", "warmup_images", "decay_images", "seed")
        at_least(0, self, "lr", "weight_decay", "gradient_norm", "ema_decay", "betas")
        if max(self.ema_decay, *self.betas) >= 1:
            raise UsageError("ema_decay and betas lie between 0 and 1 and are never 1.")
        if self.short_side[0] > self.short_side[1]:
            raise UsageError("short_side takes two numbers of pixels, the smaller one first.")
        if not 0 <= self.hole_ratio[0] < self.hole_ratio[1] <= 1:
            raise UsageError("hole_ratio takes two shares of the crop, the smaller one first.")
        if min(self.ratio_bins) < 0 or sum(self.ratio_bins) <= 0:
            raise UsageError("The weights of ratio_bins are not negative, and one is above 0.")
        self.part()

    def part(self, processes: int = 1) -> int:
        """Crops that one process takes at a time.

        Raises:
            UsageError: the batch cannot be cut into equal parts.
        """
        parts = self.accumulate * processes
        if self.batch % parts:
            raise UsageError(
                f"A batch of {self.batch} crops cannot be cut into {parts} equal parts "
                f"({processes} processes, accumulate {self.accumulate}).",
                hint=f"For example --set batch={-(-self.batch // parts) * parts}.",
            )
        return self.batch // parts


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON, as `recipe.json` in a run folder holds it."""
    return json.dumps(dataclasses.asdict(recipe), indent=2)


def with_settings(recipe: Recipe, settings: dict[str, str]) -> Recipe:
    """A copy with fields replaced from text: `lr` by "1e-4", `objective.vgg` by "0".

    All are replaced at once, so that they are checked against each other's new values.

    Raises:
        UsageError: a name that the recipe does not have, or a value that does not fit it.
    """
    for name in _FIXED:
        if name in settings:
            raise UsageError(f"'{name}' says which recipe it is and cannot be set.")
    changed: Recipe = _replaced(recipe, settings, "")
    return changed


def _replaced(value: Any, settings: dict[str, str], prefix: str) -> Any:
    """A copy of a dataclass; messages name a setting with `prefix` before it."""
    inner: dict[str, dict[str, str]] = {}
    changes = {}
    for name, text in settings.items():
        head, _, rest = name.partition(".")
        _check_field(value, head, prefix + name)
        if rest:
            inner.setdefault(head, {})[rest] = text
        else:
            kind = get_type_hints(type(value))[head]
            changes[head] = _parsed(kind, getattr(value, head), text, prefix + name)
    for head, rests in inner.items():
        changes[head] = _replaced(getattr(value, head), rests, f"{prefix}{head}.")
    return dataclasses.replace(value, **changes)


def _check_field(value: Any, head: str, name: str) -> None:
    known = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
    fields = {field.name for field in known}
    if head not in fields:
        shown = sorted(fields - set(_FIXED))
        hint = f"Settings here: {', '.join(shown)}." if fields else ""
        raise UsageError(f"The recipe has no setting '{name}'.", hint=hint)


def _parsed(kind: Any, old: Any, text: str, name: str) -> Any:
    try:
        return text if kind is str else _convert(kind, json.loads(text, parse_constant=_no_number))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"'{text}' is not a value for '{name}'.", hint=_example_hint(old, name)
        ) from error


def _example_hint(old: Any, name: str) -> str:
    """An example of a value: the current one."""
    if dataclasses.is_dataclass(old):
        first = dataclasses.fields(old)[0].name
        return f"It has settings of its own, such as --set {name}.{first}=..."
    return f"It takes a value such as {json.dumps(old)}, which it has now."


def _no_number(constant: str) -> float:
    """JSON proper has no NaN or Infinity, and no setting takes them."""
    raise ValueError(constant)


def _convert(kind: Any, value: Any) -> Any:
    """A value from JSON as type `kind`: lists become tuples, integers floats where needed.

    Raises:
        TypeError: it is of another type or length.
    """
    if get_origin(kind) is tuple and isinstance(value, list):
        kinds = get_args(kind)
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(value)
        if len(kinds) != len(value):
            raise TypeError(value)
        return tuple(_convert(k, v) for k, v in zip(kinds, value, strict=True))
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(value)
    return value


def recipe_from_json(recipe: Recipe, text: str) -> Recipe:
    """The recipe with every field as in the JSON of a run folder, of the types in `recipe`.

    A field that the JSON lacks, because it was added later, gets its class's default; such a
    default must therefore mean what was done before the field existed.

    Raises:
        UsageError: the JSON is of another recipe, or damaged.
    """
    try:
        saved = json.loads(text)
        if saved["name"] != recipe.name:
            raise UsageError(f"The saved recipe is '{saved['name']}', not '{recipe.name}'.")
        back: Recipe = _with_json_fields(recipe, saved)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"The saved recipe of '{recipe.name}' is damaged: {error!r}.") from error
    return back


def _with_json_fields(value: Any, saved: dict[str, Any]) -> Any:
    kinds = get_type_hints(type(value))
    changes = {}
    for f in dataclasses.fields(value):
        old = getattr(value, f.name)
        if f.name not in saved:
            changes[f.name] = _default(f)
        elif dataclasses.is_dataclass(old):
            changes[f.name] = _with_json_fields(old, saved[f.name])
        else:
            changes[f.name] = _convert(kinds[f.name], saved[f.name])
    return dataclasses.replace(value, **changes)


def _default(f: "dataclasses.Field[Any]") -> Any:
    if f.default is not dataclasses.MISSING:
        return f.default
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    raise KeyError(f.name)
