"""Pairs named in a file: CSV with a header, or JSON lines, with the columns photo, mask, output.

Photos and masks are relative to the list's folder, outputs to the output folder. A mask left out
is looked for as for a single photo; `alpha` takes the transparent pixels. An output left out is
the photo's relative path, or its name where the photo lies outside the list's folder.
"""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any

from inpaintcli.batch.jobs import NO_MASK, BatchPlan, Job, Skip, job_of
from inpaintcli.batch.mask_lookup import ALPHA, MaskIndex, mask_for
from inpaintcli.batch.outputs import check_folder, checked
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
    """Whether a path names a list of pairs rather than a photo."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def plan_list(
    path: Location,
    mask: str | None,
    output: Location,
    *,
    overwrite: bool,
    wanted: Callable[[PurePath], bool] = lambda _: True,
) -> BatchPlan:
    """The jobs for all rows of a list.

    Args:
        path: the list.
        mask: for rows that name none: a folder, one file for all, `alpha`, or None for the mask
            beside the photo.
        output: a folder, made when needed; every output is in it.
        overwrite: whether existing outputs are replaced; they are skipped otherwise.
        wanted: whether to take the photo at a path as the list writes it.

    Raises:
        UnreadableError: the list cannot be read.
        UsageError: the output is a file, or the list has other columns.
    """
    check_folder(output)
    jobs: list[Job] = []
    skips: list[Skip] = []
    rows = [row for row in _rows(path) if wanted(PurePath(row["photo"]))]
    photos = with_file_info(resolve_in(path.parent, row["photo"]) for row in rows)
    to_job = _ToJob(path.parent, mask, output)
    for row, photo in zip(rows, photos, strict=True):
        try:
            jobs.append(to_job(row, photo))
        except UsageError as error:
            skips.append(Skip(photo, None, None, f"{NO_MASK}: {error.message}"))
        except InpaintError as error:
            skips.append(Skip(photo, None, None, error.message, error))
    jobs, more = checked(jobs, overwrite=overwrite)
    return BatchPlan(tuple(jobs), (*skips, *more))


class _ToJob:
    """Makes the job_of of a row."""

    def __init__(self, folder: Location, mask: str | None, output: Location) -> None:
        self._folder, self._mask, self._output = folder, mask, output
        self._output_of = locations_in(output)
        self._indexes: dict[Location, MaskIndex] = {}

    def __call__(self, row: dict[str, str], photo: Location) -> Job:
        if not photo.is_file():
            raise UnreadableError(f"{photo} does not exist.")
        target = self._target(row["output"] or _mirrored(row["photo"]))
        named = row["mask"]
        if named and named != ALPHA:
            named = str(resolve_in(self._folder, named))
        return job_of(photo, mask_for(photo, named or self._mask, self._indexes), target)

    def _target(self, name: str) -> Location:
        relative = PurePath(name)
        if (
            isinstance(parse_location(name), StoreUrl)
            or relative.is_absolute()
            or ".." in relative.parts
        ):
            raise OutputError(
                f"{name} leads out of the output folder {self._output}.",
                hint="Name outputs relative to it.",
            )
        return self._output_of(relative)


def _mirrored(photo: str) -> str:
    path = PurePath(photo)
    is_apart = (
        isinstance(parse_location(photo), StoreUrl) or path.is_absolute() or ".." in path.parts
    )
    return path.name if is_apart else photo


def _rows(source: Location) -> Iterator[dict[str, str]]:
    """Every row of a list, as `_rows_of`, wherever it lies."""
    with local_copy(source) as path:
        yield from _rows_of(path, str(source))


def _rows_of(path: Path, name: str) -> Iterator[dict[str, str]]:
    """Every row, with all columns; what is left out is empty.

    Raises:
        UnreadableError: the list cannot be read.
        UsageError: a row is not as it should be; names its line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file) if path.suffix.lower() == ".csv" else _objects(file, name)
            for number, row in enumerate(rows, 1):
                yield _checked_row(row, f"{name}, row {number}")
    except OSError as error:
        raise UnreadableError(f"{name} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"{name} is no list of pairs: {error}.") from error


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
