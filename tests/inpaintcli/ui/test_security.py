"""Whoever is not the page is refused, whatever is sent, and nothing is written elsewhere."""

import http.client
import io
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from inpaintcli.ui.photo_list import safe_name
from tests.conftest import photo_pixels
from tests.inpaintcli.ui.conftest import FILL, HOST, STROKE, TOKEN
from tests.programs import grey, running


def files_below(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "path", ["", "api/photos", "static/main.js", f"{TOKEN}x/", f"{TOKEN[:-1]}/", "x/api/photos"]
)
def test_without_the_token_everything_is_refused(server, path):
    answer = server.client.get(f"/{path}")
    assert answer.status_code == 403
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8000"},
        {"host": "127.0.0.1:9999"},
        {"host": "127.0.0.1.evil.example:8000"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_pages_of_others_are_refused_even_with_the_token(server, headers):
    photo = server.ids["a.png"]
    assert server.get("api/photos", headers=headers).status_code == 403
    assert server.post(f"api/photos/{photo}/edits", STROKE, headers=headers).status_code == 403
    assert server.state(photo)["done"] == 0


def test_the_page_itself_is_answered(server):
    headers = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
    assert server.get("api/photos", headers=headers).status_code == 200


def test_answers_run_no_script_of_others_and_fit_in_no_frame(server):
    for path in ("", "api/photos", "static/main.js", "nothing"):
        headers = server.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_form_of_another_page_changes_nothing(server):
    photo = server.ids["a.png"]
    text = '{"id": "stroke-00", "kind": "invert"}'
    answer = server.client.post(
        f"/{TOKEN}/api/photos/{photo}/edits", content=text, headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 400
    assert server.state(photo)["done"] == 0


@pytest.mark.parametrize(
    "path",
    [
        "static/../app.py",
        "static/..%2fapp.py",
        "static/%2e%2e/app.py",
        "static/..%5capp.py",
        "static//etc/passwd",
        "static/%2fetc%2fpasswd",
        "api/photos/..%2f..%2fetc%2fpasswd",
        "api/photos/%2e%2e/thumbnail",
        "api/photos/a.png",
    ],
)
def test_no_path_leads_out(server, path):
    assert server.get(path).status_code in {400, 403, 404}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("..\\..\\evil.png", "evil.png"),
        ("/abs/olute.png", "olute.png"),
        (".hidden.png", "hidden.png"),
        ("C:\\a\\b.png", "b.png"),
        ("no suffix", "no suffix.png"),
        ("a\0b\n.png", "a_b_.png"),
        ("Übung 1.png", "Übung 1.png"),
        ("x" * 500 + ".png", "x" * 120 + ".png"),
    ],
)
def test_names_that_are_sent_stay_in_the_folder(sent, kept):
    assert safe_name(sent, ".png") == kept


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(photo_pixels(48, 64)).save(file, "PNG")
    return file.getvalue()


def test_an_upload_with_a_wicked_name_lies_in_the_state_folder_alone(server, tmp_path):
    before = files_below(tmp_path)
    name = "../../../wicked.png"
    answer = server.client.post(f"/{TOKEN}/api/photos", params={"name": name}, content=png())
    assert answer.status_code == 200
    (new,) = files_below(tmp_path) - before
    assert new.startswith(str(tmp_path / "state" / "uploads"))
    assert Path(new).name == "wicked.png"


def test_a_photo_that_was_sent_can_be_removed_and_no_other(server, tmp_path):
    before = files_below(tmp_path)
    query = {"name": "sent.png"}
    photo = server.client.post(f"/{TOKEN}/api/photos", params=query, content=png()).json()["id"]
    server.edit(photo, STROKE)
    assert server.post(f"api/photos/{photo}/forget", {}).status_code == 200
    assert files_below(tmp_path) == before
    assert server.get(f"api/photos/{photo}").status_code == 404
    assert server.post(f"api/photos/{server.ids['a.png']}/forget", {}).status_code == 400
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"%PDF-1.7", b"<svg/>", b"\x89PNG\r\n\x1a\n" + b"x" * 100]
)
def test_what_is_no_picture_is_refused_and_not_kept(server, tmp_path, data):
    before = files_below(tmp_path)
    answer = server.client.post(f"/{TOKEN}/api/photos", params={"name": "a.png"}, content=data)
    if answer.status_code == 200:  # begins as a picture does
        assert server.get(f"api/photos/{answer.json()['id']}").status_code == 415
        return
    assert answer.status_code == 415
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large_is_not_kept(start, tmp_path, announced):
    server = start(max_photo=100_000)
    before = files_below(tmp_path)
    parts = (b"\x89PNG\r\n\x1a\n" + b"x" * 992 for _ in range(200))
    content = b"".join(parts) if announced else parts
    answer = server.client.post(f"/{TOKEN}/api/photos", params={"name": "a.png"}, content=content)
    assert answer.status_code == 413
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": "../../evil", "kind": "invert"},
        {"id": "A" * 10, "kind": "invert"},
        {"id": "stroke-00", "kind": "unknown"},
        {"id": "stroke-00", "kind": "mask"},
        {"id": "stroke-00", "kind": "stroke", "points": []},
        {"id": "stroke-00", "kind": "stroke", "points": [[1, 2]]},
        {"id": "stroke-00", "kind": "stroke", "points": [[1, 2, -1]]},
        {"id": "stroke-00", "kind": "stroke", "points": [[1e300, 2, 1]]},
        {"id": "stroke-00", "kind": "stroke", "points": [["1", 2, 1]]},
        {"id": "stroke-00", "kind": "stroke", "points": [[1, 2, 1]] * 20_001},
        {"id": "stroke-00", "kind": "box", "box": [1, 2, 0, 5]},
        {"id": "stroke-00", "kind": "grow", "pixels": 1e9},
        {"id": "stroke-00", "kind": "fill", "detail": "everything"},
        {"id": "stroke-00", "kind": "fill", "model": 7},
        {"id": "stroke-00", "kind": "fill", "seed": -1},
    ],
    ids=str,
)
def test_edits_that_are_none_are_refused(server, fields):
    photo = server.ids["a.png"]
    answer = server.post(f"api/photos/{photo}/edits", fields)
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"]
    assert server.state(photo)["done"] == 0


@pytest.mark.parametrize("text", ["", "[", "[]", "7", "[" * 100_000, '{"id": NaN'])
def test_requests_that_are_no_json_objects_are_refused(server, text):
    photo = server.ids["a.png"]
    answer = server.client.post(
        f"/{TOKEN}/api/photos/{photo}/position",
        content=text,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"x": "-1"},
        {"w": "0"},
        {"w": "65"},
        {"width": "100000"},
        {"height": "0"},
        {"h": "4.5"},
        {"x": "٣"},
        {"x": "9" * 30},
    ],
    ids=str,
)
def test_views_outside_of_the_photo_are_refused(server, query):
    whole = {"x": 0, "y": 0, "w": 64, "h": 48, "width": 64, "height": 48}
    asked = {**whole, **query} if query else {}
    answer = server.get(f"api/photos/{server.ids['a.png']}/view/after", params=asked)
    assert answer.status_code == 400


def test_a_model_that_is_a_path_to_no_card_is_a_problem_that_is_shown(server, photos, monkeypatch):
    from inpaintcli.inpaint import pipeline
    from inpaintcli.models.cards import find_card

    monkeypatch.setattr(pipeline, "open_model", lambda name, **_: find_card(name))
    photo = server.ids["a.png"]
    server.edit(photo, STROKE)
    server.edit(photo, {**FILL, "model": str(photos / "no.toml")})
    state = server.filled(photo)
    assert state["problem"]["message"]
    assert state["has_mask"], "the mask of a fill that failed stays"


def test_a_hundred_requests_at_a_time_are_all_answered(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(photo_pixels(480, 640)).save(folder / "a.png")
    environment = {**os.environ, "INPAINTCLI_UI_STATE": str(tmp_path / "state")}
    command = [*grey(), "ui", folder, "--no-browser"]
    with running(command, 110, env=environment) as process:
        address = urlsplit(process.stdout.readline().strip())

        def asked(path):
            made = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
            with closing(made) as connection:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read()

        listed = asked(f"{address.path}api/photos")[1].decode()
        photo = listed.partition('"id":"')[2][:16]
        view = f"api/photos/{photo}/view/after?x=0&y=0&w=640&h=480&width=320&height=240"
        paths = [f"{address.path}{view}", "/", f"{address.path}api/photos/{photo}", "/x/"] * 25
        with ThreadPoolExecutor(100) as pool:
            statuses = [status for status, _ in pool.map(asked, paths)]
        assert statuses == [200, 403, 200, 403] * 25
        with socket.create_connection((address.hostname, address.port)) as raw:
            raw.sendall(b"POST " + address.path.encode() + b"api/photos?name=a.png HTTP/1.1\r\n")
            raw.sendall(f"Host: {address.netloc}\r\nContent-Length: 2147483648\r\n\r\n".encode())
            assert b" 413 " in raw.recv(1000)
        assert asked(f"{address.path}api/photos")[0] == 200
    assert files_below(folder) == {str(folder / "a.png")}


def test_only_this_machine_can_connect(tmp_path):
    environment = {**os.environ, "INPAINTCLI_UI_STATE": str(tmp_path / "state")}
    with running([*grey(), "ui", "--no-browser"], 110, env=environment) as process:
        port = urlsplit(process.stdout.readline().strip()).port
        table = Path("/proc/net/tcp")
        if not table.exists():
            pytest.skip("no /proc/net/tcp here")
        local = [line.split()[1] for line in table.read_text().splitlines()[1:]]
        listening = {entry.partition(":")[0] for entry in local if entry.endswith(f":{port:04X}")}
        assert listening == {"0100007F"}
