"""The folders of a watch: where photos and masks come in, and which files it leaves alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from inpaintcli.errors import UnreadableError, UsageError
from inpaintcli.imaging.images import SUFFIXES
from inpaintcli.masks.finder import MaskFinder
from inpaintcli.masks.names import composed, is_named_as_mask, photos_of_mask
from inpaintcli.masks.source import MaskParts, MaskSource
from inpaintcli.storage.folders import ANNOTATED
from inpaintcli.storage.stores import StoreUrl

UNFINISHED_STARTS = (".", "~", "#")
UNFINISHED_ENDS = ("~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload")
"""Of file names, without suffix, under which programs write a file before they rename it."""


@dataclass(frozen=True, kw_only=True)
class WatchLayout:
    """The folders of a watch; all paths are absolute.

    folder: of the photos. source: where holes come from. mask: its folder, or its one file for all
    photos, or None. output: of the filled photos. moved_to: where inputs are moved once they are
    filled or have failed. own_files: files that the watch writes.
    """

    folder: Path
    source: MaskSource
    mask: Path | None
    output: Path
    moved_to: tuple[Path, ...] = ()
    own_files: tuple[Path, ...] = ()

    @cached_property
    def mask_folder(self) -> Path | None:
        """The folder of masks, if it is not that of the photos."""
        if self.mask is not None and self.mask.is_dir():
            return None if _resolved(self.mask) == _resolved(self.folder) else self.mask
        return None

    @cached_property
    def one_mask(self) -> Path | None:
        """The mask of all photos, if there is one for all."""
        return self.mask if self.mask is not None and not self.mask.is_dir() else None

    @property
    def needs_masks(self) -> bool:
        """Whether each photo needs a mask of its own."""
        return self.source.is_beside or (self.mask is not None and self.one_mask is None)

    @cached_property
    def _finder(self) -> MaskFinder:
        return MaskFinder(self.source)

    def read_annotations(self) -> None:
        """Read the annotation files, which is else done when the first photo needs them.

        Raises:
            UnreadableError: one is missing, damaged or of no known kind.
        """
        _ = self._finder

    def parts_of(self, photo: Path) -> MaskParts:
        """What a photo's hole is made of besides its mask file.

        Annotation files are read once, so that what changes in them later does not count.

        Raises:
            InpaintError: an annotation file is wrong, or does not have the photo.
        """
        return self._finder.parts_of(photo.relative_to(self.folder))

    @cached_property
    def roots(self) -> tuple[Path, ...]:
        """The folders to watch, with their subfolders."""
        other = self.mask_folder
        if other is None or _resolved(other).is_relative_to(_resolved(self.folder)):
            return (self.folder,)
        return (self.folder, other)

    @cached_property
    def _not_searched(self) -> tuple[Path, ...]:
        """Folders that are not searched, also by their paths below the roots."""
        folders = [self.output, *self.moved_to]
        below_roots = [
            root / _resolved(folder).relative_to(_resolved(root))
            for folder in folders
            for root in self.roots
            if _resolved(folder).is_relative_to(_resolved(root))
        ]
        return (*folders, *below_roots)

    def is_searched(self, folder: Path) -> bool:
        """Whether a folder is searched: not those of outputs, nor hidden ones."""
        root = next((root for root in self.roots if folder.is_relative_to(root)), None)
        if root is None or any(part.startswith(".") for part in folder.relative_to(root).parts):
            return False
        return not any(folder.is_relative_to(other) for other in self._not_searched)

    def has_picture_name(self, name: str) -> bool:
        """Whether a file of that name may be a photo or mask, whatever its folder."""
        stem, dot, ending = name.lower().rpartition(".")
        suffixes = {*SUFFIXES, ANNOTATED} if self.needs_masks else SUFFIXES
        return (
            dot + ending in suffixes
            and not name.startswith(UNFINISHED_STARTS)
            and not stem.endswith(UNFINISHED_ENDS)
        )

    def includes(self, path: Path) -> bool:
        """Whether a file may be a photo or mask, by its name and folder."""
        if path in (self.one_mask, *self.own_files) or not self.has_picture_name(path.name):
            return False
        return self.is_searched(path.parent) and not self._is_of_no_use(path)

    def _is_of_no_use(self, path: Path) -> bool:
        """Whether it is annotations that belong to no photo, or a mask where none is asked for."""
        if path.suffix.lower() == ANNOTATED:
            return not self._photos_of(path)
        is_shapes = self.mask is None and not (self.needs_masks or self.source.is_alpha)
        return is_shapes and is_named_as_mask(path)

    def is_mask(self, path: Path) -> bool:
        """Whether a file that `includes` accepts is a mask; the others are photos."""
        return bool(self._photos_of(path))

    def pairing_keys(self, path: Path) -> tuple[Path, ...]:
        """What a mask and its photos share: the photo's relative path without suffix."""
        if photos := self._photos_of(path):
            return tuple(composed(photo) for photo in photos)
        relative = path.relative_to(self.folder)
        return (composed(relative.with_name(relative.stem)),)

    def _photos_of(self, path: Path) -> tuple[Path, ...]:
        """The photos that a mask may be for, as pairing keys; empty for a photo."""
        if not self.needs_masks:
            return ()
        if self.mask_folder is not None:
            if not path.is_relative_to(self.mask_folder):
                return ()
            return photos_of_mask(path.relative_to(self.mask_folder), beside=False)
        is_picture = path.suffix.lower() != ANNOTATED
        if self.mask is None and is_picture and not path.stem.endswith(".mask"):
            return ()
        return photos_of_mask(path.relative_to(self.folder), beside=True)

    def output_of(self, photo: Path) -> Path:
        """The output of a photo: the output folder has the same subfolders."""
        return self.output / photo.relative_to(self.folder)


def watch_layout(
    folder: Path,
    mask: MaskSource,
    output: Path,
    moved_to: dict[str, Path | None],
    own_files: Iterable[Path | None] = (),
) -> WatchLayout:
    """The folders of a watch, after checking that they do not contradict each other.

    Args:
        folder: of the photos.
        mask: where holes come from; files of this machine.
        output: of the filled photos.
        moved_to: other folders that are written to, by the option that names them.
        own_files: files that the watch writes; they are no photos, wherever they lie.

    Raises:
        UnreadableError: folder or mask does not exist, or an annotation file is wrong.
        UsageError: a folder is used for two things that exclude each other.
    """
    if not folder.is_dir():
        raise UnreadableError(f"{folder} is not a folder.")
    if isinstance(mask.masks, StoreUrl):
        raise UsageError(f"{mask.masks} is in a store; a watch takes masks on this machine.")
    chosen = None if mask.masks is None else mask.masks.absolute()
    if chosen is not None and not chosen.exists():
        raise UnreadableError(f"The mask {mask.masks} does not exist.")
    written = {"-o": output, **{name: path for name, path in moved_to.items() if path is not None}}
    _check_folders(folder, chosen, written)
    others = tuple(path.absolute() for name, path in written.items() if name != "-o")
    layout = WatchLayout(
        folder=folder.absolute(),
        source=mask,
        mask=chosen,
        output=output.absolute(),
        moved_to=others,
        own_files=tuple(path.absolute() for path in own_files if path is not None),
    )
    layout.read_annotations()
    return layout


def _check_folders(folder: Path, mask: Path | None, written: dict[str, Path]) -> None:
    inputs = {"the watched folder": folder}
    if mask is not None:
        inputs["the mask"] = mask
        if mask.is_dir() and mask.resolve() in folder.resolve().parents:
            raise UsageError("The watched folder lies in the mask folder.")
    for name, target in written.items():
        if target.exists() and not target.is_dir():
            raise UsageError(f"{name} {target} is a file; it takes a folder.")
        for what, path in inputs.items():
            if _resolved(path).is_relative_to(_resolved(target)):
                raise UsageError(
                    f"{name} {target} is {what}, or contains it.", hint="Name another folder."
                )
    taken: dict[Path, str] = {}
    for name, target in written.items():
        rival = taken.setdefault(_resolved(target), name)
        if rival != name:
            raise UsageError(f"{rival} and {name} name the same folder.", hint="Name two.")


def _resolved(path: Path) -> Path:
    return path.resolve()
