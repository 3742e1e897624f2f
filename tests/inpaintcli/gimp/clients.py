"""A worker in this process, and what asks it."""

import socket
import threading
import time
from contextlib import contextmanager

import numpy as np

from inpaintcli.gimp.fill_service import FillService
from inpaintcli.gimp.picture_request import FillRequest
from inpaintcli.gimp.protocol import State, ask, connect
from inpaintcli.gimp.worker import Worker, WorkerSettings
from inpaintcli.imaging.regions import Box


def service_of(model) -> FillService:
    """A service whose model is that one, whatever is asked for."""
    service = FillService()
    service._model = lambda _name, _progress: model
    return service


@contextmanager
def serving(service, state, **settings):
    """A worker that serves until the end of the block."""
    worker = Worker(service, WorkerSettings(state=state, **settings))
    thread = threading.Thread(target=worker.serve, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while State.read(state) is None and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield worker
    finally:
        worker.stopping.set()
        thread.join(20)
        assert not thread.is_alive()


def raw(state) -> socket.socket:
    """A connection that has said nothing."""
    return socket.create_connection(("127.0.0.1", State.read(state).port), timeout=20)


def filled(state, pixels, hole, **changes) -> np.ndarray:
    """What a worker answers: pixels (h, w, c) uint8, uint16 or float32, hole (h, w) bool."""
    message, data = asked(state, pixels, hole, **changes)
    assert "box" not in message
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    shape = (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1, pixels.shape[2])
    return np.frombuffer(data, pixels.dtype).reshape(shape)


def found(state, pixels, outline) -> tuple[Box, np.ndarray]:
    """The box of an object in an outline, and its hole there."""
    message, data = asked(state, pixels, outline, request="find")
    left, top, width, height = message["box"]
    hole = np.frombuffer(data, np.uint8).reshape(height, width)
    return Box(top, left, top + height, left + width), hole


def asked(state, pixels, hole, shown=None, **changes) -> tuple[dict, bytearray]:
    """The worker's last message and the bytes behind it."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    box = (
        int(columns[0]), int(rows[0]),
        int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1),
    )  # fmt: skip
    kinds = {"uint8": "u8", "uint16": "u16", "float32": "f32"}
    height, width, channels = pixels.shape
    request = FillRequest(width, height, channels, kinds[pixels.dtype.name], box, **changes)
    known = State.read(state)
    connection, greeting = connect(known)
    try:
        ask(connection, greeting, known.token, request.fields())
        while (message := connection.receive(20))["event"] != "done":
            assert message["event"] in ("waiting", "send", "progress"), message
            if message["event"] == "send":
                inside = hole[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
                connection.send_bytes(pixels.tobytes(), 20)
                connection.send_bytes((inside * np.uint8(255)).tobytes(), 20)
                connection.send_bytes(b"" if shown is None else shown.tobytes(), 20)
        return message, connection.receive_bytes(message["bytes"], 20)
    finally:
        connection.close()


def put_in(state, pixels, guide, how, **changes) -> tuple[np.ndarray, np.ndarray]:
    """Opacity (h, w) and pixels of the place of an object, as a worker answers them."""
    left, top, width, height = how.place
    hole = np.zeros(pixels.shape[:2], np.bool_)
    hole[max(top, 0) : top + height, max(left, 0) : left + width] = True
    _, data = asked(state, pixels, hole, guide, request="guided", guide=how, **changes)
    rows, columns = int(hole.any(axis=1).sum()), int(hole.any(axis=0).sum())
    opacity = np.frombuffer(data, np.uint8, rows * columns).reshape(rows, columns)
    samples = np.frombuffer(bytes(data[rows * columns :]), pixels.dtype)
    return opacity, samples.reshape(rows, columns, pixels.shape[2])
