"""Move or remove inputs once they are filled, after verifying the output.

Without `done`, `failed` or `delete` inputs stay where they are. No existing file is replaced: where
a name is taken, the moved file gets a number.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from inpaintcli.batch.fill_steps import read_pair
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.outcome import Outcome
from inpaintcli.errors import InpaintError, OutputError
from inpaintcli.imaging.images import read_picture, write_bytes
from inpaintcli.imaging.masks import dilate
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.options import FillOptions
from inpaintcli.storage.folders import make_folder
from inpaintcli.storage.locations import local_path
from inpaintcli.verification.pixels import is_lossy
from inpaintcli.watch.relocation import relocate, taken

LOSSY_LEVELS = 8.0
"""Grey levels of 255: the mean difference outside the hole that lossy encoding may cause. An
estimate: ten times that of encoding a JPEG of quality 75 again."""

LONGEST_STEM = 255 - len(".error.json") - len("-9999")
"""Bytes; most file systems take names of at most 255."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Where the inputs of filled and of failed photos are moved.

    folder: the folder that photos are relative to. done, failed: folders; None leaves inputs where
    they are. delete: inputs of filled photos are removed.
    """

    folder: Path
    done: Path | None = None
    failed: Path | None = None
    delete: bool = False

    def needs_verification(self, outcome: Outcome) -> bool:
        """Whether the output has to be verified before `archive_inputs`."""
        return outcome.status == "filled" and (self.delete or self.done is not None)

    def archive_inputs(self, outcome: Outcome, mask: Path | None) -> None:
        """Move or remove the inputs of an outcome.

        Args:
            outcome: of a photo; verified if `needs_verification`.
            mask: the mask to move or remove with the photo; None leaves it where it is.

        Raises:
            OutputError: an input cannot be moved or removed; it stays where it is.
        """
        target = {"filled": self.done, "failed": self.failed}.get(outcome.status)
        if target is not None:
            self._move(outcome, mask, target)
        elif outcome.status == "filled" and self.delete:
            with _taken(outcome, mask) as (photo, own_mask):
                for path in (photo, own_mask):
                    if path is not None:
                        path.unlink(missing_ok=True)

    def _move(self, outcome: Outcome, mask: Path | None, target: Path) -> None:
        """Move a pair as NAME.EXT and NAME.mask.EXT, so that `fill` finds it there again."""
        photo = local_path(outcome.input)
        folder = target / photo.parent.relative_to(self.folder)
        make_folder(folder)
        stem = _free_stem(folder, photo, mask)
        with _taken(outcome, mask) as (own_photo, own_mask):
            relocate(own_photo, folder / f"{stem}{photo.suffix}")
            if own_mask is not None:
                relocate(own_mask, folder / f"{stem}.mask{own_mask.suffix}")
        if outcome.error is not None:
            record = json.dumps(outcome.to_json(), ensure_ascii=False, indent=2)
            for text, ending in ((record, ".error.json"), (outcome.error, ".error.txt")):
                data = f"{text}\n".encode(errors="backslashreplace")
                write_bytes(data, folder / f"{stem}{ending}")


@contextmanager
def _taken(outcome: Outcome, mask: Path | None) -> Iterator[tuple[Path, Path | None]]:
    """Photo and mask, taken away from their names if they are still those that were filled."""
    made_from = outcome.fingerprint
    of_mask = made_from.mask if made_from is not None else None
    photo = taken(local_path(outcome.input), made_from.photo.sha256 if made_from else None)
    with photo as own_photo, ExitStack() as stack:
        own_mask = None
        if mask is not None:
            own_mask = stack.enter_context(taken(mask, of_mask.sha256 if of_mask else None))
        yield own_photo, own_mask


def verified(outcome: Outcome, job: LocalJob, options: FillOptions) -> Outcome:
    """The outcome of a filled photo; a failed one if its output cannot be verified."""
    try:
        verify_output(job, options)
    except OutputError as error:
        reason = error
    except Exception as error:  # noqa: BLE001 - without a verified output the inputs must be kept
        reason = _not_verified(job, f"{type(error).__name__}: {error}")
    else:
        return outcome
    return replace(outcome, status="failed", error=reason)


def verify_output(job: LocalJob, options: FillOptions) -> None:
    """Read the output again and compare it with the photo.

    It must be readable, have the photo's size, depth and kind of alpha, and equal the photo outside
    the hole: bit for bit, or nearly so if its format is lossy.

    Raises:
        OutputError: it is not so.
    """
    try:
        found = read_picture(job.output)
        photo, mask = read_pair(job.photo, job.mask, options, job.parts)
    except InpaintError as error:
        raise _not_verified(job, error.message) from error
    if found.pixels.shape != photo.pixels.shape or found.depth != photo.depth:
        raise _not_verified(job, "its size or depth is not the photo's")
    hole = dilate(mask, options.grow) if options.grow else mask
    if not _is_same_outside(found, photo, hole):
        raise _not_verified(job, "it differs from the photo outside the hole")


def _is_same_outside(found: Picture, photo: Picture, hole: Mask) -> bool:
    known = ~hole
    before, after = photo.pixels[known], found.pixels[known]
    if not is_lossy(found):
        return np.array_equal(before, after) and _has_same_alpha(found, photo, known)
    levels = LOSSY_LEVELS * (np.iinfo(before.dtype).max / 255)
    return not known.any() or bool(_difference(before, after) <= levels)


def _has_same_alpha(found: Picture, photo: Picture, known: Mask) -> bool:
    if found.alpha is None or photo.alpha is None:
        return found.alpha is photo.alpha
    return np.array_equal(photo.alpha[known], found.alpha[known])


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.int32) - other.astype(np.int32)).mean())


def _not_verified(job: LocalJob, reason: str) -> OutputError:
    return OutputError(
        f"{job.output} was written, but could not be verified: {reason}.", hint="The inputs stay."
    )


def _free_stem(folder: Path, photo: Path, mask: Path | None) -> str:
    """The photo's stem, with a number where a file of that name exists already.

    Shortened where a name made from it would be too long.
    """
    full = photo.stem
    while len(os.fsencode(full)) > LONGEST_STEM:
        full = full[:-1]
    for number in count(1):
        stem = full if number == 1 else f"{full}-{number}"
        names = [f"{stem}{photo.suffix}", f"{stem}.error.json", f"{stem}.error.txt"]
        if mask is not None:
            names.append(f"{stem}.mask{mask.suffix}")
        if not any(os.path.lexists(folder / name) for name in names):
            return stem
    raise AssertionError  # count() has no end
