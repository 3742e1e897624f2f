"""How GIMP's plug-in and the worker speak: the version, the messages, the file that names a worker.

The worker listens on 127.0.0.1. Messages are lines of JSON (UTF-8, at most `MAX_LINE` bytes with
the line feed); where a message says so, raw bytes follow it.

    worker  {"inpaintcli": version, "protocol": 3, "nonce": 32 hex digits}
    plug-in {"protocol": 3, "nonce": 32 hex digits, "proof": ..., "request": "fill", ...}
    worker  {"event": "accepted", "proof": ...}     or {"event": "refused", "code", "message"}
    worker  {"event": "waiting", "ahead": n}        while other requests are before this one
    worker  {"event": "send"}
    plug-in the picture's bytes, then the hole's, then the guide's where there is one
    worker  {"event": "progress", "text": ..., "share": 0 to 1 or null}   at least once a second
    worker  {"event": "done", "bytes": n, ...} and n bytes
                                          or {"event": "failed", "code", "message", "hint"}

Both sides prove that they know the token of the worker's state file, and it is never sent: a proof
is the HMAC-SHA256 of the role and both nonces. So nobody who has taken the port of a worker that
ended is shown a picture. Requests are `fill`, `find` and `guided` (`picture_request.py` has their
fields), `ping` (answered by `done`) and `stop`. One with fields that are not known is refused.

Standard library only: `inpaintcli gimp install` copies this file beside the plug-in, which runs in
GIMP's own Python.
"""

import hashlib
import hmac
import json
import os
import secrets
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROTOCOL = 3
HOST = "127.0.0.1"
MAX_LINE = 16 * 1024
STATE_VARIABLE = "INPAINTCLI_GIMP_STATE"


class ProtocolError(Exception):
    """The other side says what is not in the protocol, too much, too slowly, or nothing more."""


class SlowError(ProtocolError):
    """The other side did not say enough in time."""


@dataclass(frozen=True)
class State:
    """Where a worker listens, and what proves that one may ask it."""

    port: int
    token: str
    process: int
    version: str
    protocol: int

    @classmethod
    def read(cls, path: Path) -> "State | None":
        """The state in a file; None where there is none, or one that others could have written."""
        try:
            if hasattr(os, "getuid"):
                status = path.stat()
                if status.st_uid != os.getuid() or status.st_mode & 0o077:
                    return None
            fields = json.loads(path.read_text(encoding="utf-8"))
            state = cls(**{name: fields[name] for name in cls.__dataclass_fields__})
            whole = type(state.port) is int and type(state.token) is str
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return state if whole and 0 < state.port < 65536 and state.token else None

    def write(self, path: Path) -> None:
        """Publish the state: readable by its owner alone, whole or not at all."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        temporary.replace(path)


def state_path() -> Path:
    """Where the worker of this user keeps its state; `INPAINTCLI_GIMP_STATE` names another file."""
    named = os.environ.get(STATE_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "inpaintcli" / "gimp-worker.json"


def new_token() -> str:
    """A token that cannot be guessed; also used as a nonce."""
    return secrets.token_hex(16)


def proof(token: str, role: str, worker_nonce: str, client_nonce: str) -> str:
    """What only one who knows the token can say; `role` is "client" or "worker"."""
    text = f"{role} {worker_nonce} {client_nonce}"
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_proof(given: object, expected: str) -> bool:
    """Whether a proof holds; takes as long where it does not."""
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())


class Connection:
    """Lines and bytes over a socket, each with a time limit for the whole of it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._ahead = bytearray()  # read from the socket, not yet asked for

    def send(self, message: dict[str, Any], limit_s: float = 10.0) -> None:
        """Send a message.

        Raises:
            ProtocolError: the other side is gone, or takes nothing.
        """
        self.send_bytes(json.dumps(message).encode() + b"\n", limit_s)

    def send_bytes(self, data: "bytes | memoryview", limit_s: float) -> None:
        """Send raw bytes; see `send`."""
        try:
            self.sock.settimeout(limit_s)
            self.sock.sendall(data)
        except TimeoutError as error:
            raise SlowError("the other side takes nothing") from error
        except OSError as error:
            raise ProtocolError(f"the connection broke: {error}") from error

    def receive(self, limit_s: float) -> dict[str, Any]:
        """The next message.

        Raises:
            SlowError: it was not whole after `limit_s`.
            ProtocolError: it is too long, no JSON object, or the other side is gone.
        """
        until = time.monotonic() + limit_s
        while (end := self._ahead.find(b"\n")) < 0:
            if len(self._ahead) >= MAX_LINE:
                raise ProtocolError("the message is too long")
            self._ahead += self._some(MAX_LINE, until)
        line = bytes(self._ahead[:end])
        del self._ahead[: end + 1]
        if len(line) >= MAX_LINE:
            raise ProtocolError("the message is too long")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("the message is not JSON") from error
        if not isinstance(message, dict):
            raise ProtocolError("the message is not a JSON object")
        return message

    def receive_bytes(self, count: int, limit_s: float) -> bytearray:
        """So many raw bytes; see `receive`."""
        until = time.monotonic() + limit_s
        data = bytearray(count)
        done = min(count, len(self._ahead))
        data[:done] = self._ahead[:done]
        del self._ahead[:done]
        view = memoryview(data)
        while done < count:
            done += self._into(view[done:], until)
        return data

    def ended(self) -> bool:
        """Whether the other side has closed, or says something though nothing was asked."""
        try:
            self.sock.settimeout(0.0)
            self.sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, TimeoutError):
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """End the connection."""
        self.sock.close()

    def _some(self, most: int, until: float) -> bytes:
        self._wait(until)
        try:
            data = self.sock.recv(most)
        except TimeoutError as error:
            raise SlowError("nothing came in time") from error
        except OSError as error:
            raise ProtocolError(f"the connection broke: {error}") from error
        if not data:
            raise ProtocolError("the other side closed the connection")
        return data

    def _into(self, view: memoryview, until: float) -> int:
        self._wait(until)
        try:
            count = self.sock.recv_into(view, min(len(view), 1 << 20))
        except TimeoutError as error:
            raise SlowError("too little came in time") from error
        except OSError as error:
            raise ProtocolError(f"the connection broke: {error}") from error
        if not count:
            raise ProtocolError("the other side closed the connection")
        return count

    def _wait(self, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise SlowError("too little came in time")
        self.sock.settimeout(left)


def connect(state: State, limit_s: float = 5.0) -> "tuple[Connection, dict[str, Any]]":
    """A connection to the worker of a state, and its greeting, not yet proven.

    Raises:
        ProtocolError: nobody listens there, or it does not greet as a worker does.
    """
    try:
        sock = socket.create_connection((HOST, state.port), timeout=limit_s)
    except OSError as error:
        raise ProtocolError(f"nobody listens on port {state.port}: {error}") from error
    connection = Connection(sock)
    try:
        return connection, _greeting(connection, limit_s)
    except ProtocolError:
        connection.close()
        raise


def _greeting(connection: Connection, limit_s: float) -> dict[str, Any]:
    greeting = connection.receive(limit_s)
    kinds = {"nonce": str, "protocol": int, "inpaintcli": str}
    if any(type(greeting.get(name)) is not kind for name, kind in kinds.items()):
        raise ProtocolError("what listens there is no worker")
    return greeting


def ask(
    connection: Connection,
    greeting: dict[str, Any],
    token: str,
    fields: dict[str, Any],
    limit_s: float = 5.0,
) -> None:
    """Send a request and check that the worker takes it and knows the token.

    Raises:
        ProtocolError: it refuses, or cannot prove that it knows the token.
    """
    nonce = new_token()
    own = proof(token, "client", greeting["nonce"], nonce)
    connection.send({"protocol": PROTOCOL, "nonce": nonce, "proof": own, **fields})
    answer = connection.receive(limit_s)
    if answer.get("event") != "accepted":
        raise ProtocolError(str(answer.get("message") or "the worker refused"))
    if not is_proof(answer.get("proof"), proof(token, "worker", greeting["nonce"], nonce)):
        raise ProtocolError("what listens there does not know the worker's token")


def call(state: State, request: str, limit_s: float = 5.0) -> dict[str, Any]:
    """Ask `ping` or `stop`; the worker's greeting and its answer in one.

    Raises:
        ProtocolError: there is no worker, or it refuses.
    """
    connection, greeting = connect(state, limit_s)
    try:
        ask(connection, greeting, state.token, {"request": request}, limit_s)
        return {**greeting, **connection.receive(limit_s)}
    finally:
        connection.close()
