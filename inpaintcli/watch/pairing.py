"""Which mask is for which photo among the files that are there, and who waits for a partner."""

from collections import defaultdict
from pathlib import Path

from inpaintcli.errors import MaskMismatchError
from inpaintcli.watch.layout import Layout
from inpaintcli.watch.stability import Clock


class PairFinder:
    """Photos and masks that are whole, or were and are being changed."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout, self._clock = layout, clock
        self._photos: defaultdict[Path, set[Path]] = defaultdict(set)
        self._masks: defaultdict[Path, set[Path]] = defaultdict(set)
        self._since: dict[Path, float] = {}
        self._told: set[Path] = set()

    def enter(self, path: Path) -> list[Path]:
        """A file has become whole; returns the photos for which that may matter."""
        index = self._index_of(path)
        for key in self._layout.keys(path):
            index[key].add(path)
        return self._concerned(path)

    def leave(self, path: Path) -> list[Path]:
        """A file has gone; returns the photos for which that may matter."""
        index = self._index_of(path)
        for key in self._layout.keys(path):
            index[key].discard(path)
            if not index[key]:
                del index[key]
        self._met(path)
        return self._concerned(path)

    def _index_of(self, path: Path) -> defaultdict[Path, set[Path]]:
        return self._masks if self._layout.is_mask(path) else self._photos

    def _concerned(self, path: Path) -> list[Path]:
        """Photos of the same name; whether they and their masks wait is put right."""
        keys = self._layout.keys(path)
        for mask in {mask for key in keys for mask in self._masks.get(key, ())}:
            self._wait(mask, alone=not self.photos_of(mask))
        photos = sorted({photo for key in keys for photo in self._photos.get(key, ())})
        if self._layout.needs_masks:
            for photo in photos:
                self._wait(photo, alone=not self._masks.get(self._layout.keys(photo)[0]))
        return photos

    def photos_of(self, mask: Path) -> set[Path]:
        """The photos that a mask is for."""
        return {photo for key in self._layout.keys(mask) for photo in self._photos.get(key, ())}

    def mask_of(self, photo: Path) -> Path | None:
        """The only mask of a photo, where each has its own; None where there is none.

        Raises:
            MaskMismatchError: there are more.
        """
        masks = self._masks.get(self._layout.keys(photo)[0], set())
        if len(masks) > 1:
            names = ", ".join(sorted(mask.name for mask in masks))
            raise MaskMismatchError(f"More than one mask fits {photo}: {names}.", hint="Keep one.")
        return next(iter(masks), None)

    def _wait(self, path: Path, *, alone: bool) -> None:
        if alone:
            self._since.setdefault(path, self._clock())
        else:
            self._met(path)

    def _met(self, path: Path) -> None:
        self._since.pop(path, None)
        self._told.discard(path)

    @property
    def waiting(self) -> int:
        """How many files have no partner."""
        return len(self._since)

    def overdue(self, since: float) -> list[Path]:
        """Files that have been without a partner since then or longer, each told only once."""
        found = [p for p, began in self._since.items() if began <= since and p not in self._told]
        self._told.update(found)
        return found
