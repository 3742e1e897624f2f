"""A date stamp goes out of a folder of photos with the line that the documentation shows."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.transform import resize

from inpaintcli.inpaint import pipeline

PAGE = Path(__file__).parents[3] / "docs/how-to/date-stamp.md"
SIZES = ((640, 400), (512, 384), (480, 480), (400, 320), (360, 540))
PINK = (255, 0, 255)
SAMPLES = (data.astronaut, data.coffee, data.chelsea)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Thirty photos of five sizes, some upright, some turned by EXIF only; as they are shown."""
    monkeypatch.chdir(tmp_path)
    shown = {}
    for number in range(30):
        width, height = SIZES[number % 5]
        if number % 2:
            width, height = height, width
        sample = SAMPLES[number % 3]()
        pixels = np.round(resize(sample, (height, width), anti_aliasing=True) * 255)
        pixels = pixels.astype(np.uint8)
        pixels[height - 75 : height - 25 : 2, width - 290 : width - 30 : 3] = PINK
        name = f"day{number % 4}/{number:02}.png"
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        exif, stored = Image.Exif(), pixels
        if number % 3 == 0:
            exif[0x0112] = 6  # is shown turned clockwise
            stored = np.rot90(pixels)
        Image.fromarray(np.ascontiguousarray(stored)).save(Path("photos", name), exif=exif)
        shown[name] = pixels
    return shown


def lines():
    """The calls of the page that name a box."""
    found = re.findall(r"^inpaintcli (.*--box.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in found]


def displayed(path):
    with Image.open(path) as image:
        turned = image.getexif().get(0x0112) == 6
        return np.rot90(np.asarray(image), -1) if turned else np.asarray(image)


def pink(pixels):
    return (np.abs(pixels.astype(int) - PINK) < 40).all(axis=-1).sum()


def test_the_line_of_the_page_takes_it_out_of_all(program, photos, monkeypatch):
    fill = pipeline.fill
    coarse = {"detail": "network", "structure": "off"}  # what makes a fill fine takes its time
    monkeypatch.setattr(pipeline, "fill", lambda *given, **more: fill(*given, **more | coarse))
    look, remove, _ = lines()
    program(*look, check=0)
    program(*remove, check=0)
    for name, pixels in photos.items():
        found = displayed(Path("clean", name))
        height, width = pixels.shape[:2]
        hole = np.zeros((height, width), bool)
        hole[height - 80 : height - 20, max(0, width - 300) : width - 20] = True
        assert (found[~hole] == pixels[~hole]).all()
        assert pink(pixels[hole]) > 2000
        assert pink(found[hole]) < 40
        overlay = displayed(Path("check", name).with_suffix(".overlay.png"))
        assert (overlay[hole] != pixels[hole]).any(axis=-1).mean() > 0.99


def test_shares_are_of_each_photos_sides(program, photos):
    """The page's other line, as masks."""
    words = lines()[2]
    box = words[words.index("--box") + 1]
    program("mask", "photos", "--box", box, "-o", "masks", check=0)
    left, top, width, height = (float(share.strip("%")) / 100 for share in box.split(","))
    for name, pixels in photos.items():
        rows, columns = pixels.shape[:2]
        hole = displayed(Path("masks", name).with_suffix(".mask.png")) > 0
        assert hole.shape == (rows, columns)
        assert abs(hole.mean() - width * height) < 0.004
        assert hole[int((top + height / 2) * rows), int((left + width / 2) * columns)]
