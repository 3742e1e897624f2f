"""The documentation says what is: options, commands, recipes, files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = (
    ["fill"],
    ["harmonize"],
    ["watch"],
    ["models"],
    ["models", "list"],
    ["models", "show"],
    ["models", "verify"],
    ["evaluate"],
    ["engine"],
    ["engine", "build"],
    ["engine", "list"],
    ["engine", "show"],
    ["engine", "clear"],
    ["doctor"],
    ["train"],
    ["export"],
)
OF_OTHER_PROGRAMS = {
    "--address",
    "--crops",
    "--generate",
    "--head",
    "--logdir",
    "--no-dmfn",
    "--nproc-per-node",
    "--photos",
    "--recipe",
    "--rounds",
    "--steps",
    "--threads",
}
"""Of benchmarks, torchrun, TensorBoard and Ray."""


@pytest.fixture(scope="module")
def helps():
    program = [sys.executable, "-m", "inpaintcli"]
    return {
        " ".join(command): subprocess.run(
            [*program, *command, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
        for command in COMMANDS
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_in_the_docs_exists(page, helps):
    known = set(re.findall(r"--[a-z][a-z-]+", " ".join(helps.values()))) | {"--version", "--help"}
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text(encoding="utf-8")))
    assert used - known - OF_OTHER_PROGRAMS == set()


def test_every_command_in_the_readme_exists(helps):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for words in re.findall(r"^inpaintcli ([a-z ]+)", text, re.MULTILINE):
        assert any(words.startswith(command) for command in helps), words


def test_the_recipes_are_those_of_the_training_page():
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    from inpaintcli_training.catalog import recipes

    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == set(recipes())


@pytest.mark.parametrize("package", ["inpaintcli", "engines", "training"])
def test_the_architecture_names_every_module(package):
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for path in (ROOT / package).glob("*.py"):
        if not path.name.startswith("__"):
            assert path.name in text, path
    for folder in (ROOT / package).iterdir():
        if (folder / "__init__.py").exists():
            assert f"{folder.name}/" in text, folder


def test_every_file_that_the_docs_name_exists():
    for page in [*PAGES, ROOT / "ARCHITECTURE.md"]:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(
            r"`((?:inpaintcli|engines|training|benchmarks|tests)/[\w/.]+)`", text
        ):
            assert (ROOT / name).exists(), (page.name, name)


def test_every_test_that_the_docs_name_exists():
    """The papers' pages name those that show which faults of published code we do not share."""
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    for page in PAGES:
        for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")):
            assert f"def {name}(" in tests, (page.name, name)


def test_no_page_is_left_half_written():
    for page in PAGES:
        assert "@@" not in page.read_text(encoding="utf-8"), page
