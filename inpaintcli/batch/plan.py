"""Plans: the photos of a run with their masks, and what would be written where.

All of it is known, and told, before any work. inpaintcli/batch/lists.py plans from a list instead.
"""

from collections.abc import Callable
from pathlib import Path, PurePath

from inpaintcli.batch.jobs import NO_MASK, STDOUT, BatchPlan, Job, Skip, job_of
from inpaintcli.batch.mask_lookup import ALPHA, MaskIndex, is_named_as_mask, mask_for, told_apart
from inpaintcli.batch.outputs import check_folder, check_output, checked, nameable
from inpaintcli.errors import MaskMismatchError, UnreadableError, UsageError
from inpaintcli.imaging.images import check_readable, check_suffix, check_writable, taken
from inpaintcli.storage.folders import Found, GlobFilter, look_into
from inpaintcli.storage.places import Place, is_one_place, names_in, place, relative
from inpaintcli.storage.stores import Url


def plan_photo(photo: Place, mask: str | None, output: Place | None, *, overwrite: bool) -> Job:
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
            raise taken(target)
    return job_of(photo, chosen, target)


def beside(photo: Place) -> Place:
    """The output where none is named: NAME.filled.EXT beside the photo."""
    return photo.with_name(f"{photo.stem}.filled{photo.suffix}")


def plan_folder(
    folder: Place,
    mask: str | None,
    output: Place,
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
    found = _asked_for(look_into(folder, leave_out=_apart(folder, mask, output)), folder, wanted)
    matched = _matched(found.pictures, folder, mask, wanted)
    output_of = names_in(output)
    placed = [
        job_of(job.photo, job.mask, output_of(relative(job.photo, folder))) for job in matched.jobs
    ]
    jobs, more = checked(placed, overwrite=overwrite)
    broken = [Skip(path, None, None, error.message, error) for path, error in found.broken]
    skips = (*broken, *matched.skips, *more)
    strange = tuple(path for path in found.strange if wanted(relative(path, folder)))
    return BatchPlan(tuple(jobs), skips, matched.orphans, tuple(found.links), strange)


def _asked_for(found: Found, folder: Place, wanted: GlobFilter) -> Found:
    """What was found, without the troubles of what nobody asked for; all pictures stay."""

    def is_asked_for(path: Path) -> bool:
        name = relative(path, folder)
        # A broken link stands for a photo; a folder may hold any.
        return wanted(name) if path.is_symlink() and not path.is_dir() else wanted.may_hold(name)

    broken = [(path, error) for path, error in found.broken if is_asked_for(path)]
    links = [path for path in found.links if is_asked_for(path)]
    return Found(found.pictures, broken, links, found.strange)


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
    if isinstance(place(mask), Url):
        raise UsageError(f"{mask} is in a store; masks of files are files here.")
    apart = _apart(folder, mask, leave)
    return _matched(look_into(folder, leave_out=apart).pictures, folder, mask, lambda _: True)


def photos_in(folder: Path, *, leave: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The photos of a folder and its subfolders, and the masks NAME.mask.EXT beside them.

    Raises:
        UnreadableError: the folder does not exist or cannot be listed.
    """
    found = look_into(folder, leave_out=_apart(folder, None, leave)).pictures
    pictures = [path for path in found if isinstance(path, Path)]
    masks = [path for path in pictures if is_named_as_mask(path)]
    known = set(masks)
    return [path for path in pictures if path not in known], masks


def _apart(folder: Place, mask: str | None, output: Place | None) -> list[Place]:
    """The folders among which no photo is to be looked for: the output's and the masks'."""
    apart = [] if output is None or is_one_place(output, folder) else [output]
    if mask is not None and mask != ALPHA:
        named = place(mask)
        if named.is_dir() and not is_one_place(named, folder):
            apart.append(named)
    return apart


def _matched(
    pictures: list[Place], folder: Place, mask: str | None, wanted: Callable[[PurePath], bool]
) -> BatchPlan:
    """Photos with their masks, as jobs whose output is the photo itself; nothing is checked."""
    photos, masks = told_apart(pictures, folder, mask)
    jobs: list[Job] = []
    skips: list[Skip] = []
    used: set[Place] = set()
    for photo in photos:
        name = relative(photo, folder)
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
