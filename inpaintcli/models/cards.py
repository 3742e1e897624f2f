"""Cards: what a model is, where it lies, whether its file is whole."""

import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inpaintcli_engines.base import Profile

from inpaintcli.errors import ModelError
from inpaintcli.imaging.regions import Sizes

DEFAULT = "membrane"
_SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model is. Read from a TOML file that lies beside the model's file.

    `size_multiple`: sides of its input are multiples of this. `max_thickness`: the thickness of a
    hole, in pixels of its input, that it fills best; `context`: how much to show around the hole,
    in thicknesses of the hole. `profile`: the batches and sides that compiled engines are built
    for; without a [profile] it follows from how holes are cut. `harmonizes`: whether it also fits
    pasted objects, see `inpaintcli.objects.harmonize`. Pictures go in as float32 NCHW in
    [-1, 1], masks with 1 in the hole.
    """

    name: str
    path: Path  # of the card
    file: Path  # of the model
    sha256: str
    licence: str
    family: str
    recipe: str
    source: str
    task: str
    size_multiple: int
    max_thickness: int
    context: float
    training: dict[str, Any]
    parity: dict[str, Any]
    scores: dict[str, Any]
    profile: Profile = field(default_factory=Profile)
    harmonizes: bool = False


def cards() -> dict[str, Card]:
    """All shipped and installed cards by name.

    Raises:
        ModelError: a card cannot be read.
    """
    found = [read_card(path) for path in sorted(_SHIPPED.glob("*.toml"))]
    return {card.name: card for card in found}


def find_card(name: str | None = None) -> Card:
    """The card of that name or at that path; the default one for None.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    if name is not None and name.endswith(".toml"):
        return read_card(Path(name))
    known = cards()
    wanted = name or DEFAULT
    if wanted not in known:
        raise ModelError(
            f"There is no model '{wanted}'.",
            hint=f"Known: {', '.join(sorted(known))}; or pass the path of a card (.toml).",
        )
    return known[wanted]


def read_card(path: Path) -> Card:
    """The card in a TOML file.

    Raises:
        ModelError: the file is missing, is no TOML, or lacks a field.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return Card(
            name=fields["name"],
            path=path,
            file=path.parent / fields["file"],
            sha256=fields["sha256"],
            licence=fields["licence"],
            family=fields["family"],
            recipe=fields["recipe"],
            source=fields["source"],
            task=fields["task"],
            size_multiple=int(fields["input"]["size_multiple"]),
            max_thickness=int(fields["working"]["max_thickness"]),
            context=float(fields["working"]["context"]),
            training=fields.get("training", {}),
            parity=fields.get("parity", {}),
            scores=fields.get("scores", {}),
            profile=_profile(fields),
            harmonizes="harmonized" in fields.get("output", {}),
        )
    except OSError as error:
        raise ModelError(f"The card {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"The card {path} is not TOML: {error}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The card {path} lacks or garbles a field: {error}.",
            hint="`inpaintcli export` writes whole cards.",
        ) from error


def _profile(fields: dict[str, Any]) -> Profile:
    """The card's own profile, or what `holes.plan` cuts: tiles up to a side, mostly of one hole."""
    multiple, working = int(fields["input"]["size_multiple"]), fields["working"]
    sizes = Sizes(thickness=int(working["max_thickness"]), context=float(working["context"]))
    usual = sizes.thickness + 2 * max(sizes.context * sizes.thickness, sizes.least_context)
    sides = (1, min(usual, sizes.tile), sizes.tile)
    stated = fields.get("profile", {})
    least, middle, most = stated.get("side", [multiple * -int(-s // multiple) for s in sides])
    return Profile(batch=tuple(stated.get("batch", Profile.batch)), side=(least, middle, most))


def verify(card: Card) -> None:
    """Check that the model's file is the one that the card speaks of.

    Raises:
        ModelError: it is missing, or its sha256 is another.
    """
    try:
        with card.file.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"The model '{card.name}' cannot be read: {card.file}: {error.strerror}.",
            hint="Install inpaintcli again.",
        ) from error
    if found != card.sha256:
        raise ModelError(
            f"The model '{card.name}' is damaged: {card.file} has sha256 {found[:12]}..., "
            f"its card says {card.sha256[:12]}....",
            hint="Install inpaintcli again.",
        )
