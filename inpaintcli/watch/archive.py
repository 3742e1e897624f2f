"""What becomes of inputs: moved or removed, and only once the output is proven.

Without `done`, `failed` or `delete` nothing happens to them. Nothing that exists is replaced: where
a name is taken, the new one gets a number.
"""

import json
import os
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from inpaintcli.batch.fill_settings import FillSettings, read_pair
from inpaintcli.batch.jobs import LocalJob
from inpaintcli.batch.outcome import Outcome
from inpaintcli.errors import InpaintError, OutputError
from inpaintcli.imaging.formats.webp import WebpEncoding
from inpaintcli.imaging.images import read_picture, write_bytes
from inpaintcli.imaging.masks import dilate
from inpaintcli.imaging.picture import Mask, Picture
from inpaintcli.storage.folders import make_folder
from inpaintcli.storage.locations import local_path

LOSSY_LEVELS = 8.0
"""Of 255: the mean difference outside the hole that encoding anew may make. A guess: ten times what
JPEG of quality 75 makes of itself."""

LONGEST_STEM = 255 - len(".error.json") - len("-9999")
"""Bytes: names have 255 at most nearly everywhere."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Where the inputs of filled and of failed photos go.

    folder: the root that photos are relative to. done, failed: folders, or None to leave inputs
    where they are. delete: inputs of filled photos are removed.
    """

    folder: Path
    done: Path | None = None
    failed: Path | None = None
    delete: bool = False

    def wants_proof(self, outcome: Outcome) -> bool:
        """Whether the output has to be proven before `put_away`."""
        return outcome.status == "filled" and (self.delete or self.done is not None)

    def put_away(self, outcome: Outcome, mask: Path | None) -> None:
        """Move or remove the inputs of an outcome.

        Args:
            outcome: of a photo; proven where `wants_proof`.
            mask: goes with the photo; None where there is none, or where it is needed still.

        Raises:
            OutputError: they cannot be moved or removed; what was not stays where it was.
        """
        place = {"filled": self.done, "failed": self.failed}.get(outcome.status)
        if place is not None:
            self._move(outcome, mask, place)
        elif outcome.status == "filled" and self.delete:
            for path in (local_path(outcome.input), mask):
                if path is not None:
                    _remove(path)

    def _move(self, outcome: Outcome, mask: Path | None, place: Path) -> None:
        """Move a pair as NAME.EXT and NAME.mask.EXT, so that `fill` finds it there again."""
        photo = local_path(outcome.input)
        folder = place / photo.parent.relative_to(self.folder)
        make_folder(folder)
        stem = _free_stem(folder, photo, mask)
        _relocate(photo, folder / f"{stem}{photo.suffix}")
        if mask is not None:
            _relocate(mask, folder / f"{stem}.mask{mask.suffix}")
        if outcome.error is not None:
            record = json.dumps(outcome.to_json(), ensure_ascii=False, indent=2)
            for text, ending in ((record, ".error.json"), (outcome.error, ".error.txt")):
                data = f"{text}\n".encode(errors="backslashreplace")
                write_bytes(data, folder / f"{stem}{ending}")


def proven(outcome: Outcome, job: LocalJob, settings: FillSettings) -> Outcome:
    """The outcome of a filled photo, or a failure where its output does not prove itself."""
    try:
        prove(job, settings)
    except OutputError as error:
        reason = error
    except Exception as error:  # noqa: BLE001 - what cannot be proven must not lose its inputs
        reason = _unproven(job, f"{type(error).__name__}: {error}")
    else:
        return outcome
    return replace(outcome, status="failed", error=reason)


def prove(job: LocalJob, settings: FillSettings) -> None:
    """Read the output again and hold it against the photo.

    It must decode, have the photo's size, depth and kind of alpha, and show the photo outside the
    hole: bit for bit, or nearly so where its format is lossy.

    Raises:
        OutputError: it does not.
    """
    try:
        found = read_picture(job.output)
        photo, mask = read_pair(job, settings)
    except InpaintError as error:
        raise _unproven(job, error.message) from error
    if found.pixels.shape != photo.pixels.shape or found.depth != photo.depth:
        raise _unproven(job, "its size or depth is not the photo's")
    hole = dilate(mask, settings.grow) if settings.grow else mask
    if not _is_same_outside(found, photo, hole):
        raise _unproven(job, "it differs from the photo outside the hole")


def _is_same_outside(found: Picture, photo: Picture, hole: Mask) -> bool:
    known = ~hole
    before, after = photo.pixels[known], found.pixels[known]
    if not _is_lossy(found):
        return np.array_equal(before, after) and _has_same_alpha(found, photo, known)
    levels = LOSSY_LEVELS * (np.iinfo(before.dtype).max / 255)
    return not known.any() or bool(_difference(before, after) <= levels)


def _is_lossy(picture: Picture) -> bool:
    encoding = picture.origin.encoding
    if isinstance(encoding, WebpEncoding):
        return not encoding.lossless
    return picture.origin.format == "JPEG"


def _has_same_alpha(found: Picture, photo: Picture, known: Mask) -> bool:
    if found.alpha is None or photo.alpha is None:
        return found.alpha is photo.alpha
    return np.array_equal(photo.alpha[known], found.alpha[known])


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.int32) - other.astype(np.int32)).mean())


def _unproven(job: LocalJob, reason: str) -> OutputError:
    return OutputError(
        f"{job.output} was written, but not proven: {reason}.", hint="The inputs stay."
    )


def _free_stem(folder: Path, photo: Path, mask: Path | None) -> str:
    """The photo's stem, with a number where a file of that name is there already.

    Cut where what is put beside the photo would have too long a name.
    """
    whole = photo.stem
    while len(os.fsencode(whole)) > LONGEST_STEM:
        whole = whole[:-1]
    for number in count(1):
        stem = whole if number == 1 else f"{whole}-{number}"
        names = [f"{stem}{photo.suffix}", f"{stem}.error.json", f"{stem}.error.txt"]
        if mask is not None:
            names.append(f"{stem}.mask{mask.suffix}")
        if not any(os.path.lexists(folder / name) for name in names):
            return stem
    raise AssertionError  # count() has no end


def _relocate(source: Path, target: Path) -> None:
    """Give a file another place, never replacing what is there.

    A second name and the loss of the first, not a rename: that would replace what appeared
    meanwhile. Of a link, what it points to is copied and only the link removed.

    Raises:
        OutputError: it cannot be done; the source stays.
    """
    if source.is_symlink() or not _linked(source, target):
        _copy(source, target)
    _remove(source)


def _linked(source: Path, target: Path) -> bool:
    """Whether the file could be given a second name: not across disks, nor on every one."""
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    try:
        data, times = source.read_bytes(), source.stat()
        write_bytes(data, target)
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    except OSError as error:
        raise OutputError(f"{source} cannot be moved to {target}: {error.strerror}.") from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be removed: {error.strerror}.") from error
