"""A real Chromium, and a server as a program of its own, for the tests of the page."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import photo_pixels
from tests.programs import PROGRAM, running

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}


def chromium_path() -> str:
    """The browser; the test is skipped where there is none, or fails where there must be one."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get("INPAINT_REQUIRE_BROWSER"):
        pytest.fail("INPAINT_REQUIRE_BROWSER is set, and there is no Chromium")
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return found


@contextmanager
def serving(state: Path, *words: object, program: list[str] = PROGRAM) -> Iterator[Any]:
    """A server until the end of the block; its `address` is what it printed."""
    environment = {**os.environ, "INPAINTCLI_UI_STATE": str(state)}
    command = [*program, "ui", *words, "--no-browser"]
    with running(command, 390, env=environment) as process:
        process.address = process.stdout.readline().strip()
        assert process.address, process.stderr.read()
        yield process


def until(condition: Callable[[], Any], limit_s: float = 60) -> Any:
    """What `condition` gives once it is true."""
    end = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < end, "it does not become true"
        time.sleep(0.05)
    return value


_ERASER = """events => events.forEach(([kind, clientX, clientY]) => {
  const button = kind === "pointermove" ? -1 : 5;
  const buttons = kind === "pointerup" ? 0 : 32;
  document.getElementById("stage").dispatchEvent(new PointerEvent(kind, {
    clientX, clientY, button, buttons, pressure: 0.5, pointerType: "pen", pointerId: 77,
    bubbles: true, cancelable: true,
  }));
})"""


@dataclass
class Screen:
    """The page in a tab, and what a hand does there."""

    page: Any

    def open(self, address: str, name: str | None = None) -> "Screen":
        """Load the page, and choose a photo."""
        self.page.goto(address)
        self.page.get_by_role("button", name="Help").wait_for()
        if name is not None:
            self.page.locator("#photo-list button", has_text=name).click()
        until(lambda: self.measured("open-photo") and (name or "") in self.text("#photo-facts"))
        until(lambda: self.text("#zoom") != "")
        return self

    def text(self, selector: str) -> str:
        return self.page.locator(selector).text_content() or ""

    def measured(self, name: str) -> list[float]:
        """The durations of the page's own performance entries, in milliseconds."""
        script = "name => performance.getEntriesByName(name).map((entry) => entry.duration)"
        return self.page.evaluate(script, name)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A place of the window; x and y are shares of the stage."""
        box = self.page.locator("#stage").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def status(self, text: str) -> None:
        """Wait until the status says so."""
        until(lambda: text in self.text("#status"), 200)
        assert self.text("#message") == ""

    def mouse_stroke(self, *shares: tuple[float, float]) -> None:
        places = [self.at(*share) for share in shares]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=5)
        self.page.mouse.up()

    def pen_stroke(self, *shares: tuple[float, float]) -> None:
        """A stroke of a pen, pressed harder and harder."""
        places = [self.at(*share) for share in shares]
        kinds = ["mousePressed", *["mouseMoved"] * (len(places) - 1), "mouseReleased"]
        for number, kind in enumerate(kinds):
            x, y = places[min(number, len(places) - 1)]
            pressed = kind != "mouseReleased"
            self.tab.send(
                "Input.dispatchMouseEvent",
                {
                    "type": kind, "x": x, "y": y, "pointerType": "pen", "clickCount": 1,
                    "button": "left", "buttons": int(pressed),
                    "force": (number + 1) / len(kinds) if pressed else 0,
                },
            )  # fmt: skip

    def eraser_stroke(self, *shares: tuple[float, float]) -> None:
        """A stroke of the other end of a pen, which Chromium's own commands cannot make."""
        places = [self.at(*share) for share in shares]
        kinds = ["pointerdown", *["pointermove"] * (len(places) - 1), "pointerup"]
        events = [
            [kind, *places[min(number, len(places) - 1)]] for number, kind in enumerate(kinds)
        ]
        self.page.evaluate(_ERASER, events)

    def touch(self, kind: str, *shares: tuple[float, float]) -> None:
        """Fingers at these places; `kind` is start, move or end."""
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(map(self.place, shares))]
        self.tab.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    def place(self, share: tuple[float, float]) -> tuple[float, float]:
        return self.at(*share)

    def touch_stroke(self, *shares: tuple[float, float]) -> None:
        self.touch("Start", shares[0])
        for share in shares[1:]:
            self.touch("Move", share)
        self.touch("End")

    @property
    def tab(self) -> Any:
        if not hasattr(self, "_tab"):
            self._tab = self.page.context.new_cdp_session(self.page)
        return self._tab

    def downloaded(self, button: str, path: Path) -> Path:
        """The file that a button gives."""
        with self.page.expect_download() as download:
            self.page.locator(button).click()
        download.value.save_as(path)
        download.value.delete()  # or a context that is closed waits for the browser to do so
        return path


def rotated_jpeg(path: Path) -> Path:
    """A JPEG that is stored on its side: EXIF orientation 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a maker"
    Image.fromarray(photo_pixels(300, 420)).save(path, quality=92, exif=exif)
    return path


def deep_png(path: Path) -> Path:
    """A PNG of 16 bits with alpha and a colour profile."""
    from PIL import ImageCms

    from inpaintcli.imaging.images import write_picture
    from inpaintcli.imaging.picture import Origin, Picture

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    alpha = np.full((320, 400), 65535, np.uint16)
    alpha[:, :40] = 20000
    picture = Picture(photo_pixels(320, 400, depth=16), alpha, Origin(icc=profile))
    write_picture(picture, path)
    return path


def large_jpeg(path: Path) -> Path:
    """A JPEG of 24 megapixels."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    large = Image.fromarray(noise).resize((6000, 4000), Image.Resampling.BICUBIC)
    large.save(path, quality=90)
    return path
