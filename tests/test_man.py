"""The manual page is that of the program, and man shows it without a warning."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "man" / "inpaintcli.1"
PROGRAM = [str(Path(sys.executable).with_name("inpaintcli"))]


@pytest.fixture(scope="module")
def man():
    spec = importlib.util.spec_from_file_location("man", ROOT / "docs" / "man.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_program(man):
    assert PAGE.read_text(encoding="utf-8") == man.page(), "run: python docs/man.py"


def test_every_command_exit_code_and_variable_is_on_it(man):
    page = man.page()
    for wanted in ("inpaintcli fill", "inpaintcli models add", ".B 130", ".B NO_COLOR"):
        assert wanted in page, wanted


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_it_is_shown_without_a_warning():
    command = ["groff", "-man", "-Tutf8", "-ww", "-z", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""


def completed(words: str, shell: str = "bash") -> list[str]:
    """What a shell is offered for the last of some words."""
    variables = {"_INPAINTCLI_COMPLETE": f"complete_{shell}", "COMP_WORDS": words}
    environment = os.environ | variables | {"COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        PROGRAM, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("inpaintcli ver", ["verify"]),
        ("inpaintcli fill --det", ["--detail"]),
        ("inpaintcli fill --detail ", ["auto", "network", "patches"]),
        ("inpaintcli fill --model mem", ["membrane"]),
        ("inpaintcli fill --engine open", ["openvino"]),
    ],
)
def test_the_shell_completes(words, offered):
    assert completed(words) == offered
