"""The house stays small: rooms, layers, files and functions that a reader takes in at once."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    ROOT / "inpaintcli",
    ROOT / "engines/inpaintcli_engines",
    ROOT / "training/inpaintcli_training",
)
FILES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
PROGRAM = [*FILES, *sorted((ROOT / "benchmarks").glob("*.py")), *(ROOT / "plugins").rglob("*.py")]
ROOMS = sorted(path.parent for path in FILES if path.name == "__init__.py")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_there_is_something_to_measure():
    assert len(FILES) > 100
    assert len(ROOMS) > 20


def test_at_most_ten_files_lie_directly_in_the_package():
    assert len(list((ROOT / "inpaintcli").glob("*.py"))) <= 10


def test_at_most_fifteen_layers_order_the_imports():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert layers
    assert max(map(len, layers)) <= 15


def test_every_room_of_the_program_has_its_place_in_the_order():
    """A room that no contract names may import whatever it likes."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    named = {
        module.strip()
        for contract in contracts
        for layer in contract.get("layers", [])
        for module in layer.split("|")
    }
    files = [path for path in (ROOT / "inpaintcli").iterdir() if not path.name.startswith("__")]
    modules = {f"inpaintcli.{path.stem}" for path in files if path.suffix == ".py"}
    rooms = {f"inpaintcli.{path.name}" for path in files if (path / "__init__.py").exists()}
    assert modules | rooms <= named


@pytest.mark.parametrize("path", PROGRAM, ids=name)
def test_no_file_is_longer_than_400_lines(path):
    assert length(path) <= 400


def test_the_median_file_has_at_most_200_lines():
    assert median(length(path) for path in FILES) <= 200


def test_the_median_function_has_at_most_twelve_lines():
    lengths = [node.end_lineno - node.lineno + 1 for path in FILES for node in functions(path)]
    assert median(lengths) <= 12


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_every_room_says_what_it_is(room):
    tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{name(room)}/__init__.py has no docstring"


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"torch", "openvino", "cv2", "numba", "numpy"}
    code = f"import sys, inpaintcli, inpaintcli.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
