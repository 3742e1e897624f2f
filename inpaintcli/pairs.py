"""Which mask belongs to which photo, and what would be written where: known before any work.

A mask belongs to a photo by relative path and stem: in the mask folder `NAME.EXT`, `NAME.mask.EXT`
or `NAME_mask.EXT`, any image suffix; without a mask folder, `NAME.mask.EXT` beside the photo. One
mask file serves all photos; `alpha` takes each photo's transparent pixels.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inpaintcli.errors import InpaintError, MisfitError, OutputError, UnreadableError, UsageError
from inpaintcli.images import SUFFIXES, check_writable

ALPHA = "alpha"
STDOUT = Path("-")
_ENDINGS = (".mask", "_mask")


@dataclass(frozen=True)
class Job:
    """One photo to fill. `mask` is None where the photo's transparent pixels are the hole."""

    photo: Path
    mask: Path | None
    output: Path


@dataclass(frozen=True)
class Skip:
    """One photo that is left alone, and why: an error where that is a failure."""

    photo: Path
    mask: Path | None
    output: Path | None
    reason: str
    error: InpaintError | None = None


@dataclass(frozen=True)
class Plan:
    """What a run will do; `orphans` are masks without a photo."""

    jobs: tuple[Job, ...]
    skips: tuple[Skip, ...] = ()
    orphans: tuple[Path, ...] = field(default=())


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
    chosen = _mask_of_one(photo, mask)
    if output == STDOUT:
        return Job(photo, chosen, STDOUT)
    target = output or photo.with_name(f"{photo.stem}.filled{photo.suffix}")
    if target.is_dir():
        target = target / photo.name
    _check_output(photo, chosen, target)
    check_writable(target, source=photo, overwrite=overwrite)
    return Job(photo, chosen, target)


def _mask_of_one(photo: Path, mask: str | None) -> Path | None:
    if mask == ALPHA:
        return None
    if mask is not None and not Path(mask).is_dir():
        if not Path(mask).exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
        return Path(mask)
    folder = photo.parent if mask is None else Path(mask)
    beside = mask is None or _same(folder, photo.parent)
    masks = _MaskIndex(_pictures(folder, recursive=False), folder, beside=beside)
    found = masks.of(Path(photo.name))
    if found is None:
        where = f"{folder} holds no mask for {photo.name}" if mask else "No mask was given"
        raise UsageError(
            f"{where}.",
            hint=f"Pass --mask FILE, --mask alpha, or name it {photo.stem}.mask.png.",
        )
    return found


def plan_folder(folder: Path, mask: str | None, output: Path, *, overwrite: bool) -> Plan:
    """The jobs for all photos of a folder and its subfolders; the output mirrors the tree.

    Args:
        folder: of the photos.
        mask: a folder, one file for all, `alpha`, or None for masks beside the photos.
        output: a folder, made when needed; inside `folder` it is left out of the search.
        overwrite: whether existing outputs are replaced; they are skipped otherwise.

    Raises:
        UnreadableError: the mask does not exist.
        UsageError: the output is a file.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; -o takes a folder for many photos.")
    pictures = [path for path in _pictures(folder) if not _inside(path, output)]
    photos, masks = _told_apart(pictures, folder, mask)
    jobs: list[Job] = []
    skips: list[Skip] = []
    used: set[Path] = set()
    for photo in photos:
        relative = photo.relative_to(folder)
        target = output / relative
        try:
            chosen = masks.of(relative) if isinstance(masks, _MaskIndex) else masks
        except MisfitError as error:
            skips.append(Skip(photo, None, target, error.message, error))
            continue
        if chosen is None and mask != ALPHA:
            skips.append(Skip(photo, None, None, "it has no mask"))
            continue
        used |= {chosen} if chosen else set()
        jobs.append(Job(photo, chosen, target))
    jobs, more = _checked(jobs, overwrite=overwrite)
    orphans = masks.without(used) if isinstance(masks, _MaskIndex) else ()
    return Plan(tuple(jobs), (*skips, *more), orphans)


def _told_apart(
    pictures: list[Path], folder: Path, mask: str | None
) -> tuple[list[Path], "_MaskIndex | Path | None"]:
    """The photos among the pictures, and their masks: an index, one file, or None for alpha."""
    if mask == ALPHA:
        return pictures, None
    if mask is not None and not Path(mask).is_dir():
        one = Path(mask)
        if not one.exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
        return [path for path in pictures if not _same(path, one)], one
    where = folder if mask is None else Path(mask)
    if _same(where, folder):
        endings = _ENDINGS[:1] if mask is None else _ENDINGS
        masks = [path for path in pictures if path.stem.endswith(endings)]
        photos = [path for path in pictures if path not in set(masks)]
        return photos, _MaskIndex(masks, folder, beside=True)
    photos = [path for path in pictures if not _inside(path, where)]
    return photos, _MaskIndex(_pictures(where), where, beside=False)


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


class _MaskIndex:
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


def _checked(jobs: list[Job], *, overwrite: bool) -> tuple[list[Job], list[Skip]]:
    """Leave out what must not, or need not, be written."""
    writers: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        writers[str(job.output).casefold()].append(job)
    kept: list[Job] = []
    skips: list[Skip] = []
    for job in jobs:
        rivals = [other.photo for other in writers[str(job.output).casefold()] if other != job]
        try:
            _check_output(job.photo, job.mask, job.output, rivals)
        except OutputError as error:
            skips.append(Skip(job.photo, job.mask, job.output, error.message, error))
            continue
        if job.output.exists() and not overwrite:
            skips.append(Skip(job.photo, job.mask, job.output, "its output exists already"))
        else:
            kept.append(job)
    return kept, skips


def _check_output(
    photo: Path, mask: Path | None, output: Path, rivals: Sequence[Path] = ()
) -> None:
    for kind, path in (("photo", photo), ("mask", mask)):
        if path is not None and _same(path, output):
            raise OutputError(
                f"{output} is the {kind} itself; inputs are never changed.",
                hint="Name another output with -o.",
            )
    if rivals:
        raise OutputError(f"{rivals[0]} would write {output} too.", hint="Rename one of them.")


def _pictures(folder: Path, *, recursive: bool = True) -> list[Path]:
    """All files with a picture's suffix, sorted; hidden ones and unfinished ones left out.

    Raises:
        UnreadableError: the folder does not exist or cannot be listed.
    """
    if not folder.is_dir():
        raise UnreadableError(f"{folder} is not a folder.")
    paths = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
