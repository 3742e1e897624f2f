"""Which photo a mask is for, by its name: NAME.EXT, NAME.mask.EXT, NAME_mask.EXT, NAME.json."""

import unicodedata
from pathlib import PurePath
from typing import TypeVar

from inpaintcli.storage.folders import ANNOTATED
from inpaintcli.storage.locations import Location

Relative = TypeVar("Relative", bound=PurePath)
ENDINGS = (".mask", "_mask")
"""Of stems of masks; the first one also of masks beside their photos."""


def is_named_as_mask(path: Location) -> bool:
    """Whether its name is that of a mask beside its photo: NAME.mask.EXT."""
    return path.stem.endswith(ENDINGS[0])


def photos_of_mask(mask: Relative, *, beside: bool) -> tuple[Relative, ...]:
    """The relative paths, without suffix, of the photos that a mask may be for.

    Args:
        mask: relative to its folder.
        beside: the masks lie in the folder of the photos, where NAME.EXT is itself a photo.
    """
    stem = mask.stem
    same = [] if beside and mask.suffix.lower() != ANNOTATED else [stem]
    shortened = [stem.removesuffix(ending) for ending in ENDINGS if stem.endswith(ending)]
    return tuple(mask.with_name(name) for name in (*same, *shortened) if name)


def composed(path: Relative) -> Relative:
    """The path with composed characters: macOS writes an umlaut as two, others as one."""
    return type(path)(unicodedata.normalize("NFC", str(path)))
