"""What is kept of a photo's edits on disk: a folder a photo, every file whole or not there at all.

`photo.json` holds the list of edits; `ID.png` the mask of a fill, or a mask that was imported;
`ID-SEED.npz` the pixels that a fill has changed. A reload, a second tab or another server goes on
from these.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from inpaintcli.errors import InpaintError, OutputError
from inpaintcli.imaging.images import write_bytes
from inpaintcli.imaging.masks import read_mask
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.storage.folders import make_folder
from inpaintcli.ui.edits import Edit, History, parse_edit
from inpaintcli.ui.mask_files import mask_png

SCHEMA = 1
_STATE = "photo.json"


@dataclass(frozen=True, eq=False)
class Patch:
    """The pixels that a fill has changed: those of a box, (h, w, 1 or 3), and its upper left."""

    top: int
    left: int
    pixels: NDArray[Any]

    @classmethod
    def between(cls, before: Picture, after: Picture) -> Self:
        """The smallest box with all pixels that differ; of no size where none does."""
        changed = (before.pixels != after.pixels).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if not rows.size:
            return cls(0, 0, after.pixels[:0, :0].copy())
        top, left = int(rows[0]), int(columns[0])
        inside = after.pixels[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
        return cls(top, left, inside.copy())

    def paste(self, pixels: NDArray[Any]) -> None:
        """Put the pixels into those of the whole picture."""
        height, width = self.pixels.shape[:2]
        pixels[self.top : self.top + height, self.left : self.left + width] = self.pixels


class PhotoStore:
    """The folder of one photo, for one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Create the folder if needed, and lock it until `close`.

        Raises:
            OutputError: it cannot be created, or another process has it.
        """
        make_folder(folder)
        self.folder = folder
        self._lock = FileLock(folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                "This photo is open in another `inpaintcli ui`.", hint="End that one first."
            ) from error
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error

    def close(self) -> None:
        """Let other processes have the folder."""
        self._lock.release()

    def read(self, source: dict[str, Any]) -> tuple[History, dict[str, Any]]:
        """The edits, and what else was stored with them.

        Args:
            source: what the edits are of. Those of another source, a photo that has changed since,
                are put aside as `photo.json.old`.
        """
        path = self.folder / _STATE
        try:
            return _parsed(json.loads(path.read_bytes()), source)
        except FileNotFoundError:
            return History(), {}
        except (OSError, ValueError, KeyError, TypeError, InpaintError):
            with suppress(OSError):
                path.replace(path.with_suffix(".json.old"))
            return History(), {}

    def write(self, source: dict[str, Any], history: History, more: dict[str, Any]) -> None:
        """Store the edits in one step, and remove files of edits that are no longer there.

        Raises:
            OutputError: they cannot be written; what was stored before is still there.
        """
        state = {
            "schema": SCHEMA,
            "source": source,
            "edits": [edit.to_json() for edit in history.edits],
            "done": history.done,
            "more": more,
        }
        write_bytes(json.dumps(state).encode(), self.folder / _STATE, overwrite=True)
        self._remove_others(history)

    def mask_path(self, edit: str) -> Path:
        """Where the mask of an edit lies."""
        return self.folder / f"{edit}.png"

    def write_mask(self, edit: str, mask: Mask) -> None:
        """Store the mask of an edit.

        Raises:
            OutputError: it cannot be written.
        """
        write_bytes(mask_png(mask), self.mask_path(edit), overwrite=True)

    def read_mask(self, edit: str) -> Mask:
        """The stored mask of an edit.

        Raises:
            UnreadableError: it is not there.
        """
        return read_mask(self.mask_path(edit))

    def write_patch(self, edit: str, seed: int, patch: Patch) -> None:
        """Store what a fill has changed.

        Raises:
            OutputError: it cannot be written.
        """
        from io import BytesIO

        file = BytesIO()
        np.savez(file, pixels=patch.pixels, corner=np.array([patch.top, patch.left]))
        write_bytes(file.getvalue(), self._patch_path(edit, seed), overwrite=True)

    def read_patch(self, edit: Edit) -> Patch | None:
        """What the result of a fill that is shown has changed; None where that is not there."""
        if edit.result is None:
            return None
        try:
            with np.load(self._patch_path(edit.id, edit.result), allow_pickle=False) as arrays:
                top, left = (int(number) for number in arrays["corner"])
                return Patch(top, left, arrays["pixels"])
        except (OSError, ValueError, KeyError):
            return None

    def has_patch(self, edit: str, seed: int) -> bool:
        """Whether a result was stored."""
        return self._patch_path(edit, seed).exists()

    def _patch_path(self, edit: str, seed: int) -> Path:
        return self.folder / f"{edit}-{seed}.npz"

    def _remove_others(self, history: History) -> None:
        kept = {edit.id for edit in history.edits}
        for path in self.folder.iterdir():
            match = re.fullmatch(r"([a-z0-9-]+?)(?:-\d+)?\.(?:png|npz)", path.name)
            names = (path.stem, path.stem.rpartition("-")[0])
            if match and not kept.intersection(names):
                with suppress(OSError):
                    path.unlink()


def _parsed(stored: dict[str, Any], source: dict[str, Any]) -> tuple[History, dict[str, Any]]:
    """The edits, and what else was stored.

    Raises:
        ValueError, KeyError, TypeError, UsageError: they are of another photo, or damaged.
    """
    if stored["schema"] != SCHEMA or stored["source"] != source:
        raise ValueError("of another photo")
    edits = tuple(parse_edit(fields) for fields in stored["edits"])
    return History(edits).moved_to(int(stored["done"])), dict(stored.get("more") or {})
