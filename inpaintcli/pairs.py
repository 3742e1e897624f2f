"""Which mask belongs to which photo, and what would be written where: known before any work.

A mask belongs to a photo by relative path and stem: in the mask folder `NAME.EXT`, `NAME.mask.EXT`
or `NAME_mask.EXT`, any image suffix; without a mask folder, `NAME.mask.EXT` beside the photo. One
mask file serves all photos; `alpha` takes each photo's transparent pixels.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from inpaintcli.errors import InpaintError, MisfitError, OutputError, UnreadableError, UsageError
from inpaintcli.folders import look_into
from inpaintcli.images import check_writable

ALPHA = "alpha"
STDOUT = Path("-")
THERE = "its output exists already"
NO_MASK = "it has no mask"
_ENDINGS = (".mask", "_mask")


@dataclass(frozen=True)
class Job:
    """One photo to fill. `mask` is None where the photo's transparent pixels are the hole.

    `replaces`: what lies under the output's name is known to be ours, and may be replaced.
    """

    photo: Path
    mask: Path | None
    output: Path
    replaces: bool = False


@dataclass(frozen=True)
class Skip:
    """One photo that is left alone, and why: an error where that is a failure.

    `done`: there is nothing to do, and nothing to say unless asked.
    """

    photo: Path
    mask: Path | None
    output: Path | None
    reason: str
    error: InpaintError | None = None
    done: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run will do. Plain values: a plan may travel to another machine.

    `orphans` are masks without a photo, `links` folders that were not entered for being links.
    """

    jobs: tuple[Job, ...]
    skips: tuple[Skip, ...] = ()
    orphans: tuple[Path, ...] = ()
    links: tuple[Path, ...] = ()


def plan_photo(photo: Path, mask: str | None, output: Path | None, *, overwrite: bool) -> Job:
    """The job for one photo.

    Args:
        photo: the file.
        mask: a file, a folder of masks, `alpha`, or None for the mask beside the photo.
        output: a file, an existing folder, or STDOUT; None for `NAME.filled.EXT` beside the photo.
        overwrite: whether an existing output may be replaced.

    Raises:
        UnreadableError: photo or mask does not exist.
        UsageError: no mask was given, and none lies beside the photo.
        MisfitError: two masks fit the photo.
        OutputError: the output exists, or is the photo or the mask itself.
    """
    if not photo.exists():
        raise UnreadableError(f"{photo} does not exist.")
    chosen = mask_for(photo, mask)
    if output == STDOUT:
        return Job(photo, chosen, STDOUT)
    target = output or photo.with_name(f"{photo.stem}.filled{photo.suffix}")
    if target.is_dir():
        target = target / photo.name
    _check_output(photo, chosen, target)
    check_writable(target, source=photo, overwrite=overwrite)
    return Job(photo, chosen, target)


def mask_for(
    photo: Path, mask: str | None, indexes: dict[Path, "MaskIndex"] | None = None
) -> Path | None:
    """The mask of one photo, or None for its transparent pixels.

    Args:
        photo: the file.
        mask: as for `plan_photo`.
        indexes: of the folders already looked into; filled here, so that each is listed once.

    Raises:
        UnreadableError: the mask does not exist.
        UsageError: no mask was given, and none lies beside the photo.
        MisfitError: two masks fit the photo.
    """
    if mask == ALPHA:
        return None
    if mask is not None and not Path(mask).is_dir():
        if not Path(mask).exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
        return Path(mask)
    folder = photo.parent if mask is None else Path(mask)
    indexes = {} if indexes is None else indexes
    if folder not in indexes:
        pictures = look_into(folder, recursive=False).pictures
        beside = mask is None or _same(folder, photo.parent)
        indexes[folder] = MaskIndex(pictures, folder, beside=beside)
    found = indexes[folder].of(Path(photo.name))
    if found is None:
        where = f"{folder} holds no mask for {photo.name}" if mask else "No mask was given"
        raise UsageError(
            f"{where}.",
            hint=f"Pass --mask FILE, --mask alpha, or name it {photo.stem}.mask.png.",
        )
    return found


def plan_folder(
    folder: Path,
    mask: str | None,
    output: Path,
    *,
    overwrite: bool,
    wanted: Callable[[PurePath], bool] = lambda _: True,
) -> Plan:
    """The jobs for all photos of a folder and its subfolders; the output mirrors the tree.

    Args:
        folder: of the photos.
        mask: a folder, one file for all, `alpha`, or None for masks beside the photos.
        output: a folder, made when needed; inside `folder` it is left out of the search.
        overwrite: whether existing outputs are replaced; they are skipped otherwise.
        wanted: whether to take the photo at a path relative to `folder`.

    Raises:
        UnreadableError: the folder cannot be listed, or the mask does not exist.
        UsageError: the output is a file.
    """
    check_folder(output)
    found = look_into(folder, leave_out=_apart(folder, mask, output))
    matched = _matched(found.pictures, folder, mask, wanted)
    placed = [replace(job, output=output / job.photo.relative_to(folder)) for job in matched.jobs]
    jobs, more = checked(placed, overwrite=overwrite)
    broken = [Skip(path, None, None, error.message, error) for path, error in found.broken]
    skips = (*broken, *matched.skips, *more)
    return Plan(tuple(jobs), skips, matched.orphans, tuple(found.links))


def check_folder(output: Path) -> None:
    """Refuse an output folder that is none.

    Raises:
        UsageError: it is a file.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; -o takes a folder for many photos.")


def match_folder(folder: Path, mask: str, *, leave: Path | None = None) -> Plan:
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
    """
    apart = _apart(folder, mask, leave)
    return _matched(look_into(folder, leave_out=apart).pictures, folder, mask, lambda _: True)


def photos_in(folder: Path, *, leave: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The photos of a folder and its subfolders, and the masks NAME.mask.EXT beside them.

    Raises:
        UnreadableError: the folder does not exist or cannot be listed.
    """
    pictures = look_into(folder, leave_out=_apart(folder, None, leave)).pictures
    masks = [path for path in pictures if path.stem.endswith(_ENDINGS[:1])]
    known = set(masks)
    return [path for path in pictures if path not in known], masks


def _apart(folder: Path, mask: str | None, output: Path | None) -> list[Path]:
    """The folders among which no photo is to be looked for: the output's and the masks'."""
    apart = [] if output is None or _same(output, folder) else [output]
    if mask not in (None, ALPHA) and Path(mask).is_dir() and not _same(Path(mask), folder):
        apart.append(Path(mask))
    return apart


def _matched(
    pictures: list[Path], folder: Path, mask: str | None, wanted: Callable[[PurePath], bool]
) -> Plan:
    """Photos with their masks, as jobs whose output is the photo itself; nothing is checked."""
    photos, masks = _told_apart(pictures, folder, mask)
    jobs: list[Job] = []
    skips: list[Skip] = []
    used: set[Path] = set()
    for photo in photos:
        relative = photo.relative_to(folder)
        try:
            chosen = masks.of(relative) if isinstance(masks, MaskIndex) else masks
        except MisfitError as error:
            skips.append(Skip(photo, None, None, error.message, error))
            continue
        used |= {chosen} if chosen else set()
        if not wanted(relative):
            continue
        if chosen is None and mask != ALPHA:
            skips.append(Skip(photo, None, None, NO_MASK))
            continue
        jobs.append(Job(photo, chosen, photo))
    orphans = masks.without(used) if isinstance(masks, MaskIndex) else ()
    return Plan(tuple(jobs), tuple(skips), orphans)


def _told_apart(
    pictures: list[Path], folder: Path, mask: str | None
) -> tuple[list[Path], "MaskIndex | Path | None"]:
    """The photos among the pictures, and their masks: an index, one file, or None for alpha."""
    if mask == ALPHA:
        return pictures, None
    if mask is not None and not Path(mask).is_dir():
        one = Path(mask)
        if not one.exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
        return [path for path in pictures if not _is(path, one)], one
    where = folder if mask is None else Path(mask)
    if _same(where, folder):
        endings = _ENDINGS[:1] if mask is None else _ENDINGS
        masks = [path for path in pictures if path.stem.endswith(endings)]
        known = set(masks)
        photos = [path for path in pictures if path not in known]
        return photos, MaskIndex(masks, folder, beside=True)
    return pictures, MaskIndex(look_into(where).pictures, where, beside=False)


def photos_of_mask(mask: Path, *, beside: bool) -> tuple[Path, ...]:
    """The photos that a mask of that relative path is for, without suffix.

    Args:
        mask: relative to its folder.
        beside: the folder is that of the photos, where a bare name is a photo's.
    """
    stem = mask.stem
    bare = [] if beside else [stem]
    served = [stem.removesuffix(ending) for ending in _ENDINGS if stem.endswith(ending)]
    return tuple(mask.with_name(name) for name in (*bare, *served) if name)


class MaskIndex:
    """Masks by the relative path and stem of the photo that they are for."""

    def __init__(self, masks: Iterable[Path], folder: Path, *, beside: bool) -> None:
        """Index `masks`, all in `folder`; `beside` photos, a bare name is no mask."""
        self._of: dict[Path, list[Path]] = defaultdict(list)
        self._all = tuple(masks)
        for path in self._all:
            for photo in photos_of_mask(path.relative_to(folder), beside=beside):
                self._of[photo].append(path)

    def of(self, photo: Path) -> Path | None:
        """The mask for a photo at that relative path, if there is one.

        Raises:
            MisfitError: more than one fits.
        """
        found = self._of.get(photo.with_name(photo.stem), [])
        if len(found) > 1:
            names = ", ".join(sorted(path.name for path in found))
            raise MisfitError(f"More than one mask fits {photo}: {names}.", hint="Keep one.")
        return found[0] if found else None

    def without(self, used: set[Path]) -> tuple[Path, ...]:
        """The masks that no photo uses."""
        return tuple(path for path in self._all if path not in used)


def checked(jobs: list[Job], *, overwrite: bool) -> tuple[list[Job], list[Skip]]:
    """The jobs without those that must not, or need not, be done; and those, with the reasons."""
    writers: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        writers[_name_key(job.output)].append(job)
    kept: list[Job] = []
    skips: list[Skip] = []
    for job in jobs:
        rivals = [other.photo for other in writers[_name_key(job.output)] if other != job]
        try:
            exists = _check_output(job.photo, job.mask, job.output, rivals)
        except OutputError as error:
            skips.append(Skip(job.photo, job.mask, job.output, error.message, error))
            continue
        if exists and not overwrite:
            skips.append(Skip(job.photo, job.mask, job.output, THERE))
        else:
            kept.append(job)
    return kept, skips


def _name_key(path: Path) -> str:
    """Equal for paths that are one on file systems that ignore case or forms of Unicode."""
    return unicodedata.normalize("NFC", str(path).casefold())


def _check_output(
    photo: Path, mask: Path | None, output: Path, rivals: Sequence[Path] = ()
) -> bool:
    """Whether the output exists.

    Raises:
        OutputError: it must not be written, or its name cannot be.
    """
    try:
        exists = output.exists()
    except OSError as error:
        raise OutputError(
            f"{output} cannot be written: {error.strerror}.", hint="Shorten its name."
        ) from error
    for kind, path in (("photo", photo), ("mask", mask)):
        if exists and path is not None and _is(path, output):
            raise OutputError(
                f"{output} is the {kind} itself; inputs are never changed.",
                hint="Name another output with -o.",
            )
    if rivals:
        raise OutputError(f"{rivals[0]} would write {output} too.", hint="Rename one of them.")
    return exists


def _is(one: Path, other: Path) -> bool:
    """Whether two names, of which at least one is a file's, are one file."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
