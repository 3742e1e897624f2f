"""What is installed: the packages, the model and its card, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    pytest.importorskip("hatchling", reason="the extra `dev` is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_model_and_its_card_are_inside(names):
    assert {
        "inpaintcli/models/cards/shipped/membrane.toml",
        "inpaintcli/models/cards/shipped/membrane.onnx",
    } <= names


def test_the_page_of_the_report_is_inside(names):
    assert "inpaintcli/batch/templates/contact_sheet.html" in names


def test_every_module_and_the_type_marker_are_inside(names):
    for package in ("inpaintcli", "engines", "training"):
        for path in (ROOT / package).rglob("*.py"):
            assert path.relative_to(ROOT).as_posix() in names
        assert f"{package}/py.typed" in names


def test_nothing_else_is_inside(names):
    tops = {name.split("/")[0] for name in names}
    assert tops == {"inpaintcli", "engines", "training", "inpaintcli-0.1.0.dist-info"}
