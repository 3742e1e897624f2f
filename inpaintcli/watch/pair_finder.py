"""Which mask is for which photo among the complete files of a watch, and which files lack one."""

from collections import defaultdict
from pathlib import Path

from inpaintcli.errors import MaskMismatchError
from inpaintcli.masks.finder import is_labelme
from inpaintcli.storage.folders import ANNOTATED
from inpaintcli.watch.layout import WatchLayout
from inpaintcli.watch.stability import Clock


class PairFinder:
    """Photos and masks that are complete, or were before a change that is not yet finished."""

    def __init__(self, layout: WatchLayout, clock: Clock) -> None:
        self._layout, self._clock = layout, clock
        self._photos: defaultdict[Path, set[Path]] = defaultdict(set)
        self._masks: defaultdict[Path, set[Path]] = defaultdict(set)
        self._unpaired_since: dict[Path, float] = {}
        self._reported: set[Path] = set()

    def add(self, path: Path) -> list[Path]:
        """Add a complete file; returns the photos whose pair may have changed."""
        index = self._index_of(path)
        for key in self._layout.pairing_keys(path):
            index[key].add(path)
        return self._affected_photos(path)

    def remove(self, path: Path) -> list[Path]:
        """Remove a file; returns the photos whose pair may have changed."""
        index = self._index_of(path)
        for key in self._layout.pairing_keys(path):
            index[key].discard(path)
            if not index[key]:
                del index[key]
        self._found_partner(path)
        return self._affected_photos(path)

    def _index_of(self, path: Path) -> defaultdict[Path, set[Path]]:
        return self._masks if self._layout.is_mask(path) else self._photos

    def _affected_photos(self, path: Path) -> list[Path]:
        """The photos that a file may be paired with; updates which files have no partner."""
        keys = self._layout.pairing_keys(path)
        for mask in {mask for key in keys for mask in self._masks.get(key, ())}:
            if not self._is_sidecar(mask):
                self._set_unpaired(mask, unpaired=not self.photos_of(mask))
        photos = sorted({photo for key in keys for photo in self._photos.get(key, ())})
        if self._layout.needs_masks:
            for photo in photos:
                self._set_unpaired(photo, unpaired=not self._masks_of(photo))
        return photos

    def photos_of(self, mask: Path) -> set[Path]:
        """The photos that a mask is for."""
        return {
            photo for key in self._layout.pairing_keys(mask) for photo in self._photos.get(key, ())
        }

    def mask_of(self, photo: Path) -> Path | None:
        """The only mask of a photo, where each has its own; None where there is none.

        Raises:
            MaskMismatchError: there are more.
        """
        masks = self._masks_of(photo)
        if len(masks) > 1:
            names = ", ".join(sorted(mask.name for mask in masks))
            raise MaskMismatchError(f"More than one mask fits {photo}: {names}.", hint="Keep one.")
        return next(iter(masks), None)

    def _masks_of(self, photo: Path) -> set[Path]:
        """The masks of a photo. Beside photos, NAME.json counts where it is LabelMe's alone."""
        masks = self._masks.get(self._layout.pairing_keys(photo)[0], set())
        pictures = {mask for mask in masks if not self._is_sidecar(mask)}
        return pictures or {mask for mask in masks if is_labelme(mask)}

    def _is_sidecar(self, mask: Path) -> bool:
        """Whether it is a .json file beside photos, which many programs write."""
        return mask.suffix.lower() == ANNOTATED and self._layout.mask_folder is None

    def _set_unpaired(self, path: Path, *, unpaired: bool) -> None:
        if unpaired:
            self._unpaired_since.setdefault(path, self._clock())
        else:
            self._found_partner(path)

    def _found_partner(self, path: Path) -> None:
        self._unpaired_since.pop(path, None)
        self._reported.discard(path)

    @property
    def waiting(self) -> int:
        """The number of photos without a mask and masks without a photo."""
        return len(self._unpaired_since)

    def overdue(self, since: float) -> list[Path]:
        """Files that have had no partner since that time or longer; each is returned only once."""
        found = [
            path
            for path, began in self._unpaired_since.items()
            if began <= since and path not in self._reported
        ]
        self._reported.update(found)
        return found
