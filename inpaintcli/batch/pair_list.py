"""Plan a run from a list of pairs: photo, mask and output; list_rows.py reads the list itself.

Photos and masks are relative to the list's folder, outputs to the output folder. A mask that is
left out is found as for a single photo; `alpha` takes the transparent pixels. An output that is
left out has the photo's relative path, or its name where the photo is outside the list's folder.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath

from inpaintcli.batch.jobs import NO_MASK, BatchPlan, Job, Skip, make_job
from inpaintcli.batch.list_rows import rows_of
from inpaintcli.batch.outputs import check_output_folder, refuse_to_write_inputs, split_by_output
from inpaintcli.errors import InpaintError, OutputError, UnreadableError, UsageError
from inpaintcli.masks.finder import MaskFinder
from inpaintcli.masks.source import MaskSource
from inpaintcli.storage.locations import (
    Location,
    locations_in,
    parse_location,
    resolve_in,
    with_file_info,
)
from inpaintcli.storage.stores import StoreUrl

SUFFIXES = (".csv", ".jsonl")


def is_list(path: Location) -> bool:
    """Whether a location is that of a list of pairs rather than a photo."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def plan_list(
    path: Location,
    mask: MaskSource,
    output: Location,
    *,
    overwrite: bool,
    selected: Callable[[PurePath], bool] = lambda _: True,
) -> BatchPlan:
    """The jobs for all rows of a list.

    Args:
        path: the list.
        mask: where holes come from; a row that names a mask has that in place of mask files,
            annotations, alpha and colours, and boxes and polygons all the same.
        output: the output folder; created when needed.
        overwrite: whether existing outputs are replaced; they are skipped otherwise.
        selected: whether a photo is to be filled, by its path as the list has it.

    Raises:
        UnreadableError: the list cannot be read.
        UsageError: the output is a file, or the list has other columns.
        OutputError: the output of one row is the photo or the mask of another.
    """
    check_output_folder(output)
    jobs: list[Job] = []
    skips: list[Skip] = []
    rows = [row for row in rows_of(path) if selected(PurePath(row["photo"]))]
    photos = with_file_info(resolve_in(path.parent, row["photo"]) for row in rows)
    to_job = _RowReader(path.parent, mask, output, [PurePath(row["photo"]) for row in rows])
    for row, photo in zip(rows, photos, strict=True):
        try:
            jobs.append(to_job(row, photo))
        except UsageError as error:
            skips.append(Skip(photo, None, None, f"{NO_MASK}: {error.message}"))
        except InpaintError as error:
            skips.append(Skip(photo, None, None, error.message, error))
    jobs = _distinct(jobs)
    refuse_to_write_inputs(jobs, photos)
    jobs, more = split_by_output(jobs, overwrite=overwrite)
    return BatchPlan(tuple(jobs), (*skips, *more))


def _distinct(jobs: list[Job]) -> list[Job]:
    """The first of those that name the same photo, mask and output, in whatever words."""
    real = cache(lambda folder: folder.resolve())

    def plain(location: Location) -> Location:
        return real(location.parent) / location.name if isinstance(location, Path) else location

    found: dict[Job, Job] = {}
    for job in jobs:
        mask = plain(job.mask) if job.mask else None
        key = replace(job, photo=plain(job.photo), mask=mask, output=plain(job.output))
        found.setdefault(key, job)
    return list(found.values())


class _RowReader:
    """Makes a job from a row."""

    def __init__(
        self, folder: Location, source: MaskSource, output: Location, photos: list[PurePath]
    ) -> None:
        self._folder, self._source, self._output = folder, source, output
        self._location_of = locations_in(output)
        self._photos = photos
        self._finders: dict[str, MaskFinder] = {}

    def __call__(self, row: dict[str, str], photo: Location) -> Job:
        if not photo.is_file():
            raise UnreadableError(f"{photo} does not exist.")
        target = self._target(row["output"] or _default_output(row["photo"]))
        mask = self._finder_of(row["mask"]).of(photo, PurePath(row["photo"]))
        return make_job(photo, mask, target)

    def _finder_of(self, named: str) -> MaskFinder:
        """What finds the masks of rows that name that one; kept, as it keeps what it has read."""
        if named not in self._finders:
            source = self._source
            source = source.with_masks(named, self._folder) if named else source
            self._finders[named] = MaskFinder(source, self._photos)
        return self._finders[named]

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
