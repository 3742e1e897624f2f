"""The worker that GIMP's plug-in asks: warm, on 127.0.0.1, one request at a time.

It lives as long as it is used: it ends after some idle minutes, when it is asked to, or when its
state file names another. Whoever cannot prove to know the token in that file gets a refusal and
nothing else; unproven connections have a few seconds, and the oldest goes where there are too many.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from inpaintcli_engines.base import EngineError

from inpaintcli import __version__
from inpaintcli.errors import InpaintError, OutputError
from inpaintcli.gimp.fill_service import (
    Answer,
    CancelledError,
    FillService,
    Progress,
    memory_text,
)
from inpaintcli.gimp.picture_request import (
    PICTURE_REQUESTS,
    FillRequest,
    RequestError,
    fill_request,
)
from inpaintcli.gimp.protocol import (
    HOST,
    PROTOCOL,
    Connection,
    ProtocolError,
    State,
    call,
    is_proof,
    new_token,
    proof,
)

HANDSHAKE_S = 5.0
"""In which a connection must have proven itself."""
MOST_UNPROVEN = 64
MOST_PROVEN = 16
LEAST_BYTES_PER_S = 4 * 2**20
"""As slow as a payload may come, after the first `PAYLOAD_S`."""
PAYLOAD_S = 10.0
FINISH_S = 60.0
"""That requests at work have where the worker is asked to stop."""
BEAT_S = 0.5
"""Between two lines of progress."""
_REFUSALS = {
    "proof": "the request does not prove that it knows the worker's token",
    "protocol": f"this worker (inpaintcli {__version__}) speaks protocol {PROTOCOL}",
    "busy": "too many requests are waiting already",
    "request": "the request is not one of fill, find, guided, ping, stop",
}


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Where the worker keeps its state, and when it ends. `idle_s`: seconds without a request."""

    state: Path
    idle_s: float = 900.0
    handshake_s: float = HANDSHAKE_S


class _Turns:
    """One at a time, in the order of arrival."""

    def __init__(self) -> None:
        self._waiting: list[object] = []
        self._changed = threading.Condition()

    def enter(self) -> object:
        """Queue up; the ticket is for `ahead` and `leave`."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
        return ticket

    def ahead(self, ticket: object, wait_s: float) -> int:
        """How many are before the ticket, after waiting at most so long for none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting[0] is ticket, wait_s)
            return self._waiting.index(ticket)

    def leave(self, ticket: object) -> None:
        """Let the next one on."""
        with self._changed:
            self._waiting.remove(ticket)
            self._changed.notify_all()


@dataclass
class Worker:
    """Serves until it is idle too long or asked to stop; see `serve`."""

    service: FillService
    settings: WorkerSettings
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    clock: Callable[[], float] = time.monotonic
    stopping: threading.Event = field(default_factory=threading.Event)
    _turns: _Turns = field(default_factory=_Turns)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _unproven: "OrderedDict[int, Connection]" = field(default_factory=OrderedDict)
    _proven: int = 0
    _used_at: float = 0.0

    def serve(self) -> None:
        """Listen, publish the state file, answer; at the end the state file is gone.

        Raises:
            OutputError: the state cannot be written.
        """
        with socket.create_server((HOST, 0), backlog=128) as listener:
            state = self._state(listener.getsockname()[1])
            try:
                state.write(self.settings.state)
            except OSError as error:
                raise OutputError(
                    f"{self.settings.state} cannot be written: {error.strerror}."
                ) from error
            self._used_at = self.clock()
            try:
                self._accept(listener)
            finally:
                if State.read(self.settings.state) == state:
                    self.settings.state.unlink(missing_ok=True)
        if self._is_done_within(FINISH_S):
            self.service.close()

    def _state(self, port: int) -> State:
        return State(port, self.token, os.getpid(), __version__, PROTOCOL)

    def _accept(self, listener: socket.socket) -> None:
        listener.settimeout(0.2)
        while not self.stopping.is_set() and not self._is_idle() and self._is_named():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:  # too many open files: the old ones go in a moment
                time.sleep(0.05)
                continue
            connection = Connection(sock)
            self._admit(connection)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _is_done_within(self, limit_s: float) -> bool:
        """Whether the requests at work end in time; a model must not be closed under them."""
        until = time.monotonic() + limit_s
        while self._proven and time.monotonic() < until:
            time.sleep(0.05)
        return not self._proven

    def _is_idle(self) -> bool:
        with self._lock:
            return not self._proven and self.clock() - self._used_at > self.settings.idle_s

    def _is_named(self) -> bool:
        """Whether the state file is still there; whoever removes it wants no worker."""
        return self.settings.state.exists()

    def _admit(self, connection: Connection) -> None:
        """Count a connection as unproven; the oldest goes where there are too many."""
        with self._lock:
            self._unproven[id(connection)] = connection
            while len(self._unproven) > MOST_UNPROVEN:
                _, oldest = self._unproven.popitem(last=False)
                with contextlib.suppress(OSError):
                    oldest.sock.shutdown(socket.SHUT_RDWR)

    def _converse(self, connection: Connection) -> None:
        """One connection, from greeting to end."""
        try:
            fields = self._proven_request(connection)
            if fields is not None:
                self._serve_proven(connection, fields)
        except ProtocolError:
            pass  # gone, too slow or garbled: nobody is left to answer
        finally:
            with self._lock:
                self._unproven.pop(id(connection), None)
            connection.close()

    def _proven_request(self, connection: Connection) -> dict[str, Any] | None:
        """What a connection asks for, once it has proven itself; None where it was refused."""
        limit_s, nonce = self.settings.handshake_s, new_token()
        connection.send({"inpaintcli": __version__, "protocol": PROTOCOL, "nonce": nonce}, limit_s)
        fields = connection.receive(limit_s)
        version, other, given = (fields.pop(name, None) for name in ("protocol", "nonce", "proof"))
        expected = proof(self.token, "client", nonce, other if isinstance(other, str) else "")
        if not is_proof(given, expected):
            return _refuse(connection, "proof")
        if version != PROTOCOL and fields.get("request") != "stop":
            return _refuse(connection, "protocol")
        with self._lock:
            self._unproven.pop(id(connection), None)
            full = self._proven >= MOST_PROVEN
        if full:
            return _refuse(connection, "busy")
        answer = proof(self.token, "worker", nonce, str(other))
        connection.send({"event": "accepted", "proof": answer}, limit_s)
        return fields

    def _serve_proven(self, connection: Connection, fields: dict[str, Any]) -> None:
        with self._lock:
            self._proven += 1
        try:
            request = fields.get("request")
            if request in PICTURE_REQUESTS:
                self._fill(connection, fields)
            elif request == "ping":
                connection.send({"event": "done", "process": os.getpid()})
            elif request == "stop":
                connection.send({"event": "done", "process": os.getpid()})
                self.stopping.set()
            else:
                connection.send(_failed("request", _REFUSALS["request"]))
        finally:
            with self._lock:
                self._proven -= 1
                self._used_at = self.clock()

    def _fill(self, connection: Connection, fields: dict[str, Any]) -> None:
        try:
            request = fill_request(fields)
        except RequestError as error:
            connection.send(_failed("request", f"The request is refused: {error}."))
            return
        ticket = self._turns.enter()
        try:
            while ahead := self._turns.ahead(ticket, BEAT_S):
                if connection.ended():
                    return
                connection.send({"event": "waiting", "ahead": ahead})
            self._fill_now(connection, request)
        finally:
            self._turns.leave(ticket)

    def _fill_now(self, connection: Connection, request: FillRequest) -> None:
        connection.send({"event": "send"})
        try:
            limit_s = PAYLOAD_S + request.payload / LEAST_BYTES_PER_S
            payload = connection.receive_bytes(request.payload, limit_s)
        except MemoryError:
            connection.send(_failed("memory", memory_text(request)))
            return
        progress = Progress()
        service = self.service
        works = {"fill": service.fill, "find": service.find, "guided": service.guided}
        work = works[request.request]
        answer = _in_thread(lambda: work(request, payload, progress))
        _watch(connection, answer, progress)
        try:
            _send_answer(connection, answer.result(), progress)
        except CancelledError:
            return
        except ProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side must be answered
            connection.send(_failure_of(error, request))


def _refuse(connection: Connection, code: str) -> dict[str, Any] | None:
    """Say why; what is asked for is nothing then."""
    connection.send({"event": "refused", "code": code, "message": _REFUSALS[code]})
    return None


def _in_thread(work: Callable[[], Answer]) -> "Future[Answer]":
    """Work in a thread of its own, which does not keep the process alive."""
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _watch(connection: Connection, answer: "Future[Answer]", progress: Progress) -> None:
    """Say how it goes until it is done; where the other side has gone, ask the work to end."""
    while True:
        try:
            answer.exception(BEAT_S)
        except TimeoutError:
            pass
        else:
            return
        if progress.cancelled.is_set():
            continue
        message = {"event": "progress", "text": progress.text, "share": progress.share}
        try:
            if not connection.ended():
                connection.send(message)
                continue
        except ProtocolError:
            pass
        progress.cancelled.set()


def _send_answer(connection: Connection, answer: Answer, progress: Progress) -> None:
    connection.send(
        {
            "event": "done",
            "bytes": len(answer.data),
            "seconds": round(answer.seconds, 3),
            "model": answer.model,
            "engine": answer.engine,
            "notes": [note[:500] for note in progress.notes[:10]],
            **({} if answer.box is None else {"box": answer.box}),
        }
    )
    connection.send_bytes(answer.data, PAYLOAD_S + len(answer.data) / LEAST_BYTES_PER_S)


def _failure_of(error: Exception, request: FillRequest) -> dict[str, Any]:
    """An error as a message: one a person can act on where it is an expected one."""
    if isinstance(error, MemoryError):
        return _failed("memory", memory_text(request))
    if isinstance(error, (InpaintError, EngineError)):
        return _failed(f"exit-{int(error.code)}", error.message, error.hint)
    return _failed("fault", f"A fault of the program: {type(error).__name__}: {error}"[:2000])


def _failed(code: str, message: str, hint: str = "") -> dict[str, Any]:
    return {"event": "failed", "code": code, "message": message, "hint": hint}


def running_worker(state: Path) -> dict[str, Any] | None:
    """What a worker that answers says of itself, with its port; None where there is none."""
    known = State.read(state)
    if known is None:
        return None
    try:
        answer = call(known, "ping")
    except ProtocolError:
        return None
    return {"process": answer.get("process"), "port": known.port, "version": answer["inpaintcli"]}


def stop_worker(state: Path) -> bool:
    """Ask the worker of a state file to stop; whether there was one."""
    known = State.read(state)
    if known is None:
        return False
    try:
        call(known, "stop")
    except ProtocolError:
        return False
    return True


def run_worker(service: FillService, settings: WorkerSettings) -> bool:
    """Serve until the end, one worker for each state file; False where one is there already.

    Raises:
        OutputError: the state cannot be written.
    """
    try:
        settings.state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(settings.state.with_name(settings.state.name + ".lock"), timeout=0)
        with lock:
            Worker(service, settings).serve()
    except Timeout:
        return False
    except OSError as error:
        raise OutputError(f"{settings.state} cannot be written: {error.strerror}.") from error
    return True
