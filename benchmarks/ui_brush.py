"""How fast is the page: opening a photo of 24 megapixels, and a stroke of 200 points on it.

Times are the page's own performance entries, in a headless Chromium: `open-photo` from the choice
of a photo to its first drawing, `stroke-frame` from one animation frame to the next while a
stroke is drawn.

    python benchmarks/ui_brush.py --rounds 5
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

POINTS = 200
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
DURATIONS = "name => performance.getEntriesByName(name).map((entry) => entry.duration)"


def main() -> None:
    """Serve a photo made by code, open it and draw on it, and print the times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo(folder / "large.jpg")
        results = measured(folder, rounds)
    print(json.dumps(results, indent=1))


def photo(path: Path) -> None:
    """A JPEG of 6000 x 4000."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).resize((6000, 4000), Image.Resampling.BICUBIC).save(path, quality=90)


def measured(folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds of opening, and of the frames of all strokes."""
    from playwright.sync_api import sync_playwright

    environment = {**os.environ, "INPAINTCLI_UI_STATE": str(folder / "state")}
    command = [sys.executable, "-m", "inpaintcli", "ui", str(folder), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    address = (server.stdout or sys.stdin).readline().strip()
    opened, frames = [], []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=[*ARGUMENTS]
            )
            for _ in range(rounds):
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto(address)
                opened += waited(page, "open-photo")
                stroke(page)
                frames += page.evaluate(DURATIONS, "stroke-frame")
                page.close()
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return {
        "open_ms": [round(value) for value in opened],
        "frames": len(frames),
        "frame_median_ms": round(statistics.median(frames), 1),
        "frame_max_ms": round(max(frames), 1),
        "frames_over_50_ms": sum(value > 50 for value in frames),
        "load_average": os.getloadavg()[0],
    }


def waited(page: Any, name: str) -> list[float]:
    """The durations of a performance entry, once there is one."""
    while not (found := page.evaluate(DURATIONS, name)):
        time.sleep(0.05)
    return [float(value) for value in found]


def stroke(page: Any) -> None:
    """A wavy stroke over the whole photo."""
    box = page.locator("#stage").bounding_box()
    for number in range(POINTS + 1):
        x = box["x"] + box["width"] * (0.1 + 0.8 * number / POINTS)
        y = box["y"] + box["height"] * (0.5 + 0.2 * np.sin(number / 8))
        page.mouse.move(x, float(y))
        if number == 0:
            page.mouse.down()
    page.mouse.up()


if __name__ == "__main__":
    main()
