"""What a comparison found, in words and as JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal[
    "pixels", "size", "depth", "mode", "alpha", "profile", "metadata", "structure", "format"
]
Box = tuple[int, int, int, int]
"""Left, top, width, height, in pixels of the photo as displayed."""
UNITS = {"coefficients": "units of coded blocks", "values": "pixels"}


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    `what` names it, `before` and `after` say how it was and is; empty where there is no short way
    to say it. `expected` ones do not count: the metadata policy asks for them.
    """

    kind: Kind
    what: str
    before: str = ""
    after: str = ""
    expected: bool = False

    def in_words(self) -> str:
        """A line for the user."""
        change = f": {self.before or 'none'} -> {self.after or 'none'}"
        values = change if self.before or self.after else ""
        return f"{self.kind}: {self.what}{values}{' (expected)' if self.expected else ''}"


@dataclass(frozen=True)
class PixelChanges:
    """Where pixels differ.

    `by` says what was compared: coefficients of JPEG, and then counts are of units of blocks
    (MCUs), or decoded values, and then of pixels. `box` is around all that differ, `outside_box`
    around those that the hole does not explain; None where there are none.
    """

    by: Literal["coefficients", "values"]
    changed: int = 0
    box: Box | None = None
    outside: int = 0
    outside_box: Box | None = None


@dataclass(frozen=True)
class Verification:
    """All that differs between two files; `with_mask` where the hole was given."""

    before: str
    after: str
    with_mask: bool
    pixels: PixelChanges | None
    differences: tuple[Difference, ...]

    @property
    def proven(self) -> bool:
        """Whether only the hole differs; without a mask, whether only pixels do."""
        return not self.faults()

    def faults(self) -> list[Difference]:
        """What differs and must not."""
        return [one for one in self.differences if not one.expected]

    def to_json(self) -> dict[str, Any]:
        """The result line of the command."""
        return {
            "schema": 1,
            "before": self.before,
            "after": self.after,
            "proven": self.proven,
            "mask": self.with_mask,
            "pixels": asdict(self.pixels) if self.pixels else None,
            "differences": [asdict(one) for one in self.differences],
        }

    def in_words(self) -> str:
        """The report for people, a line for each thing."""
        lines = [_pixels_in_words(self.pixels, self.with_mask)] if self.pixels else []
        lines += [one.in_words() for one in self.differences if one.kind != "pixels"]
        if self.proven:
            lines.append("Only the hole differs." if self.with_mask else "Only pixels differ.")
        else:
            count = len(self.faults())
            lines.append(f"Not only the hole differs: {count} thing{'s' * (count > 1)}.")
        if self.proven and self.pixels and not self.pixels.changed:
            lines[-1] = "Nothing differs." if not self.differences else "No pixel differs."
        return "\n".join(lines)


def _pixels_in_words(pixels: PixelChanges, with_mask: bool) -> str:
    unit = UNITS[pixels.by]
    if not pixels.changed:
        return f"pixels: all the same, by {pixels.by}"
    text = f"pixels: {pixels.changed:,} {unit} differ, in {_box_in_words(pixels.box)}"
    if not with_mask:
        return text
    if pixels.outside:
        where = _box_in_words(pixels.outside_box)
        return f"{text}; {pixels.outside:,} of them outside the hole, in {where}"
    return f"{text}; outside the hole all the same, by {pixels.by}"


def _box_in_words(box: Box | None) -> str:
    left, top, width, height = box or (0, 0, 0, 0)
    return f"the box {left},{top},{width},{height}"
