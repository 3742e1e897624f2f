"""Reads and writes picture files of all formats; a file is written completely or not at all.

The format is recognised by the content when reading, and chosen by the suffix when writing.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from inpaintcli.errors import OutputError, UnreadableError
from inpaintcli.imaging.formats import bmp, jpeg, png, tiff, webp
from inpaintcli.imaging.metadata import policy
from inpaintcli.imaging.metadata.photoshop import iptc_of
from inpaintcli.imaging.metadata.removals import Removals
from inpaintcli.imaging.picture import Origin, Picture
from inpaintcli.imaging.picture_format import PictureFormat
from inpaintcli.imaging.preservation import Preservation, Preserved, ignore
from inpaintcli.imaging.renaming import rename_new
from inpaintcli.options import JpegMethod, MetadataPolicy

FORMATS: tuple[PictureFormat, ...] = (png, jpeg, tiff, webp, bmp)
SUFFIXES: frozenset[str] = frozenset(suffix for kind in FORMATS for suffix in kind.SUFFIXES)
TEMPORARY_SUFFIX = ".inpaintcli-part"
"""Of files being written; programs that watch a folder ignore them."""

WHOLE = "the whole picture was coded anew, not only the hole's blocks, as {}."
"""Where JPEG cannot come back without loss."""

UNSUPPORTED_KINDS = (
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
"""Offset, bytes and name of other kinds of pictures and documents, for errors."""
UNSUPPORTED_SUFFIXES = frozenset(
    (".arw", ".avif", ".cr2", ".cr3", ".dng", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".nef")
) | {".orf", ".psd", ".raf", ".rw2", ".xcf"}
"""Of pictures in formats that are not supported; folders that hold some get a note."""


def ignore_note(note: str) -> None:
    """Do nothing with a note."""


def read_picture(path: Path) -> Picture:
    """The picture in `path`, as displayed; its suffix does not matter.

    Raises:
        UnreadableError: missing, not a picture, damaged, too large, or of a kind that cannot be
            written back unchanged (CMYK, floating point, animated, several pages).
    """
    kind, data = _content(path)
    return kind.read(data, str(path))


def read_content(path: Path) -> bytes:
    """All bytes of a picture file.

    Raises:
        UnreadableError: missing, or not a picture of a supported format.
    """
    return _content(path)[1]


def parse_picture(data: bytes, name: str) -> Picture:
    """The picture in a file's content, as `read_picture`; `name` is for errors."""
    return _format_by_content(data[:16], Path(name)).read(data, name)


def check_readable(path: Path) -> None:
    """Check by its first bytes that `read_picture` can read a file, before any work.

    Pipes and the like can be read only once, and are not checked.

    Raises:
        UnreadableError: missing, empty, or not a picture of a supported format.
    """
    if not path.exists() or path.is_file() or path.is_dir():
        _content(path, whole=False)


def encode_picture(picture: Picture, suffix: str) -> bytes:
    """The file of `picture` under `suffix`, with the safe metadata of its `origin`.

    Raises:
        OutputError: the suffix is of no format, or the format cannot hold the picture.
    """
    return picture_bytes(picture, suffix)


def picture_bytes(
    picture: Picture,
    suffix: str,
    *,
    name: str = "",
    metadata: MetadataPolicy = "safe",
    notes: Callable[[str], None] = ignore_note,
    removed: Callable[[str], None] = ignore_note,
    jpeg_method: JpegMethod = "blocks",
    preserved: Preserved = ignore,
) -> bytes:
    """The file of `picture` under `suffix`.

    Args:
        picture: with the origin that holds the metadata.
        suffix: of the format.
        name: of the photo, for the sentences.
        metadata: what of them is written, see `metadata.policy`.
        notes: takes sentences on what was lost, or is kept although it shows the photo unfilled.
        removed: takes a sentence on previews that were removed.
        jpeg_method: `blocks` codes only those blocks of a JPEG anew that were filled, `whole` all.
        preserved: takes, of a photo and output that are both JPEG, whether all but what was filled
            is as it was; a note says why where `blocks` could not be had.

    Raises:
        OutputError: the suffix is of no format, or the format cannot hold the picture.
    """
    kind, removals = _format_of(suffix), Removals()
    origin = policy.applied(picture.origin, metadata, removals)
    before = f"{name}: " if name else ""
    if jpeg_method == "whole":
        origin = replace(origin, encoding=origin.encoding.whole())
    found = replace(picture, origin=origin)

    def report(preservation: Preservation) -> None:
        preserved(preservation)
        if jpeg_method == "blocks" and not preservation.lossless:
            notes(f"{before}{WHOLE.format(preservation.reason)}")

    write_jpeg = partial(jpeg.write_preserving, preserved=report, notes=notes)
    encoded = write_jpeg(found) if kind is jpeg else kind.write(found)
    other = origin.format and origin.format.upper() != kind.NAME.upper()
    if other and Path(name).suffix.lower() in kind.SUFFIXES:
        notes(
            f"{name} is a {origin.format.upper()} file by its content; "
            f"written as {kind.NAME}, after its name. Name an output of the right suffix with -o."
        )
    for note in _losses(origin, kind, metadata, removals):
        notes(f"{before}{note}.")
    if metadata == "safe" and (sentence := removals.previews_sentence()):
        removed(f"{before}{sentence}.")
    return encoded


def _losses(
    origin: Origin, kind: PictureFormat, metadata: MetadataPolicy, removals: Removals
) -> Iterator[str]:
    """Sentences on what the output does not hold, or holds although it shows the unfilled photo."""
    yield from origin.remarks
    if origin.left_out:
        yield f"not kept: {origin.left_out}"
    if origin.format != kind.NAME and (lost := origin.encoding.only_here()):
        yield f"{kind.NAME} cannot hold, so not kept: {lost}"
    if metadata == "strip":
        return
    if metadata == "keep" and (kept := removals.names()):
        yield f"kept as asked, and may show the unfilled photo: {', '.join(kept)}"
    if metadata == "safe" and (sentence := removals.losses_sentence()):
        yield sentence
    held = {"icc": origin.icc, "exif": origin.exif, "xmp": origin.xmp}
    missing = [name.upper() for name, block in held.items() if block and name not in kind.HOLDS]
    if origin.photoshop and "photoshop" not in kind.HOLDS and iptc_of(origin.photoshop):
        missing.append("IPTC")
    if missing:
        yield f"{kind.NAME} cannot hold, so not kept: {', '.join(missing)}"
    if large := jpeg.too_large(origin) if kind is jpeg else []:
        yield f"{kind.NAME} cannot hold that much, so not kept: {', '.join(large)}"


def write_picture(
    picture: Picture,
    path: Path,
    *,
    source: Path | None = None,
    overwrite: bool = False,
    metadata: MetadataPolicy = "safe",
    notes: Callable[[str], None] = ignore_note,
) -> None:
    """Write `picture` to `path`, in the format of its suffix; the file appears when complete.

    Raises:
        OutputError: the file exists and `overwrite` is false, is `source` itself, the format
            cannot hold the picture, or it cannot be written. No part of a file remains.
    """
    check_writable(path, source=source, overwrite=overwrite)
    name = source.name if source else ""
    data = picture_bytes(picture, path.suffix, name=name, metadata=metadata, notes=notes)
    write_bytes(data, path, overwrite)


def check_writable(path: Path, *, source: Path | None = None, overwrite: bool = False) -> None:
    """Check that `write_picture` can write to `path`, before any work.

    Raises:
        OutputError: as for `write_picture`, as far as can be known beforehand.
    """
    _format_of(path.suffix)
    try:
        _check_target(path, source, overwrite)
    except OSError as fault:
        raise _unwritable(path, fault) from fault


def suffix_by_content(data: bytes) -> str:
    """The usual suffix of a picture's format.

    Raises:
        UnreadableError: it is of no format that is read.
    """
    return str(_format_by_content(data, Path("standard input")).SUFFIXES[0])


def check_suffix(suffix: str) -> None:
    """Check that a suffix is one of a supported format.

    Raises:
        OutputError: it is not.
    """
    _format_of(suffix)


def _refuse_special(path: Path) -> None:
    """Refuse to replace a device, a pipe or a link to one.

    Raises:
        OutputError: it exists, and is no regular file.
    """
    if path.exists() and not path.is_file():
        raise OutputError(
            f"{path} is no regular file, and is not replaced.", hint="Name another file."
        )


def _check_target(path: Path, source: Path | None, overwrite: bool) -> None:
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
    _refuse_special(path)
    if not overwrite:
        raise already_exists(path)


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
        raise already_exists(path) from fault
    except OSError as fault:
        raise _unwritable(path, fault) from fault


def _content(path: Path, *, whole: bool = True) -> tuple[PictureFormat, bytes]:
    """The format of a file, and its content: all of it, or only the beginning."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
            # Checked before the rest is read, which might be a large video.
            return _format_by_content(head, path), head + file.read() if whole else head
    except FileNotFoundError as fault:
        raise UnreadableError(f"{path} does not exist.") from fault
    except IsADirectoryError as fault:
        raise UnreadableError(f"{path} is a folder.", hint="Name a picture.") from fault
    except ValueError as fault:
        raise UnreadableError(
            f"{path} cannot be read: its name holds a character that no file name can hold."
        ) from fault
    except OSError as fault:
        reason = fault.strerror or "the system does not say why"
        raise UnreadableError(f"{path} cannot be read: {reason}.") from fault
    except MemoryError as fault:
        raise UnreadableError(f"{path} is larger than the memory of this machine.") from fault


def _format_by_content(head: bytes, path: Path) -> PictureFormat:
    if not head:
        raise UnreadableError(f"{path} is empty.", hint="Copy or export it again.")
    for kind in FORMATS:
        if kind.accepts(head):
            return kind
    raise _unsupported(head, path)


def _unsupported(head: bytes, path: Path) -> UnreadableError:
    known = ", ".join(kind.NAME for kind in FORMATS)
    for offset, magic, what in UNSUPPORTED_KINDS:
        if head[offset:].startswith(magic):
            return UnreadableError(
                f"{path} is {what}, which is not supported.", hint=f"Convert it to one of {known}."
            )
    return UnreadableError(f"{path} is not a picture.", hint=f"Known are {known}.")


def _format_of(suffix: str) -> PictureFormat:
    for kind in FORMATS:
        if suffix.lower() in kind.SUFFIXES:
            return kind
    named = f"a picture named *{suffix}" if suffix else "a picture without a suffix"
    raise OutputError(
        f"{named} cannot be written.".capitalize(),
        hint=f"Use one of {' '.join(sorted(SUFFIXES))}.",
    )


def already_exists(path: object) -> OutputError:
    """The error where an output exists already."""
    return OutputError(f"{path} exists.", hint="Name another output, or pass --overwrite.")


def _unwritable(path: Path, fault: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {fault.strerror or fault}.",
        hint="Name another output, or see to the folder's rights and free space.",
    )


@contextmanager
def _written(data: bytes | Iterable[bytes], temporary: Path) -> Iterator[Path]:
    """The file `temporary` with `data` in it, flushed to disk; it is removed afterwards."""
    try:
        with temporary.open("xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(
                file.fileno()
            )  # so that a full disk or lost share is an error now, not on closing
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _place(temporary: Path, path: Path, overwrite: bool) -> None:
    """Rename a complete file to its name, atomically.

    Raises:
        FileExistsError: the name exists and `overwrite` is false; a file that another program
            creates meanwhile is never replaced.
    """
    if overwrite:
        _refuse_special(path)
        temporary.replace(path)
        return
    if os.name == "nt":
        rename_new(temporary, path)
        return
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        rename_new(temporary, path)  # no hard links here (FAT, some network shares)
