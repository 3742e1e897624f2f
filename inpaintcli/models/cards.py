"""Model cards: what a model is and where its file lies; finding, reading and verifying them."""

import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inpaintcli_engines.base import Profile

from inpaintcli.errors import ModelError
from inpaintcli.imaging.tiles import TileSizes

DEFAULT = "membrane"
_SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model is, as its TOML file says, which lies beside the model's ONNX file.

    All models take pictures as float32 NCHW in [-1, 1], and masks (n, 1, h, w) with 1 in the hole.

    path: of the card. file: of the model. sha256: of the model's file, in hex.
    family: of generators, recipe: the training recipe's name, source: the paper.
    size_multiple: the sides of the input are multiples of this.
    max_thickness: thickness of a hole, in pixels of the input, up to which the model fills well.
    context: margin to give it around a hole, in thicknesses of the hole.
    training, parity, scores: what it was trained with and measured at.
    profile: batch sizes and sides that compiled engines are built for; without a [profile] it
        follows from how holes are cut into tiles.
    harmonizes: whether it can also harmonize pasted objects, see `inpaintcli.objects.harmonize`.
    """

    name: str
    path: Path
    file: Path
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
    """All cards by name.

    Raises:
        ModelError: a card cannot be read.
    """
    found = [read_card(path) for path in sorted(_SHIPPED.glob("*.toml"))]
    return {card.name: card for card in found}


def find_card(name: str | None = None) -> Card:
    """The card of that name or at that path (.toml); the default model's for None.

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


def find_harmonizer() -> Card:
    """The card of the model that harmonizes where none is named: the first by name that can.

    Raises:
        ModelError: there is none.
    """
    for _, card in sorted(cards().items()):
        if card.harmonizes:
            return card
    raise ModelError(
        "No installed model harmonizes.",
        hint="Train one, `inpaintcli train blockwise-small`, and pass its card as --model.",
    )


def read_card(path: Path) -> Card:
    """The card in a TOML file.

    Raises:
        ModelError: the file is missing or not TOML, or a field is missing or of a wrong type.
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
            f"A field of the card {path} is missing or wrong: {error}.",
            hint="`inpaintcli export` writes complete cards.",
        ) from error


def _profile(fields: dict[str, Any]) -> Profile:
    """The card's own profile, or one for the tiles of `plan_tiles`: mostly of one hole each."""
    multiple, working = int(fields["input"]["size_multiple"]), fields["working"]
    sizes = TileSizes(
        max_thickness=int(working["max_thickness"]), context=float(working["context"])
    )
    margin = max(sizes.context * sizes.max_thickness, sizes.min_context)
    sides = (1, min(sizes.max_thickness + 2 * margin, sizes.max_side), sizes.max_side)
    stated = fields.get("profile", {})
    least, middle, most = stated.get("side", [multiple * -int(-s // multiple) for s in sides])
    return Profile(batch=tuple(stated.get("batch", Profile.batch)), side=(least, middle, most))


def verify(card: Card) -> None:
    """Check that the model's file is the one that the card describes.

    Raises:
        ModelError: the file is missing, or its sha256 differs from the card's.
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
