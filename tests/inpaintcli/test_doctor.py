"""What the doctor says, and what it returns."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from inpaintcli_engines.nvidia import Gpu, Nvidia, nvidia
from inpaintcli_engines.select import BACKENDS

from inpaintcli import doctor
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, ModelError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No program is asked for its version."""
    monkeypatch.setattr(doctor, "_first_line", lambda _command: "1.0")


def told(capsys, **console):
    code = doctor.examine(Console(**console))
    return code, capsys.readouterr().out


def findings(name):
    return {f.name: f for f in doctor.findings_of_this_machine() if f.section == name}


def test_where_photos_can_be_filled_it_returns_0(capsys):
    code, text = told(capsys)
    assert code == ExitCode.OK
    assert text.endswith("Photos can be filled.\n")
    for section in ("system", "packages", "engines", "NVIDIA", "cache", "models", "programs"):
        assert f"\n{section}\n" in f"\n{text}"


def test_json_is_one_object_with_the_same_findings(capsys):
    code, text = told(capsys, json=True)
    found = json.loads(text)
    assert found["schema"] == 1
    assert found["ready"] is (code == ExitCode.OK)
    sections = {finding["section"] for finding in found["findings"]}
    assert {"system", "engines", "models", "programs"} <= sections
    assert all(finding["state"] in doctor._MARKS for finding in found["findings"])


def test_packages_of_some_uses_are_reported_with_the_command_that_installs_them(monkeypatch):
    def version(name):
        if name in ("s3fs", "ray"):
            raise doctor.importlib.metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    found = findings("packages")
    assert (found["fsspec"].state, found["fsspec"].hint) == ("ok", "")
    assert (found["s3fs"].state, found["ray"].state) == ("absent", "absent")
    assert found["s3fs"].hint.startswith("pip install s3fs")
    assert found["ray"].hint.startswith("pip install 'inpaintcli[ray]'")


def test_every_engine_is_reported_with_the_reason():
    told_of = findings("engines")
    for backend in BACKENDS:
        for device in backend.DEVICES:
            reason = backend.why_not(device)
            finding = told_of[f"{backend.NAME} on {device}"]
            assert finding.state == ("ok" if reason is None else "absent")
            assert reason is None or finding.value == reason


def test_without_any_engine_it_returns_7(capsys, monkeypatch):
    for backend in BACKENDS:
        monkeypatch.setattr(backend, "why_not", lambda _device: "gone")
    code, text = told(capsys)
    assert code == ExitCode.ENGINE_UNAVAILABLE
    assert "Photos cannot be filled." in text


def test_with_a_damaged_model_it_returns_6(capsys, monkeypatch):
    def damaged(_card):
        raise ModelError("It is damaged.", hint="Install again.")

    monkeypatch.setattr(doctor, "verify", damaged)
    code, text = told(capsys)
    assert code == ExitCode.MODEL
    assert "! membrane (default): It is damaged." in text
    assert "Install again." in text


@pytest.mark.parametrize(
    ("cuda", "package"), [("12.4", "cu12"), ("13.1", "cu13"), ("14.0", "cu13")]
)
def test_with_a_gpu_the_command_that_installs_what_is_missing_fits_the_driver(
    monkeypatch, cuda, package
):
    here = Nvidia("590.1", cuda, (Gpu("NVIDIA L4", "8.9", 24 << 30),), None)
    monkeypatch.setattr(doctor, "nvidia", lambda: here)
    monkeypatch.setattr(doctor, "_import_problem", lambda module: f"No module named {module}")
    monkeypatch.setattr(doctor, "_folder_of", lambda _module: None)
    monkeypatch.setattr(doctor, "_cuda_library", {"cudart": "libcudart.so.13"}.get)
    found = findings("NVIDIA")
    assert "590.1" in found["driver"].value
    assert found["cuda:0"].value == "NVIDIA L4, compute capability 8.9, 24.0 GiB"
    for name in ("libnvinfer", "tensorrt", "cuda.bindings"):
        assert found[name].state == "absent"
        assert f"tensorrt-{package} " in found[name].hint
    assert (found["libcudart"].state, found["libcudart"].value) == ("ok", "libcudart.so.13")
    assert found["libcudnn"].state == "absent"
    assert "onnxruntime-gpu[cuda,cudnn]" in found["libcudnn"].hint


def test_libraries_of_cuda_are_looked_for_in_nvidias_packages(monkeypatch, tmp_path):
    library = tmp_path / "nvidia" / "cu13" / "lib" / "libcudart.so.13"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor.ctypes.util, "find_library", lambda name: f"the system's {name}")
    assert doctor._cuda_library("cudart") == str(library)
    assert doctor._cuda_library("cudnn") == "the system's cudnn"


def test_programs_that_are_missing_come_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(doctor, "shutil", SimpleNamespace(which=lambda _name: None))
    for finding in findings("programs").values():
        assert finding.state == "absent"
        assert "install" in finding.hint


def test_looking_for_a_gpu_that_is_not_there_costs_nothing_heavy():
    code = (
        "import sys; from inpaintcli_engines.nvidia import nvidia; nvidia();"
        "print({'tensorrt', 'cuda', 'onnxruntime', 'torch'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
    assert (nvidia().why_not is None) == bool(nvidia().gpus)


def test_a_user_without_a_home_gets_all_findings(monkeypatch, capsys):
    def homeless(*_, **__):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", homeless)
    monkeypatch.setattr("platformdirs.user_cache_dir", homeless)
    monkeypatch.delenv("INPAINTCLI_CACHE", raising=False)
    code, text = told(capsys)
    assert code == ExitCode.OK
    assert text.count("no home folder") == 2


@pytest.mark.parametrize(
    "words",
    [("status",), ("install",), ("uninstall",), ("worker",), ("worker", "--stop")],
    ids=" ".join,
)
def test_a_user_without_a_home_is_told_what_to_set(monkeypatch, program, words):
    def homeless(*_, **__):
        raise RuntimeError("Could not determine home directory.")

    for name in ("GIMP3_DIRECTORY", "INPAINTCLI_GIMP_STATE", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", homeless)
    done = program("gimp", *words, check=ExitCode.USAGE)
    assert b"no home folder" in done.stderr
    assert b"Set HOME" in done.stderr


def test_it_says_whether_compiled_code_is_kept(monkeypatch):
    assert "compiled texture pass" in findings("cache")
    monkeypatch.setattr(doctor.texture, "why_not_kept", lambda: "the disk is full")
    found = findings("cache")["compiled texture pass"]
    assert found.state == "absent"
    assert "disk is full" in found.value
    assert "NUMBA_CACHE_DIR" in found.hint
