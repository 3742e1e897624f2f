"""The photos that the page offers: those of the command line, and those that were dropped in."""

import hashlib
import json
import re
import shutil
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from inpaintcli.batch.plan import photos_in
from inpaintcli.errors import InpaintError, UsageError
from inpaintcli.imaging.images import check_readable, read_picture, suffix_by_content
from inpaintcli.masks.finder import MaskFinder
from inpaintcli.masks.hole import hole_of
from inpaintcli.masks.source import NO_PARTS, mask_source
from inpaintcli.options import MaskOptions
from inpaintcli.storage.folders import make_folder
from inpaintcli.ui.open_photo import OpenPhoto
from inpaintcli.ui.photo_store import PhotoStore
from inpaintcli.ui.problems import NotFoundError, to_json

MAX_OPEN = 2
"""Photos in memory at a time, besides those that are being filled."""
MAX_NAME = 120
"""Characters of a name that was sent."""


@dataclass(frozen=True)
class PhotoFile:
    """A photo of the list: its id, its file, its name in the list, and whether it was sent."""

    id: str
    path: Path
    name: str
    is_upload: bool = False


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where photos and masks come from.

    photos: a file, a folder, or None. masks: a folder of masks, or None for masks beside the
    photos. output: the folder of the results, which is not searched. state: where edits are kept.
    """

    photos: Path | None
    masks: Path | None
    output: Path | None
    state: Path


class PhotoList:
    """The photos by their ids; a few of them open."""

    def __init__(self, sources: Sources, is_busy: Callable[[OpenPhoto], bool]) -> None:
        """List the photos.

        Args:
            sources: where they come from.
            is_busy: whether an open photo must stay open.

        Raises:
            UnreadableError: there is no such photo or folder.
        """
        self.sources = sources
        self._is_busy = is_busy
        self._lock = threading.RLock()
        self._open: OrderedDict[str, OpenPhoto] = OrderedDict()
        self._files: dict[str, PhotoFile] = {}
        self.refresh()

    def refresh(self) -> list[PhotoFile]:
        """Look again which photos there are.

        Raises:
            UnreadableError: the folder is gone.
        """
        files = [*self._named(), *self._uploads()]
        with self._lock:
            self._files = {file.id: file for file in files}
        return files

    def find(self, name: str) -> PhotoFile:
        """The photo of that id.

        Raises:
            NotFoundError: there is none.
        """
        file = self._files.get(name)
        if file is None:
            raise NotFoundError("There is no such photo.", hint="Load the page again.")
        return file

    def open(self, name: str) -> OpenPhoto:
        """The photo of that id, with its edits.

        Raises:
            NotFoundError: there is none.
            UnreadableError: it cannot be read.
            OutputError: its edits cannot be stored, or another process has it open.
        """
        file = self.find(name)
        with self._lock:
            if name not in self._open:
                self._close_others()
                self._open[name] = self._opened(file)
            self._open.move_to_end(name)
            return self._open[name]

    def status(self, file: PhotoFile) -> str:
        """`new`, `edited` or `saved`."""
        try:
            stored = json.loads((self._folder(file) / "photo.json").read_bytes())
            if stored["more"].get("saved"):
                return "saved"
            return "edited" if stored["edits"] else "new"
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return "new"

    def add_upload(self, name: str, received: Path) -> PhotoFile:
        """Take a file that was received; the same content is the same photo.

        Args:
            name: as the browser calls it.
            received: in the folder of uploads; moved or removed.

        Raises:
            UnreadableError: it is no picture.
        """
        check_readable(received)
        with received.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
            file.seek(0)
            suffix = suffix_by_content(file.read(16))
        folder = self.upload_folder / digest
        with self._lock:
            make_folder(folder)
            if not any(path.is_file() for path in folder.iterdir()):
                received.replace(folder / safe_name(name, suffix))
            self.refresh()
        return self.find(digest)

    def forget(self, name: str) -> None:
        """Remove a photo that was sent, and its edits.

        Raises:
            NotFoundError: there is none.
            UsageError: it was not sent, or it is being filled.
        """
        file = self.find(name)
        if not file.is_upload:
            raise UsageError("Only photos that were dropped in are removed from the list.")
        with self._lock:
            photo = self._open.get(name)
            if photo is not None and self._is_busy(photo):
                raise UsageError("This photo is being filled.", hint="Cancel the fill first.")
            if photo is not None:
                self._open.pop(name).close()
            shutil.rmtree(self._folder(file), ignore_errors=True)
            shutil.rmtree(file.path.parent, ignore_errors=True)
            self.refresh()

    @property
    def upload_folder(self) -> Path:
        """Where photos that were sent are kept."""
        return self.sources.state / "uploads"

    def close(self) -> None:
        """Close all photos."""
        with self._lock:
            for photo in self._open.values():
                photo.close()
            self._open.clear()

    def _named(self) -> list[PhotoFile]:
        """The photos of the command line; without results beside their photos."""
        source = self.sources.photos
        if source is None:
            return []
        if not source.is_dir():
            check_readable(source)
            return [_named_file(source, source.name)]
        photos, _ = photos_in(source, excluded=self.sources.output)
        known = set(photos)
        return [
            _named_file(path, path.relative_to(source).as_posix())
            for path in photos
            if path.with_name(path.name.replace(".filled.", ".")) not in known - {path}
        ]

    def _uploads(self) -> list[PhotoFile]:
        paths = sorted(self.upload_folder.glob("*/*")) if self.upload_folder.is_dir() else []
        return [
            PhotoFile(path.parent.name, path, path.name, is_upload=True)
            for path in paths
            if re.fullmatch(r"[0-9a-f]{16}", path.parent.name) and path.is_file()
        ]

    def _opened(self, file: PhotoFile) -> OpenPhoto:
        picture = read_picture(file.path)
        photo = OpenPhoto(file.path, picture, PhotoStore(self._folder(file)))
        if photo.is_new and not file.is_upload:
            self._begin_with_mask(photo)
        return photo

    def _begin_with_mask(self, photo: OpenPhoto) -> None:
        """Begin with the photo's mask, as `inpaintcli fill` would find it, if there is one."""
        masks = self.sources.masks
        try:
            source = mask_source(None if masks is None else str(masks))
            path = MaskFinder(source).of(photo.path).file
        except InpaintError:
            return
        if not isinstance(path, Path):
            return
        try:
            mask = hole_of(photo.original, path, NO_PARTS, MaskOptions(), photo.path.name)
            edit: dict[str, Any] = {"id": "mask-of-the-photo", "kind": "mask", "label": path.name}
            photo.add(edit, mask)
        except InpaintError as error:
            photo.problem = to_json(error)

    def _close_others(self) -> None:
        """Close the photos that were used longest ago, so that one more may be opened."""
        for name, photo in list(self._open.items()):
            if len(self._open) < MAX_OPEN:
                return
            if not self._is_busy(photo):
                self._open.pop(name).close()

    def _folder(self, file: PhotoFile) -> Path:
        return self.sources.state / "photos" / file.id


def _named_file(path: Path, name: str) -> PhotoFile:
    absolute = path.absolute()
    digest = hashlib.sha256(str(absolute).encode("utf-8", "surrogateescape")).hexdigest()
    return PhotoFile(digest[:16], absolute, name)


def safe_name(name: str, suffix: str) -> str:
    """A file name made of one that a browser sent: no folders, no hidden files, nothing odd.

    Args:
        name: as it was sent.
        suffix: by the content, where the name has none.

    Raises:
        UsageError: nothing is left of it.
    """
    last = PureWindowsPath(PurePosixPath(name).name).name
    kept = "".join(
        letter if letter.isalnum() or letter in " ._-()+,@" else "_"
        for letter in unicodedata.normalize("NFC", last)
    )
    stem, dot, ending = kept.strip(" .").rpartition(".")
    if not dot:
        stem, ending = ending, suffix.removeprefix(".")
    stem = stem.strip(" .")[:MAX_NAME]
    if not stem:
        raise UsageError("The file has no name.", hint="Rename it.")
    return f"{stem}.{ending[:10]}"
