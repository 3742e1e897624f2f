"""Plans: the photos of a run with their masks, and what would be written where.

All of it is known, and told, before any work. inpaintcli/batch/lists.py plans from a list instead.
"""

from collections.abc import Callable
from pathlib import Path, PurePath

from inpaintcli.batch.jobs import NO_MASK, STDOUT, BatchPlan, Job, Skip, job_of
from inpaintcli.batch.mask_lookup import ALPHA, MaskIndex, is_named_as_mask, mask_for, told_apart
from inpaintcli.batch.outputs import check_folder, check_output, checked, nameable
from inpaintcli.errors import MaskMismatchError, UnreadableError, UsageError
from inpaintcli.imaging.images import already_exists, check_readable, check_suffix, check_writable
from inpaintcli.storage.folders import FolderContents, GlobFilter, find_pictures
from inpaintcli.storage.locations import (
    Location,
    is_same_location,
    locations_in,
    parse_location,
    relative_path,
)
from inpaintcli.storage.stores import StoreUrl


def plan_photo(
    photo: Location, mask: str | None, output: Location | None, *, overwrite: bool
) -> Job:
    """The job for one photo.

    Args:
        photo: the file.
        mask: a file, a folder of masks, `alpha`, or None for the mask beside the photo.
        output: a file, an existing folder, or STDOUT; None for `NAME.filled.EXT` beside the photo.
        overwrite: whether an existing output may be replaced.

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
    chosen = mask_for(photo, mask)
    if isinstance(chosen, Path):
        check_readable(chosen)
    if output == STDOUT:
        return job_of(photo, chosen, STDOUT)
    target = output or beside(photo)
    with nameable(target):
        target = target / photo.name if target.is_dir() else target
    exists = check_output(photo, chosen, target)
    if isinstance(target, Path):
        source = photo if isinstance(photo, Path) else None
        check_writable(target, source=source, overwrite=overwrite)
    else:
        check_suffix(target.suffix)
        if exists and not overwrite:
            raise already_exists(target)
    return job_of(photo, chosen, target)


def beside(photo: Location) -> Location:
    """The output where none is named: NAME.filled.EXT beside the photo."""
    return photo.with_name(f"{photo.stem}.filled{photo.suffix}")


def plan_folder(
    folder: Location,
    mask: str | None,
    output: Location,
    *,
    overwrite: bool,
    wanted: GlobFilter | None = None,
) -> BatchPlan:
    """The jobs for all photos of a folder and its subfolders; the output mirrors the tree.

    Args:
        folder: of the photos.
        mask: a folder, one file for all, `alpha`, or None for masks beside the photos.
        output: a folder, made when needed; inside `folder` it is left out of the search.
        overwrite: whether existing outputs are replaced; they are skipped otherwise.
        wanted: by paths relative to `folder`; left out, all are.

    Raises:
        UnreadableError: the folder cannot be listed, or the mask does not exist.
        UsageError: the output is a file.
    """
    check_folder(output)
    wanted = wanted or GlobFilter()
    found = _asked_for(find_pictures(folder, excluded=_apart(folder, mask, output)), folder, wanted)
    matched = _matched(found.pictures, folder, mask, wanted)
    output_of = locations_in(output)
    placed = [
        job_of(job.photo, job.mask, output_of(relative_path(job.photo, folder)))
        for job in matched.jobs
    ]
    jobs, more = checked(placed, overwrite=overwrite)
    broken = [Skip(path, None, None, error.message, error) for path, error in found.unreadable]
    skips = (*broken, *matched.skips, *more)
    unsupported = tuple(path for path in found.unsupported if wanted(relative_path(path, folder)))
    return BatchPlan(tuple(jobs), skips, matched.orphans, tuple(found.links), unsupported)


def _asked_for(found: FolderContents, folder: Location, wanted: GlobFilter) -> FolderContents:
    """What was found, without the troubles of what nobody asked for; all pictures stay."""

    def is_asked_for(path: Path) -> bool:
        name = relative_path(path, folder)
        # A broken link stands for a photo; a folder may hold any.
        return wanted(name) if path.is_symlink() and not path.is_dir() else wanted.may_contain(name)

    broken = [(path, error) for path, error in found.unreadable if is_asked_for(path)]
    links = [path for path in found.links if is_asked_for(path)]
    return FolderContents(found.pictures, broken, links, found.unsupported)


def match_folder(folder: Path, mask: str, *, leave: Path | None = None) -> BatchPlan:
    """The photos of a folder and their masks, where nothing will be written.

    Args:
        folder: of the photos; its subfolders are searched too.
        mask: a folder (that of the photos too), or one file for all.
        leave: a folder that is left out of the search.

    Returns:
        Jobs whose output is the photo itself, what has no mask or more than one, and the masks
        without a photo.

    Raises:
        UnreadableError: folder or mask does not exist.
        UsageError: the masks are in a store.
    """
    if isinstance(parse_location(mask), StoreUrl):
        raise UsageError(f"{mask} is in a store; masks of files are files here.")
    apart = _apart(folder, mask, leave)
    return _matched(find_pictures(folder, excluded=apart).pictures, folder, mask, lambda _: True)


def photos_in(folder: Path, *, leave: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The photos of a folder and its subfolders, and the masks NAME.mask.EXT beside them.

    Raises:
        UnreadableError: the folder does not exist or cannot be listed.
    """
    found = find_pictures(folder, excluded=_apart(folder, None, leave)).pictures
    pictures = [path for path in found if isinstance(path, Path)]
    masks = [path for path in pictures if is_named_as_mask(path)]
    known = set(masks)
    return [path for path in pictures if path not in known], masks


def _apart(folder: Location, mask: str | None, output: Location | None) -> list[Location]:
    """The folders among which no photo is to be looked for: the output's and the masks'."""
    apart = [] if output is None or is_same_location(output, folder) else [output]
    if mask is not None and mask != ALPHA:
        named = parse_location(mask)
        if named.is_dir() and not is_same_location(named, folder):
            apart.append(named)
    return apart


def _matched(
    pictures: list[Location], folder: Location, mask: str | None, wanted: Callable[[PurePath], bool]
) -> BatchPlan:
    """Photos with their masks, as jobs whose output is the photo itself; nothing is checked."""
    photos, masks = told_apart(pictures, folder, mask)
    jobs: list[Job] = []
    skips: list[Skip] = []
    used: set[Location] = set()
    for photo in photos:
        name = relative_path(photo, folder)
        try:
            chosen = masks.of(name) if isinstance(masks, MaskIndex) else masks
        except MaskMismatchError as error:
            skips.append(Skip(photo, None, None, error.message, error))
            used |= set(masks.fitting(name)) if isinstance(masks, MaskIndex) else set()
            continue
        used |= {chosen} if chosen else set()
        if not wanted(name):
            continue
        if chosen is None and mask != ALPHA:
            skips.append(Skip(photo, None, None, NO_MASK))
            continue
        jobs.append(job_of(photo, chosen, photo))
    orphans = masks.without(used) if isinstance(masks, MaskIndex) else ()
    return BatchPlan(tuple(jobs), tuple(skips), orphans)
