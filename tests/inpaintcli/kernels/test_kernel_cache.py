"""The cache of compiled kernels: whatever becomes of its files, kernels work."""

import importlib.util
import subprocess
import sys

import pytest

from inpaintcli.kernels import kernel_cache, numba_kernels

CODE = """
from inpaintcli.kernels.numba_kernels import kernel

@kernel
def next_number(number):
    return number + 1
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Imports a module with a kernel as a new process does; its cache lies beside it."""
    monkeypatch.setattr(kernel_cache, "_failures", [])
    path = tmp_path / "kernels.py"
    path.write_text(CODE)

    def load():
        spec = importlib.util.spec_from_file_location("kernels", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.next_number

    return load


def is_in_cache(function):
    return numba_kernels.are_compiled([(function, (1,))])


def test_a_kernel_is_compiled_once(load):
    first = load()
    assert not is_in_cache(first)
    assert first(1) == 2
    again = load()
    assert is_in_cache(again)
    assert again(1) == 2
    assert again.stats.cache_hits
    assert kernel_cache.why_not_kept(again.py_func) == ""


def cut(data):
    return data[: len(data) // 2]


def flipped(data):
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [cut, flipped, lambda _: b"", lambda data: bytes(len(data))])
def test_damaged_files_are_made_anew(load, tmp_path, ending, damage):
    load()(1)
    (file,) = tmp_path.glob(f"**/*{ending}")
    file.write_bytes(damage(file.read_bytes()))
    assert load()(1) == 2
    assert is_in_cache(load())


def test_what_cannot_be_kept_works_and_is_reported(load, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel_cache._CheckedFiles, "_save_index", full)
    function = load()
    assert function(1) == 2
    assert kernel_cache.why_not_kept(function.py_func) == "No space left on device"


def test_nothing_is_kept_where_no_folder_can_be_written(load, monkeypatch):
    monkeypatch.setattr(kernel_cache.caching.CacheImpl, "_locator_classes", [])
    function = load()
    assert function(1) == 2
    assert "no folder" in kernel_cache.why_not_kept(function.py_func)


def test_without_a_home_no_folder_is_called_by_its_sign(tmp_path):
    code = (
        "import os; os.path.expanduser = lambda path: path\n"
        "from numba.core import caching\n"
        "caching.InTreeCacheLocator.from_function = classmethod(lambda *_: None)\n"
        "import inpaintcli.texture.patchmatch\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []
