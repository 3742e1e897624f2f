"""Plan a run: the photos with their masks, and what would be written where.

Everything is checked and reported before any work. pair_list.py plans from a list of pairs instead.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from inpaintcli.batch.jobs import NO_MASK, STDOUT, BatchPlan, Job, Skip, make_job
from inpaintcli.batch.outputs import (
    check_output,
    check_output_folder,
    name_errors_reported,
    refuse_to_write_inputs,
    split_by_output,
)
from inpaintcli.errors import InpaintError, UnreadableError, UsageError
from inpaintcli.imaging.images import already_exists, check_readable, check_suffix, check_writable
from inpaintcli.masks.finder import FolderMasks, MaskFinder
from inpaintcli.masks.names import is_named_as_mask
from inpaintcli.masks.source import BESIDE, MaskSource, PhotoMask
from inpaintcli.storage.folders import ANNOTATED, FolderContents, GlobFilter, find_pictures
from inpaintcli.storage.locations import (
    Location,
    is_same_location,
    locations_in,
    relative_path,
)
from inpaintcli.storage.stores import StoreUrl


@dataclass(frozen=True)
class OutputNames:
    """How outputs are named that are not named with -o.

    beside, inside: what follows the stem beside the photo, and in an output folder. suffix: of the
    format; None for the photo's own.
    """

    beside: str = ".filled"
    inside: str = ""
    suffix: str | None = None

    def beside_of(self, photo: Location) -> Location:
        """The output beside the photo."""
        return photo.with_name(f"{photo.stem}{self.beside}{self.suffix or photo.suffix}")

    def inside_of(self, relative: PurePath) -> PurePath:
        """The path in the output folder, of a photo's path in its folder."""
        return relative.with_name(f"{relative.stem}{self.inside}{self.suffix or relative.suffix}")


FILLED = OutputNames()


def plan_photo(
    photo: Location,
    mask: MaskSource,
    output: Location | None,
    *,
    overwrite: bool,
    names: OutputNames = FILLED,
) -> Job:
    """The job for one photo.

    Args:
        photo: the file.
        mask: where the hole comes from.
        output: a file, an existing folder, or STDOUT; None for `NAME.filled.EXT` beside the photo.
        overwrite: whether an existing output may be replaced.
        names: of outputs.

    Raises:
        UnreadableError: photo or mask does not exist, or is no picture.
        UsageError: no mask was given, and none lies beside the photo.
        MaskMismatchError: two masks fit the photo.
        OutputError: the output exists, or is the photo or the mask itself.
    """
    if isinstance(photo, Path):
        check_readable(photo)
    elif not photo.exists():
        raise UnreadableError(f"{photo} does not exist.")
    chosen = MaskFinder(mask, [PurePath(photo.name)]).of(photo)
    if isinstance(chosen.file, Path) and chosen.file.suffix.lower() != ANNOTATED:
        check_readable(chosen.file)
    if output == STDOUT:
        return make_job(photo, chosen, STDOUT)
    target = output or names.beside_of(photo)
    with name_errors_reported(target):
        inside = names.inside_of(PurePath(photo.name))
        target = target / inside if target.is_dir() else target
    exists = check_output(photo, chosen.file, target)
    if isinstance(target, Path):
        source = photo if isinstance(photo, Path) else None
        check_writable(target, source=source, overwrite=overwrite)
    else:
        check_suffix(target.suffix)
        if exists and not overwrite:
            raise already_exists(target)
    return make_job(photo, chosen, target)


def plan_folder(
    folder: Location,
    mask: MaskSource,
    output: Location,
    *,
    overwrite: bool,
    selected: GlobFilter | None = None,
    names: OutputNames = FILLED,
) -> BatchPlan:
    """The jobs for all photos of a folder and its subfolders; the output mirrors the tree.

    Args:
        folder: of the photos.
        mask: where holes come from.
        output: the output folder, created when needed; inside `folder` it is not searched.
        overwrite: whether existing outputs are replaced; they are skipped otherwise.
        selected: the photos to fill, by paths relative to `folder`; None for all.
        names: of outputs.

    Raises:
        UnreadableError: the folder cannot be listed, or the mask does not exist.
        UsageError: the output is a file.
        OutputError: the output of one photo is another photo, or another's mask.
    """
    check_output_folder(output)
    selected = selected or GlobFilter()
    contents = find_pictures(folder, excluded=_not_searched(folder, mask, output))
    found = _without_unselected(contents, folder, selected)
    matched = _matched(found, folder, mask, selected)
    output_of = locations_in(output)

    def with_output(job: Job) -> Job:
        target = output_of(names.inside_of(relative_path(job.photo, folder)))
        return make_job(job.photo, PhotoMask(job.mask, job.parts), target)

    all_jobs = [with_output(job) for job in matched.jobs]
    refuse_to_write_inputs(all_jobs)
    jobs, more = split_by_output(all_jobs, overwrite=overwrite)
    unreadable = [Skip(path, None, None, error.message, error) for path, error in found.unreadable]
    return BatchPlan(
        jobs=tuple(jobs),
        skips=(*unreadable, *matched.skips, *more),
        orphan_masks=matched.orphan_masks,
        links=tuple(found.links),
        unsupported=tuple(
            path for path in found.unsupported if selected(relative_path(path, folder))
        ),
    )


def _without_unselected(
    found: FolderContents, folder: Location, selected: GlobFilter
) -> FolderContents:
    """What was found, without problems that concern no selected photo; all pictures stay."""

    def concerns_selected(path: Path) -> bool:
        name = relative_path(path, folder)
        # A broken link stands for a photo; a folder may hold any.
        if path.is_symlink() and not path.is_dir():
            return selected(name)
        return selected.may_contain(name)

    unreadable = [(path, error) for path, error in found.unreadable if concerns_selected(path)]
    links = [path for path in found.links if concerns_selected(path)]
    return replace(found, unreadable=unreadable, links=links)


def match_folder(folder: Path, mask: MaskSource, *, excluded: Path | None = None) -> BatchPlan:
    """The photos of a folder and their masks, for commands that write no outputs.

    Args:
        folder: of the photos; its subfolders are searched too.
        mask: where holes come from.
        excluded: a folder that is not searched.

    Returns:
        A plan: its jobs have the photo itself as output, its skips are photos with no mask or more
        than one; and the masks without a photo.

    Raises:
        UnreadableError: folder or mask does not exist.
        UsageError: the masks are in a store.
    """
    if isinstance(mask.masks, StoreUrl):
        raise UsageError(f"{mask.masks} is in a store; this command takes masks on this machine.")
    found = find_pictures(folder, excluded=_not_searched(folder, mask, excluded))
    return _matched(found, folder, mask, lambda _: True)


def photos_in(folder: Path, *, excluded: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The photos of a folder and its subfolders, and the masks NAME.mask.EXT beside them.

    Raises:
        UnreadableError: the folder does not exist or cannot be listed.
    """
    found = find_pictures(folder, excluded=_not_searched(folder, BESIDE, excluded)).pictures
    pictures = [path for path in found if isinstance(path, Path)]
    masks = [path for path in pictures if is_named_as_mask(path)]
    known = set(masks)
    return [path for path in pictures if path not in known], masks


def _not_searched(folder: Location, mask: MaskSource, output: Location | None) -> list[Location]:
    """The folders in which no photo is searched for: that of the outputs and that of the masks."""
    folders = [] if output is None or is_same_location(output, folder) else [output]
    masks = mask.masks
    if masks is not None and masks.is_dir() and not is_same_location(masks, folder):
        folders.append(masks)
    return folders


def _matched(
    found: FolderContents,
    folder: Location,
    source: MaskSource,
    selected: Callable[[PurePath], bool],
) -> BatchPlan:
    """Photos with their masks, as jobs whose output is the photo itself; no output is checked."""
    masks = FolderMasks(found, folder, source)
    jobs: list[Job] = []
    skips: list[Skip] = []
    for photo in masks.photos:
        name = relative_path(photo, folder)
        try:
            mask = masks.of(name)
        except UsageError as error:
            skip: Skip | None = Skip(photo, None, None, f"{NO_MASK}: {error.message}")
        except InpaintError as error:
            skip = Skip(photo, None, None, error.message, error)
        else:
            skip = Skip(photo, None, None, NO_MASK) if mask is None else None
            if mask is not None and selected(name):
                jobs.append(make_job(photo, mask, photo))
        if skip is not None and (skip.error or selected(name)):
            skips.append(skip)
    return BatchPlan(tuple(jobs), tuple(skips), masks.unused())
