"""What the page asks for, each request to one call; every handler is short and has no state."""

import json
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from inpaintcli_engines.base import EngineError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from inpaintcli.batch.job_runner import as_expected
from inpaintcli.errors import InpaintError, MaskMismatchError, OutputError, UsageError
from inpaintcli.imaging.regions import Box
from inpaintcli.models.cards import DEFAULT, cards
from inpaintcli.storage.folders import make_folder
from inpaintcli.ui import mask_files, views
from inpaintcli.ui.edits import MAX_SEED, check_id, whole_number
from inpaintcli.ui.fill_queue import FillQueue
from inpaintcli.ui.open_photo import OpenPhoto
from inpaintcli.ui.photo_list import PhotoFile, PhotoList
from inpaintcli.ui.problems import NotFoundError, TooLargeError, status_of, to_json
from inpaintcli.ui.saving import Saver, result_bytes

MAX_JSON = 4 * 2**20
MAX_MASK = 256 * 2**20
MAX_PHOTO = 2**30
"""Bytes of what is sent."""
FRESH = {"Cache-Control": "no-store"}
KEPT = {"Cache-Control": "private, max-age=3600"}
"""For addresses that have a version in them."""
STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Page:
    """The handlers. `max_photo`: bytes of a photo that is sent."""

    photos: PhotoList
    queue: FillQueue
    saver: Saver
    max_photo: int = MAX_PHOTO

    def application(self) -> Starlette:
        """The ASGI application; a request for anything else is answered with 404."""
        one = "/api/photos/{photo}"
        routes = [
            Route("/", self.static),
            Route("/static/{name}", self.static),
            Route("/api/photos", _in_thread(self.list_photos)),
            Route("/api/photos", self.upload, methods=["POST"]),
            Route(one, _in_thread(self.state)),
            Route(f"{one}/thumbnail", _in_thread(self.thumbnail)),
            Route(f"{one}/view/{{layer}}", _in_thread(self.view)),
            Route(f"{one}/mask.png", _in_thread(self.export_mask)),
            Route(f"{one}/result", _in_thread(self.download)),
            Route(f"{one}/command", _in_thread(self.command)),
            Route(f"{one}/edits", _with_json(self.edit), methods=["POST"]),
            Route(f"{one}/masks", self.import_mask, methods=["POST"]),
            Route(f"{one}/object", _with_json(self.find_object), methods=["POST"]),
            Route(f"{one}/position", _with_json(self.move), methods=["POST"]),
            Route(f"{one}/seed", _with_json(self.seed), methods=["POST"]),
            Route(f"{one}/cancel", _with_json(self.cancel), methods=["POST"]),
            Route(f"{one}/forget", _with_json(self.forget), methods=["POST"]),
            Route(f"{one}/save", _with_json(self.save), methods=["POST"]),
        ]
        handlers = {InpaintError: _failed, EngineError: _failed, Exception: _failed}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def static(self, request: Request) -> Response:
        """A file of the page; only names that are in its folder are looked for."""
        name = request.path_params.get("name", "index.html")
        known = {path.name: path for path in STATIC.iterdir() if path.suffix in MEDIA_TYPES}
        if name not in known:
            raise NotFoundError("There is no such file.")
        path = known[name]
        kind = MEDIA_TYPES[path.suffix]
        return Response(path.read_bytes(), 200, {"Cache-Control": "no-cache"}, kind)

    def list_photos(self, _request: Request) -> Response:
        """All photos with their states, and what may be chosen."""
        entries = [
            {
                "id": file.id,
                "name": file.name,
                "upload": file.is_upload,
                "status": self.photos.status(file),
            }
            for file in self.photos.refresh()
        ]
        models = sorted(card.name for card in cards().values() if card.task == "fill")
        default = self.saver.choice.model or DEFAULT
        names = [default, *(name for name in models if name != default)]
        return JSONResponse({"photos": entries, "models": names}, headers=FRESH)

    async def upload(self, request: Request) -> Response:
        """A photo that was dropped in: its bytes, and `?name=`."""
        folder = self.photos.upload_folder
        await run_in_threadpool(make_folder, folder)
        received = await _received(request, folder, self.max_photo)
        try:
            name = request.query_params.get("name", "")
            file = await run_in_threadpool(self.photos.add_upload, name, received)
        finally:
            received.unlink(missing_ok=True)
        return JSONResponse({"id": file.id, "name": file.name}, headers=FRESH)

    def state(self, request: Request) -> Response:
        """A photo's edits, and what is being done."""
        file, photo = self._photo(request)
        if photo.next_work() is not None:
            self.queue.submit(photo)  # of an earlier server, or redone
        return self._state(file, photo)

    def thumbnail(self, request: Request) -> Response:
        """A small picture of the photo."""
        data = views.thumbnail(self.photos.find(request.path_params["photo"]).path)
        kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        return Response(data, 200, KEPT, kind)

    def view(self, request: Request) -> Response:
        """A part of the photo or the mask: `?x&y&w&h`, at most `width` x `height` large."""
        _, photo = self._photo(request)
        layer = request.path_params["layer"]
        x, y, w, h, width, height = (
            _number(request, name) for name in ("x", "y", "w", "h", "width", "height")
        )
        box, size = Box(y, x, y + h, x + w), (width, height)
        views.check_view(box, size, photo.original)
        if layer == "mask":
            return Response(views.mask_view(photo.shown_mask(), box, size), 200, KEPT, "image/png")
        if layer not in {"before", "after"}:
            raise NotFoundError(f"There is no layer '{layer}'.")
        data, kind = views.picture_view(photo.picture(layer), box, size)
        return Response(data, 200, KEPT, kind)

    def export_mask(self, request: Request) -> Response:
        """The mask at full size; `?fill=` that of a fill."""
        file, photo = self._photo(request)
        fill = request.query_params.get("fill")
        if fill is None:
            data = mask_files.mask_png(photo.mask())
        else:
            edit = photo.history.find(check_id(fill))
            if edit is None or not edit.is_fill:
                raise NotFoundError("There is no such fill.")
            data = photo.store.mask_path(fill).read_bytes()
        return _attachment(data, f"{file.path.stem}.mask.png", "image/png")

    def download(self, request: Request) -> Response:
        """The result as a file."""
        file, photo = self._photo(request)
        name = f"{file.path.stem}.filled{file.path.suffix}"
        return _attachment(result_bytes(photo), name, "application/octet-stream")

    def command(self, request: Request) -> Response:
        """The command line that would do the same."""
        text = self.saver.command(*self._photo(request))
        return PlainTextResponse(text, headers=FRESH)

    def edit(self, request: Request, fields: Any) -> Response:
        """Apply an edit."""
        file, photo = self._photo(request)
        if isinstance(fields, dict) and fields.get("kind") == "mask":
            raise UsageError("A mask is sent as a file.")
        photo.add(fields)
        return self._submitted(file, photo)

    async def import_mask(self, request: Request) -> Response:
        """Add a mask from a file: its bytes, `?id=` of the edit, and `?name=`."""
        received = await _received(request, self.photos.sources.state, MAX_MASK)
        try:
            return await run_in_threadpool(self._import, request, received)
        finally:
            received.unlink(missing_ok=True)

    def _import(self, request: Request, received: Path) -> Response:
        from inpaintcli.imaging.masks import fit_mask, read_mask

        file, photo = self._photo(request)
        name = request.query_params.get("name", "mask")[:40]
        try:
            mask = fit_mask(
                read_mask(received), photo.original, mask_name=name, picture_name=file.path.name
            )
        except MaskMismatchError as error:
            raise type(error)(error.message, hint="Draw it on the photo itself.") from error
        fields = {"id": request.query_params.get("id"), "kind": "mask", "label": name}
        photo.add(fields, mask)
        return self._state(file, photo)

    def find_object(self, request: Request, fields: Any) -> Response:
        """Add the object at `point` or in `box` to the mask; `id` of the edit."""
        from inpaintcli.ui.object_search import found_object

        file, photo = self._photo(request)
        if photo.history.find(check_id(fields.get("id"))) is None:
            mask = found_object(photo.picture(), fields)
            photo.add({"id": fields["id"], "kind": "mask", "label": "object"}, mask)
        return self._state(file, photo)

    def move(self, request: Request, fields: Any) -> Response:
        """Undo or redo until `done` edits are applied."""
        file, photo = self._photo(request)
        photo.move_to(whole_number(fields, "done", 0, 2**31))
        return self._submitted(file, photo)

    def seed(self, request: Request, fields: Any) -> Response:
        """Show what the fill `fill` gives with `seed`."""
        file, photo = self._photo(request)
        photo.try_seed(check_id(fields.get("fill")), whole_number(fields, "seed", 0, MAX_SEED))
        return self._submitted(file, photo)

    def cancel(self, request: Request, _fields: Any) -> Response:
        """Take back the fills that are not done."""
        file, photo = self._photo(request)
        photo.cancel()
        return self._state(file, photo)

    def save(self, request: Request, fields: Any) -> Response:
        """Write the result to its place; `overwrite` replaces a file that is there."""
        file, photo = self._photo(request)
        overwrite = bool(fields.get("overwrite"))
        target = self.saver.target(file)
        if target is not None and target.exists() and not overwrite:
            error = OutputError(f"{target} exists already.", hint="Replace it?")
            return JSONResponse({**to_json(error), "exists": True}, 409, FRESH)
        self.saver.save(file, photo, overwrite=overwrite)
        return self._state(file, photo)

    def forget(self, request: Request, _fields: Any) -> Response:
        """Remove a photo that was dropped in, with its edits."""
        self.photos.forget(request.path_params["photo"])
        return JSONResponse({}, headers=FRESH)

    def _photo(self, request: Request) -> tuple[PhotoFile, OpenPhoto]:
        name = request.path_params["photo"]
        return self.photos.find(name), self.photos.open(name)

    def _submitted(self, file: PhotoFile, photo: OpenPhoto) -> Response:
        if photo.next_work() is not None:
            self.queue.submit(photo)
        return self._state(file, photo)

    def _state(self, file: PhotoFile, photo: OpenPhoto) -> Response:
        target = self.saver.target(file)
        state = {**photo.state(), "id": file.id, "upload": file.is_upload}
        state["target"] = None if target is None else str(target)
        progress = self.queue.progress
        if progress is not None and progress.photo is photo:
            state["progress"] = {"share": progress.share, "text": progress.text}
        return JSONResponse(state, headers=FRESH)


def _in_thread(handler: Callable[[Request], Response]) -> Handler:
    async def answer(request: Request) -> Response:
        return await run_in_threadpool(handler, request)

    return answer


def _with_json(handler: Callable[[Request, Any], Response]) -> Handler:
    """A handler that is given the JSON object of the request's body."""

    async def answer(request: Request) -> Response:
        # Only JSON: forms of other pages can send no such content type without asking first.
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            raise UsageError("The content type is application/json.")
        data = b"".join([part async for part in _bounded(request, MAX_JSON)])
        try:
            fields = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise UsageError("The request is no JSON.") from error
        if not isinstance(fields, dict):
            raise UsageError("The request is no JSON object.")
        return await run_in_threadpool(handler, request, fields)

    return answer


async def _bounded(request: Request, limit: int) -> Any:
    """The parts of a body.

    Raises:
        TooLargeError: they are more than `limit` bytes, by what is announced or by what comes.
    """
    error = TooLargeError(f"More than {limit / 2**20:.0f} MB are not accepted.")
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > limit:
        raise error
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise error
        yield part


async def _received(request: Request, folder: Path, limit: int) -> Path:
    """A temporary file in `folder` with the body of a request.

    Raises:
        TooLargeError: it is too large.
        OutputError: it cannot be written.
    """
    make_folder(folder)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".received-", delete=False) as file:
        path = Path(file.name)
        try:
            async for part in _bounded(request, limit):
                await run_in_threadpool(file.write, part)
        except BaseException as error:
            with suppress(OSError):
                path.unlink()
            if isinstance(error, OSError):
                raise OutputError(f"The file cannot be kept: {error.strerror}.") from error
            raise
    return path


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UsageError(f"{name} is a whole number.")
    return int(text)


def _attachment(data: bytes, name: str, kind: str) -> Response:
    encoded = quote(name.encode("utf-8", "replace"))
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{encoded}", **FRESH}
    return Response(data, 200, headers, kind)


async def _failed(_request: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)
    expected = as_expected(error)
    return JSONResponse(to_json(expected), status_of(expected), FRESH)
