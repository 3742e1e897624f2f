"""Make the pictures of docs/how-to/page.md: the page with a mask, and after the fill.

    python tests/inpaintcli/ui/pictures.py FOLDER

The photo is scikit-image's bundled `astronaut`; the page is served and seen by Chromium.
"""

import sys
import tempfile
from pathlib import Path

import skimage.data
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.inpaintcli.ui.browser import ARGUMENTS, Screen, chromium_path, serving

WINDOW = {"width": 1120, "height": 700}
SHUTTLE = (
    (362, 55),
    (392, -7),
    (446, -7),
    (462, 60),
    (476, 210),
    (474, 284),
    (366, 286),
    (346, 206),
)
"""Corners around the model of the space shuttle, x and y in the photo."""
PHOTO = 512
"""Pixels of a side of the photo."""


def main() -> None:
    """Write the pictures into the folder that is named."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        photos.mkdir()
        Image.fromarray(skimage.data.astronaut()).save(photos / "astronaut.png")
        Image.fromarray(skimage.data.coffee()).save(photos / "coffee.jpg", quality=92)
        with serving(Path(name) / "state", photos) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*ARGUMENTS])
            screen = Screen(browser.new_page(viewport=WINDOW)).open(server.address, "astronaut")
            outline(screen)
            keep(screen, target / "mask.webp")
            screen.page.locator("#fill").click()
            screen.status("Filled.")
            screen.page.mouse.move(0, 0)
            keep(screen, target / "filled.webp")
            browser.close()


def outline(screen: Screen) -> None:
    """Draw the polygon by clicks, and close it."""
    screen.page.locator("#tools label", has_text="Polygon").click()
    stage = screen.page.locator("#stage").bounding_box()
    scale = (min(stage["width"], stage["height"]) - 24) / PHOTO
    left = stage["x"] + (stage["width"] - PHOTO * scale) / 2
    top = stage["y"] + (stage["height"] - PHOTO * scale) / 2
    for x, y in (*SHUTTLE, SHUTTLE[0]):
        screen.page.mouse.click(left + x * scale, top + y * scale)
    screen.status("Ready to fill.")


def keep(screen: Screen, path: Path) -> None:
    """A picture of the page, of few bytes."""
    screen.page.wait_for_timeout(600)
    shot = path.with_suffix(".png")
    screen.page.screenshot(path=shot)
    with Image.open(shot) as image:
        image.convert("RGB").resize((800, 500)).save(path, quality=28, method=6)
    shot.unlink()


if __name__ == "__main__":
    main()
