"""Every example of docs/reference/python.md runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import photo_pixels

PAGE = Path(__file__).parent.parent / "docs/reference/python.md"
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with what the page speaks of."""
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
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[-1].strip()[:40])
def test_an_example_runs(example, desk, capsys):
    exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102 - our own page
    out, err = capsys.readouterr()
    assert err == ""
    assert ("print(" in example) == bool(out)
    if "photos" in example:
        assert len(list((desk / "out").iterdir())) == 2


def test_there_are_examples():
    assert len(EXAMPLES) == 4
