"""What pip installs: three packages, five models, and names that collide with nobody's."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import made_once, photo_pixels

ROOT = Path(__file__).parent.parent
HOMES = {
    "inpaintcli": ROOT,
    "inpaintcli_engines": ROOT / "engines",
    "inpaintcli_training": ROOT / "training",
}
"""The packages, and the folders of the repository that they lie in."""

USER_SCRIPT = """
import engines, training
assert engines.__name__ == "engines" and training.__name__ == "training"
import inpaintcli
import numpy as np
photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
hole = np.zeros((64, 64), bool)
hole[20:40, 20:40] = True
filled = inpaintcli.fill(photo, hole, detail="network")
assert (filled[~hole] == photo[~hole]).all() and (filled[hole] != photo[hole]).any()
theirs = [getattr(m, "__file__", None) or m.__path__[0] for m in (engines, training)]
print(inpaintcli.__file__, *theirs)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, as pip would build it."""
    pytest.importorskip("hatchling", reason="the extra `dev` is not installed")

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    (path,) = made_once(tmp_path_factory, "wheel", build).glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder that pip installed the wheel into."""

    def install(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        command += ["--no-compile", "--target", str(folder), str(wheel)]
        subprocess.run(command, check=True, capture_output=True)

    return made_once(tmp_path_factory, "installed", install)


def from_wheel(folder: Path, *arguments: str, cwd: Path) -> str:
    """What Python prints that has the installed wheel and not this checkout.

    Without `site`, so that the .pth file of an editable install is not read.
    """
    paths = [str(folder), *{sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return run([sys.executable, "-S", *arguments], cwd, environment)


def run(command: list[str], cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_three_packages_and_nothing_else(names):
    tops = {name.split("/")[0] for name in names}
    (information,) = {top for top in tops if top.endswith(".dist-info")}
    (shared,) = {top for top in tops if top.endswith(".data")}
    assert tops - {information, shared} == set(HOMES)
    page = f"{shared}/data/share/man/man1/inpaintcli.1"
    assert {name for name in names if name.startswith(shared)} == {page}


def test_every_module_and_the_type_markers_are_inside(names):
    for package, home in HOMES.items():
        wanted = {path.relative_to(home).as_posix() for path in (home / package).rglob("*.py")}
        assert wanted | {f"{package}/py.typed"} <= names


def test_files_beside_the_code_are_inside(names):
    kept = [
        path.relative_to(ROOT).as_posix()
        for pattern in ("models/shipped/*", "batch/templates/*", "ui/static/*")
        for path in (ROOT / "inpaintcli").glob(pattern)
    ]
    plug_in = {path.name for path in (ROOT / "plugins/gimp/inpaintcli").glob("*.py")}
    assert len(kept) >= 11
    assert plug_in
    assert set(kept) | {f"inpaintcli/gimp/plug_in/{name}" for name in plug_in} <= names


def test_the_installed_program_has_five_models(installed, tmp_path):
    said = from_wheel(installed, "-m", "inpaintcli", "models", "list", cwd=tmp_path)
    shipped = {path.stem for path in (ROOT / "inpaintcli/models/shipped").glob("*.toml")}
    assert len(shipped) == 5
    assert {name for name in shipped if re.search(rf"^\W*{name}\b", said, re.MULTILINE)} == shipped


def test_the_installed_program_harmonizes_without_a_named_model(installed, tmp_path):
    Image.fromarray(photo_pixels(64, 64)).save(tmp_path / "photo.png")
    pasted = np.zeros((64, 64), np.uint8)
    pasted[20:44, 20:44] = 255
    Image.fromarray(pasted).save(tmp_path / "mask.png")
    command = ["-m", "inpaintcli", "harmonize", "photo.png", "--mask", "mask.png", "-o", "out.png"]
    from_wheel(installed, *command, cwd=tmp_path)
    assert (tmp_path / "out.png").exists()


def package(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()


def module(folder: Path, name: str) -> None:
    (folder / f"{name}.py").touch()


def namespace(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "mine.py").touch()


@pytest.mark.parametrize("kind", [package, module, namespace])
@pytest.mark.parametrize("install", ["editable", "wheel"])
def test_a_script_beside_engines_and_training_of_its_own(kind, install, tmp_path, request):
    script = tmp_path / "script.py"
    script.write_text(USER_SCRIPT, encoding="utf-8")
    for name in ("engines", "training"):
        kind(tmp_path, name)
    if install == "wheel":
        home = request.getfixturevalue("installed")
        said = from_wheel(home, str(script), cwd=tmp_path)
    else:
        home = ROOT
        said = run([sys.executable, str(script)], tmp_path)
    ours, *theirs = said.split()
    assert Path(ours).is_relative_to(home)
    assert all(Path(path).is_relative_to(tmp_path) for path in theirs)


def third_party_imports() -> dict[str, set[str]]:
    """Top-level names that the code imports, and the files that do."""
    found: dict[str, set[str]] = {}
    for name, home in HOMES.items():
        for path in (home / name).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for imported in imports_of(node):
                    top = imported.split(".")[0]
                    if top not in sys.stdlib_module_names and top not in HOMES:
                        found.setdefault(top, set()).add(path.relative_to(ROOT).as_posix())
    return found


def imports_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def declared() -> set[str]:
    """Distributions that pyproject.toml names, but for those of developers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [
        line for extra, lines in extras.items() if extra not in ("dev", "docs") for line in lines
    ]
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in wanted}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


NAMED_OTHERWISE = {"cuda": "cuda-python", "pynvml": "nvidia-ml-py"}
"""Distributions of modules that few machines have, where the names differ."""


WITH_A_FALLBACK = {
    "skimage",  # a developer's package: an export without photos of its own compares on noise
    # `evaluate --method` says what to install:
    "patchmatch",
    "patchmatch_cython",
}
"""Modules that the code can do without."""


def test_every_package_that_the_code_imports_is_declared():
    distributions = packages_distributions()
    for name, files in third_party_imports().items():
        if name in WITH_A_FALLBACK:
            continue
        homes = [*distributions.get(name, [name]), NAMED_OTHERWISE.get(name, name)]
        assert {normal(home) for home in homes} & declared(), (name, homes, files)
