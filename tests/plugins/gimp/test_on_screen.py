"""The plug-in in a GIMP with windows, on a virtual screen: menu, dialog, undo, redo, Cancel.

The pictures of docs/gimp.md are of the same session (`pictures.py`).
"""

import re
from pathlib import Path

import pytest

from tests.plugins.gimp.screen import SCRIPT, session

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(1100)]

STEPS = re.findall(r"^def (step_\w+)", Path(SCRIPT).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="session")
def report(reported):
    return reported("screen", session)[0]


@pytest.mark.parametrize("name", STEPS)
def test_on_screen(report, name):
    assert report[name]["ok"], report[name]["error"] + report["said"]
