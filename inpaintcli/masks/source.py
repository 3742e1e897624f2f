"""`MaskSource`: where the holes of photos come from, made once at the door of a command."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from inpaintcli.errors import UsageError
from inpaintcli.masks.color import PREFIX, ColorRange
from inpaintcli.masks.drawings import Drawing
from inpaintcli.masks.parse import BoxInput, PolygonInput, parse_box, parse_polygon
from inpaintcli.options import MaskChoice
from inpaintcli.storage.folders import ANNOTATED
from inpaintcli.storage.locations import Location, parse_location, resolve_in

ALPHA = "alpha"


@dataclass(frozen=True, kw_only=True)
class MaskParts:
    """What a photo's hole is made of besides a mask file; all add up.

    alpha: its transparent pixels. colors: its pixels of these colours. drawings: shapes. labels: of
    the shapes that count in LabelMe's file of the photo; all if there are none.
    """

    alpha: bool = False
    colors: tuple[ColorRange, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    labels: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.alpha or bool(self.colors) or bool(self.drawings)

    def key(self) -> str:
        """A text for fingerprints: another wherever another hole may come out.

        Empty where there is only a mask file, "alpha" where there is only transparency.
        """
        parts = [
            *(str(color) for color in self.colors),
            *(drawing.key() for drawing in self.drawings),
            *(f"label {label}" for label in self.labels),
        ]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else ""
        return " ".join(part for part in (ALPHA if self.alpha else "", digest) if part)

    def in_words(self) -> str:
        """For the user."""
        shapes = [
            f"{len(one.shapes)} shapes of {one.origin}" if one.origin else shape.name
            for one in self.drawings
            for shape in (one.shapes[:1] if one.origin else one.shapes)
        ]
        words = ["its transparent pixels"] if self.alpha else []
        return ", ".join([*words, *(str(color) for color in self.colors), *shapes])


NO_PARTS = MaskParts()


@dataclass(frozen=True)
class PhotoMask:
    """The mask of one photo: a file of its own, or one for all, and other parts; all add up.

    `file` is a picture, white in the hole, or LabelMe's file of the photo.
    """

    file: Location | None = None
    parts: MaskParts = NO_PARTS

    def in_words(self) -> str:
        """For the user."""
        named = [str(self.file)] if self.file is not None else []
        return " and ".join([*named, *([self.parts.in_words()] if self.parts else [])])


@dataclass(frozen=True, kw_only=True)
class MaskSource:
    """Where the holes of all photos of a call come from; `finder.py` finds those of each photo.

    masks: a mask file for all photos, or a folder of masks. annotations: files of shapes, by photo.
    parts: the same for every photo. Where all are missing, masks lie beside the photos.
    """

    masks: Location | None = None
    annotations: tuple[Location, ...] = ()
    parts: MaskParts = NO_PARTS

    @property
    def is_beside(self) -> bool:
        """Whether each photo has its mask beside it."""
        return self.masks is None and not self.annotations and not self.parts

    @property
    def is_alpha(self) -> bool:
        """Whether transparent pixels count."""
        return self.parts.alpha

    def with_masks(self, text: str, folder: Location) -> Self:
        """The source with another mask, as a row of a list names it; its boxes and polygons stay.

        Args:
            text: as for `mask_source`; paths are relative to `folder`.
            folder: of the list.

        Raises:
            UsageError: it is no colour.
        """
        named = _named([text], lambda path: resolve_in(folder, path))
        drawn = tuple(one for one in self.parts.drawings if not one.origin)
        parts = replace(named.parts, drawings=drawn, labels=self.parts.labels)
        return replace(self, masks=named.masks, annotations=named.annotations, parts=parts)


BESIDE = MaskSource()
"""The mask NAME.mask.EXT beside each photo."""


def mask_source(
    masks: str | Sequence[str] | None = None,
    *,
    boxes: Sequence[BoxInput] | None = None,
    polygons: Sequence[PolygonInput] | None = None,
    labels: Sequence[str] | None = None,
) -> MaskSource:
    """The source that options name; all that they name adds up.

    Args:
        masks: a mask file, a folder of masks, `alpha`, `color:#RRGGBB~N`, or a .json file of
            annotations; or several of these, of which one is a mask file or a folder.
        boxes: X,Y,W,H each, see `parse_box`.
        polygons: X,Y;X,Y;... each.
        labels: of the shapes of annotations that count.

    Raises:
        UsageError: a box, polygon or colour is wrong; or two mask files are named.
    """
    texts = [masks] if isinstance(masks, str) else list(masks or ())
    source = _named(texts, parse_location)
    shapes = (
        *(parse_box(box) for box in boxes or ()),
        *(parse_polygon(polygon) for polygon in polygons or ()),
    )
    drawings = (Drawing(shapes),) if shapes else ()
    parts = replace(source.parts, drawings=drawings, labels=tuple(labels or ()))
    return replace(source, parts=parts)


def source_of(choice: MaskChoice) -> MaskSource:
    """The source that the options of a command name, as `mask_source`."""
    return mask_source(choice.mask, boxes=choice.box, polygons=choice.polygon, labels=choice.label)


def _named(texts: Sequence[str], locate: Callable[[str], Location]) -> MaskSource:
    masks: list[Location] = []
    annotations: list[Location] = []
    colors: list[ColorRange] = []
    for text in texts:
        if text.startswith(PREFIX):
            colors.append(ColorRange.parse(text))
        elif text != ALPHA:
            location = locate(text)
            is_json = location.suffix.lower() == ANNOTATED and not location.is_dir()
            (annotations if is_json else masks).append(location)
    if len(masks) > 1:
        raise UsageError(
            f"{masks[0]} and {masks[1]} are both masks; one mask file or folder can be named.",
            hint="alpha, color:, .json files, --box and --polygon may be added to it.",
        )
    return MaskSource(
        masks=masks[0] if masks else None,
        annotations=tuple(annotations),
        parts=MaskParts(alpha=ALPHA in texts, colors=tuple(colors)),
    )
