"""Where a watch finds photos and masks, and which files and folders it leaves alone."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from inpaintcli.batch.mask_lookup import ALPHA, photos_of_mask
from inpaintcli.errors import UnreadableError, UsageError
from inpaintcli.imaging.images import SUFFIXES

UNFINISHED_STARTS = (".", "~", "#")
UNFINISHED_ENDS = ("~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload")
"""Of the names, without suffix, under which programs write what they rename in the end."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The places of a watch; all paths absolute.

    folder: of the photos. mask: a folder, one file for all, `alpha`, or None for masks beside the
    photos. output: where fills go. aside: where inputs are moved to.
    """

    folder: Path
    mask: Path | Literal["alpha"] | None
    output: Path
    aside: tuple[Path, ...] = ()

    @cached_property
    def mask_folder(self) -> Path | None:
        """The folder of masks, where that is another than the photos'."""
        if isinstance(self.mask, Path) and self.mask.is_dir():
            return None if _resolved(self.mask) == _resolved(self.folder) else self.mask
        return None

    @cached_property
    def one_mask(self) -> Path | None:
        """The mask of all photos, where there is only one."""
        return self.mask if isinstance(self.mask, Path) and not self.mask.is_dir() else None

    @property
    def needs_masks(self) -> bool:
        """Whether each photo has to wait for a mask of its own."""
        return self.mask != ALPHA and self.one_mask is None

    @cached_property
    def roots(self) -> tuple[Path, ...]:
        """The folders to watch, with all below them."""
        other = self.mask_folder
        if other is None or _resolved(other).is_relative_to(_resolved(self.folder)):
            return (self.folder,)
        return (self.folder, other)

    @cached_property
    def _left_out(self) -> tuple[Path, ...]:
        """The output folder and others, in the terms of the roots where they lie within."""
        places = [self.output, *self.aside]
        seen = [
            root / _resolved(place).relative_to(_resolved(root))
            for place in places
            for root in self.roots
            if _resolved(place).is_relative_to(_resolved(root))
        ]
        return (*places, *seen)

    def enters(self, folder: Path) -> bool:
        """Whether a folder is looked into: our own are not, nor hidden ones below the roots."""
        root = next((root for root in self.roots if folder.is_relative_to(root)), None)
        if root is None or any(part.startswith(".") for part in folder.relative_to(root).parts):
            return False
        return not any(folder.is_relative_to(place) for place in self._left_out)

    def names(self, name: str) -> bool:
        """Whether a file of that name may be a photo or a mask, wherever it is."""
        stem, dot, ending = name.lower().rpartition(".")
        return (
            dot + ending in SUFFIXES
            and not name.startswith(UNFINISHED_STARTS)
            and not stem.endswith(UNFINISHED_ENDS)
        )

    def wants(self, path: Path) -> bool:
        """Whether a file may be a photo or a mask, by its name and place."""
        return self.names(path.name) and path != self.one_mask and self.enters(path.parent)

    def is_mask(self, path: Path) -> bool:
        """Whether a wanted file is a mask; the others are photos."""
        return bool(self._served(path))

    def keys(self, path: Path) -> tuple[Path, ...]:
        """What a mask and its photos have in common: the photo's relative path without suffix."""
        if served := self._served(path):
            return served
        relative = path.relative_to(self.folder)
        return (relative.with_name(relative.stem),)

    def _served(self, path: Path) -> tuple[Path, ...]:
        if not self.needs_masks:
            return ()
        if self.mask_folder is not None:
            if not path.is_relative_to(self.mask_folder):
                return ()
            return photos_of_mask(path.relative_to(self.mask_folder), beside=False)
        if self.mask is None and not path.stem.endswith(".mask"):
            return ()
        return photos_of_mask(path.relative_to(self.folder), beside=True)

    def output_of(self, photo: Path) -> Path:
        """Where the fill of a photo goes: the output mirrors the tree."""
        return self.output / photo.relative_to(self.folder)


def lay_out(folder: Path, mask: str | None, output: Path, aside: dict[str, Path | None]) -> Layout:
    """The places of a watch, checked against each other.

    Args:
        folder: of the photos.
        mask: as for `pairs.plan_folder`.
        output: where fills go.
        aside: other folders that are written to, by the option that names them.

    Raises:
        UnreadableError: folder or mask does not exist.
        UsageError: places contradict each other.
    """
    if not folder.is_dir():
        raise UnreadableError(f"{folder} is not a folder.")
    chosen: Path | Literal["alpha"] | None = None
    if mask == ALPHA:
        chosen = "alpha"
    elif mask is not None:
        chosen = Path(mask).absolute()
        if not chosen.exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
    written = {"-o": output, **{name: path for name, path in aside.items() if path is not None}}
    _check_places(folder, chosen, written)
    others = tuple(path.absolute() for name, path in written.items() if name != "-o")
    return Layout(folder=folder.absolute(), mask=chosen, output=output.absolute(), aside=others)


def _check_places(folder: Path, mask: Path | str | None, written: dict[str, Path]) -> None:
    inputs = {"the watched folder": folder}
    if isinstance(mask, Path):
        inputs["the mask"] = mask
        if mask.is_dir() and mask.resolve() in folder.resolve().parents:
            raise UsageError("The watched folder lies in the mask folder.")
    for name, place in written.items():
        if place.exists() and not place.is_dir():
            raise UsageError(f"{name} {place} is a file; it takes a folder.")
        for what, path in inputs.items():
            if _resolved(path).is_relative_to(_resolved(place)):
                raise UsageError(
                    f"{name} {place} is {what}, or contains it.", hint="Name another folder."
                )
    taken: dict[Path, str] = {}
    for name, place in written.items():
        rival = taken.setdefault(_resolved(place), name)
        if rival != name:
            raise UsageError(f"{rival} and {name} name the same folder.", hint="Name two.")


def _resolved(path: Path) -> Path:
    return path.resolve()
