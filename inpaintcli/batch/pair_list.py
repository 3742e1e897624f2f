"""Plan a run from a list of pairs: CSV with a header, or JSON lines, of photo, mask and output.

Photos and masks are relative to the list's folder, outputs to the output folder. A mask that is
left out is found as for a single photo; `alpha` takes the transparent pixels. An output that is
left out has the photo's relative path, or its name where the photo is outside the list's folder.
"""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any

from inpaintcli.batch.jobs import NO_MASK, BatchPlan, Job, Skip, make_job
from inpaintcli.batch.mask_lookup import ALPHA, MaskIndex, mask_for
from inpaintcli.batch.outputs import check_output_folder, split_by_output
from inpaintcli.errors import InpaintError, OutputError, UnreadableError, UsageError
from inpaintcli.storage.locations import (
    Location,
    local_copy,
    locations_in,
    parse_location,
    resolve_in,
    with_file_info,
)
from inpaintcli.storage.stores import StoreUrl

SUFFIXES = (".csv", ".jsonl")
COLUMNS = ("photo", "mask", "output")


def is_list(path: Location) -> bool:
    """Whether a location is that of a list of pairs rather than a photo."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def plan_list(
    path: Location,
    mask: str | None,
    output: Location,
    *,
    overwrite: bool,
    selected: Callable[[PurePath], bool] = lambda _: True,
) -> BatchPlan:
    """The jobs for all rows of a list.

    Args:
        path: the list.
        mask: for rows that name none: a folder, one file for all, `alpha`, or None for the mask
            beside the photo.
        output: the output folder; created when needed.
        overwrite: whether existing outputs are replaced; they are skipped otherwise.
        selected: whether a photo is to be filled, by its path as the list has it.

    Raises:
        UnreadableError: the list cannot be read.
        UsageError: the output is a file, or the list has other columns.
    """
    check_output_folder(output)
    jobs: list[Job] = []
    skips: list[Skip] = []
    rows = [row for row in _rows(path) if selected(PurePath(row["photo"]))]
    photos = with_file_info(resolve_in(path.parent, row["photo"]) for row in rows)
    to_job = _RowReader(path.parent, mask, output)
    for row, photo in zip(rows, photos, strict=True):
        try:
            jobs.append(to_job(row, photo))
        except UsageError as error:
            skips.append(Skip(photo, None, None, f"{NO_MASK}: {error.message}"))
        except InpaintError as error:
            skips.append(Skip(photo, None, None, error.message, error))
    jobs, more = split_by_output(jobs, overwrite=overwrite)
    return BatchPlan(tuple(jobs), (*skips, *more))


class _RowReader:
    """Makes a job from a row."""

    def __init__(self, folder: Location, mask: str | None, output: Location) -> None:
        self._folder, self._mask, self._output = folder, mask, output
        self._location_of = locations_in(output)
        self._indexes: dict[Location, MaskIndex] = {}

    def __call__(self, row: dict[str, str], photo: Location) -> Job:
        if not photo.is_file():
            raise UnreadableError(f"{photo} does not exist.")
        target = self._target(row["output"] or _default_output(row["photo"]))
        named = row["mask"]
        if named and named != ALPHA:
            named = str(resolve_in(self._folder, named))
        return make_job(photo, mask_for(photo, named or self._mask, self._indexes), target)

    def _target(self, name: str) -> Location:
        relative = PurePath(name)
        if _is_outside(name):
            raise OutputError(
                f"{name} is outside the output folder {self._output}.",
                hint="Name outputs relative to it.",
            )
        return self._location_of(relative)


def _default_output(photo: str) -> str:
    return PurePath(photo).name if _is_outside(photo) else photo


def _is_outside(text: str) -> bool:
    """Whether a text names a place outside the folder to which it is relative."""
    path = PurePath(text)
    is_url = isinstance(parse_location(text), StoreUrl)
    return is_url or path.is_absolute() or ".." in path.parts


def _rows(source: Location) -> Iterator[dict[str, str]]:
    """Every row of a list, as `_rows_of`; downloads a list in a store."""
    with local_copy(source) as path:
        yield from _rows_of(path, str(source))


def _rows_of(path: Path, name: str) -> Iterator[dict[str, str]]:
    """Every row, with all columns; what is left out is an empty text.

    Raises:
        UnreadableError: the list cannot be read.
        UsageError: a row is wrong; the message names its number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file) if path.suffix.lower() == ".csv" else _objects(file, name)
            for number, row in enumerate(rows, 1):
                yield _checked_row(row, f"{name}, row {number}")
    except OSError as error:
        raise UnreadableError(f"{name} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"{name} is not a list of pairs: {error}.") from error


def _objects(lines: Iterator[str], name: str) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise UsageError(f"{name}, line {number}, is not JSON: {error}.") from error


def _checked_row(row: Any, where: str) -> dict[str, str]:
    known = {name: row.get(name) or "" for name in COLUMNS} if isinstance(row, dict) else {}
    if not known.get("photo") or not all(isinstance(value, str) for value in known.values()):
        raise UsageError(
            f"{where} names no photo.",
            hint=f"The columns are {', '.join(COLUMNS)}; only the first is needed.",
        )
    return known
