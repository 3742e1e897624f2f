"""Which mask belongs to which photo: by relative path and file name without suffix.

In the mask folder it is `NAME.EXT`, `NAME.mask.EXT` or `NAME_mask.EXT`, any image suffix; without a
mask folder `NAME.mask.EXT` beside the photo. One mask file serves all photos; `alpha` takes each
photo's transparent pixels.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import TypeVar

from inpaintcli.errors import MaskMismatchError, UnreadableError, UsageError
from inpaintcli.storage.folders import find_pictures
from inpaintcli.storage.locations import (
    Location,
    is_same_file,
    is_same_location,
    parse_location,
    relative_path,
)

ALPHA = "alpha"
Relative = TypeVar("Relative", bound=PurePath)
_ENDINGS = (".mask", "_mask")


def is_named_as_mask(path: Location) -> bool:
    """Whether its name is that of a mask beside its photo: NAME.mask.EXT."""
    return path.stem.endswith(_ENDINGS[0])


def photos_of_mask(mask: Relative, *, beside: bool) -> tuple[Relative, ...]:
    """The relative paths, without suffix, of the photos that a mask may be for.

    Args:
        mask: relative to its folder.
        beside: the masks lie in the folder of the photos, where NAME.EXT is itself a photo.
    """
    stem = mask.stem
    same = [] if beside else [stem]
    shortened = [stem.removesuffix(ending) for ending in _ENDINGS if stem.endswith(ending)]
    return tuple(mask.with_name(name) for name in (*same, *shortened) if name)


def composed(path: Relative) -> Relative:
    """The path with composed characters: macOS writes an umlaut as two, others as one."""
    return type(path)(unicodedata.normalize("NFC", str(path)))


class MaskIndex:
    """Masks by the relative path, without suffix, of the photo that they are for."""

    def __init__(self, masks: Iterable[Location], folder: Location, *, beside: bool) -> None:
        """Index masks, all in `folder`; `beside` as for `photos_of_mask`."""
        self._by_photo: dict[PurePath, list[Location]] = defaultdict(list)
        self._by_look: dict[PurePath, list[Location]] = defaultdict(list)
        self._all = tuple(masks)
        for path in self._all:
            for photo in photos_of_mask(PurePath(relative_path(path, folder)), beside=beside):
                self._by_photo[photo].append(path)
                self._by_look[composed(photo)].append(path)

    def of(self, photo: PurePath) -> Location | None:
        """The mask for a photo at that relative path, if there is one.

        Raises:
            MaskMismatchError: more than one fits.
        """
        found = self.all_of(photo)
        if len(found) > 1:
            names = ", ".join(sorted(path.name for path in found))
            raise MaskMismatchError(f"More than one mask fits {photo}: {names}.", hint="Keep one.")
        return found[0] if found else None

    def all_of(self, photo: PurePath) -> list[Location]:
        """All masks for a photo at that relative path; else those that look the same."""
        name = PurePath(photo.with_name(photo.stem))
        return self._by_photo.get(name) or self._by_look.get(composed(name), [])

    def unused(self, used: set[Location]) -> tuple[Location, ...]:
        """The masks that are not among the used ones."""
        return tuple(path for path in self._all if path not in used)


def mask_for(
    photo: Location, mask: str | None, indexes: dict[Location, MaskIndex] | None = None
) -> Location | None:
    """The mask of one photo, or None for its transparent pixels.

    Args:
        photo: the file.
        mask: a file, a folder of masks, ALPHA, or None for the mask beside the photo.
        indexes: the masks of folders that were listed already; new ones are added, so that each
            folder is listed once.

    Raises:
        UnreadableError: the mask does not exist.
        UsageError: no mask was given, and none lies beside the photo.
        MaskMismatchError: two masks fit the photo.
    """
    if mask == ALPHA:
        return None
    named = None if mask is None else parse_location(mask)
    if named is not None and not named.is_dir():
        if not named.exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
        return named
    folder = photo.parent if named is None else named
    indexes = {} if indexes is None else indexes
    if folder not in indexes:
        pictures = find_pictures(folder, recursive=False).pictures
        beside = mask is None or is_same_location(folder, photo.parent)
        indexes[folder] = MaskIndex(pictures, folder, beside=beside)
    found = indexes[folder].of(Path(photo.name))
    if found is None:
        problem = f"{folder} holds no mask for {photo.name}" if mask else "No mask was given"
        raise UsageError(
            f"{problem}.",
            hint=f"Pass --mask FILE, --mask alpha, or name it {photo.stem}.mask.png.",
        )
    return found


def split_photos_and_masks(
    pictures: list[Location], folder: Location, mask: str | None
) -> tuple[list[Location], MaskIndex | Location | None]:
    """The photos among the pictures of a folder, and their masks.

    Returns:
        The photos; and as masks an index, the one file for all photos, or None for the photos'
        transparent pixels.

    Raises:
        UnreadableError: the mask does not exist.
    """
    if mask == ALPHA:
        return pictures, None
    masks_at = folder if mask is None else parse_location(mask)
    if mask is not None and not masks_at.is_dir():
        if not masks_at.exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
        return [path for path in pictures if not is_same_file(path, masks_at)], masks_at
    if is_same_location(masks_at, folder):
        endings = _ENDINGS[:1] if mask is None else _ENDINGS
        masks = [path for path in pictures if path.stem.endswith(endings)]
        known = set(masks)
        photos = [path for path in pictures if path not in known]
        return photos, MaskIndex(masks, folder, beside=True)
    return pictures, MaskIndex(find_pictures(masks_at).pictures, masks_at, beside=False)
