"""The documentation says what is: commands, options, files, links, figures of the code."""

import importlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer

from inpaintcli.batch.outcome import Outcome
from inpaintcli.cli import app
from inpaintcli.errors import ExitCode
from inpaintcli.imaging.images import FORMATS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")]
ARCHIVE = DOCS / "log-archive.md"  # names files as they were called when it was written
OF_TRAINING = "training/inpaintcli_training"
PAGES = [*TOP, *(page for page in sorted(DOCS.rglob("*.md")) if page != ARCHIVE)]
IMAGES = sorted((DOCS / "images").iterdir())
MOST_BYTES = 600_000
"""Of all pictures in the repository together."""
OF_OTHER_PROGRAMS = {
    "--address",
    "--generate",
    "--head",
    "--logdir",
    "--no-cache-dir",
    "--nproc-per-node",
}
"""Of torchrun, TensorBoard, Ray and pip."""
OF_BENCHMARKS = re.compile(r"benchmarks[/.](\w+)(?:\.py)?([^`\n]*)")


def identified(page):
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=identified)


def text_of(page):
    return page.read_text(encoding="utf-8")


def options_by_command(group, before=""):
    """Names of all commands and groups, each with its options."""
    found = {}
    for name, command in group.commands.items():
        whole = f"{before}{name}"
        found[whole] = {word for param in command.params for word in param.opts}
        found[whole] |= {word for param in command.params for word in param.secondary_opts}
        found[whole] |= {"--help", "-h"}
        if getattr(command, "commands", None):
            found |= options_by_command(command, f"{whole} ")
    return found


COMMANDS = options_by_command(typer.main.get_command(app))


def calls(text):
    """Every call of the program in code blocks and in inline code, as lists of words."""
    joined = re.sub(r"\\\n\s*", " ", text)
    blocks = re.findall(r"^```(?:sh|bash|ini)?\n(.*?)^```", joined, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", joined)
    for line in lines:
        match = re.search(r"(?:^|[\s/])inpaintcli (?=[a-z])(.*)", line)
        if match and not line.startswith(("pip ", "import ", "python -c")):
            yield shlex.split(match[1].split(" | ")[0], comments=True)


@every_page
def test_every_command_in_the_docs_exists_with_its_options(page):
    for words in calls(text_of(page)):
        names = [" ".join(words[:count]) for count in (2, 1)]
        command = next((name for name in names if name in COMMANDS), None)
        assert command is not None, words
        used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= COMMANDS[command], words
        for word in words:
            assert not word.startswith("inpaintcli/") or (ROOT / word).exists(), word


def test_the_docs_show_every_command():
    shown = "".join(map(text_of, PAGES))
    for command in COMMANDS:
        assert f"inpaintcli {command}" in shown or f"`{command}`" in shown, command


@every_page
def test_every_option_in_the_docs_exists(page):
    known = set().union(*COMMANDS.values()) | {"--version"} | OF_OTHER_PROGRAMS
    text = OF_BENCHMARKS.sub("", text_of(page))
    used = set(re.findall(r"(?<![\w<-])--[a-z][a-z-]+", text))
    assert used <= known


@every_page
def test_every_option_of_a_benchmark_exists(page):
    for name, rest in OF_BENCHMARKS.findall(text_of(page)):
        script = ROOT / "benchmarks" / f"{name}.py"
        assert script.exists(), name
        for option in re.findall(r"--[a-z][a-z-]+", rest):
            assert f'"{option}"' in text_of(script), (name, option)


@every_page
def test_every_file_that_the_docs_name_exists(page):
    folders = "inpaintcli|engines|training|benchmarks|tests|examples|docs|plugins"
    for name in re.findall(rf"`((?:{folders})/[\w/.-]+)`", text_of(page)):
        assert (ROOT / name).exists(), name


@every_page
def test_every_name_of_the_code_that_the_docs_give_exists(page):
    pattern = r"[`:] ?(inpaintcli(?:_\w+)?(?:\.\w+)+)"
    for dotted in re.findall(pattern, text_of(page)):
        parts = dotted.split(".")
        if parts[-1] in {"py", "exe", "toml"}:
            continue
        if parts[0] == "inpaintcli_training":
            pytest.importorskip("torch", reason="the extra `train` is not installed")
        assert resolved(parts), dotted


def resolved(parts):
    """Whether dotted parts are a module, or a name in one."""
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for name in parts[count:]:
            found = getattr(found, name, None)
        return found is not None
    return False


@every_page
def test_every_link_leads_somewhere(page):
    made = {"architecture.md", "contributing.md", "changelog.md", "command-line.md"}
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(page)):
        if not link.startswith(("http:", "https:")) and Path(link).name not in made:
            assert (page.parent / link).exists(), link


@every_page
def test_every_test_that_the_docs_name_exists(page):
    """The papers' pages name those that show which faults of published code we do not share."""
    tests = "".join(text_of(path) for path in (ROOT / "tests").rglob("*.py"))
    for name in re.findall(r"`(test_\w+)`", text_of(page)):
        assert f"def {name}(" in tests, name
    for part in re.split(r"[;\n]", text_of(page)):
        files = [ROOT / name for name in re.findall(r"`(tests/[\w/]+\.py)`", part)]
        for name in re.findall(r"`(test_\w+)`", part) if files else ():
            assert any(f"def {name}(" in text_of(path) for path in files), (name, files)


@every_page
def test_no_page_is_left_half_written(page):
    assert not re.search(r"@@|TODO|FIXME", text_of(page))


def test_the_recipes_are_those_of_the_training_page():
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    from inpaintcli_training.catalog import recipes

    text = text_of(DOCS / "reference/training.md")
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == set(recipes())


def rooms():
    """Folders of Python files, and the names of these files but `__init__.py`."""
    for package in ("inpaintcli", "engines", "training"):
        for folder in sorted({path.parent for path in (ROOT / package).rglob("*.py")}):
            names = {path.name for path in folder.glob("*.py")}
            yield folder.relative_to(ROOT).as_posix(), names - {"__init__.py"}


@pytest.mark.parametrize(("room", "files"), list(rooms()), ids=[room for room, _ in rooms()])
def test_the_architecture_has_a_caption_for_every_file_and_for_none_that_is_gone(room, files):
    text = text_of(ROOT / "ARCHITECTURE.md")
    _, _, section = text.partition(f"### `{room}/`")
    section = section.partition("\n#")[0]
    captions = dict(re.findall(r"^\| `(\w+\.py)` \| (.*) \|$", section, re.MULTILINE))
    captions.pop("__init__.py", None)
    assert set(captions) == files
    assert all(captions.values())


def test_the_picture_of_the_rooms_is_that_of_the_import_rules():
    """Every room is in it, and no arrow leads to a room on the same level or further up."""
    contracts = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    level = {
        room.strip().removeprefix("inpaintcli.").removeprefix("inpaintcli_"): number
        for number, layer in enumerate([*layers, "inpaintcli_engines"])
        for room in layer.split("|")
    }
    diagram = text_of(ROOT / "ARCHITECTURE.md").partition("```mermaid")[2].partition("```")[0]
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", diagram, re.MULTILINE)
    everywhere = {"__main__", "console", "signals", "options", "errors"}
    assert {room for arrow in arrows for room in arrow} == set(level) - everywhere
    assert all(level[start] < level[end] for start, end in arrows)


def test_the_architecture_names_no_room_that_is_gone():
    for room in re.findall(r"^### `([\w/]+)/`", text_of(ROOT / "ARCHITECTURE.md"), re.MULTILINE):
        assert (ROOT / room).is_dir(), room


def test_what_something_became_exists():
    """Modules in the right column of the changelog's tables."""
    text = text_of(ROOT / "CHANGELOG.md").partition("### What became what")[2]
    of_training = text.partition("Of the training:")[2]
    parts = {"inpaintcli": text.removesuffix(of_training), OF_TRAINING: of_training}
    for package, part in parts.items():
        for cell in re.findall(r"^\| .* \| (.*) \|$", part, re.MULTILINE):
            for name in re.findall(r"`((?:\w+\.)+\w+)`", cell):
                path = ROOT / package / name.replace(".", "/")
                assert path.is_dir() or path.with_suffix(".py").exists(), name


def test_the_exit_codes_are_those_of_the_program():
    page = text_of(DOCS / "reference/exit-codes.md")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == set(ExitCode)
    readme = text_of(ROOT / "README.md").partition("Exit codes: ")[2].partition("\n\n")[0]
    assert {int(code) for code in re.findall(r"\b(\d+) ", readme)} == set(ExitCode)


def test_the_fields_of_a_result_line_are_those_of_the_json_page():
    outcome = Outcome(status="filled", input=Path("a"), mask=None, output=None)
    page = text_of(DOCS / "reference/json.md")
    shown = json.loads(re.search(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1])
    assert list(shown) == list(outcome.to_json())
    described = " ".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))
    assert set(outcome.to_json()) - {"schema"} <= set(re.findall(r"`(\w+)`", described))


def test_the_suffixes_are_those_of_the_formats_page():
    page = text_of(DOCS / "reference/formats.md")
    for kind in FORMATS:
        for suffix in kind.SUFFIXES:
            assert f"`{suffix}`" in page, suffix


def test_the_log_by_topic_stays_short():
    assert len(text_of(DOCS / "log.md").splitlines()) <= 200


def test_pictures_are_small_and_every_one_is_shown():
    """Pictures beside the docs count, too; what is built or installed does not."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    listed = [ROOT / name for name in tracked.stdout.splitlines()] or IMAGES
    kinds = {".jpg", ".jpeg", ".png", ".gif", ".webp"}
    pictures = [path for path in {*listed, *IMAGES} if path.suffix in kinds and path.exists()]
    assert sum(path.stat().st_size for path in pictures) <= MOST_BYTES
    shown = "".join(map(text_of, PAGES))
    for path in IMAGES:
        assert f"images/{path.name}" in shown, path


@pytest.mark.slow
def test_the_scripts_make_the_pictures_of_the_docs(tmp_path):
    """Up to the arithmetic of the engine at hand, which another processor may round otherwise."""
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    for script in ("pictures.py", "how_a_hole_is_filled.py"):
        subprocess.run([sys.executable, ROOT / "examples" / script, tmp_path], check=True, cwd=ROOT)
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in IMAGES]
    for path in IMAGES:
        made, kept = cv2.imread(str(tmp_path / path.name)), cv2.imread(str(path))
        assert made.shape == kept.shape
        error = np.square(made.astype(float) - kept).mean()
        assert error < 60, (path.name, error)  # 30 dB


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_asks_no_other_server_for_anything(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^\"> ]+)", text_of(page)
        )
        assert loaded == [], page


@pytest.mark.slow
def test_no_list_or_table_of_the_site_is_a_paragraph(site):
    """Python's Markdown wants an empty line before them."""
    for page in site.rglob("*.html"):
        for text in re.findall(r"<p>(.*?)</p>", text_of(page), re.DOTALL):
            assert not re.search(r"^(\||[-*] |1\. )", text, re.MULTILINE), (page.name, text)


@pytest.mark.slow
def test_the_site_has_every_command(site):
    page = text_of(site / "reference/command-line.html")
    for command in COMMANDS:
        if not any(other.startswith(f"{command} ") for other in COMMANDS):
            assert f"Usage: inpaintcli {command} " in page, command
