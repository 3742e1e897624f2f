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

from inpaintcli.errors import InpaintError, OutputError, UnreadableError, UsageError
from inpaintcli.pairs import (
    ALPHA,
    NO_MASK,
    Job,
    MaskIndex,
    Plan,
    Skip,
    check_folder,
    checked,
    mask_for,
)

SUFFIXES = (".csv", ".jsonl")
COLUMNS = ("photo", "mask", "output")


def is_list(path: Path) -> bool:
    """Whether a path names a list of pairs rather than a photo."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def plan_list(
    path: Path,
    mask: str | None,
    output: Path,
    *,
    overwrite: bool,
    wanted: Callable[[PurePath], bool] = lambda _: True,
) -> Plan:
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
    indexes: dict[Path, MaskIndex] = {}
    for row in _rows(path):
        if not wanted(PurePath(row["photo"])):
            continue
        photo = path.parent / row["photo"]
        try:
            jobs.append(_job(row, path.parent, mask, output, indexes))
        except UsageError as error:
            skips.append(Skip(photo, None, None, f"{NO_MASK}: {error.message}"))
        except InpaintError as error:
            skips.append(Skip(photo, None, None, error.message, error))
    jobs, more = checked(jobs, overwrite=overwrite)
    return Plan(tuple(jobs), (*skips, *more))


def _job(
    row: dict[str, str],
    folder: Path,
    mask: str | None,
    output: Path,
    indexes: dict[Path, MaskIndex],
) -> Job:
    photo = folder / row["photo"]
    if not photo.is_file():
        raise UnreadableError(f"{photo} does not exist.")
    target = _target(row["output"] or _mirrored(row["photo"]), output)
    named = row["mask"]
    if named and named != ALPHA:
        named = str(folder / named)
    return Job(photo, mask_for(photo, named or mask, indexes), target)


def _mirrored(photo: str) -> str:
    path = PurePath(photo)
    return path.name if path.is_absolute() or ".." in path.parts else photo


def _target(name: str, output: Path) -> Path:
    relative = PurePath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise OutputError(
            f"{name} leads out of the output folder {output}.",
            hint="Name outputs relative to it.",
        )
    return output / relative


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Every row, with all columns; what is left out is empty.

    Raises:
        UnreadableError: the list cannot be read.
        UsageError: a row is not as it should be; names its line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file) if path.suffix.lower() == ".csv" else _objects(file, path)
            for number, row in enumerate(rows, 1):
                yield _checked_row(row, f"{path}, row {number}")
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"{path} is no list of pairs: {error}.") from error


def _objects(lines: Iterator[str], path: Path) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise UsageError(f"{path}, line {number}, is not JSON: {error}.") from error


def _checked_row(row: Any, where: str) -> dict[str, str]:
    known = {name: row.get(name) or "" for name in COLUMNS} if isinstance(row, dict) else {}
    if not known.get("photo") or not all(isinstance(value, str) for value in known.values()):
        raise UsageError(
            f"{where} names no photo.",
            hint=f"The columns are {', '.join(COLUMNS)}; only the first is needed.",
        )
    return known
