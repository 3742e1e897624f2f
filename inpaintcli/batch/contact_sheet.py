"""A contact sheet of a run: one HTML file that needs no other, before and after side by side."""

import base64
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inpaintcli import __version__
from inpaintcli.batch.outcome import Outcome
from inpaintcli.errors import InpaintError, OutputError
from inpaintcli.imaging.images import read_picture, write_bytes
from inpaintcli.imaging.picture import Picture
from inpaintcli.storage.locations import Location, local_copy

SIDE = 240
"""Of the thumbnails, in pixels."""
SHOWN = 1000
"""Photos with pictures at most, evenly chosen; more would be more than a browser shows."""
TOLD = 5000
"""Failures at most; the journal names them all."""
BACKDROP = 200
"""The grey behind transparent pixels."""
_TEMPLATES = Path(__file__).parent / "templates"
_MARK = b'<meta name="generator" content="inpaintcli'


class ContactSheet:
    """Collects outcomes in a temporary file, whatever their number; `write` makes the page.

    A context manager: the temporary file is gone afterwards.
    """

    def __init__(self, path: Path, photos: int, *, overwrite: bool) -> None:
        """Begin a report of that many photos.

        Raises:
            OutputError: `path` exists and is no such report, or cannot be written.
        """
        _check(path, overwrite)
        self._path = path
        self._step = max(1, math.ceil(photos / SHOWN))
        self._pairs = 0
        self._failures = 0
        self._spool = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - closed by exit

    def add(self, outcome: Outcome) -> None:
        """Take an outcome: with pictures where there is an output and its turn has come."""
        if outcome.error is not None:
            self._failures += 1
            if self._failures <= TOLD:
                self._keep(outcome, None)
            return
        if outcome.output is None:
            return
        self._pairs += 1
        if (self._pairs - 1) % self._step:
            return
        with suppress(InpaintError):  # gone or changed meanwhile: nothing to show
            self._keep(outcome, [thumbnail(outcome.input), thumbnail(outcome.output)])

    def write(self, *, title: str, summary: str) -> None:
        """Put the page under its name, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        from jinja2 import Environment, FileSystemLoader

        environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True)
        page = environment.get_template("contact_sheet.html").generate(
            version=__version__,
            title=title,
            at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            summary=summary,
            pairs=self._pairs,
            step=self._step,
            untold=max(0, self._failures - TOLD),
            photos=self._kept(),
        )
        data = (part.encode("utf-8", "backslashreplace") for part in page)
        write_bytes(data, self._path, overwrite=True)

    def _keep(self, outcome: Outcome, pictures: list[str] | None) -> None:
        error = outcome.error
        fields = {
            "name": str(outcome.input),
            "output": str(outcome.output) if outcome.output else None,
            "pictures": pictures,
            "note": outcome.note or None,
            "error": str(error) if error else None,
        }
        self._spool.write(json.dumps(fields) + "\n")

    def _kept(self) -> Iterator[Any]:
        self._spool.seek(0)
        return (json.loads(line) for line in self._spool)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.close()


def thumbnail(place: Location) -> str:
    """A small JPEG of a picture, in base64.

    Raises:
        UnreadableError: the picture cannot be read.
    """
    import cv2

    with local_copy(place) as path:
        rgb = _small(read_picture(path))
    encoded = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]))[1]
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def _small(picture: Picture) -> NDArray[np.uint8]:
    """(h, w, 3) RGB within SIDE, over grey where it is transparent."""
    import cv2

    scale = min(1.0, SIDE / max(picture.height, picture.width))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    top = np.float32(255 if picture.depth == 8 else 65535)

    def shrunk(plane: NDArray[Any]) -> NDArray[np.float32]:
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        return small.reshape(size[1], size[0], -1) * (255 / top)

    rgb = np.broadcast_to(shrunk(picture.pixels), (size[1], size[0], 3))
    if picture.alpha is not None:
        opacity = shrunk(picture.alpha) / np.float32(255)
        rgb = rgb * opacity + np.float32(BACKDROP) * (1 - opacity)
    return np.rint(rgb).astype(np.uint8)


def _check(path: Path, overwrite: bool) -> None:
    """Refuse before the work to replace what is no report of ours, or a place without a folder."""
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is not a folder.", hint="Create it for the report.")
    try:
        if not path.exists() or overwrite:
            return
        with path.open("rb") as file:
            ours = _MARK in file.read(1000)
    except OSError as error:
        raise OutputError(f"The report {path} cannot be written: {error.strerror}.") from error
    if not ours:
        raise OutputError(
            f"{path} exists and is no report of ours.", hint="Name another, or pass --overwrite."
        )
