"""Shared: a model without an engine behind it, photos made by code."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from inpaintcli_engines.base import Engine, EngineInfo, TensorSpec
from PIL import Image

from inpaintcli.inpaint.pipeline import Model
from inpaintcli.models.cards import Card

# A shell starts what runs in the background with SIGINT ignored, and programs leave it so: without
# this none that a test starts could be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class GreyEngine(Engine):
    """Fills with one grey and remembers what it was shown."""

    def __init__(self, grey: float = 0.0, *, threads: int = 1) -> None:
        self.grey = grey
        self.seen: list[dict] = []
        self.closed = False
        self.info = EngineInfo("grey", "cpu", "fp32", "1", threads)
        f32 = np.dtype(np.float32)
        self.inputs = (
            TensorSpec("image", (None, 3, None, None), f32),
            TensorSpec("mask", (None, 1, None, None), f32),
        )
        self.outputs = (TensorSpec("filled", (None, 3, None, None), f32),)

    def _run(self, arrays):
        self.seen.append({name: array.copy() for name, array in arrays.items()})
        return {"filled": np.full_like(arrays["image"], self.grey)}

    def close(self) -> None:
        self.closed = True


def card(**changes) -> Card:
    fields = {
        "name": "grey", "path": Path("grey.toml"), "file": Path("grey.onnx"), "sha256": "0",
        "licence": "Apache-2.0", "family": "grey", "recipe": "grey", "source": "tests",
        "task": "fill", "size_multiple": 16, "max_thickness": 64, "context": 1.0,
        "training": {}, "parity": {}, "scores": {},
    }  # fmt: skip
    return Card(**{**fields, **changes})


@pytest.fixture
def grey_model() -> Model:
    return Model(card(), GreyEngine(), "for tests")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six photos, each with its mask beside it."""
    photos = tmp_path / "photos"
    photos.mkdir()
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 20:40] = 255
    for number in range(6):
        Image.fromarray(photo_pixels(48, 64)).save(photos / f"{number}.png")
        Image.fromarray(mask).save(photos / f"{number}.mask.png")
    return photos


def photo_pixels(height: int, width: int, channels: int = 3, depth: int = 8) -> np.ndarray:
    """A smooth picture with some noise: compresses, and no two regions are equal."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    top = 255 if depth == 8 else 65535
    planes = [
        0.5 + 0.4 * np.sin(x / (9 + 4 * c)) * np.cos(y / (7 + 3 * c)) for c in range(channels)
    ]
    noise = np.random.default_rng(height * width).normal(0, 0.02, (height, width, channels))
    pixels = np.clip(np.stack(planes, axis=2) + noise, 0, 1) * top
    return pixels.astype(np.uint8 if depth == 8 else np.uint16)


def touch(folder: Path, *names: str) -> Path:
    """Files in a folder, with the folders that lead to them; they begin as a PNG does."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that one of the processes of a test run makes, and all of them read."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers
    folder = shared / f"once-{name}"
    with FileLock(shared / f"once-{name}.lock"):
        if not folder.exists():
            unfinished = shared / f"unfinished-{name}"
            unfinished.mkdir(exist_ok=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder
