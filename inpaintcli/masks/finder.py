"""Which mask belongs to which photo: by relative path and file name without suffix.

In the mask folder it is `NAME.EXT`, `NAME.mask.EXT` or `NAME_mask.EXT`, any image suffix, or
`NAME.json` of LabelMe; without a mask folder `NAME.mask.EXT`, else `NAME.json`, beside the photo.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from inpaintcli.errors import MaskMismatchError, UnreadableError, UsageError
from inpaintcli.masks.annotations import LABELME, Annotations, kind_of
from inpaintcli.masks.drawings import Drawing
from inpaintcli.masks.labelme import read_drawing
from inpaintcli.masks.names import ENDINGS, composed, photos_of_mask
from inpaintcli.masks.source import MaskParts, MaskSource, PhotoMask
from inpaintcli.storage.folders import ANNOTATED, FolderContents, find_pictures
from inpaintcli.storage.locations import (
    Location,
    is_same_file,
    is_same_location,
    local_copy,
    relative_path,
)


class MaskIndex:
    """Masks by the relative path, without suffix, of the photo that they are for."""

    def __init__(self, masks: Iterable[Location], folder: Location, *, beside: bool) -> None:
        """Index masks, all in `folder`; `beside` as for `photos_of_mask`."""
        self._by_photo: dict[PurePath, list[Location]] = defaultdict(list)
        self._by_look: dict[PurePath, list[Location]] = defaultdict(list)
        self._all, self._beside = tuple(masks), beside
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
        """All masks for a photo at that relative path; else those that look the same.

        Beside photos a picture goes before NAME.json, which many programs write.
        """
        name = PurePath(photo.with_name(photo.stem))
        found = self._by_photo.get(name) or self._by_look.get(composed(name), [])
        if not self._beside:
            return found
        return [path for path in found if not _is_json(path)] or [
            path for path in found if _is_json(path) and is_labelme(path)
        ]

    def unused(self, used: set[Location]) -> tuple[Location, ...]:
        """The masks that are not among the used ones; of files beside photos, the pictures."""
        return tuple(
            path for path in self._all if path not in used and not (self._beside and _is_json(path))
        )


class MaskFinder:
    """Finds the mask of any photo; lists each folder, and reads each annotation file, once."""

    def __init__(self, source: MaskSource, photos: Sequence[PurePath] | None = None) -> None:
        """Find by a source.

        Args:
            source: where masks come from.
            photos: the paths that `of` will be asked for, as it is given them; None for any, which
                takes more memory with annotation files.

        Raises:
            UnreadableError: an annotation file does not exist, is damaged or not known.
        """
        self._source = source
        self._annotations: list[Annotations] = []
        drawings = list(source.parts.drawings)
        for location in source.annotations:
            found = _read_annotations(location, photos, source.parts.labels)
            if isinstance(found, Drawing):
                drawings.append(found)
            else:
                self._annotations.append(found)
        self._parts = replace(source.parts, drawings=tuple(drawings))
        self._indexes: dict[Location, MaskIndex] = {}

    def of(self, photo: Location, name: PurePath | None = None) -> PhotoMask:
        """The mask of a photo.

        Args:
            photo: the file.
            name: its path as annotation files may have it; its file name where left out.

        Raises:
            UnreadableError: the mask does not exist, or a shape of the photo is wrong.
            UsageError: the photo has no mask; the message says why.
            MaskMismatchError: two masks fit the photo.
        """
        parts = self.parts_of(name or PurePath(photo.name))
        return PhotoMask(self._file_of(photo), parts)

    def parts_of(self, name: PurePath) -> MaskParts:
        """What a photo's hole is made of besides a mask file, as for `of`."""
        drawings = list(self._parts.drawings)
        for annotations in self._annotations:
            found = annotations.of(name)
            if found is None:
                raise UsageError(f"{annotations.name} has no picture {name}.")
            drawings += found or (Drawing((), None, annotations.name),)
        return replace(self._parts, drawings=tuple(drawings))

    def _file_of(self, photo: Location) -> Location | None:
        masks = self._source.masks
        if masks is None and not self._source.is_beside:
            return None
        if masks is not None and not masks.is_dir():
            if not masks.exists():
                raise UnreadableError(f"The mask {masks} does not exist.")
            return masks
        folder = photo.parent if masks is None else masks
        if folder not in self._indexes:
            beside = masks is None or is_same_location(folder, photo.parent)
            files = _mask_files(find_pictures(folder, recursive=False))
            self._indexes[folder] = MaskIndex(files, folder, beside=beside)
        found = self._indexes[folder].of(PurePath(photo.name))
        if found is None:
            problem = f"{folder} holds no mask for {photo.name}" if masks else "No mask was given"
            raise UsageError(
                f"{problem}.",
                hint="Pass --mask FILE, --mask alpha, --box X,Y,W,H, or name it "
                f"{photo.stem}.mask.png.",
            )
        return found


class FolderMasks:
    """The masks of the photos of a folder and its subfolders."""

    def __init__(self, contents: FolderContents, folder: Location, source: MaskSource) -> None:
        """Tell photos and masks apart.

        Raises:
            UnreadableError: a mask, or an annotation file, does not exist or cannot be read.
        """
        self._folder = folder
        masks, pictures = source.masks, contents.pictures
        self._one: Location | None = None
        self._index: MaskIndex | None = None
        self.photos = pictures
        if masks is not None and not masks.is_dir():
            if not masks.exists():
                raise UnreadableError(f"The mask {masks} does not exist.")
            self.photos = [path for path in pictures if not is_same_file(path, masks)]
            self._one = masks
        elif masks is None or is_same_location(masks, folder):
            endings = ENDINGS[:1] if masks is None else ENDINGS
            if not source.is_alpha or masks is not None:
                self.photos = [path for path in pictures if not path.stem.endswith(endings)]
            if masks is not None or source.is_beside:
                own = [path for path in pictures if path.stem.endswith(endings)]
                files = [*own, *contents.annotations]
                self._index = MaskIndex(files, folder, beside=True)
        else:
            files = _mask_files(find_pictures(masks))
            self._index = MaskIndex(files, masks, beside=False)
        names = [relative_path(photo, folder) for photo in self.photos]
        self._finder = MaskFinder(source, names if source.annotations else None)
        self._used: set[Location] = set()

    def of(self, name: PurePath) -> PhotoMask | None:
        """The mask of the photo at a relative path; None where it has none.

        Raises:
            MaskMismatchError: two masks fit the photo.
            UnreadableError: a shape of it is wrong.
            UsageError: an annotation file does not list it.
        """
        if self._index is None:
            return PhotoMask(self._one, self._finder.parts_of(name))
        found = self._index.all_of(name)
        self._used |= set(found)
        mask = self._index.of(name)
        return None if mask is None else PhotoMask(mask, self._finder.parts_of(name))

    def unused(self) -> tuple[Location, ...]:
        """The masks that no photo has been given."""
        return () if self._index is None else self._index.unused(self._used)


def is_labelme(path: Location) -> bool:
    """Whether a .json file is LabelMe's."""
    try:
        with local_copy(path) as copy:
            return kind_of(copy) is LABELME
    except UnreadableError:
        return False


def _is_json(path: Location) -> bool:
    return path.suffix.lower() == ANNOTATED


def _mask_files(contents: FolderContents) -> list[Location]:
    return [*contents.pictures, *contents.annotations]


def _read_annotations(
    location: Location, photos: Sequence[PurePath] | None, labels: tuple[str, ...]
) -> Annotations | Drawing:
    """The shapes of many photos, or those of LabelMe for whatever photo it is named with."""
    if isinstance(location, Path) and not location.exists():
        raise UnreadableError(f"The mask {location} does not exist.")
    with local_copy(location) as path:
        if kind_of(path) is LABELME:
            return read_drawing(path, labels)
        return Annotations(path, photos, labels)
