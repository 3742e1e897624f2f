"""Which mask belongs to which photo, and what would be written where: known before any work.

A mask belongs to a photo by relative path and stem: in the mask folder `NAME.EXT`, `NAME.mask.EXT`
or `NAME_mask.EXT`, any image suffix; without a mask folder, `NAME.mask.EXT` beside the photo. One
mask file serves all photos; `alpha` takes each photo's transparent pixels.
"""

import errno
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from inpaintcli.errors import InpaintError, MisfitError, OutputError, UnreadableError, UsageError
from inpaintcli.folders import Chooser, Found, look_into
from inpaintcli.images import check_suffix, check_writable, taken
from inpaintcli.places import Place, is_one, is_one_place, names_in, place, relative
from inpaintcli.stores import Url

ALPHA = "alpha"
STDOUT = Path("-")
Relative = TypeVar("Relative", bound=PurePath)
THERE = "its output exists already"
NO_MASK = "it has no mask"
_ENDINGS = (".mask", "_mask")


@dataclass(frozen=True)
class Errand:
    """One photo to fill. `mask` is None where the photo's transparent pixels are the hole.

    `replaces`: what lies under the output's name is known to be ours, and may be replaced.
    """

    photo: Place
    mask: Place | None
    output: Place
    replaces: bool = False


@dataclass(frozen=True)
class Job(Errand):
    """An errand among files of this machine."""

    photo: Path
    mask: Path | None
    output: Path


def errand(photo: Place, mask: Place | None, output: Place) -> Errand:
    """The errand, a Job where all are files."""
    if isinstance(photo, Path) and isinstance(output, Path) and not isinstance(mask, Url):
        return Job(photo, mask, output)
    return Errand(photo, mask, output)


@dataclass(frozen=True)
class Skip:
    """One photo that is left alone, and why: an error where that is a failure.

    `done`: there is nothing to do, and nothing to say unless asked.
    """

    photo: Place
    mask: Place | None
    output: Place | None
    reason: str
    error: InpaintError | None = None
    done: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run will do. Plain values: a plan may travel to another machine.

    `orphans` are masks without a photo, `links` folders that were not entered for being links.
    """

    jobs: tuple[Errand, ...]
    skips: tuple[Skip, ...] = ()
    orphans: tuple[Place, ...] = ()
    links: tuple[Path, ...] = ()


def plan_photo(photo: Place, mask: str | None, output: Place | None, *, overwrite: bool) -> Errand:
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
        return errand(photo, chosen, STDOUT)
    target: Place = output or photo.with_name(f"{photo.stem}.filled{photo.suffix}")
    with _nameable(target):
        target = target / photo.name if target.is_dir() else target
    exists = _check_output(photo, chosen, target)
    if isinstance(target, Path):
        source = photo if isinstance(photo, Path) else None
        check_writable(target, source=source, overwrite=overwrite)
    else:
        check_suffix(target.suffix)
        if exists and not overwrite:
            raise taken(target)
    return errand(photo, chosen, target)


def mask_for(
    photo: Place, mask: str | None, indexes: dict[Place, "MaskIndex"] | None = None
) -> Place | None:
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
    named = None if mask is None else place(mask)
    if named is not None and not named.is_dir():
        if not named.exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
        return named
    folder = photo.parent if named is None else named
    indexes = {} if indexes is None else indexes
    if folder not in indexes:
        pictures = look_into(folder, recursive=False).pictures
        beside = mask is None or is_one_place(folder, photo.parent)
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
    folder: Place,
    mask: str | None,
    output: Place,
    *,
    overwrite: bool,
    wanted: Chooser | None = None,
) -> Plan:
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
    wanted = wanted or Chooser()
    found = _asked_for(look_into(folder, leave_out=_apart(folder, mask, output)), folder, wanted)
    matched = _matched(found.pictures, folder, mask, wanted)
    output_of = names_in(output)
    placed = [
        errand(job.photo, job.mask, output_of(relative(job.photo, folder))) for job in matched.jobs
    ]
    jobs, more = checked(placed, overwrite=overwrite)
    broken = [Skip(path, None, None, error.message, error) for path, error in found.broken]
    skips = (*broken, *matched.skips, *more)
    return Plan(tuple(jobs), skips, matched.orphans, tuple(found.links))


def _asked_for(found: Found, folder: Place, wanted: Chooser) -> Found:
    """What was found, without the troubles of what nobody asked for; all pictures stay."""

    def is_asked_for(path: Path) -> bool:
        name = relative(path, folder)
        # A broken link stands for a photo; a folder may hold any.
        return wanted(name) if path.is_symlink() and not path.is_dir() else wanted.may_hold(name)

    broken = [(path, error) for path, error in found.broken if is_asked_for(path)]
    links = [path for path in found.links if is_asked_for(path)]
    return Found(found.pictures, broken, links)


def check_folder(output: Place) -> None:
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
    masks = [path for path in pictures if path.stem.endswith(_ENDINGS[:1])]
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
) -> Plan:
    """Photos with their masks, as jobs whose output is the photo itself; nothing is checked."""
    photos, masks = _told_apart(pictures, folder, mask)
    jobs: list[Errand] = []
    skips: list[Skip] = []
    used: set[Place] = set()
    for photo in photos:
        name = relative(photo, folder)
        try:
            chosen = masks.of(name) if isinstance(masks, MaskIndex) else masks
        except MisfitError as error:
            skips.append(Skip(photo, None, None, error.message, error))
            continue
        used |= {chosen} if chosen else set()
        if not wanted(name):
            continue
        if chosen is None and mask != ALPHA:
            skips.append(Skip(photo, None, None, NO_MASK))
            continue
        jobs.append(errand(photo, chosen, photo))
    orphans = masks.without(used) if isinstance(masks, MaskIndex) else ()
    return Plan(tuple(jobs), tuple(skips), orphans)


def _told_apart(
    pictures: list[Place], folder: Place, mask: str | None
) -> tuple[list[Place], "MaskIndex | Place | None"]:
    """The photos among the pictures, and their masks: an index, one file, or None for alpha."""
    if mask == ALPHA:
        return pictures, None
    where = folder if mask is None else place(mask)
    if mask is not None and not where.is_dir():
        if not where.exists():
            raise UnreadableError(f"The mask {mask} does not exist.")
        return [path for path in pictures if not is_one(path, where)], where
    if is_one_place(where, folder):
        endings = _ENDINGS[:1] if mask is None else _ENDINGS
        masks = [path for path in pictures if path.stem.endswith(endings)]
        known = set(masks)
        photos = [path for path in pictures if path not in known]
        return photos, MaskIndex(masks, folder, beside=True)
    return pictures, MaskIndex(look_into(where).pictures, where, beside=False)


def photos_of_mask(mask: Relative, *, beside: bool) -> tuple[Relative, ...]:
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

    def __init__(self, masks: Iterable[Place], folder: Place, *, beside: bool) -> None:
        """Index `masks`, all in `folder`; `beside` photos, a bare name is no mask."""
        self._of: dict[PurePath, list[Place]] = defaultdict(list)
        self._all = tuple(masks)
        for path in self._all:
            for photo in photos_of_mask(PurePath(relative(path, folder)), beside=beside):
                self._of[photo].append(path)

    def of(self, photo: PurePath) -> Place | None:
        """The mask for a photo at that relative path, if there is one.

        Raises:
            MisfitError: more than one fits.
        """
        found = self._of.get(PurePath(photo.with_name(photo.stem)), [])
        if len(found) > 1:
            names = ", ".join(sorted(path.name for path in found))
            raise MisfitError(f"More than one mask fits {photo}: {names}.", hint="Keep one.")
        return found[0] if found else None

    def without(self, used: set[Place]) -> tuple[Place, ...]:
        """The masks that no photo uses."""
        return tuple(path for path in self._all if path not in used)


def checked(jobs: Sequence[Errand], *, overwrite: bool) -> tuple[list[Errand], list[Skip]]:
    """The jobs without those that must not, or need not, be done; and those, with the reasons."""
    writers: dict[str, list[Errand]] = defaultdict(list)
    for job in jobs:
        writers[_name_key(job.output)].append(job)
    kept: list[Errand] = []
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


def _name_key(path: Place) -> str:
    """Equal for paths that are one on file systems that ignore case or forms of Unicode."""
    if isinstance(path, Url):
        return path.text
    return unicodedata.normalize("NFC", str(path).casefold())


@contextmanager
def _nameable(output: Place) -> Iterator[None]:
    """Tell of an output that cannot even be looked for, for a name that is too long, say.

    Raises:
        OutputError: it cannot.
    """
    try:
        yield
    except OSError as error:
        hint = "Shorten its name." if error.errno == errno.ENAMETOOLONG else ""
        told = f"{output} cannot be written: {error.strerror or error}."
        raise OutputError(told, hint=hint) from error


def _check_output(
    photo: Place, mask: Place | None, output: Place, rivals: Sequence[Place] = ()
) -> bool:
    """Whether the output exists.

    Raises:
        OutputError: it must not be written, or its name cannot be.
    """
    with _nameable(output):
        exists = output.exists()
    for kind, path in (("photo", photo), ("mask", mask)):
        if exists and path is not None and is_one(path, output):
            raise OutputError(
                f"{output} is the {kind} itself; inputs are never changed.",
                hint="Name another output with -o.",
            )
    if rivals:
        raise OutputError(f"{rivals[0]} would write {output} too.", hint="Rename one of them.")
    return exists
