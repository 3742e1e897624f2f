"""Find a worker or start one, ask it for a fill or an object, and say what went wrong."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answers import FailureError, Filled, Found, Status, answer
from picture_request import FillRequest
from protocol import (
    PROTOCOL,
    STATE_VARIABLE,
    Connection,
    ProtocolError,
    SlowError,
    State,
    ask,
    call,
    connect,
    state_path,
)

SETTINGS = Path(__file__).with_name("settings.json")
COMMAND_VARIABLE = "INPAINTCLI_GIMP_WORKER"
"""A command that starts a worker, instead of the one in the settings."""
START_S = 60.0
SILENCE_S = 60.0
"""A worker says something each half second; one that is silent for so long hangs."""
_LONGEST_LOG = 2**20
_HIDDEN = (
    "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "GI_TYPELIB_PATH",
    "GTK_PATH", "GIO_MODULE_DIR", "GDK_PIXBUF_MODULE_FILE",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What `inpaintcli gimp install` wrote beside the plug-in. `can_start`: not in a sandbox."""

    worker: tuple
    command: str
    state: Path
    can_start: bool = True
    models: tuple = ()
    start_s: float = START_S
    silence_s: float = SILENCE_S


def read_settings(path: Path = SETTINGS) -> Settings:
    """The settings; those of a program on PATH where install has left none."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        worker = tuple(str(word) for word in fields["worker"])
    except (OSError, ValueError, KeyError, TypeError):
        fields, worker = {}, ()
    named = os.environ.get(COMMAND_VARIABLE)
    if named:
        worker = tuple(shlex.split(named))
    if not worker:
        found = shutil.which("inpaintcli")
        worker = (found, "gimp", "worker") if found else ()
    state = os.environ.get(STATE_VARIABLE) or fields.get("state")
    return Settings(
        worker=worker,
        command=str(fields.get("command") or shlex.join(worker) or "inpaintcli gimp worker"),
        state=Path(state) if state else state_path(),
        can_start=bool(fields.get("can_start", True)) and not _is_confined(),
        models=tuple(str(name) for name in fields.get("models", ())),
        start_s=float(fields.get("start_s", START_S)),
        silence_s=float(fields.get("silence_s", SILENCE_S)),
    )


def _is_confined() -> bool:
    """Whether GIMP runs in a sandbox, in which the machine's programs are not to be seen."""
    return Path("/.flatpak-info").exists() or "SNAP" in os.environ


def fill(
    request: FillRequest,
    payload: "Callable[[], Iterator[bytes]]",
    settings: Settings,
    show: "Callable[[Status | None], None]",
) -> Filled:
    """Ask a worker, which is started where none is running.

    Args:
        request: what is wanted.
        payload: gives the request's bytes in parts; called when the worker wants them.
        settings: from `read_settings`.
        show: takes what is going on, and None ten times a second in between.

    Raises:
        FailureError: there is no worker to be had, it refuses, or it failed.
    """
    connection = _asked(request, settings, show)
    try:
        return answer(connection, request, payload, settings.silence_s, show)
    except SlowError as error:
        raise FailureError(
            f"The worker has not answered for {settings.silence_s:.0f} seconds. "
            "End it with `inpaintcli gimp worker --stop` and try again"
            f"{_log_place(settings)}."
        ) from error
    except ProtocolError as error:
        raise FailureError(_broken(error, settings)) from error
    finally:
        connection.close()


def find(
    request: FillRequest,
    payload: "Callable[[], Iterator[bytes]]",
    settings: Settings,
    show: "Callable[[Status | None], None]",
) -> Found:
    """Ask a worker for the object in a selection; otherwise as `fill`."""
    found = fill(request, payload, settings, show)
    return Found(tuple(found.fields["box"]), found.data)


def _asked(
    request: FillRequest, settings: Settings, show: "Callable[[Status | None], None]"
) -> Connection:
    """A connection on which the request has been accepted."""
    state = State.read(settings.state)
    if state is not None:
        with suppress(ProtocolError):
            return _ask_one(state, request)
    show(Status("Starting inpaintcli"))
    return _ask_one_started(request, settings, show)


def _ask_one(state: State, request: FillRequest) -> Connection:
    """Ask the worker of a state.

    Raises:
        ProtocolError: there is none, or it is not the one that wrote the state, or it is too old
            and has been asked to end.
        FailureError: it refuses.
    """
    connection, greeting = connect(state)
    try:
        _check_version(greeting, state)
        ask(connection, greeting, state.token, request.fields())
    except ProtocolError as error:
        connection.close()
        if "too many" in str(error):
            raise FailureError("The worker is busy with too many requests; try later.") from error
        raise
    return connection


def _check_version(greeting: "dict[str, Any]", state: State) -> None:
    """End a worker of another version, which has outlived its program.

    Raises:
        ProtocolError: it is of another version.
    """
    if greeting["protocol"] != PROTOCOL:
        with suppress(ProtocolError):
            call(state, "stop")
        raise ProtocolError("the worker is of another version")


def _ask_one_started(
    request: FillRequest, settings: Settings, show: "Callable[[Status | None], None]"
) -> Connection:
    before = State.read(settings.state)
    process = _start(settings)
    until = time.monotonic() + settings.start_s
    problem = "it said nothing"
    while time.monotonic() < until:
        state = State.read(settings.state)
        if state is not None and state != before:
            if state.protocol != PROTOCOL:
                raise FailureError(_other_version(state))
            try:
                return _ask_one(state, request)
            except ProtocolError as error:
                problem = str(error)
        code = process.poll()
        if code:
            raise FailureError(_ended(code, settings), settings.command)
        show(None)
        time.sleep(0.05)
        if code == 0 and state == before:
            before = None  # another one is running: it may answer by now
    raise FailureError(
        f"The worker did not start within {settings.start_s:.0f} seconds ({problem}). "
        f"Start it in a terminal to see why{_log_place(settings)}.",
        settings.command,
    )


def _start(settings: Settings) -> subprocess.Popen:
    """Start a worker that outlives this plug-in and GIMP.

    Raises:
        FailureError: it cannot be started.
    """
    if not settings.can_start:
        raise FailureError(
            "No worker is running, and this GIMP is in a sandbox that cannot start one. "
            "Type this command in a terminal, leave it open, and try again.",
            settings.command,
        )
    if not settings.worker:
        raise FailureError(
            "The program inpaintcli was not found. Install it, and then type this command in a "
            "terminal, which tells the plug-in where it is.",
            "inpaintcli gimp install",
        )
    try:
        settings.state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _log(settings).open(_log_mode(settings)) as log:
            return subprocess.Popen(
                settings.worker,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(settings),
                **_detached(),
            )
    except OSError as error:
        raise FailureError(
            f"The program {settings.worker[0]} cannot be started ({error.strerror}); it may have "
            "been moved or removed. Install inpaintcli again, and type this command in a terminal.",
            "inpaintcli gimp install",
        ) from error


def _detached() -> "dict[str, Any]":
    if sys.platform == "win32":
        # No console window; a group of its own, which GIMP's end does not end.
        return {"creationflags": 0x08000000 | 0x00000200}
    return {"start_new_session": True}


def _environment(settings: Settings) -> "dict[str, str]":
    """GIMP's, without what points to GIMP's own Python and libraries."""
    kept = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
    return {**kept, STATE_VARIABLE: str(settings.state)}


def _log(settings: Settings) -> Path:
    return settings.state.with_suffix(".log")


def _log_mode(settings: Settings) -> str:
    """Append, for another worker may be writing; begin again where it has become long."""
    log = _log(settings)
    return "wb" if log.exists() and log.stat().st_size > _LONGEST_LOG else "ab"


def _log_place(settings: Settings) -> str:
    """Where the worker's own words are, as the end of a sentence."""
    return f" (its messages: {_log(settings)})" if _log(settings).exists() else ""


def _last_words(settings: Settings) -> str:
    try:
        lines = _log(settings).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]


def _ended(code: int, settings: Settings) -> str:
    words = _last_words(settings)
    if code == 2 or "No such command" in words:
        return (
            f"The program {settings.worker[0]} is older than this plug-in and has no worker for "
            "it. Upgrade it: pip install --upgrade inpaintcli."
        )
    reported = f": {words}" if words else ""
    return f"The worker ended at once with code {code}{reported}{_log_place(settings)}."


def _other_version(state: State) -> str:
    return (
        f"The program inpaintcli {state.version} speaks version {state.protocol} of the protocol, "
        f"this plug-in version {PROTOCOL}. Type `inpaintcli gimp install` in a terminal, and "
        "start GIMP again."
    )


def _broken(error: ProtocolError, settings: Settings) -> str:
    words = _last_words(settings)
    reported = f" Its last words: {words}" if words else ""
    return (
        f"The worker broke off ({error}); the image is unchanged. The memory may have been too "
        f"little. Try again, or with a smaller selection{_log_place(settings)}.{reported}"
    )
