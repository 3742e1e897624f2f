"""Every Python example of the documentation runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaintcli.api import FillKeywords, MaskKeywords
from tests.conftest import photo_pixels

DOCS = Path(__file__).parent.parent / "docs"


def examples(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(example):
    exec(compile(example, "an example of the docs", "exec"), {})  # noqa: S102 - our own page


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with what the pages speak of."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "out"):
        (tmp_path / name).mkdir()
    for name in ("photo.png", "photos/a.png", "photos/b.png"):
        Image.fromarray(photo_pixels(128, 192)).save(name)
    hole = np.zeros((128, 192), np.uint8)
    hole[50:80, 60:100] = 255
    Image.fromarray(hole).save("mask.png")
    return tmp_path


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the page leaves Image.open to the reader
@pytest.mark.parametrize(
    "example", examples("reference/python.md"), ids=lambda text: text.splitlines()[-1].strip()[:40]
)
def test_an_example_runs(example, desk, capsys):
    run(example)
    out, err = capsys.readouterr()
    assert err == ""
    assert ("print(" in example) == bool(out)
    if "photos" in example:
        assert len(list((desk / "out").iterdir())) == 2


def test_there_are_examples():
    assert len(examples("reference/python.md")) == 7


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_masks_of_a_date_stamp_are_its_digits(tmp_path, monkeypatch):
    """Also of a photo that its orientation turns upright."""
    monkeypatch.chdir(tmp_path)
    upright = np.full((200, 300, 3), 90, np.uint8)
    upright[180:190, 220:270] = (255, 128, 48)
    upright[20:40, 220:270] = (255, 128, 48)  # as orange, but not in the corner
    (tmp_path / "photos/day1").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    Image.fromarray(upright).save("photos/a.jpg", quality=95)
    turned = Image.fromarray(np.rot90(upright))
    turned.save("photos/day1/b.jpg", quality=95, exif=exif)
    for example in examples("how-to/date-stamp.md"):
        run(example)
    for name in ("a", "day1/b"):
        mask = np.asarray(Image.open(f"masks/{name}.png")) > 0
        assert mask.shape == (200, 300)
        assert mask[181:189, 222:268].all()
        assert mask.sum() < 1.2 * 10 * 50


@pytest.mark.parametrize("keywords", [FillKeywords, MaskKeywords])
def test_every_keyword_of_fill_and_mask_is_named(keywords):
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    assert [name for name in keywords.__optional_keys__ if f"`{name}" not in page] == []
