"""The page's server in this process, with a model that fills with grey at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli.inpaint import pipeline
from inpaintcli.inpaint.pipeline import Model
from tests.conftest import GreyEngine, card, photo_pixels

pytest.importorskip("starlette", reason="the extra `ui` is not installed")

from starlette.testclient import TestClient

from inpaintcli.options import ModelChoice
from inpaintcli.ui.app import Page
from inpaintcli.ui.fill_queue import FillQueue
from inpaintcli.ui.guard import Guard
from inpaintcli.ui.photo_list import PhotoList, Sources
from inpaintcli.ui.saving import Saver

TOKEN = "a-secret-of-a-test"  # noqa: S105
HOST = "127.0.0.1:8000"
STROKE = {"id": "stroke-00", "kind": "stroke", "points": [[20, 15, 5], [40, 30, 5]]}
FILL = {"id": "fill-0000", "kind": "fill", "detail": "network"}


@dataclass
class Server:
    """One run of the server, and a browser's requests to it."""

    client: TestClient
    photos: PhotoList
    queue: FillQueue

    def get(self, path, **options):
        return self.client.get(f"/{TOKEN}/{path}", **options)

    def post(self, path, fields=None, **options):
        return self.client.post(f"/{TOKEN}/{path}", json=fields, **options)

    @property
    def ids(self) -> dict[str, str]:
        """The ids of the photos by their names."""
        listed = self.get("api/photos").json()["photos"]
        return {photo["name"]: photo["id"] for photo in listed}

    def edit(self, photo, fields):
        answer = self.post(f"api/photos/{photo}/edits", fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self, photo):
        return self.get(f"api/photos/{photo}").json()

    def filled(self, photo):
        """The state once nothing is left to be done."""
        end = time.monotonic() + 60
        while (state := self.state(photo))["working"]:
            assert time.monotonic() < end
            time.sleep(0.01)
        return state

    def close(self):
        self.queue.close()
        self.photos.close()


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with a PNG and a JPEG."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(photo_pixels(48, 64)).save(folder / "a.png")
    Image.fromarray(photo_pixels(40, 56)).save(folder / "b.jpg", quality=90)
    return folder


@pytest.fixture
def engine(monkeypatch) -> GreyEngine:
    """What every model is made of."""
    engine = GreyEngine()
    monkeypatch.setattr(pipeline, "open_model", lambda *_, **__: Model(card(), engine, "for tests"))
    return engine


@pytest.fixture
def start(photos, tmp_path, engine) -> Callable[..., Server]:  # noqa: ARG001
    """Starts servers that keep their state in one folder; all end with the test."""
    servers = []

    def begin(source=photos, masks=None, output=None, **limits) -> Server:
        sources = Sources(photos=source, masks=masks, output=output, state=tmp_path / "state")
        queue = FillQueue(ModelChoice())
        listed = PhotoList(sources, queue.is_busy_with)
        page = Page(listed, queue, Saver(output, ModelChoice()), **limits)
        guard = Guard(page.application(), TOKEN, frozenset({HOST}))
        client = TestClient(guard, f"http://{HOST}", raise_server_exceptions=False)
        server = Server(client, listed, queue)
        servers.append(server)
        return server

    yield begin
    for server in servers:
        server.close()


@pytest.fixture
def server(start) -> Server:
    return start()


def pixels(data_or_path) -> np.ndarray:
    with Image.open(data_or_path) as image:
        return np.asarray(image)
