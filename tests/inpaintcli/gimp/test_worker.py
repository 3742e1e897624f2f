"""The worker: only who knows the token is served, one after the other, by the one pipeline."""

import json
import os
import socket
import stat
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from inpaintcli.gimp import worker as worker_module
from inpaintcli.gimp.protocol import (
    MAX_LINE,
    PROTOCOL,
    Connection,
    ProtocolError,
    State,
    ask,
    call,
    connect,
    new_token,
    proof,
)
from inpaintcli.gimp.worker import WorkerSettings, run_worker, running_worker, stop_worker
from inpaintcli.imaging.picture import Picture
from inpaintcli.imaging.regions import Box
from inpaintcli.inpaint.pipeline import fill
from inpaintcli.objects.remove import find_objects
from inpaintcli.objects.segment.prompts import Prompt
from inpaintcli.objects.segment.select import open_segmenter
from tests.conftest import photo_pixels
from tests.inpaintcli.gimp.clients import filled, found, raw, service_of, serving

HOLE = np.zeros((48, 64), np.bool_)
HOLE[10:30, 20:40] = True
GUIDE = {
    "width": 80, "height": 60, "channels": 3, "box": [10, 10, 20, 20], "place": [20, 10, 20, 20],
}  # fmt: skip
"""Of which an object is put where the hole is."""


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state" / "worker.json"


@pytest.fixture
def served(grey_model, state):
    with serving(service_of(grey_model), state, handshake_s=1.0) as worker:
        yield worker


def fields_of(**changes) -> dict:
    told = {
        "request": "fill", "width": 64, "height": 48, "channels": 3, "samples": "u8",
        "box": [20, 10, 20, 20], "model": "", "detail": "auto", "reveal": False, "process": 1,
    }  # fmt: skip
    return {**told, **changes}


def answer_to(state, fields: dict) -> dict:
    known = State.read(state)
    connection, greeting = connect(known)
    try:
        ask(connection, greeting, known.token, fields)
        return connection.receive(10)
    finally:
        connection.close()


def everything_in(folder) -> dict:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.usefixtures("served")
def test_the_answer_is_the_pipelines_own(state, grey_model, channels, dtype):
    pixels = photo_pixels(48, 64, channels, depth=8 * dtype().itemsize)
    colours = pixels[..., :1] if channels < 3 else pixels[..., :3]
    alpha = pixels[..., -1] if channels in (2, 4) else None
    wanted = fill(Picture(colours, alpha), HOLE, grey_model).picture
    answer = filled(state, pixels, HOLE)
    assert np.array_equal(answer[..., : colours.shape[2]], wanted.pixels[10:30, 20:40])
    if alpha is not None:
        assert np.array_equal(answer[..., -1], alpha[10:30, 20:40])


@pytest.mark.usefixtures("served")
def test_an_object_is_found_as_remove_finds_it(state):
    pixels = photo_pixels(48, 64, 3, depth=8) // 4
    pixels[18:34, 24:44] = (40, 60, 230)
    outline = np.zeros((48, 64), np.bool_)
    outline[12:40, 18:50] = True
    with open_segmenter() as segmenter:
        prompt = Prompt.of_box(Box(12, 18, 40, 50), (48, 64))
        wanted = find_objects(Picture(pixels), [prompt], segmenter).hole
    box, hole = found(state, pixels, outline)
    assert np.array_equal(hole > 0, wanted[box.slices])
    assert wanted.sum() == (hole > 0).sum() > 300


@pytest.mark.usefixtures("served")
def test_an_object_that_is_not_there_is_an_error_in_words(state):
    flat = np.full((48, 64, 3), 90, np.uint8)
    outline = np.zeros((48, 64), np.bool_)
    outline[12:40, 18:50] = True
    with pytest.raises(AssertionError, match="object"):
        found(state, flat, outline)


@pytest.mark.usefixtures("served")
def test_only_the_owner_may_read_the_state(state):
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700


@pytest.mark.usefixtures("served")
def test_a_state_that_others_could_have_written_is_none(state):
    state.chmod(0o644)
    assert State.read(state) is None


@pytest.mark.usefixtures("served")
def test_the_token_is_never_on_the_wire(state):
    heard = []
    known = State.read(state)
    connection, greeting = connect(known)
    heard.append(json.dumps(greeting))
    send = connection.send
    connection.send = lambda message: (heard.append(json.dumps(message)), send(message))
    ask(connection, greeting, known.token, {"request": "ping"})
    connection.close()
    assert len(heard) == 2
    assert known.token not in " ".join(heard)


def test_who_has_taken_a_dead_workers_port_is_shown_nothing():
    with socket.create_server(("127.0.0.1", 0)) as impostor:
        known = State(impostor.getsockname()[1], new_token(), 1, "0", PROTOCOL)
        heard = []

        def pretend():
            connection = Connection(impostor.accept()[0])
            nonce = new_token()
            connection.send({"inpaintcli": "0", "protocol": PROTOCOL, "nonce": nonce})
            heard.append(connection.receive(10))
            connection.send({"event": "accepted", "proof": proof("guess", "worker", nonce, "0")})
            with pytest.raises(ProtocolError):
                heard.append(connection.receive(10))
            connection.close()

        thread = threading.Thread(target=pretend)
        thread.start()
        connection, greeting = connect(known)
        with pytest.raises(ProtocolError, match="does not know"):
            ask(connection, greeting, known.token, fields_of())
        connection.close()
        thread.join(20)
    assert len(heard) == 1


@pytest.mark.parametrize("told", [None, "", "0" * 64, 7, "\u00e9"])
@pytest.mark.usefixtures("served")
def test_without_the_token_nothing_is_served(state, told):
    connection = Connection(raw(state))
    connection.receive(10)
    fields = {**fields_of(), "protocol": PROTOCOL, "nonce": new_token()}
    connection.send(fields if told is None else {**fields, "proof": told})
    assert connection.receive(10)["event"] == "refused"
    with pytest.raises(ProtocolError, match="closed"):
        connection.receive(10)
    connection.close()
    assert filled(state, photo_pixels(48, 64), HOLE).shape == (20, 20, 3)


@pytest.mark.usefixtures("served")
def test_a_proof_cannot_be_used_twice(state):
    known = State.read(state)
    connection, greeting = connect(known)
    nonce = new_token()
    said = {
        "request": "ping", "protocol": PROTOCOL, "nonce": nonce,
        "proof": proof(known.token, "client", greeting["nonce"], nonce),
    }  # fmt: skip
    connection.send(said)
    assert connection.receive(10)["event"] == "accepted"
    again = Connection(raw(state))
    again.receive(10)
    again.send(said)
    assert again.receive(10)["event"] == "refused"
    again.close()
    connection.close()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\xff\xfe\x00\n",
        b"[1, 2]\n",
        b'{"a": ' * 2000 + b"\n",
        b"x" * (4 * MAX_LINE),
        b"\n",
    ],
    ids=["http", "binary", "a list", "deep", "endless line", "empty"],
)
@pytest.mark.usefixtures("served")
def test_what_is_garbled_is_cut_off(state, tmp_path, data):
    before = everything_in(tmp_path)
    with raw(state) as sock:
        said = b""
        with suppress(OSError):  # the worker may close the connection before all is sent
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := sock.recv(65536):
                said += part
    assert b"accepted" not in said
    assert running_worker(state) is not None
    assert everything_in(tmp_path) == before


@pytest.mark.usefixtures("served")
def test_who_drips_slowly_is_cut_off_and_nobody_waits_for_it(state):
    with raw(state) as sock:
        sock.settimeout(20)
        sock.recv(4096)
        started, ended = time.monotonic(), False
        while not ended and time.monotonic() < started + 20:
            try:
                sock.sendall(b" ")
                assert filled(state, photo_pixels(48, 64), HOLE).size
                time.sleep(0.05)
            except OSError:
                ended = True
        assert ended


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"width": 2**40},
        {"width": 500_000, "height": 500_000, "box": [0, 0, 1, 1]},
        {"width": 64.0},
        {"width": True},
        {"channels": 5},
        {"samples": "f64"},
        {"box": [0, 0, 65, 20]},
        {"box": [-1, 0, 20, 20]},
        {"box": [0, 0, 20]},
        {"box": 7},
        {"detail": "all"},
        {"model": "../../etc/passwd.toml"},
        {"model": "/etc/passwd"},
        {"model": "C:\\secret.toml"},
        {"model": None},
        {"input": "/etc/passwd"},
        {"output": "/written"},
        {"process": "1"},
        {"request": "guided"},
        {"guide": GUIDE},
        {"request": "find", "guide": GUIDE},
        {"request": "guided", "guide": "/etc/passwd"},
        {"request": "guided", "guide": {**GUIDE, "path": "/etc/passwd"}},
        {"request": "guided", "guide": {**GUIDE, "width": 0}},
        {"request": "guided", "guide": {**GUIDE, "width": 500_000, "height": 500_000}},
        {"request": "guided", "guide": {**GUIDE, "channels": 5}},
        {"request": "guided", "guide": {**GUIDE, "box": [0, 0, 81, 20]}},
        {"request": "guided", "guide": {**GUIDE, "box": [0, 0, 20]}},
        {"request": "guided", "guide": {**GUIDE, "place": [20, 10, 20, 21]}},
        {"request": "guided", "guide": {**GUIDE, "place": [20, 10, 2**40, 20]}},
        {"request": "guided", "guide": {**GUIDE, "place": [20, 10, 0, 0]}},
        {
            "request": "guided",
            "guide": {**GUIDE, "place": [0, 0, 500_000, 500_000]},
            "box": [0, 0, 64, 48],
        },
        {"request": "guided", "guide": {**GUIDE, "place": [20.0, 10, 20, 20]}},
        {"request": "guided", "guide": GUIDE, "method": "all"},
        {"request": "guided", "guide": GUIDE, "amount": 101},
        {"request": "guided", "guide": GUIDE, "amount": 0.5},
        {"request": "guided", "guide": GUIDE, "model": "../model"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("served")
def test_a_request_that_is_none_is_refused(state, tmp_path, changes):
    before = everything_in(tmp_path)
    answer = answer_to(state, fields_of(**changes))
    assert (answer["event"], answer["code"]) == ("failed", "request")
    assert answer["message"]
    assert running_worker(state) is not None
    assert everything_in(tmp_path) == before


@pytest.mark.usefixtures("served")
def test_a_request_of_another_kind_is_refused(state):
    assert answer_to(state, {"request": "shell"})["event"] == "failed"


@pytest.mark.usefixtures("served")
def test_two_hundred_connections_at_once_keep_nobody_out(state):
    idle = []
    try:
        idle.extend(raw(state) for _ in range(200))
        for _ in range(3):
            assert filled(state, photo_pixels(48, 64), HOLE).shape == (20, 20, 3)
    finally:
        for sock in idle:
            sock.close()
    assert running_worker(state) is not None


def test_two_at_once_are_served_one_after_the_other(grey_model, state):
    service, at_work, most = service_of(grey_model), [], []
    real = service.fill

    def slow(*arguments):
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.2)
        at_work.pop()
        return real(*arguments)

    service.fill = slow
    with serving(service, state):
        answers = []
        pixels = photo_pixels(48, 64)
        threads = [
            threading.Thread(target=lambda: answers.append(filled(state, pixels, HOLE)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(answers) == 4
    assert max(most) == 1


def test_who_goes_while_waiting_or_at_work_leaves_the_worker_free(grey_model, state):
    service, cancelled = service_of(grey_model), []

    def until_cancelled(_request, _payload, progress):
        cancelled.append(progress.cancelled.wait(20))
        progress.check()

    real, service.fill = service.fill, until_cancelled
    with serving(service, state):
        known = State.read(state)
        connection, greeting = connect(known)
        ask(connection, greeting, known.token, fields_of())
        assert connection.receive(10)["event"] == "send"
        connection.send_bytes(bytes(64 * 48 * 3 + 400), 10)
        assert connection.receive(10)["event"] == "progress"
        connection.close()
        service.fill = real
        assert filled(state, photo_pixels(48, 64), HOLE).size
        assert cancelled == [True]


@pytest.mark.usefixtures("served")
def test_a_payload_that_stops_is_given_up(state, monkeypatch):
    monkeypatch.setattr(worker_module, "PAYLOAD_S", 0.3)
    known = State.read(state)
    connection, greeting = connect(known)
    ask(connection, greeting, known.token, fields_of())
    connection.receive(10)
    connection.send_bytes(b"some", 10)
    assert filled(state, photo_pixels(48, 64), HOLE).size
    connection.close()


def test_a_failure_of_the_pipeline_is_told_and_the_worker_serves_on(grey_model, state):
    service = service_of(grey_model)
    real = service.fill
    errors = iter([MemoryError(), ValueError("odd"), None])

    def failing(*arguments):
        error = next(errors)
        if error:
            raise error
        return real(*arguments)

    service.fill = failing
    with serving(service, state):
        for words in ("memory", "odd"):
            with pytest.raises(AssertionError, match=words):
                filled(state, photo_pixels(48, 64), HOLE)
        assert filled(state, photo_pixels(48, 64), HOLE).size


def test_it_ends_when_idle_and_leaves_no_state(grey_model, state):
    assert run_worker(service_of(grey_model), WorkerSettings(state=state, idle_s=0.1))
    assert not state.exists()
    assert grey_model.engine.closed is False  # it was never opened by the service


def test_it_ends_when_asked_or_when_its_state_is_gone(grey_model, state):
    for end in (lambda: stop_worker(state), state.unlink):
        with serving(service_of(grey_model), state) as worker:
            assert running_worker(state)["process"] == os.getpid()
            end()
            until = time.monotonic() + 20
            while _answers(state) and time.monotonic() < until:
                time.sleep(0.05)
            assert worker.stopping.is_set() or not state.exists()
    assert not stop_worker(state)


def _answers(state) -> bool:
    return running_worker(state) is not None


def test_one_worker_for_each_state_file(grey_model, state):
    settings = WorkerSettings(state=state, idle_s=30)
    results = []
    first = threading.Thread(
        target=lambda: results.append(run_worker(service_of(grey_model), settings)), daemon=True
    )
    first.start()
    until = time.monotonic() + 20
    while State.read(state) is None and time.monotonic() < until:
        time.sleep(0.01)
    port = State.read(state).port
    assert run_worker(service_of(grey_model), settings) is False
    assert State.read(state).port == port
    stop_worker(state)
    first.join(20)
    assert results == [True]


@pytest.mark.usefixtures("served")
def test_a_client_of_another_protocol_is_refused_but_may_end_it(state):
    known = State.read(state)
    for request, event in (("ping", "refused"), ("stop", "accepted")):
        connection, greeting = connect(known)
        nonce = new_token()
        own = proof(known.token, "client", greeting["nonce"], nonce)
        connection.send({"protocol": 99, "nonce": nonce, "proof": own, "request": request})
        assert connection.receive(10)["event"] == event
        connection.close()


@pytest.mark.usefixtures("served")
def test_call_says_what_the_worker_is(state):
    told = call(State.read(state), "ping")
    assert told["protocol"] == PROTOCOL
    assert told["process"] == os.getpid()
