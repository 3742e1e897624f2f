"""The command `ui`: listen on 127.0.0.1, print the address, serve until a signal ends it."""

import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, UsageError
from inpaintcli.options import ModelChoice
from inpaintcli.signals import InterruptHandler, handle_signals, signals_restored
from inpaintcli.storage import user_folders

HOST = "127.0.0.1"
PORT = 8971
"""Where it is free and no other is named: browsers keep what they have not sent yet by the port."""
BACKLOG = 256


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """What the command was asked for; as `photo_list.Sources` and `saving.Saver`.

    port: 0 is a free one, None is PORT or a free one. state: where edits are kept, None for the
    user's own folder.
    """

    console: Console
    choice: ModelChoice
    photos: Path | None = None
    masks: Path | None = None
    output: Path | None = None
    port: int | None = None
    browser: bool = True
    state: Path | None = None


def serve(request: PageRequest) -> ExitCode:
    """Serve the page until a signal comes.

    Raises:
        UsageError: the extra is not installed, or the port is taken.
        UnreadableError: there is no such photo or folder.
    """
    _check_extra()
    from inpaintcli.ui.app import Page
    from inpaintcli.ui.fill_queue import FillQueue
    from inpaintcli.ui.guard import Guard, new_token
    from inpaintcli.ui.photo_list import PhotoList, Sources
    from inpaintcli.ui.saving import Saver

    if request.masks is not None and not request.masks.is_dir():
        raise UsageError(f"{request.masks} is not a folder.", hint="--mask takes one here.")
    sources = Sources(
        photos=request.photos,
        masks=request.masks,
        output=request.output,
        state=request.state or state_folder(),
    )
    queue = FillQueue(request.choice)
    photos = PhotoList(sources, queue.is_busy_with)
    try:
        with _listening(request.port) as listener:
            port, token = listener.getsockname()[1], new_token()
            page = Page(photos, queue, Saver(request.output, request.choice))
            hosts = frozenset({f"{HOST}:{port}", f"localhost:{port}"})
            guarded = Guard(page.application(), token, hosts)
            _announce(request, f"http://{HOST}:{port}/{token}/")
            return _run(guarded, listener)
    finally:
        queue.close()
        photos.close()
        request.console.say("Ended; all edits are kept.")


def state_folder() -> Path:
    """Where edits are kept: `$INPAINTCLI_UI_STATE`, or the user's own folder for states.

    Raises:
        UsageError: the user has no home folder.
    """
    named = os.environ.get("INPAINTCLI_UI_STATE")
    if named:
        return Path(named).absolute()
    return user_folders.state_folder("edits", "Name one in INPAINTCLI_UI_STATE.") / "ui"


def _check_extra() -> None:
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise UsageError(
            f"The page needs the package {error.name}, which is not installed.",
            hint="Install the extra: pip install 'inpaintcli[ui]'.",
        ) from error
    del starlette, uvicorn


@contextmanager
def _listening(port: int | None) -> Iterator[socket.socket]:
    try:
        listener = _first_free() if port is None else _listener(port)
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be used: {error.strerror}.",
            hint="Name another with --port, or leave it out for a free one.",
        ) from error
    with listener:
        yield listener


def _first_free() -> socket.socket:
    try:
        return _listener(PORT)
    except OSError:
        return _listener(0)


def _listener(port: int) -> socket.socket:
    return socket.create_server((HOST, port), backlog=BACKLOG)


def _announce(request: PageRequest, address: str) -> None:
    console = request.console
    if console.json:
        console.record({"schema": 1, "address": address})
    else:
        console.data(address)
    console.say("Ctrl-C ends it. The address holds a secret: whoever has it can see these photos.")
    if request.browser and _has_screen():
        threading.Thread(target=_open_browser, args=[address], daemon=True).start()


def _has_screen() -> bool:
    """Whether a browser can be seen: on a terminal alone a text browser would take its place."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(address: str) -> None:
    with suppress(webbrowser.Error, OSError):
        webbrowser.open(address)


def _run(app: Any, listener: socket.socket) -> ExitCode:
    """Serve until a signal; SIGTERM ends it with OK, others as interrupted."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are handled by this program, as in its other commands

    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        http="h11",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    server, received = Server(config), [0]

    def stop(number: int) -> None:
        received[0] = number
        server.should_exit = True

    with signals_restored():
        handle_signals(InterruptHandler(stop))
        server.run(sockets=[listener])
    return ExitCode.OK if received[0] == signal.SIGTERM else ExitCode.INTERRUPTED
