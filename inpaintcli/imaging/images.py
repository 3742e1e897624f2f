"""The door to pictures on disk: telling kinds apart, reading, writing whole or not at all.

Reading goes by what is in the file, writing by the suffix of its name.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from inpaintcli.errors import InpaintError, OutputError, UnreadableError
from inpaintcli.imaging import metadata
from inpaintcli.imaging.formats import bmp, jpeg, png, tiff, webp
from inpaintcli.imaging.picture import Picture

FORMATS: tuple[ModuleType, ...] = (png, jpeg, tiff, webp, bmp)
SUFFIXES: frozenset[str] = frozenset(suffix for kind in FORMATS for suffix in kind.SUFFIXES)
TEMPORARY_SUFFIX = ".inpaintcli-part"
"""Of files being written; who watches a folder leaves them alone."""

STRANGERS = (
    (0, b"GIF8", "a GIF"),
    (4, b"ftypheic", "a HEIC photo"),
    (4, b"ftypheix", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIF photo"),
    (4, b"ftypavif", "an AVIF photo"),
    (4, b"ftypcr", "a Canon raw photo"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"\xff\x0a", "a JPEG XL photo"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL photo"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"%PDF", "a PDF document"),
)
"""Offset, bytes and name of kinds that people mistake for what we read."""
STRANGE_SUFFIXES = frozenset(
    (".arw", ".avif", ".cr2", ".cr3", ".dng", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".nef")
) | {".orf", ".psd", ".raf", ".rw2", ".xcf"}
"""Of pictures that we do not read: who has some among the photos should hear of them."""


def ignore(note: str) -> None:
    """Take a note and do nothing with it."""


def read_picture(path: Path) -> Picture:
    """The picture in `path`, as displayed, whatever its suffix says.

    Raises:
        UnreadableError: missing, no picture, damaged, too large, or of a kind that cannot come
            back unchanged (CMYK, floating point, animated, several pages).
    """
    kind, data = _content(path)
    picture: Picture = kind.read(data, str(path))
    return picture


def check_readable(path: Path) -> None:
    """Refuse by its first bytes what `read_picture` would refuse after the work has begun.

    Pipes and the like can be read only once, and are let through.

    Raises:
        UnreadableError: missing, empty, or no picture of a kind that we read.
    """
    if not path.exists() or path.is_file() or path.is_dir():
        _content(path, whole=False)


def encode_picture(picture: Picture, suffix: str) -> bytes:
    """The file that `picture` becomes under `suffix`, with the metadata its `origin` carries.

    Raises:
        OutputError: the suffix is of no format, or the format cannot hold the picture.
    """
    encoded: bytes = _format_of(suffix).write(picture)
    return encoded


def picture_bytes(
    picture: Picture,
    suffix: str,
    *,
    source: Path | None = None,
    notes: Callable[[str], None] = ignore,
) -> bytes:
    """As `encode_picture`, with the metadata of the file `source` that only exiftool can copy.

    What exiftool returns is decoded and compared; where it failed or does not fit, the file
    stays as it was and `notes` is told. The picture is never lost over its metadata.

    Raises:
        OutputError: the suffix is of no format, or the format cannot hold the picture.
    """
    kind, origin = _format_of(suffix), picture.origin
    encoded = encode_picture(picture, suffix)
    if not kind.EXIFTOOL_WRITES and (origin.icc or origin.exif or origin.xmp):
        notes(f"{kind.NAME} holds no metadata: colour profile, EXIF and XMP were not kept.")
    if source is not None and origin.left_out:
        notes(f"{source.name}: not kept: {origin.left_out}.")
    if source is None or not kind.EXIFTOOL_WRITES:
        return encoded
    if kind.WHOLE_METADATA and origin.format == kind.NAME:
        if not (origin.exif or origin.xmp):  # then there are no previews either
            return encoded
        completed = metadata.without_previews(encoded, kind.SUFFIXES[0])
    else:
        completed = metadata.with_tags_of(source, encoded, kind.SUFFIXES[0], notes)
    if completed is None or completed == encoded:
        return encoded
    if _shows_the_same(completed, encoded, kind):
        return completed
    notes(f"{source.name}: exiftool changed the picture; its metadata were copied without it.")
    return encoded


def write_picture(
    picture: Picture,
    path: Path,
    *,
    source: Path | None = None,
    overwrite: bool = False,
    notes: Callable[[str], None] = ignore,
) -> None:
    """Write `picture` to `path`, in the format of its suffix; it appears there only when whole.

    Raises:
        OutputError: the file exists and `overwrite` is false, is `source` itself, the format
            cannot hold the picture, or it cannot be written. No part of a file remains.
    """
    check_writable(path, source=source, overwrite=overwrite)
    write_bytes(picture_bytes(picture, path.suffix, source=source, notes=notes), path, overwrite)


def check_writable(path: Path, *, source: Path | None = None, overwrite: bool = False) -> None:
    """Refuse early what `write_picture` would refuse after the work is done.

    Raises:
        OutputError: as for `write_picture`, as far as can be told beforehand.
    """
    _format_of(path.suffix)
    try:
        _check_place(path, source, overwrite)
    except OSError as fault:
        raise _unwritable(path, fault) from fault


def check_suffix(suffix: str) -> None:
    """Refuse a suffix that is of no format.

    Raises:
        OutputError: it is.
    """
    _format_of(suffix)


def _check_place(path: Path, source: Path | None, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise OutputError(
            f"{path.parent} is not a folder.", hint="Create it, or name another output."
        )
    if path.is_dir():
        raise OutputError(f"{path} is a folder.", hint="Name a file in it.")
    if not path.exists():
        return
    if source is not None and source.exists() and path.samefile(source):
        raise OutputError(f"{path} is the input itself.", hint="Name another output.")
    if not overwrite:
        raise taken(path)


def temporary_name() -> str:
    """A new name for a file that is still being written."""
    return f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"


def write_bytes(
    data: bytes | Iterable[bytes],
    path: Path,
    overwrite: bool = False,
    *,
    temporary: Path | None = None,
) -> None:
    """Put `data` under the name `path` in one step.

    Args:
        data: the whole file, or its parts in order.
        path: its name.
        overwrite: whether an existing file may be replaced.
        temporary: the name to write it under first, in the same folder; None chooses one.

    Raises:
        OutputError: it exists and `overwrite` is false, or it cannot be written.
    """
    try:
        with _written(data, temporary or path.with_name(temporary_name())) as whole:
            _place(whole, path, overwrite)
    except FileExistsError as fault:
        raise taken(path) from fault
    except OSError as fault:
        raise _unwritable(path, fault) from fault


def _content(path: Path, *, whole: bool = True) -> tuple[ModuleType, bytes]:
    """The format that begins as the file does, and the file, whole or only how it begins."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
            # Before the rest is read: it might be somebody's film.
            return _kind_of(head, path), head + file.read() if whole else head
    except FileNotFoundError as fault:
        raise UnreadableError(f"{path} does not exist.") from fault
    except IsADirectoryError as fault:
        raise UnreadableError(f"{path} is a folder.", hint="Name a picture.") from fault
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise UnreadableError(f"{path} cannot be read: {reason}.") from fault
    except MemoryError as fault:
        raise UnreadableError(f"{path} is larger than the memory of this machine.") from fault


def _kind_of(head: bytes, path: Path) -> ModuleType:
    if not head:
        raise UnreadableError(f"{path} is empty.", hint="Copy or export it again.")
    for kind in FORMATS:
        if kind.accepts(head):
            return kind
    raise _stranger(head, path)


def _stranger(head: bytes, path: Path) -> UnreadableError:
    known = ", ".join(kind.NAME for kind in FORMATS)
    for offset, magic, what in STRANGERS:
        if head[offset:].startswith(magic):
            return UnreadableError(
                f"{path} is {what}, which is not supported.", hint=f"Convert it to one of {known}."
            )
    return UnreadableError(f"{path} is not a picture.", hint=f"Known are {known}.")


def _format_of(suffix: str) -> ModuleType:
    for kind in FORMATS:
        if suffix.lower() in kind.SUFFIXES:
            return kind
    named = f"a picture named *{suffix}" if suffix else "a picture without a suffix"
    raise OutputError(
        f"{named} cannot be written.".capitalize(),
        hint=f"Use one of {' '.join(sorted(SUFFIXES))}.",
    )


def _shows_the_same(completed: bytes, encoded: bytes, kind: ModuleType) -> bool:
    """Whether two files of one kind decode to the same pixels, the same way up."""
    try:
        found, wanted = kind.read(completed, "copy"), kind.read(encoded, "copy")
    except InpaintError:
        return False
    same_alpha = (found.alpha is None) == (wanted.alpha is None) and (
        found.alpha is None or np.array_equal(found.alpha, wanted.alpha)
    )
    same_origin = (found.origin.orientation, found.origin.mode) == (
        wanted.origin.orientation,
        wanted.origin.mode,
    )
    return same_alpha and same_origin and np.array_equal(found.pixels, wanted.pixels)


def taken(path: object) -> OutputError:
    """The error of a name that is taken."""
    return OutputError(f"{path} exists.", hint="Name another output, or pass --overwrite.")


def _unwritable(path: Path, fault: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {fault.strerror or fault}.",
        hint="Name another output, or see to the folder's rights and free space.",
    )


@contextmanager
def _written(data: bytes | Iterable[bytes], temporary: Path) -> Iterator[Path]:
    """The file `temporary` with `data` in it, on the disk; gone afterwards, whatever happens."""
    try:
        with temporary.open("xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())  # a full disk or a lost share is told now, not on closing
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _place(temporary: Path, path: Path, overwrite: bool) -> None:
    """Give a whole file its name.

    Raises:
        FileExistsError: the name is taken and `overwrite` is false; there is no moment between
            looking and taking in which somebody else's file could be replaced.
    """
    if overwrite:
        temporary.replace(path)
        return
    if os.name == "nt":
        temporary.rename(path)  # refuses to replace, there
        return
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, some network shares): claim the name, then take it.
        path.touch(exist_ok=False)
        temporary.replace(path)
