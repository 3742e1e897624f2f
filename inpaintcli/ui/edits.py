"""What is done to a photo, one edit after the other: a list that can be undone and redone.

Mask edits change the mask; a fill takes the mask that they have made and begins a new one. Nothing
is applied to a picture that was encoded before: the list is applied to the original.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, cast, get_args

from inpaintcli.errors import UsageError
from inpaintcli.options import Detail

MAX_POINTS = 20_000
MAX_COORDINATE = 1e6
MAX_PIXELS = 1000
"""Of growing and shrinking."""
MAX_SEED = 2**31 - 1
MAX_EDITS = 10_000
"""Of one photo."""
FILL = "fill"
HARMONIZE = "harmonize"
"""Takes the mask as a fill does: what is in it, a pasted object, is made to fit the photo."""
STORED = "mask"
"""A mask from a file or from the search for objects, kept as a PNG under the edit's id."""
_ID = re.compile(r"[a-z0-9-]{8,64}")


@dataclass(frozen=True)
class Edit:
    """One edit. `id` is made by the page: the same edit sent twice is done once.

    values: what the kind needs, as JSON, checked by `parse_edit`.
    """

    id: str
    kind: str
    values: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As it is stored, and as `parse_edit` reads it."""
        return {"id": self.id, "kind": self.kind, **self.values}

    def with_values(self, **values: Any) -> Self:
        """The same edit with other values."""
        return replace(self, values={**self.values, **values})

    @property
    def is_fill(self) -> bool:
        """Whether it changes the pixels that the edits before it have masked."""
        return self.kind in {FILL, HARMONIZE}

    @property
    def missing_seed(self) -> int | None:
        """Of a fill: the first seed without a result."""
        if not self.is_fill:
            return None
        return next((one for one in self.values["seeds"] if one not in self.values["ready"]), None)

    @property
    def result(self) -> int | None:
        """Of a fill: the seed of the result that is shown, None while there is none."""
        return self.values["chosen"] if self.is_fill and self.values["ready"] else None


@dataclass(frozen=True)
class History:
    """All edits of a photo; the first `done` of them are applied, the others are undone."""

    edits: tuple[Edit, ...] = ()
    done: int = 0

    @property
    def applied(self) -> tuple[Edit, ...]:
        """The edits that are not undone."""
        return self.edits[: self.done]

    @property
    def fills(self) -> tuple[Edit, ...]:
        """The applied fills, in order."""
        return tuple(edit for edit in self.applied if edit.is_fill)

    @property
    def mask_edits(self) -> tuple[Edit, ...]:
        """The applied edits after the last fill: they make the mask of the next."""
        return self.mask_edits_of(None)

    def mask_edits_of(self, fill: str | None) -> tuple[Edit, ...]:
        """The edits that made the mask of a fill, by its id; None for the fill to come."""
        found: list[Edit] = []
        for edit in self.applied:
            if edit.id == fill:
                break
            found = [] if edit.is_fill else [*found, edit]
        return tuple(found)

    def find(self, name: str) -> Edit | None:
        """The edit of that id, undone ones too."""
        return next((edit for edit in self.edits if edit.id == name), None)

    def with_edit(self, edit: Edit) -> Self:
        """With one edit more, in place of those that are undone.

        Raises:
            UsageError: there are too many.
        """
        if self.done >= MAX_EDITS:
            raise UsageError(f"{MAX_EDITS} edits are the most for one photo.", hint="Save it.")
        return replace(self, edits=(*self.applied, edit), done=self.done + 1)

    def moved_to(self, done: int) -> Self:
        """With so many edits applied.

        Raises:
            UsageError: there are not so many.
        """
        if not 0 <= done <= len(self.edits):
            raise UsageError(f"There are {len(self.edits)} edits, not {done}.")
        return replace(self, done=done)

    def replaced(self, edit: Edit) -> Self:
        """With the edit in place of the one of the same id."""
        return replace(self, edits=tuple(edit if e.id == edit.id else e for e in self.edits))

    def without(self, name: str) -> Self:
        """Without the edit of that id."""
        kept = tuple(edit for edit in self.edits if edit.id != name)
        was_applied = any(edit.id == name for edit in self.applied)
        return replace(self, edits=kept, done=self.done - was_applied)


def check_id(name: object) -> str:
    """An edit's id, which is also part of file names.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise UsageError("An edit's id has 8 to 64 of the characters a-z, 0-9 and -.")
    return name


def parse_edit(fields: object) -> Edit:
    """An edit from JSON, as the page sends it or as it was stored.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(fields, dict):
        raise UsageError("An edit is a JSON object.")
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in _PARSERS:
        raise UsageError(f"An edit's kind is one of {', '.join(_PARSERS)}.")
    return Edit(check_id(fields.get("id")), kind, _PARSERS[kind](fields))


def _stroke(fields: dict[str, Any]) -> dict[str, Any]:
    points = _points(fields, 3, 1)
    if any(radius <= 0 for _, _, radius in points):
        raise UsageError("The radius of a stroke is above 0.")
    return {"points": points, "erase": bool(fields.get("erase"))}


def _polygon(fields: dict[str, Any]) -> dict[str, Any]:
    return {"points": _points(fields, 2, 3), "erase": bool(fields.get("erase"))}


def _box(fields: dict[str, Any]) -> dict[str, Any]:
    box = number_list(fields.get("box"), 4)
    if box[2] <= 0 or box[3] <= 0:
        raise UsageError("Width and height of a box are above 0.")
    return {"box": box, "erase": bool(fields.get("erase"))}


def _pixels(fields: dict[str, Any]) -> dict[str, Any]:
    return {"pixels": whole_number(fields, "pixels", 1, MAX_PIXELS)}


def _nothing(_fields: dict[str, Any]) -> dict[str, Any]:
    return {}


def _stored(fields: dict[str, Any]) -> dict[str, Any]:
    return {"erase": bool(fields.get("erase")), "label": str(fields.get("label") or "mask")[:40]}


def _harmonize(fields: dict[str, Any]) -> dict[str, Any]:
    ready = [seed for seed in _seeds(fields, "ready") if seed == 0]
    amount = whole_number(fields, "amount", 1, 100)
    return {"amount": amount, "seeds": [0], "ready": ready, "chosen": 0}


def _fill(fields: dict[str, Any]) -> dict[str, Any]:
    detail, model = fields.get("detail", "auto"), fields.get("model")
    if detail not in get_args(Detail):
        raise UsageError(f"There is no detail '{detail}'.")
    if model is not None and not isinstance(model, str):
        raise UsageError("A model is named by text.")
    seeds = _seeds(fields, "seeds") or [whole_number(fields, "seed", 0, MAX_SEED)]
    ready = [seed for seed in _seeds(fields, "ready") if seed in seeds]
    chosen = fields.get("chosen", seeds[0])
    return {
        "model": model,
        "detail": detail,
        "grow": whole_number(fields, "grow", 0, MAX_PIXELS),
        "seeds": seeds,
        "ready": ready,
        "chosen": chosen if chosen in ready else (ready or seeds)[0],
    }


def _seeds(fields: dict[str, Any], name: str) -> list[int]:
    values = fields.get(name, [])
    if not isinstance(values, list) or not all(type(one) is int for one in values):
        raise UsageError(f"{name} is a list of whole numbers.")
    return values


def whole_number(fields: Mapping[str, Any], name: str, least: int, most: int) -> int:
    """A whole number of a JSON object; 0, if that is allowed, where it is left out.

    Raises:
        UsageError: it is no whole number, or out of its limits.
    """
    value = fields.get(name, 0)
    if type(value) is not int or not least <= value <= most:
        raise UsageError(f"{name} is a whole number from {least} to {most}.")
    return value


def _points(fields: dict[str, Any], size: int, least: int) -> list[list[float]]:
    points = fields.get("points")
    if not isinstance(points, list) or not least <= len(points) <= MAX_POINTS:
        raise UsageError(f"A shape has {least} to {MAX_POINTS} points.")
    return [number_list(point, size) for point in points]


def number_list(values: object, size: int) -> list[float]:
    """So many finite numbers of a JSON list.

    Raises:
        UsageError: they are not.
    """
    if not isinstance(values, list) or len(values) != size:
        raise UsageError(f"{size} numbers are needed.")
    if not all(type(value) in (int, float) for value in values):
        raise UsageError(f"{size} numbers are needed.")
    numbers = [float(value) for value in cast("list[float]", values)]
    if not all(math.isfinite(value) and abs(value) <= MAX_COORDINATE for value in numbers):
        raise UsageError("A coordinate is out of the photo by far.")
    return numbers


_PARSERS = {
    "stroke": _stroke,
    "polygon": _polygon,
    "box": _box,
    "enclose": _nothing,
    "invert": _nothing,
    "clear": _nothing,
    "grow": _pixels,
    "shrink": _pixels,
    STORED: _stored,
    FILL: _fill,
    HARMONIZE: _harmonize,
}
