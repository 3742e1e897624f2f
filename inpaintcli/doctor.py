"""The command `doctor`: what this machine can use, what is missing, and what would install it."""

import ctypes.util
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from inpaintcli_engines.base import EngineError, cores
from inpaintcli_engines.nvidia import nvidia
from inpaintcli_engines.select import BACKENDS
from inpaintcli_engines.tensorrt.cache import PlanCache

from inpaintcli import __version__
from inpaintcli.console import Console
from inpaintcli.errors import ExitCode, ModelError, UsageError
from inpaintcli.gimp.report import in_one_line
from inpaintcli.models.cards import DEFAULT, cards, unreadable_cards, verify
from inpaintcli.texture import synthesis as texture

State = Literal["ok", "absent", "bad", "note"]
_MARKS: dict[State, str] = {"ok": "+", "absent": "-", "bad": "!", "note": " "}
_PACKAGES = (
    "numpy", "opencv-python-headless", "pillow", "tifffile", "numba", "openvino",
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnx", "tensorrt", "cuda-bindings",
    "nvidia-ml-py", "torch", "watchdog",
)  # fmt: skip
_EXTRAS = {  # packages for some uses only, and how to install them
    "prometheus_client": "pip install 'inpaintcli[metrics]': for watch --metrics-port",
    "starlette": "pip install 'inpaintcli[ui]': for ui",
    "uvicorn": "pip install 'inpaintcli[ui]': for ui",
    "fsspec": "pip install 'inpaintcli[remote]': for photos in stores (URLs)",
    "s3fs": "pip install s3fs: for s3://",
    "gcsfs": "pip install gcsfs: for gs://",
    "adlfs": "pip install adlfs: for az:// and abfs://",
    "ray": "pip install 'inpaintcli[ray]': for fill --ray",
}
_FEATURES = (  # of the processor, which make inference faster
    "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8",
    "amx_fp16", "avx_vnni", "asimd", "asimddp", "bf16", "i8mm", "sve",
)  # fmt: skip
# What TensorRT needs, as (module, library in it), with the names on Linux.
_LIBRARIES = (("tensorrt_libs", "libnvinfer"), ("tensorrt_libs", "libnvonnxparser"))
_CUDA_LIBRARIES = ("cudart", "cublas", "cudnn")  # what ONNX Runtime needs


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    `state`: ok; absent, which is needed for some uses only; bad, which keeps photos from being
    filled; or note, a plain fact.
    """

    section: str
    name: str
    state: State
    value: str
    hint: str = ""


def examine(console: Console) -> ExitCode:
    """Run all checks and print the findings; the exit code says whether photos can be filled."""
    findings = list(findings_of_this_machine())
    code = verdict(findings)
    if console.json:
        listed = [asdict(finding) for finding in findings]
        console.record({"schema": 1, "ready": code is ExitCode.OK, "findings": listed})
        return code
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            console.data(section)
        console.data(f"  {_MARKS[finding.state]} {finding.name}: {finding.value}")
        if finding.hint:
            console.data(f"      {finding.hint}")
    console.data("Photos can be filled." if code is ExitCode.OK else "Photos cannot be filled.")
    return code


def verdict(findings: list[Finding]) -> ExitCode:
    """The exit code: an engine must be usable, and the default model undamaged."""
    bad = {finding.section for finding in findings if finding.state == "bad"}
    if "engines" in bad:
        return ExitCode.ENGINE_UNAVAILABLE
    return ExitCode.MODEL if "models" in bad else ExitCode.OK


def findings_of_this_machine() -> Iterator[Finding]:
    """All findings, in the order in which they are printed."""
    yield from _system()
    yield from _packages()
    yield from _engines()
    yield from _gpus()
    yield from _cache()
    yield from _compiled_code()
    yield from _models()
    yield from _programs()


def _system() -> Iterator[Finding]:
    where = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield Finding("system", "inpaintcli", "ok", __version__)
    yield Finding("system", "Python", "ok", f"{platform.python_version()} on {where}")
    name, flags = _processor()
    yield Finding("system", "processor", "note", f"{name}, cores to use: {cores()}")
    found = [feature for feature in _FEATURES if feature in flags]
    yield Finding("system", "features", "note", " ".join(found) or "not known on this system")


def _processor() -> tuple[str, set[str]]:
    """The processor's name and its feature flags, as far as the system reports them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        brand = _first_line(["sysctl", "-n", "machdep.cpu.brand_string"])
        return brand or platform.processor(), set()
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", text, re.MULTILINE)
    return (
        name.group(1) if name else platform.machine(),
        set(flags.group(1).split()) if flags else set(),
    )


def _packages() -> Iterator[Finding]:
    for name in (*_PACKAGES, *_EXTRAS):
        try:
            yield Finding("packages", name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding("packages", name, "absent", "not installed", _EXTRAS.get(name, ""))


def _engines() -> Iterator[Finding]:
    serving = 0
    for backend in BACKENDS:
        for device in backend.DEVICES:
            reason = backend.why_not(device)
            serving += reason is None
            able = _precisions() if reason is None and backend.NAME == "openvino" else "usable"
            state: State = "ok" if reason is None else "absent"
            yield Finding("engines", f"{backend.NAME} on {device}", state, reason or able)
    if not serving:
        yield Finding("engines", "any", "bad", "none can run", "pip install openvino")


def _precisions() -> str:
    """The precisions that OpenVINO can use on this processor, the preferred one first."""
    from inpaintcli_engines.backends import openvino_cpu

    return f"usable, {', '.join(openvino_cpu.precisions())}"


def _gpus() -> Iterator[Finding]:
    found = nvidia()
    if found.why_not is not None:
        yield Finding("NVIDIA", "driver", "absent", found.why_not)
        return
    yield Finding("NVIDIA", "driver", "ok", f"{found.driver}, takes CUDA up to {found.cuda}")
    for number, gpu in enumerate(found.gpus):
        size = f"{gpu.memory_bytes / 2**30:.1f} GiB"
        value = f"{gpu.name}, compute capability {gpu.compute_capability}, {size}"
        yield Finding("NVIDIA", f"cuda:{number}", "ok", value)
    yield from _libraries(found.cuda)


def _libraries(cuda: str) -> Iterator[Finding]:
    """The libraries and bindings of TensorRT and CUDA, with the command for missing ones."""
    major = min(int(cuda.partition(".")[0]), 13)
    command = (
        f"pip install tensorrt-cu{major} 'cuda-python=={major}.*' onnx nvidia-ml-py"
        " --extra-index-url https://pypi.nvidia.com"
    )
    for module, library in _LIBRARIES:
        folder = _folder_of(module)
        files = sorted(folder.glob(f"{library}*")) if folder else []
        state: State = "ok" if files else "absent"
        value = str(files[0]) if files else "not found"
        yield Finding("NVIDIA", library, state, value, "" if files else command)
    for name in _CUDA_LIBRARIES:
        found = _cuda_library(name)
        hint = (
            "" if found else "pip install 'onnxruntime-gpu[cuda,cudnn]': for ONNX Runtime on cuda"
        )
        yield Finding(
            "NVIDIA", f"lib{name}", "ok" if found else "absent", found or "not found", hint
        )
    for module in ("tensorrt", "cuda.bindings"):
        problem = _import_problem(module)
        state = "absent" if problem else "ok"
        yield Finding("NVIDIA", module, state, problem or "imports", command if problem else "")


def _cuda_library(name: str) -> str | None:
    """The path of a CUDA library in one of NVIDIA's packages, else its name in the system."""
    spec = find_spec("nvidia")
    folders = spec.submodule_search_locations if spec else None
    files = (f for folder in folders or () for f in Path(folder).glob(f"*/lib/lib{name}.so*"))
    return next((str(file) for file in sorted(files)), ctypes.util.find_library(name))


def _folder_of(module: str) -> Path | None:
    spec = find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else None


def _import_problem(module: str) -> str | None:
    """Why a package cannot be imported; None when it can."""
    try:
        importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        return str(error)
    return None


def _cache() -> Iterator[Finding]:
    try:
        cache = PlanCache()
    except EngineError as error:
        yield Finding("cache", "folder", "absent", error.message, error.hint)
        return
    existing = next(path for path in (cache.folder, *cache.folder.parents) if path.exists())
    usable = os.access(existing, os.W_OK)
    entries = cache.entries()
    size = sum(entry.size for entry in entries) / 2**20
    yield Finding(
        "cache",
        "folder",
        "ok" if usable else "absent",
        f"{cache.folder}: {len(entries)} compiled engines, {size:.1f} of {cache.limit >> 20} MiB"
        + ("" if usable else "; not writable"),
        "" if usable else "Name another folder in INPAINTCLI_CACHE.",
    )


def _compiled_code() -> Iterator[Finding]:
    """Whether the compiled texture pass is kept from run to run."""
    if texture.why_not() is not None:
        return
    reason = texture.why_not_kept()
    state: State = "absent" if reason else "ok"
    fact = f"compiled anew in each run: {reason}" if reason else "kept from run to run"
    hint = "Name another folder in NUMBA_CACHE_DIR." if reason else ""
    yield Finding("cache", "compiled texture pass", state, fact, hint)


def _models() -> Iterator[Finding]:
    try:
        known = cards()
    except ModelError as error:
        yield Finding("models", "cards", "bad", error.message, error.hint)
        return
    if DEFAULT not in known:
        yield Finding("models", DEFAULT, "bad", "not there", "Install inpaintcli again.")
    for name, card in sorted(known.items()):
        mark = " (default)" if name == DEFAULT else ""
        try:
            verify(card)
            yield Finding("models", name + mark, "ok", f"whole, {card.file}")
        except ModelError as error:
            state: State = "bad" if name == DEFAULT else "absent"
            yield Finding("models", name + mark, state, error.message, error.hint)
    for name, problem in unreadable_cards().items():
        yield Finding("models", name, "absent", problem.message, problem.hint)


def _programs() -> Iterator[Finding]:
    gimp = "apt install gimp: for the plug-in; needs GIMP 3"
    yield _program("GIMP", ("gimp-3.0", "gimp-3", "gimp"), ["--version"], gimp)
    try:
        good, fact, hint = in_one_line()
    except UsageError as error:
        good, fact, hint = False, error.message, error.hint
    yield Finding("programs", "GIMP's plug-in", "ok" if good else "absent", fact, hint)


def _program(name: str, commands: tuple[str, ...], ask: list[str], hint: str) -> Finding:
    path = next((found for c in commands if (found := shutil.which(c))), None)
    if path is None:
        return Finding("programs", name, "absent", "not found", hint)
    return Finding("programs", name, "ok", f"{_first_line([path, *ask])}, {path}".lstrip(", "))


def _first_line(command: list[str]) -> str:
    """The first line that a program prints; empty if it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next(iter(done.stdout.splitlines()), "")
