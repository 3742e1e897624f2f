"""A photo that is being worked on: the original, its edits, and what they make of it."""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inpaintcli.errors import MaskMismatchError
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.ui.edits import FILL, STORED, Edit, History, parse_edit
from inpaintcli.ui.mask_drawing import drawn
from inpaintcli.ui.photo_store import Patch, PhotoStore
from inpaintcli.ui.problems import NotFoundError

Layer = Literal["before", "after"]


@dataclass(frozen=True)
class Work:
    """A fill that has no result for one of its seeds."""

    edit: Edit
    seed: int


class OpenPhoto:
    """The edits of one photo, applied to the original in memory; safe to call from threads.

    Every change is on disk before it is answered.
    """

    def __init__(self, path: Path, picture: Picture, store: PhotoStore) -> None:
        """Go on from what the store holds.

        Args:
            path: the photo's file, which is never changed.
            picture: its content.
            store: the photo's folder; closed by `close`.
        """
        self.path, self.original, self.store = path, picture, store
        self._lock = threading.RLock()
        status = path.stat()
        self._source = {"path": str(path), "size": status.st_size, "time": status.st_mtime_ns}
        self._history, self._more = store.read(self._source)
        self._drawn: tuple[tuple[str, ...], Mask] = ((), self._empty())
        self._filled: tuple[tuple[tuple[str, int], ...], Picture] = ((), picture)
        self.problem: dict[str, str] | None = None

    @property
    def history(self) -> History:
        """All edits."""
        return self._history

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever stored of it."""
        return not self._history.edits and not self._more

    def close(self) -> None:
        """Let other processes have it."""
        self.store.close()

    def add(self, fields: object, mask: Mask | None = None) -> None:
        """Apply an edit; one whose id is there already is not applied again.

        Args:
            fields: as `edits.parse_edit`.
            mask: of an edit of the kind `mask`: its pixels.

        Raises:
            UsageError: it is no edit, or one too many.
            MaskMismatchError: it is a fill, and there is nothing to fill, or nothing to fill from.
            OutputError: it cannot be stored.
        """
        edit = parse_edit(fields)
        with self._lock:
            if self._history.find(edit.id) is not None:
                return
            if edit.is_fill:
                edit = edit.with_values(seeds=edit.values["seeds"][:1], ready=[])
                self.store.write_mask(edit.id, self._mask_to_fill())
            elif edit.kind == STORED:
                self.store.write_mask(edit.id, self._empty() if mask is None else mask)
            self.problem = None
            self._keep(self._history.with_edit(edit))

    def move_to(self, done: int) -> None:
        """Undo or redo until so many edits are applied.

        Raises:
            UsageError: there are not so many.
        """
        with self._lock:
            self._keep(self._history.moved_to(done))

    def try_seed(self, fill: str, seed: int) -> None:
        """Show the result of a fill for a seed; where there is none yet, it becomes `Work`.

        Raises:
            NotFoundError: there is no such fill.
        """
        with self._lock:
            edit = self._history.find(fill)
            if edit is None or edit.kind != FILL:
                raise NotFoundError("There is no such fill.")
            seeds = edit.values["seeds"]
            if seed not in seeds:
                edit = edit.with_values(seeds=[*seeds, seed])
            elif seed in edit.values["ready"]:
                edit = edit.with_values(chosen=seed)
            self._keep(self._history.replaced(edit))

    def cancel(self) -> None:
        """Take back all fills without a result; the masks and later strokes stay."""
        with self._lock:
            history = self._history
            for edit in history.fills:
                history = _without_missing(history, edit)
            self._keep(history)

    def note_saved(self, path: Path) -> None:
        """Remember that the present picture was saved."""
        with self._lock:
            self._more["saved"] = {"path": str(path), "picture": self.picture_version()}
            self._keep(self._history)

    def mark_begun(self) -> None:
        """Store the present state, even if that is nothing."""
        with self._lock:
            self._more["begun"] = True
            self._keep(self._history)

    def next_work(self) -> Work | None:
        """The first applied fill without a result; results that are stored already are taken."""
        with self._lock:
            for edit in self._history.fills:
                seed = edit.missing_seed
                if seed is None:
                    continue
                if not self.store.has_patch(edit.id, seed):
                    return Work(edit, seed)
                self._take(edit.id, seed)
                return self.next_work()
        return None

    def is_wanted(self, work: Work) -> bool:
        """Whether a fill is still to be done: not cancelled, not undone."""
        edit = next((one for one in self._history.fills if one.id == work.edit.id), None)
        return edit is not None and work.seed in edit.values["seeds"]

    def finish(self, work: Work, before: Picture, after: Picture) -> None:
        """Take the result of a fill.

        Raises:
            OutputError: it cannot be stored.
        """
        self.store.write_patch(work.edit.id, work.seed, Patch.between(before, after))
        with self._lock:
            if self.is_wanted(work):
                self._take(work.edit.id, work.seed)

    def fail(self, work: Work, problem: dict[str, str]) -> None:
        """Take back a fill that failed; its mask stays."""
        with self._lock:
            edit = self._history.find(work.edit.id)
            if edit is not None:
                self._keep(_without_missing(self._history, edit))
            self.problem = problem

    def picture(self, layer: Layer = "after") -> Picture:
        """The photo as displayed, without or with its fills, at full size and depth."""
        return self.original if layer == "before" else self._filled_by(self._history.fills)

    def picture_before(self, fill: str) -> Picture:
        """What a fill is made from: the photo with the fills before it."""
        with self._lock:
            fills = self._history.fills
            names = [edit.id for edit in fills]
            return self._filled_by(fills[: names.index(fill)] if fill in names else fills)

    def mask(self) -> Mask:
        """The hole of the fill to come, (h, w), True in the hole."""
        with self._lock:
            edits = self._history.mask_edits
            names = tuple(edit.id for edit in edits)
            known, mask = self._drawn
            if known != names[: len(known)]:
                known, mask = (), self._empty()
            for edit in edits[len(known) :]:
                mask = drawn(mask, edit, self.store.read_mask)
            self._drawn = names, mask
            return mask

    def shown_mask(self) -> Mask:
        """The hole to come, and those that are being filled."""
        mask = self.mask()
        for edit in self._history.fills:
            if edit.missing_seed is not None and not edit.values["ready"]:
                mask = mask | self.store.read_mask(edit.id)
        return mask

    def picture_version(self) -> str:
        """Another text for another picture."""
        return _version([self._source["time"], *((e.id, e.result) for e in self._shown_fills())])

    def mask_version(self) -> str:
        """Another text for another `shown_mask`."""
        waiting = [(edit.id, edit.missing_seed) for edit in self._history.fills]
        return _version([*(edit.id for edit in self._history.mask_edits), waiting])

    def state(self) -> dict[str, Any]:
        """What the page shows of it, as JSON."""
        with self._lock:
            return {
                "name": self.path.name,
                "width": self.original.width,
                "height": self.original.height,
                "depth": self.original.depth,
                "alpha": self.original.alpha is not None,
                "format": self.original.origin.format,
                "edits": [_summary(edit) for edit in self._history.edits],
                "done": self._history.done,
                "picture": self.picture_version(),
                "mask": self.mask_version(),
                "has_mask": bool(self.mask().any()),
                "working": self.next_work() is not None,
                "problem": self.problem,
                "saved": self._more.get("saved"),
            }

    def _shown_fills(self) -> tuple[Edit, ...]:
        return tuple(edit for edit in self._history.fills if edit.result is not None)

    def _filled_by(self, fills: tuple[Edit, ...]) -> Picture:
        with self._lock:
            shown = [edit for edit in fills if edit.result is not None]
            key = tuple((edit.id, int(edit.result or 0)) for edit in shown)
            known, picture = self._filled
            if key == known:
                return picture
            if known != key[: len(known)]:
                known, picture = (), self.original
            pixels = picture.pixels.copy()
            for edit in shown[len(known) :]:
                if (patch := self.store.read_patch(edit)) is not None:
                    patch.paste(pixels)
            self._filled = key, self.original.with_pixels(pixels) if key else self.original
            return self._filled[1]

    def _mask_to_fill(self) -> Mask:
        mask = self.mask()
        if not mask.any():
            raise MaskMismatchError("There is nothing to fill.", hint="Paint over it first.")
        if mask.all():
            raise MaskMismatchError(
                "The mask is the whole photo: there is nothing to fill it from.",
                hint="Erase a part of the mask, or invert it.",
            )
        return mask

    def _take(self, fill: str, seed: int) -> None:
        edit = self._history.find(fill)
        if edit is not None:
            ready = [*(one for one in edit.values["ready"] if one != seed), seed]
            self._keep(self._history.replaced(edit.with_values(ready=ready, chosen=seed)))

    def _keep(self, history: History) -> None:
        self.store.write(self._source, history, self._more)
        self._history = history

    def _empty(self) -> Mask:
        return np.zeros((self.original.height, self.original.width), np.bool_)


def _without_missing(history: History, edit: Edit) -> History:
    """Without the seeds of a fill that have no result; without the fill if that is all of them."""
    ready = edit.values["ready"]
    if not ready:
        return history.without(edit.id)
    return history.replaced(edit.with_values(seeds=list(ready)))


def _summary(edit: Edit) -> dict[str, Any]:
    """An edit without its points, of which there may be thousands."""
    return {name: value for name, value in edit.to_json().items() if name != "points"}


def _version(values: list[Any]) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]
