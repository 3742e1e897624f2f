"""The contact sheet of a run: photos before and after, in one HTML file with its pictures."""

import base64
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaintcli import __version__
from inpaintcli.batch.outcome import Outcome
from inpaintcli.errors import InpaintError, OutputError
from inpaintcli.imaging.images import read_picture, write_bytes
from inpaintcli.imaging.picture import Picture
from inpaintcli.storage.locations import Location, local_copy

THUMBNAIL_SIDE = 240
"""Pixels of a thumbnail's longer side."""
MAX_PAIRS = 1000
"""Photos that are shown, evenly chosen: browsers are slow with more pictures."""
MAX_FAILURES = 5000
"""Failures that are listed; the journal has them all."""
BACKGROUND = 200
"""The grey behind transparent pixels, of 255."""
_TEMPLATES = Path(__file__).parent / "templates"
_MARK = b'<meta name="generator" content="inpaintcli'


class ContactSheet:
    """Collects outcomes in a temporary file until `close`; `write` makes the page.

    The temporary file is beside the page, where there must be space for it anyway. If there is
    none, photos are filled all the same, and `write` says so.
    """

    def __init__(self, path: Path, photos: int, *, overwrite: bool) -> None:
        """Begin a contact sheet of that many photos.

        Raises:
            OutputError: `path` exists and is not a contact sheet, or cannot be written.
        """
        _check(path, overwrite)
        self._path = path
        self._step = max(1, math.ceil(photos / MAX_PAIRS))
        self._pairs = 0
        self._failures = 0
        self._error: OSError | None = None
        try:
            self._spool = tempfile.TemporaryFile("w+", encoding="ascii", dir=path.absolute().parent)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise _unwritable(path, error) from error

    def add(self, outcome: Outcome) -> None:
        """Add an outcome: with pictures if it has an output and is one of those that are shown."""
        if outcome.error is not None:
            self._failures += 1
            if self._failures <= MAX_FAILURES:
                self._store(outcome, None)
            return
        if outcome.output is None:
            return
        self._pairs += 1
        if (self._pairs - 1) % self._step:
            return
        with suppress(InpaintError):  # removed or changed in the meantime: nothing to show
            self._store(outcome, [thumbnail(outcome.input), thumbnail(outcome.output)])

    def write(self, *, title: str, summary: str) -> None:
        """Write the page, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        from jinja2 import Environment, FileSystemLoader

        if self._error is not None:
            raise _unwritable(self._path, self._error) from self._error
        environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True)
        page = environment.get_template("contact_sheet.html").generate(
            version=__version__,
            title=title,
            at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            summary=summary,
            pairs=self._pairs,
            step=self._step,
            unlisted_failures=max(0, self._failures - MAX_FAILURES),
            photos=self._read_back(),
        )
        data = (part.encode("utf-8", "backslashreplace") for part in page)
        write_bytes(data, self._path, overwrite=True)

    def _store(self, outcome: Outcome, pictures: list[str] | None) -> None:
        error = outcome.error
        fields = {
            "name": str(outcome.input),
            "output": str(outcome.output) if outcome.output else None,
            "pictures": pictures,
            "note": outcome.note or None,
            "error": str(error) if error else None,
        }
        if self._error is None:
            try:
                self._spool.write(json.dumps(fields) + "\n")
                self._spool.flush()
            except OSError as error:
                self._error = error

    def _read_back(self) -> Iterator[Any]:
        self._spool.seek(0)
        return (json.loads(line) for line in self._spool)

    def close(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):  # it could not be written
            self._spool.close()


def thumbnail(location: Location) -> str:
    """A small JPEG of a picture, in base64.

    Raises:
        UnreadableError: the picture cannot be read.
    """
    import cv2

    with local_copy(location) as path:
        rgb = _small(read_picture(path))
    encoded = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]))[1]
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def _small(picture: Picture) -> NDArray[np.uint8]:
    """(h, w, 3) RGB within THUMBNAIL_SIDE, over grey where it is transparent."""
    import cv2

    scale = min(1.0, THUMBNAIL_SIDE / max(picture.height, picture.width))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    top = np.float32(255 if picture.depth == 8 else 65535)

    def shrunk(plane: NDArray[Any]) -> NDArray[np.float32]:
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        return small.reshape(size[1], size[0], -1) * (255 / top)

    rgb = np.broadcast_to(shrunk(picture.pixels), (size[1], size[0], 3))
    if picture.alpha is not None:
        opacity = shrunk(picture.alpha) / np.float32(255)
        rgb = rgb * opacity + np.float32(BACKGROUND) * (1 - opacity)
    return np.rint(rgb).astype(np.uint8)


def _check(path: Path, overwrite: bool) -> None:
    """Refuse a path that could not be written later: called before any work."""
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is not a folder.", hint="Create it first.")
    try:
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is no regular file.", hint="Name another.")
        if not path.exists() or overwrite:
            return
        with path.open("rb") as file:
            is_contact_sheet = _MARK in file.read(1000)
    except OSError as error:
        raise _unwritable(path, error) from error
    if not is_contact_sheet:
        raise OutputError(
            f"{path} exists and is not a contact sheet of this program.",
            hint="Name another, or pass --overwrite.",
        )


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"The report {path} cannot be written: {error.strerror}.")
