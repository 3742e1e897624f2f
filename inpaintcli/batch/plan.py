"""Plan a run: the photos with their masks, and what would be written where.

Everything is checked and reported before any work. pair_list.py plans from a list of pairs instead.
"""

from collections.abc import Callable
from pathlib import Path, PurePath

from inpaintcli.batch.jobs import NO_MASK, STDOUT, BatchPlan, Job, Skip, make_job
from inpaintcli.batch.mask_lookup import (
    ALPHA,
    MaskIndex,
    is_named_as_mask,
    mask_for,
    split_photos_and_masks,
)
from inpaintcli.batch.outputs import (
    check_output,
    check_output_folder,
    name_errors_reported,
    split_by_output,
)
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
        return make_job(photo, chosen, STDOUT)
    target = output or default_output(photo)
    with name_errors_reported(target):
        target = target / photo.name if target.is_dir() else target
    exists = check_output(photo, chosen, target)
    if isinstance(target, Path):
        source = photo if isinstance(photo, Path) else None
        check_writable(target, source=source, overwrite=overwrite)
    else:
        check_suffix(target.suffix)
        if exists and not overwrite:
            raise already_exists(target)
    return make_job(photo, chosen, target)


def default_output(photo: Location) -> Location:
    """The output without -o: NAME.filled.EXT beside the photo."""
    return photo.with_name(f"{photo.stem}.filled{photo.suffix}")


def plan_folder(
    folder: Location,
    mask: str | None,
    output: Location,
    *,
    overwrite: bool,
    selected: GlobFilter | None = None,
) -> BatchPlan:
    """The jobs for all photos of a folder and its subfolders; the output mirrors the tree.

    Args:
        folder: of the photos.
        mask: a folder, one file for all, `alpha`, or None for masks beside the photos.
        output: the output folder, created when needed; inside `folder` it is not searched.
        overwrite: whether existing outputs are replaced; they are skipped otherwise.
        selected: the photos to fill, by paths relative to `folder`; None for all.

    Raises:
        UnreadableError: the folder cannot be listed, or the mask does not exist.
        UsageError: the output is a file.
    """
    check_output_folder(output)
    selected = selected or GlobFilter()
    contents = find_pictures(folder, excluded=_not_searched(folder, mask, output))
    found = _without_unselected(contents, folder, selected)
    matched = _matched(found.pictures, folder, mask, selected)
    output_of = locations_in(output)
    jobs, more = split_by_output(
        [
            make_job(job.photo, job.mask, output_of(relative_path(job.photo, folder)))
            for job in matched.jobs
        ],
        overwrite=overwrite,
    )
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
    return FolderContents(found.pictures, unreadable, links, found.unsupported)


def match_folder(folder: Path, mask: str, *, excluded: Path | None = None) -> BatchPlan:
    """The photos of a folder and their masks, for commands that write no outputs.

    Args:
        folder: of the photos; its subfolders are searched too.
        mask: a folder (that of the photos too), or one file for all.
        excluded: a folder that is not searched.

    Returns:
        A plan: its jobs have the photo itself as output, its skips are photos with no mask or more
        than one; and the masks without a photo.

    Raises:
        UnreadableError: folder or mask does not exist.
        UsageError: the masks are in a store.
    """
    if isinstance(parse_location(mask), StoreUrl):
        raise UsageError(f"{mask} is in a store; this command takes masks on this machine.")
    found = find_pictures(folder, excluded=_not_searched(folder, mask, excluded))
    return _matched(found.pictures, folder, mask, lambda _: True)


def photos_in(folder: Path, *, excluded: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The photos of a folder and its subfolders, and the masks NAME.mask.EXT beside them.

    Raises:
        UnreadableError: the folder does not exist or cannot be listed.
    """
    found = find_pictures(folder, excluded=_not_searched(folder, None, excluded)).pictures
    pictures = [path for path in found if isinstance(path, Path)]
    masks = [path for path in pictures if is_named_as_mask(path)]
    known = set(masks)
    return [path for path in pictures if path not in known], masks


def _not_searched(folder: Location, mask: str | None, output: Location | None) -> list[Location]:
    """The folders in which no photo is searched for: that of the outputs and that of the masks."""
    folders = [] if output is None or is_same_location(output, folder) else [output]
    if mask is not None and mask != ALPHA:
        location = parse_location(mask)
        if location.is_dir() and not is_same_location(location, folder):
            folders.append(location)
    return folders


def _matched(
    pictures: list[Location],
    folder: Location,
    mask: str | None,
    selected: Callable[[PurePath], bool],
) -> BatchPlan:
    """Photos with their masks, as jobs whose output is the photo itself; no output is checked."""
    photos, masks = split_photos_and_masks(pictures, folder, mask)
    jobs: list[Job] = []
    skips: list[Skip] = []
    used: set[Location] = set()
    for photo in photos:
        name = relative_path(photo, folder)
        try:
            chosen = masks.of(name) if isinstance(masks, MaskIndex) else masks
        except MaskMismatchError as error:
            skips.append(Skip(photo, None, None, error.message, error))
            used |= set(masks.all_of(name)) if isinstance(masks, MaskIndex) else set()
            continue
        used |= {chosen} if chosen else set()
        if not selected(name):
            continue
        if chosen is None and mask != ALPHA:
            skips.append(Skip(photo, None, None, NO_MASK))
            continue
        jobs.append(make_job(photo, chosen, photo))
    orphan_masks = masks.unused(used) if isinstance(masks, MaskIndex) else ()
    return BatchPlan(tuple(jobs), tuple(skips), orphan_masks)
