"""Model cards: what a model is and where its file lies; finding, reading and verifying them."""

import hashlib
import json
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from inpaintcli_engines.base import Profile

from inpaintcli.errors import ModelError
from inpaintcli.imaging.tiles import TileSizes
from inpaintcli.models.contract import Contract

DEFAULT = "membrane"
FOLDER_VARIABLE = "INPAINTCLI_MODELS"
CARD_NAME = "card.toml"
_SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model is, as its TOML file says, which lies beside the model's ONNX file.

    Models take pictures as float32 NCHW in [-1, 1], and masks (n, 1, h, w) with 1 in the hole;
    those of other programs what their contract says.

    path: of the card. file: of the model. sha256: of the model's file, in hex.
    family: of generators, recipe: the training recipe's name, source: the paper.
    size_multiple: the sides of the input are multiples of this.
    max_thickness: thickness of a hole, in pixels of the input, up to which the model fills well.
    context: margin to give it around a hole, in thicknesses of the hole.
    min_context: least margin in pixels of the input. max_side: longest side of the input.
    training, parity, scores: what it was trained with and measured at.
    profile: batch sizes and sides that compiled engines are built for; without a [profile] it
        follows from how holes are cut into tiles.
    harmonizes: whether it can also harmonize pasted objects, see `inpaintcli.objects.harmonize`.
    contract: what a model of another program takes and gives; None for ours.
    external: sha256 of each file beside the model that holds weights, by name.
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
    contract: Contract | None = None
    external: dict[str, str] = field(default_factory=dict)
    min_context: int = TileSizes.min_context
    max_side: int = TileSizes.max_side

    @property
    def tile_sizes(self) -> TileSizes:
        """How holes are cut into tiles for the model."""
        return TileSizes(
            max_thickness=self.max_thickness,
            context=self.context,
            min_context=self.min_context,
            max_side=self.max_side,
            size_multiple=self.size_multiple,
            one_hole=self.contract is not None and self.contract.one_hole,
        )

    def precision(self, wanted: str) -> str:
        """The precision to run the model in; auto is fp32 for models of other programs.

        Nobody has compared those in half precision, and it breaks some.
        """
        return "fp32" if self.contract is not None and wanted == "auto" else wanted

    @property
    def fingerprint(self) -> str:
        """Of all that a model's answers depend on: its sha256, for ours; 64 hex digits."""
        if self.contract is None and not self.external:
            return self.sha256
        table = self.contract.to_table() if self.contract else {}
        parts = [self.sha256, self.external, table, repr(self.tile_sizes)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cards() -> dict[str, Card]:
    """All cards by name, the shipped and the installed ones.

    Installed cards that cannot be read are left out, see `unreadable_cards`.

    Raises:
        ModelError: a shipped card cannot be read.
    """
    found = shipped_cards()
    for name, path in sorted(_installed_paths().items()):
        try:
            found.setdefault(name, _read_installed(name, path))
        except ModelError:
            continue
    return found


def shipped_cards() -> dict[str, Card]:
    """The cards of the models that come with the program, by name.

    Raises:
        ModelError: a card cannot be read.
    """
    found = [read_card(path) for path in sorted(_SHIPPED.glob("*.toml"))]
    return {card.name: card for card in found}


def unreadable_cards() -> dict[str, ModelError]:
    """What is wrong with each installed card that cannot be read, by the model's name."""
    problems = {}
    for name, path in sorted(_installed_paths().items()):
        try:
            _read_installed(name, path)
        except ModelError as error:
            problems[name] = error
    return problems


def installed_folder() -> Path:
    """The folder of this user's own models, a folder for each; it need not exist.

    It is `INPAINTCLI_MODELS`, or `models` in the user's data folder (on Linux
    ~/.local/share/inpaintcli).

    Raises:
        ModelError: this user has no home folder.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).absolute()
    try:
        return platformdirs.user_data_path("inpaintcli", appauthor=False) / "models"
    except RuntimeError as error:
        raise ModelError(
            "There is no folder for models: this user has no home folder.",
            hint=f"Name one in {FOLDER_VARIABLE}.",
        ) from error


def _installed_paths() -> dict[str, Path]:
    """The installed cards' paths by name."""
    try:
        found = list(installed_folder().glob(f"[!.]*/{CARD_NAME}"))
    except (ModelError, OSError):
        return {}
    return {path.parent.name: path for path in found}


def _read_installed(name: str, path: Path) -> Card:
    card = read_card(path)
    if card.name != name:
        raise ModelError(
            f"The card {path} is named '{card.name}', but its folder '{name}'.",
            hint="Add the model again with `inpaintcli models add`.",
        )
    return card


def find_card(name: str | None = None) -> Card:
    """The card of that name or at that path (.toml); the default model's for None.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    if name is not None and name.endswith(".toml"):
        return read_card(Path(name))
    known = shipped_cards()
    wanted = name or DEFAULT
    if wanted not in known and wanted in (paths := _installed_paths()):
        return _read_installed(wanted, paths[wanted])
    if wanted not in known:
        known = cards()
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
        working = fields["working"]
        contract = Contract.from_table(fields["contract"]) if "contract" in fields else None
        card = Card(
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
            max_thickness=int(working["max_thickness"]),
            context=float(working["context"]),
            min_context=int(working.get("min_context", TileSizes.min_context)),
            max_side=int(working.get("max_side", TileSizes.max_side)),
            training=fields.get("training", {}),
            parity=fields.get("parity", {}),
            scores=fields.get("scores", {}),
            profile=_profile(fields),
            harmonizes="harmonized" in fields.get("output", {}),
            contract=contract,
            external={name: str(sha256) for name, sha256 in fields.get("external", {}).items()},
        )
        _check_fit(card)
    except OSError as error:
        raise ModelError(f"The card {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"The card {path} is not TOML: {error}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"A field of the card {path} is missing or wrong: {error}.",
            hint="`inpaintcli export` and `inpaintcli models add` write complete cards.",
        ) from error
    return card


def _check_fit(card: Card) -> None:
    """A hole with its context must fit into the square that a model of a fixed size takes."""
    side = card.contract.side if card.contract else None
    margin = max(card.context * card.max_thickness, card.min_context)
    if side is not None and (
        card.size_multiple != side
        or card.max_side != side
        or card.max_thickness + 2 * margin > side
    ):
        raise ValueError(
            f"the model takes squares of {side} pixels: size_multiple and max_side must be {side}, "
            "and max_thickness with twice the context at most that"
        )


def _profile(fields: dict[str, Any]) -> Profile:
    """The card's own profile, or one for the tiles of `plan_tiles`: mostly of one hole each."""
    multiple, working = int(fields["input"]["size_multiple"]), fields["working"]
    sizes = TileSizes(
        max_thickness=int(working["max_thickness"]),
        context=float(working["context"]),
        min_context=int(working.get("min_context", TileSizes.min_context)),
        max_side=int(working.get("max_side", TileSizes.max_side)),
    )
    margin = max(sizes.context * sizes.max_thickness, sizes.min_context)
    sides = (1, min(sizes.max_thickness + 2 * margin, sizes.max_side), sizes.max_side)
    stated = fields.get("profile", {})
    least, middle, most = stated.get("side", [multiple * -int(-s // multiple) for s in sides])
    return Profile(batch=tuple(stated.get("batch", Profile.batch)), side=(least, middle, most))


def verify(card: Card) -> None:
    """Check that the model's file, and those that hold its weights, are what the card describes.

    Raises:
        ModelError: a file is missing, or its sha256 differs from the card's.
    """
    _verify_file(card, card.file, card.sha256)
    for name, sha256 in card.external.items():
        _verify_file(card, card.file.parent / name, sha256)


def _verify_file(card: Card, path: Path, sha256: str) -> None:
    shipped = card.path.parent == _SHIPPED
    hint = "Install inpaintcli again." if shipped else "Add the model again."
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(
            f"The model '{card.name}' cannot be read: {path}: {error.strerror}.", hint=hint
        ) from error
    if found != sha256:
        raise ModelError(
            f"The model '{card.name}' is damaged: {path} has sha256 {found[:12]}..., "
            f"its card says {sha256[:12]}....",
            hint=hint,
        )


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
