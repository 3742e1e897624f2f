"""Workers that behave badly, or answer what is easily told from a picture.

Each speaks the protocol to the point where it goes wrong. `scribble` answers every pixel of the
box, selected or not, with the same values: a plug-in that writes more than the selection is seen.
"""

import contextlib
import os
import signal
import socket
import struct
import threading

from inpaintcli.gimp.picture_request import PICTURE_REQUESTS, fill_request
from inpaintcli.gimp.protocol import (
    HOST,
    PROTOCOL,
    Connection,
    ProtocolError,
    State,
    new_token,
    proof,
)

SCRIBBLE = {"u8": bytes([91]), "u16": struct.pack("=H", 23387), "f32": struct.pack("=f", 0.375)}
"""One sample of the answer, colour or alpha."""


class StandIn:
    """A worker on a port of its own, which says where it is in a state file."""

    def __init__(self, state, behave, protocol=PROTOCOL):
        self.requests = []
        self._behave, self._protocol, self._token = behave, protocol, new_token()
        self._listener = socket.create_server((HOST, 0))
        port = self._listener.getsockname()[1]
        self._state = state
        State(port, self._token, os.getpid(), "0.0.1", protocol).write(state)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(Connection(sock),), daemon=True).start()

    def _converse(self, connection):
        with contextlib.suppress(ProtocolError, OSError):
            nonce = new_token()
            greeting = {"inpaintcli": "0.0.1", "protocol": self._protocol, "nonce": nonce}
            connection.send(greeting)
            fields = connection.receive(60)
            own = proof(self._token, "worker", nonce, fields["nonce"])
            connection.send({"event": "accepted", "proof": own})
            for name in ("protocol", "nonce", "proof"):
                fields.pop(name)
            if fields["request"] not in PICTURE_REQUESTS:
                connection.send({"event": "done"})
            else:
                request = fill_request(fields)
                self.requests.append(request)
                connection.send({"event": "send"})
                connection.receive_bytes(request.payload, 60)
                self._behaved(connection, request)
        connection.close()

    def _behaved(self, connection, request):
        try:
            self._behave(connection, request)
        except ProtocolError:  # the plug-in has gone, which a test may want to see
            self._state.with_name("gone").touch()


def scribble(connection, request):
    _progress(connection)
    if request.request == "find":
        _find(connection, request)
        return
    count = request.hole_bytes * request.channels
    data = _upper_half(request) + SCRIBBLE[request.samples] * count
    connection.send({"event": "done", "bytes": len(data), "seconds": 0.0})
    connection.send_bytes(data, 60)


def _upper_half(request):
    """Where an object is that was put in: the upper half of its place."""
    if request.request != "guided":
        return b""
    upper = request.box[2] * (request.box[3] // 2)
    return b"\xff" * upper + bytes(request.hole_bytes - upper)


def _find(connection, request):
    """The object is all of the selection's box but its lowest row."""
    left, top, width, height = request.box
    box = (left, top, width, height - 1)
    connection.send({"event": "done", "bytes": width * (height - 1), "seconds": 0.0, "box": box})
    connection.send_bytes(b"\xff" * (width * (height - 1)), 60)


def found_outside(connection, request):
    """An object that lies outside of the picture."""
    box = (request.width - 1, 0, 2, 2)
    connection.send({"event": "done", "bytes": 4, "seconds": 0.0, "box": box})
    connection.send_bytes(b"\xff" * 4, 60)


def crash(connection, _request):
    _progress(connection)


def garbage(connection, _request):
    connection.send_bytes(b"\xff\xd8\xff\xe0 no JSON at all\n" * 50, 60)


def too_few(connection, request):
    connection.send({"event": "done", "bytes": request.answer_bytes - 1, "seconds": 0.0})
    connection.send_bytes(bytes(request.answer_bytes - 1), 60)


def broken_answer(connection, request):
    connection.send({"event": "done", "bytes": request.answer_bytes, "seconds": 0.0})
    connection.send_bytes(bytes(request.answer_bytes // 2), 60)


def silence(connection, _request):
    with contextlib.suppress(ProtocolError):
        connection.receive(60)  # until the plug-in has had enough


def out_of_memory(connection, _request):
    connection.send(
        {
            "event": "failed",
            "code": "memory",
            "message": "The memory is too little.",
            "hint": "Buy.",
        }
    )


def kill(connection, request):
    """What GIMP's Cancel does to a plug-in."""
    _progress(connection)
    os.kill(request.process, signal.SIGKILL)
    with contextlib.suppress(ProtocolError):
        connection.receive(60)


def slow(connection, _request):
    """Works for a minute: time to cancel."""
    for _ in range(240):
        _progress(connection)
        if threading.Event().wait(0.25):
            return


def _progress(connection):
    connection.send({"event": "progress", "text": "Filling", "share": 0.5})


BEHAVIOURS = {
    one.__name__: one
    for one in (
        scribble, crash, garbage, too_few, broken_answer, silence, out_of_memory, kill, slow,
        found_outside,
    )
}  # fmt: skip
